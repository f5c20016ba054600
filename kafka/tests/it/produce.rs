//! Writing: everything once and in its order, whatever brokers do, and nothing said that is not so.

mod batches;
mod cluster;
mod faults;
mod topics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_control::{
    ApiKey, Client, ClientConfig, Deliveries, ProduceError, Producer, ProducerConfig, RecordToSend, Run,
    Security, Stored,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use self::cluster::Cluster;
use crate::scripted::{Network, Script, bootstrap};

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
    script: Arc<Script>,
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

    async fn until_asked(&self, api: ApiKey, times: usize) {
        timeout(PATIENCE, self.script.until_asked(api, times)).await.expect("somebody is asked");
    }

    async fn ensure_nobody_asks(&self, api: ApiKey) {
        let asked = self.script.times_asked(api);
        let minute = Duration::from_secs(60);
        assert!(timeout(minute, self.script.until_asked(api, asked + 1)).await.is_err(), "{api:?} was asked");
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
