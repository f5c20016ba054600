//! Where records go, and what is found out for that.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_control::{ApiKey, ProduceError, ProducerConfig, RecordToSend, ResponseError};
use tokio::time::{Instant, advance, timeout};

use super::cluster::Cluster;
use super::{PATIENCE, plain, writing};

#[tokio::test(start_paused = true)]
async fn a_topic_that_comes_later_is_waited_for() {
    let writing = writing(Cluster::new(&[]), plain());
    let record = RecordToSend { value: Some(b"0"), ..RecordToSend::default() };
    assert!(!writing.producer.try_send("t", &record, 0).unwrap());
    assert!(timeout(Duration::from_secs(30), writing.send(None, 0)).await.is_err());
    let asked = writing.script.times_asked(ApiKey::Metadata);
    assert!((100..=400).contains(&asked), "asked {asked} times within 30 s");
    *writing.cluster.leaders.lock().unwrap() = vec![1];
    writing.send(None, 0).await.unwrap();
    writing.told.of(1).await;
    writing.ensure_exactly(1);
    // Nobody waits any more.
    writing.ensure_nobody_asks(ApiKey::Metadata).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_gave_up_on_a_topic_makes_nobody_ask() {
    let writing = writing(Cluster::new(&[]), plain());
    assert!(timeout(Duration::from_secs(3), writing.send(None, 0)).await.is_err());
    // But for what was on its way.
    writing.until_asked(ApiKey::Metadata, writing.script.times_asked(ApiKey::Metadata) + 1).await;
    writing.ensure_nobody_asks(ApiKey::Metadata).await;
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_topic_is_an_error_until_it_is_allowed() {
    let writing = writing(Cluster::new(&[1]), plain());
    *writing.cluster.topic_code.lock().unwrap() = Some(ResponseError::TopicAuthorizationFailed);
    for _ in 0..2 {
        let error = writing.send(None, 0).await.unwrap_err();
        let is_refused = |error: &ProduceError| matches!(error, ProduceError::Refused(refusal) if refusal.code == ResponseError::TopicAuthorizationFailed);
        assert!(is_refused(&error), "{error:?}");
    }
    *writing.cluster.topic_code.lock().unwrap() = None;
    let mut refused = 0;
    // What was heard last is told once.
    while writing.send(None, 0).await.is_err() {
        refused += 1;
        assert!(refused < 2, "it is allowed now");
    }
    writing.told.of(1).await;
    assert!(writing.told.errors().is_empty());
}

#[tokio::test(start_paused = true)]
async fn partitions_that_come_and_go_are_noticed() {
    let writing = writing(Cluster::new(&[1]), plain());
    writing.send(Some(0), 0).await.unwrap();
    assert!(timeout(Duration::from_secs(10), writing.send(Some(1), 1)).await.is_err(), "there is none");
    *writing.cluster.leaders.lock().unwrap() = vec![1, 2];
    timeout(PATIENCE, writing.send(Some(1), 1)).await.expect("it was added").unwrap();
    writing.told.of(2).await;
    assert_eq!(writing.told.place(1), (1, Some(0)));

    // The topic is made anew with one partition while something waits for the other.
    *writing.cluster.leaders.lock().unwrap() = vec![1];
    writing.send(Some(1), 2).await.unwrap();
    let (began, asked) = (Instant::now(), writing.script.times_asked(ApiKey::Metadata));
    writing.until_asked(ApiKey::Metadata, asked + 50).await;
    assert!(began.elapsed() >= Duration::from_secs(4), "asked 50 times within {:?}", began.elapsed());
    for mark in 3..30 {
        let key = mark.to_string();
        let record = RecordToSend { key: Some(key.as_bytes()), value: Some(b"v"), ..RecordToSend::default() };
        writing.producer.send("t", &record, mark).await.unwrap();
    }
    writing.told.of(2 + 27).await;
    assert_eq!(writing.cluster.values(0).len(), 28, "every key has a partition that is there");
}

#[tokio::test(start_paused = true)]
async fn partitions_without_a_leader_get_nothing_that_may_go_elsewhere() {
    let writing = writing(Cluster::new(&[-1, 1, -1]), plain());
    for mark in 0..100 {
        writing.send(None, mark).await.unwrap();
        if mark % 3 == 0 {
            writing.told.of(mark as usize + 1).await;
        }
    }
    writing.told.of(100).await;
    assert_eq!(writing.cluster.values(1).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_asked_of_everybody_in_the_end() {
    let config = ProducerConfig { metadata_max_age: Duration::from_secs(30), ..plain() };
    let writing = writing(Cluster::new(&[1, 2]), config);
    writing.send(Some(0), 0).await.unwrap();
    writing.told.of(1).await;
    *writing.cluster.gone.lock().unwrap() = Some("broker-1");
    advance(Duration::from_secs(60)).await;
    *writing.cluster.leaders.lock().unwrap() = vec![2, 2];
    timeout(Duration::from_secs(60), async {
        writing.send(Some(0), 1).await.unwrap();
        writing.told.of(2).await;
    })
    .await
    .expect("somebody knows the new leader");
}

#[tokio::test(start_paused = true)]
async fn keys_decide_and_without_one_it_is_spread() {
    let writing = writing(Cluster::new(&[1, 2, 1, 2]), ProducerConfig { batch_size: 100, ..plain() });
    for mark in 0..200u64 {
        let key = (mark % 10).to_string();
        let key = (mark < 100).then_some(key.as_bytes());
        let record = RecordToSend { key, value: Some(b"v"), ..RecordToSend::default() };
        writing.producer.send("t", &record, mark).await.unwrap();
    }
    writing.told.of(200).await;
    let logs = writing.cluster.logs.lock().unwrap();
    let mut homes: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    let mut keyless = 0;
    for (partition, log) in &*logs {
        for written in log {
            match written.key.as_deref() {
                Some(key) => homes.entry(key).or_default().push(*partition),
                None => keyless += 1,
            }
        }
        assert!(log.iter().any(|written| written.key.is_none()), "partition {partition} got nothing");
    }
    assert_eq!((logs.len(), homes.len(), keyless), (4, 10, 100));
    assert!(homes.values().all(|places| places.len() == 10 && places.iter().all(|p| *p == places[0])));
}
