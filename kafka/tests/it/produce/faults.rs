//! What brokers do wrong.

use std::time::Duration;

use kafka_control::{ApiKey, ProduceError, ProducerConfig, ResponseError};
use tokio::time::Instant;

use super::cluster::{Cluster, Fate};
use super::{plain, writing};

#[tokio::test(start_paused = true)]
async fn order_and_number_outlast_every_passing_fault() {
    use ResponseError::{KafkaStorageError, NotEnoughReplicas, NotLeaderOrFollower, RequestTimedOut};
    let fates = [
        Fate::Refused(NotLeaderOrFollower),
        Fate::Dropped,
        Fate::Refused(NotEnoughReplicas),
        Fate::Refused(KafkaStorageError),
        Fate::Dropped,
        Fate::Refused(RequestTimedOut),
    ];
    let cluster = Cluster::new(&[1]).fated(0, &fates);
    let writing = writing(cluster, ProducerConfig { batch_size: 150, ..plain() });
    let began = Instant::now();
    writing.write(100).await;
    writing.ensure_exactly(100);
    assert!(began.elapsed() >= Duration::from_millis(600), "nothing is sent again without a pause");
}

#[tokio::test(start_paused = true)]
async fn what_an_unheard_answer_told_is_written_again_in_its_order() {
    let writing =
        writing(Cluster::new(&[1]).fated(0, &[Fate::Lost]), ProducerConfig { batch_size: 150, ..plain() });
    writing.write(100).await;
    let values = writing.cluster.values(0);
    let first = writing.cluster.batches.lock().unwrap()[0];
    let expected: Vec<String> = (0..first).chain(0..100).map(|mark| mark.to_string()).collect();
    assert_eq!(values, expected, "the first batch is there twice, and nothing else");
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_producer_writes_nothing_twice() {
    let fates = [Fate::Lost, Fate::Dropped, Fate::Lost, Fate::Refused(ResponseError::NotEnoughReplicas)];
    let config = ProducerConfig { is_idempotent: true, batch_size: 150, ..plain() };
    let writing = writing(Cluster::new(&[1]).fated(0, &fates), config);
    writing.write(100).await;
    let expected: Vec<String> = (0..100).map(|mark| mark.to_string()).collect();
    assert_eq!(writing.cluster.values(0), expected);
    assert!(writing.told.errors().is_empty());
    assert_eq!(writing.script.times_asked(ApiKey::InitProducerId), 1);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_lost_count_is_given_new_numbers() {
    let fates = [
        Fate::Refused(ResponseError::UnknownProducerId),
        Fate::Refused(ResponseError::OutOfOrderSequenceNumber),
    ];
    let config = ProducerConfig { is_idempotent: true, batch_size: 150, ..plain() };
    let writing = writing(Cluster::new(&[1]).fated(0, &fates), config);
    writing.write(100).await;
    writing.ensure_exactly(100);
    assert_eq!(writing.script.times_asked(ApiKey::InitProducerId), 3);
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_id_is_told_so() {
    let mut cluster = Cluster::new(&[1]);
    cluster.no_ids = Some(ResponseError::ClusterAuthorizationFailed);
    let writing = writing(cluster, ProducerConfig { is_idempotent: true, ..plain() });
    writing.write(3).await;
    assert!(writing.told.errors().iter().all(|(_, error)| matches!(error, ProduceError::ProducerId(_))));
    assert_eq!(writing.told.errors().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_leader_is_found_again() {
    let writing = writing(Cluster::new(&[1]), ProducerConfig { linger: Duration::ZERO, ..plain() });
    writing.send(Some(0), 0).await.unwrap();
    writing.told.of(1).await;
    *writing.cluster.leaders.lock().unwrap() = vec![2];
    writing.send(Some(0), 1).await.unwrap();
    writing.told.of(2).await;
    writing.ensure_exactly(2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_not_waited_for_without_end() {
    let writing = writing(Cluster::new(&[1, 2]), plain());
    *writing.cluster.silent.lock().unwrap() = true;
    writing.send(Some(0), 0).await.unwrap();
    writing.until_asked(ApiKey::Produce, 2).await;
    *writing.cluster.silent.lock().unwrap() = false;
    writing.told.of(1).await;
    writing.ensure_exactly(1);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_told_and_the_rest_goes_on() {
    let cluster = Cluster::new(&[1]).fated(0, &[Fate::Refused(ResponseError::TopicAuthorizationFailed)]);
    let writing = writing(cluster, ProducerConfig { batch_size: 150, ..plain() });
    writing.write(100).await;
    let errors = writing.told.errors();
    assert!(!errors.is_empty() && errors.len() < 20, "{errors:?}");
    let expected: Vec<String> = (errors.len()..100).map(|mark| mark.to_string()).collect();
    assert_eq!(writing.cluster.values(0), expected);
}

#[tokio::test(start_paused = true)]
async fn retries_and_time_have_their_ends() {
    let refused = Fate::Refused(ResponseError::NotEnoughReplicas);
    let tried = writing(Cluster::new(&[1]).fated(0, &[refused; 4]), ProducerConfig { retries: 2, ..plain() });
    tried.write(1).await;
    assert!(matches!(&tried.told.errors()[..], [(0, ProduceError::Refused(_))]));
    assert_eq!(tried.cluster.requests.lock().unwrap().len(), 3);

    let limit = Duration::from_secs(7);
    let config = ProducerConfig { delivery_timeout: limit, ..plain() };
    let late = writing(Cluster::new(&[1]).fated(0, &[refused; 1_000]), config);
    let began = Instant::now();
    late.write(2).await;
    assert!(late.told.errors().iter().all(|(_, error)| matches!(error, ProduceError::TimedOut(_))));
    assert!(began.elapsed() >= limit && began.elapsed() < limit * 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_partition_does_not_hold_up_another() {
    let stuck = [Fate::Refused(ResponseError::NotEnoughReplicas); 1_000];
    let writing = writing(Cluster::new(&[1, 1]).fated(0, &stuck), plain());
    writing.send(Some(0), 0).await.unwrap();
    for mark in 1..50 {
        writing.send(Some(1), mark).await.unwrap();
    }
    writing.told.of(49).await;
    assert_eq!(writing.cluster.values(1).len(), 49);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_wants_peace_gets_it() {
    let mut cluster = Cluster::new(&[1]);
    cluster.throttle_ms = 3_000;
    let writing = writing(cluster, ProducerConfig { linger: Duration::ZERO, ..plain() });
    let began = Instant::now();
    for mark in 0..3 {
        writing.send(Some(0), mark).await.unwrap();
        writing.told.of(mark as usize + 1).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(6), "{:?}", began.elapsed());
    writing.ensure_exactly(3);
}
