//! Writing: everything once and in its order, whatever brokers do, and nothing said that is not so.

mod cluster;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_control::{
    ApiKey, Client, ClientConfig, Deliveries, ProduceError, Producer, ProducerConfig, RecordToSend,
    ResponseError, Run, Security, Stored,
};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::cluster::{Cluster, Fate};
use crate::scripted::{Network, bootstrap};

/// Longer than anything that is waited for here takes, of a clock that nothing slows down.
const PATIENCE: Duration = Duration::from_secs(600);

/// What was told: mark -> where it is, or why it is nowhere.
#[derive(Default)]
struct Told {
    all: Mutex<BTreeMap<u64, Result<Stored, ProduceError>>>,
    news: Notify,
}

impl Deliveries for Told {
    fn delivered(&self, run: Run, result: Result<Stored, &ProduceError>) {
        let mut all = self.all.lock().unwrap();
        for nth in 0..u64::from(run.count) {
            let result = result
                .map(|stored| Stored { offset: stored.offset.map(|first| first + nth as i64), ..stored });
            let before = all.insert(run.first + nth, result.map_err(Clone::clone));
            assert!(before.is_none(), "{} is told of twice", run.first + nth);
        }
        self.news.notify_waiters();
    }
}

impl Told {
    /// Waits until so much was told.
    async fn of(&self, count: usize) {
        let enough = async {
            loop {
                let news = self.news.notified();
                if self.all.lock().unwrap().len() >= count {
                    return;
                }
                news.await;
            }
        };
        timeout(PATIENCE, enough).await.expect("everything is told of");
    }

    fn errors(&self) -> Vec<(u64, ProduceError)> {
        let all = self.all.lock().unwrap();
        all.iter().filter_map(|(mark, result)| Some((*mark, result.clone().err()?))).collect()
    }

    /// Partition and offset of a record.
    fn place(&self, mark: u64) -> (i32, Option<i64>) {
        let stored = self.all.lock().unwrap()[&mark].clone().unwrap();
        (stored.partition, stored.offset)
    }
}

struct Writing {
    cluster: Arc<Cluster>,
    script: Arc<crate::scripted::Script>,
    told: Arc<Told>,
    producer: Producer,
}

fn plain() -> ProducerConfig {
    ProducerConfig { is_idempotent: false, delivery_timeout: PATIENCE, ..ProducerConfig::default() }
}

fn writing(cluster: Cluster, config: ProducerConfig) -> Writing {
    let cluster = Arc::new(cluster);
    let script = cluster.script();
    let mut client = ClientConfig::new(vec![bootstrap()], Security::default());
    client.request_timeout = Duration::from_secs(5);
    let client = Client::new(client, Arc::new(Network(script.clone())));
    let told = Arc::<Told>::default();
    let producer = Producer::new(client, config, told.clone());
    Writing { cluster, script, told, producer }
}

impl Writing {
    async fn send(&self, partition: Option<i32>, mark: u64) -> Result<(), ProduceError> {
        let value = mark.to_string();
        let record = RecordToSend { partition, value: Some(value.as_bytes()), ..RecordToSend::default() };
        self.producer.send("t", &record, mark).await
    }

    /// Writes `0..count` to partition 0, and waits for what is told of it.
    async fn write(&self, count: u64) {
        for mark in 0..count {
            timeout(PATIENCE, self.send(Some(0), mark)).await.expect("there is room").unwrap();
        }
        self.told.of(count as usize).await;
    }

    fn ensure_exactly(&self, count: u64) {
        let expected: Vec<String> = (0..count).map(|mark| mark.to_string()).collect();
        assert_eq!(self.cluster.values(0), expected);
        assert!(self.told.errors().is_empty(), "{:?}", self.told.errors());
        for mark in 0..count {
            assert_eq!(self.told.place(mark), (0, Some(mark as i64)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn records_are_written_as_they_were_given() {
    let writing = writing(Cluster::new(&[1]), plain());
    let record = RecordToSend {
        partition: Some(0),
        timestamp: Some(5),
        key: Some(b"k"),
        value: None,
        headers: &[("h", Some(b"x")), ("null", None)],
    };
    writing.producer.send("t", &record, 7).await.unwrap();
    writing.told.of(1).await;
    let logs = writing.cluster.logs.lock().unwrap();
    let written = &logs[&0][0];
    assert_eq!((written.key.as_deref(), written.value.as_deref(), written.timestamp), (Some("k"), None, 5));
    assert_eq!(written.headers, [("h".to_owned(), Some("x".to_owned())), ("null".to_owned(), None)]);
    assert_eq!(writing.told.place(7), (0, Some(0)));
    let requests = writing.cluster.requests.lock().unwrap();
    assert_eq!((requests[0].acks, requests[0].timeout_ms), (-1, 5_000));
}

#[tokio::test(start_paused = true)]
async fn records_wait_for_others_and_not_for_long() {
    let linger = Duration::from_millis(40);
    let writing = writing(Cluster::new(&[1]), ProducerConfig { linger, ..plain() });
    let began = Instant::now();
    writing.write(50).await;
    assert!(began.elapsed() >= linger);
    assert_eq!(*writing.cluster.batches.lock().unwrap(), [50]);
    writing.ensure_exactly(50);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let config = ProducerConfig { linger: PATIENCE * 2, batch_size: 200, ..plain() };
    let writing = writing(Cluster::new(&[1]), config);
    for mark in 0..100 {
        writing.send(Some(0), mark).await.unwrap();
    }
    // All but the last one, which is not full.
    writing.told.of(90).await;
    assert!(writing.cluster.batches.lock().unwrap().len() > 5);
}

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
    let asked = || writing.cluster.requests.lock().unwrap().len();
    timeout(PATIENCE, async {
        while asked() < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("it is asked again");
    *writing.cluster.silent.lock().unwrap() = false;
    writing.told.of(1).await;
    writing.ensure_exactly(1);
}

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
    // Nobody waits any more, and nobody is asked.
    let asked = writing.script.times_asked(ApiKey::Metadata);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(writing.script.times_asked(ApiKey::Metadata), asked);
}

#[tokio::test(start_paused = true)]
async fn whoever_gave_up_on_a_topic_makes_nobody_ask() {
    let writing = writing(Cluster::new(&[]), plain());
    assert!(timeout(Duration::from_secs(3), writing.send(None, 0)).await.is_err());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = writing.script.times_asked(ApiKey::Metadata);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(writing.script.times_asked(ApiKey::Metadata), asked);
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
async fn batches_that_are_too_large_are_halved() {
    let too_large = Fate::Refused(ResponseError::MessageTooLarge);
    for is_idempotent in [false, true] {
        let config = ProducerConfig { is_idempotent, ..plain() };
        let writing = writing(Cluster::new(&[1]).fated(0, &[too_large, too_large]), config);
        writing.write(100).await;
        writing.ensure_exactly(100);
        assert_eq!(*writing.cluster.batches.lock().unwrap(), [25, 25, 50]);
        assert_eq!(writing.script.times_asked(ApiKey::InitProducerId), usize::from(is_idempotent));
    }
    let alone = writing(Cluster::new(&[1]).fated(0, &[too_large]), plain());
    alone.write(1).await;
    assert!(matches!(&alone.told.errors()[..], [(0, ProduceError::Refused(_))]));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_nobody_would_take_is_refused() {
    let writing = writing(Cluster::new(&[1]), ProducerConfig { max_request_size: 1_000, ..plain() });
    let record = RecordToSend { value: Some(&[b'x'; 1_000]), ..RecordToSend::default() };
    let error = writing.producer.send("t", &record, 0).await.unwrap_err();
    assert!(matches!(error, ProduceError::TooLarge { limit: 1_000, .. }), "{error:?}");
    writing.send(Some(0), 0).await.unwrap();
    let error = writing.send(Some(-1), 1).await.unwrap_err();
    assert!(matches!(error, ProduceError::NoPartition(-1)), "{error:?}");
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
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked = writing.script.times_asked(ApiKey::Metadata);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked = writing.script.times_asked(ApiKey::Metadata) - asked;
    assert!((10..=110).contains(&asked), "asked {asked} times within 10 s");
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
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    writing.told.of(100).await;
    assert_eq!(writing.cluster.values(1).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn what_expires_takes_nothing_else_along() {
    let stuck = [Fate::Refused(ResponseError::NotEnoughReplicas); 1_000];
    let config = ProducerConfig {
        delivery_timeout: Duration::from_secs(3),
        linger: Duration::from_secs(3),
        ..plain()
    };
    let writing = writing(Cluster::new(&[1, 1, 1]).fated(0, &stuck), config);
    writing.send(Some(0), 0).await.unwrap();
    writing.told.of(1).await;
    // At the same moment one is over and another one is due.
    for round in 0..5 {
        for partition in 1..3 {
            writing.send(Some(partition), 1 + 2 * round + partition as u64 - 1).await.unwrap();
        }
        writing.told.of(1 + 2 * (round as usize + 1)).await;
    }
    // With the linger as long as the time that it has, it may be either; it is told, and nothing is stuck.
    writing.send(Some(0), 100).await.unwrap();
    writing.told.of(12).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_is_not_overtaken_for_ever() {
    let config =
        ProducerConfig { max_request_size: 3_000, batch_size: 2_900, linger: Duration::ZERO, ..plain() };
    let writing = writing(Cluster::new(&[1, 1, 1]), config);
    let large = [b'x'; 2_500];
    let mut mark = 0;
    for _ in 0..50 {
        for (partition, value) in [(0, &large[..900]), (1, &large[..]), (2, &large[..900])] {
            let record =
                RecordToSend { partition: Some(partition), value: Some(value), ..RecordToSend::default() };
            writing.producer.send("t", &record, mark).await.unwrap();
            mark += 1;
        }
    }
    writing.told.of(150).await;
    let served: Vec<bool> = {
        let requests = writing.cluster.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| request.topic_data[0].partition_data.iter().any(|p| p.index == 1))
            .collect()
    };
    let longest = served.split(|is_served| *is_served).map(<[bool]>::len).max().unwrap_or(0);
    assert!(longest <= 3, "{longest} requests in a row without it: {served:?}");
}

#[tokio::test(start_paused = true)]
async fn metadata_is_asked_of_everybody_in_the_end() {
    let config = ProducerConfig { metadata_max_age: Duration::from_secs(30), ..plain() };
    let writing = writing(Cluster::new(&[1, 2]), config);
    writing.send(Some(0), 0).await.unwrap();
    writing.told.of(1).await;
    *writing.cluster.gone.lock().unwrap() = Some("broker-1");
    tokio::time::sleep(Duration::from_secs(60)).await;
    *writing.cluster.leaders.lock().unwrap() = vec![2, 2];
    timeout(Duration::from_secs(60), async {
        writing.send(Some(0), 1).await.unwrap();
        writing.told.of(2).await;
    })
    .await
    .expect("somebody knows the new leader");
}

#[tokio::test(start_paused = true)]
async fn what_is_discarded_is_not_written() {
    let writing =
        writing(Cluster::new(&[1]).fated(0, &[Fate::Dropped]), ProducerConfig { batch_size: 150, ..plain() });
    for mark in 0..100 {
        writing.send(Some(0), mark).await.unwrap();
    }
    writing.producer.discard();
    for mark in 1_000..1_010 {
        writing.send(Some(0), mark).await.unwrap();
    }
    writing.told.of(10).await;
    let values = writing.cluster.values(0);
    assert!(values.iter().all(|value| value.len() == 4) && values.len() == 10, "{values:?}");
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_comes_back() {
    let config = ProducerConfig { buffer_memory: 2_000, batch_size: 500, linger: PATIENCE * 2, ..plain() };
    let writing = writing(Cluster::new(&[1]), config);
    *writing.cluster.silent.lock().unwrap() = true;
    let mut taken = 0;
    while timeout(Duration::from_secs(1), writing.send(Some(0), taken)).await.is_ok() {
        taken += 1;
        assert!(taken < 1_000, "there is no end to it");
    }
    assert!(taken > 50, "{taken}");
    *writing.cluster.silent.lock().unwrap() = false;
    // More than there is room for at once; the last ones do not linger, for somebody wants their room.
    for mark in taken..1_000 {
        timeout(PATIENCE, writing.send(Some(0), mark)).await.expect("there is room again").unwrap();
    }
    writing.told.of(900).await;
    let values = writing.cluster.values(0);
    let expected: Vec<String> = (0..values.len()).map(|mark| mark.to_string()).collect();
    assert_eq!(values, expected);
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

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_nobody_writes_any_more() {
    let writing = writing(Cluster::new(&[1]), ProducerConfig { linger: Duration::from_secs(5), ..plain() });
    writing.send(Some(0), 0).await.unwrap();
    drop(writing.producer);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(writing.cluster.requests.lock().unwrap().is_empty());
}
