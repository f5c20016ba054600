//! [`TopicLog`] in Kafka: one consumer without a group per topic, one producer for all of them.
//!
//! End offsets come from the wire client: on the consumer's own connection the question would wait for the fetch
//! that waits for records. Reading to the end means: ask for the end offsets, then wait until every partition was read that far. A
//! partition can also end in something that is never delivered (a transaction marker, a record that was
//! compacted away). When a partition stands still before its end, its reader fetches again from where it is;
//! if the answer is "end of partition", there is nothing more to see before the end that was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kafka_control::{Client, OffsetSpec, TopicPartition};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::storage::log::{Ack, Fold, LogError, LogRecord, TopicLog};

/// Before asking for end offsets again.
const RETRY: Duration = Duration::from_millis(250);
/// For finding out about end offsets at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a partition may stand still before its reader asks again from where it is.
const STALL: Duration = Duration::from_secs(2);

pub(crate) struct KafkaLog {
    topic: String,
    producer: FutureProducer,
    requests: mpsc::Sender<ReadToEnd>,
    follower: JoinHandle<()>,
}

type ReadToEnd = oneshot::Sender<Result<(), LogError>>;

impl KafkaLog {
    /// Opens the topic with its partitions 0 to `partitions` - 1 and begins to follow it. `consumer` names a group that
    /// the principal may read: partitions are assigned by hand, but the group's coordinator is looked up all the same.
    pub(crate) fn open(
        topic: &str,
        partitions: i32,
        mut consumer: ClientConfig,
        producer: FutureProducer,
        client: Client,
        fold: Arc<dyn Fold>,
    ) -> Result<Self, LogError> {
        let open = |source| LogError::Open { topic: topic.to_owned(), source };
        consumer.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
        let consumer: StreamConsumer = consumer.create().map_err(open)?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            // Not "beginning", which would be one more question to the broker: nothing deletes from these topics
            // at their beginning, and if something did, the reset above applies.
            assignment.add_partition_offset(topic, partition, Offset::Offset(0)).map_err(open)?;
        }
        consumer.assign(&assignment).map_err(open)?;
        let (requests, inbox) = mpsc::channel(64);
        let follower = Follower {
            topic: topic.to_owned(),
            consumer,
            client,
            fold,
            positions: (0..partitions).map(|p| (p, Position::default())).collect(),
            waiting: Vec::new(),
        };
        let follower = tokio::spawn(follower.run(inbox));
        Ok(Self { topic: topic.to_owned(), producer, requests, follower })
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

#[async_trait]
impl TopicLog for KafkaLog {
    async fn read_to_end(&self) -> Result<(), LogError> {
        let closed = || LogError::Closed { topic: self.topic.clone() };
        let (done, answer) = oneshot::channel();
        self.requests.send(done).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn append(&self, key: &[u8], value: Option<&[u8]>) -> Result<Ack, LogError> {
        let topic = self.topic.clone();
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic).key(key);
        record.payload = value;
        let sent = self.producer.send_result(record);
        let delivery = sent.map_err(|(source, _)| LogError::Write { topic: self.topic.clone(), source })?;
        Ok(Box::pin(async move {
            match delivery.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((source, _))) => Err(LogError::Write { topic, source }),
                Err(_) => Err(LogError::Closed { topic }),
            }
        }))
    }
}

/// How far a partition was read.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    next: i64,
    /// A fresh fetch is under way since this was the end that somebody waits for.
    asked_again: Option<i64>,
}

/// A request that waits until these offsets are reached.
struct Waiting {
    ends: BTreeMap<i32, i64>,
    done: ReadToEnd,
}

struct Follower {
    topic: String,
    consumer: StreamConsumer,
    /// For end offsets.
    client: Client,
    fold: Arc<dyn Fold>,
    positions: BTreeMap<i32, Position>,
    waiting: Vec<Waiting>,
}

type Ends = Result<BTreeMap<i32, i64>, LogError>;

impl Follower {
    async fn run(mut self, mut inbox: mpsc::Receiver<ReadToEnd>) {
        let (found, mut ends) = mpsc::channel::<(ReadToEnd, Ends)>(64);
        loop {
            let is_waiting = !self.waiting.is_empty();
            tokio::select! {
                message = self.consumer.recv() => match message {
                    Ok(message) => {
                        let position = self.positions.entry(message.partition()).or_default();
                        *position = Position { next: message.offset() + 1, asked_again: None };
                        self.fold.apply(LogRecord {
                            offset: message.offset(),
                            key: message.key().unwrap_or_default(),
                            value: message.payload(),
                        });
                    }
                    Err(KafkaError::PartitionEOF(partition)) => {
                        let position = self.positions.entry(partition).or_default();
                        if let Some(end) = position.asked_again.take() {
                            position.next = position.next.max(end);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(topic = self.topic, %error, "could not read internal topic, still trying");
                    }
                },
                request = inbox.recv() => match request {
                    Some(done) => {
                        let (client, topic) = (self.client.clone(), self.topic.clone());
                        let partitions: Vec<i32> = self.positions.keys().copied().collect();
                        let found = found.clone();
                        tokio::spawn(async move {
                            let ends = patient_end_offsets(client, topic, partitions).await;
                            // The follower is gone when nobody listens.
                            let _ = found.send((done, ends)).await;
                        });
                    }
                    None => return,
                },
                Some((done, ends)) = ends.recv() => match ends {
                    Ok(ends) => self.waiting.push(Waiting { ends, done }),
                    // The asker may have given up.
                    Err(error) => drop(done.send(Err(error))),
                },
                () = tokio::time::sleep(STALL), if is_waiting => self.ask_again(),
            }
            self.answer();
        }
    }

    fn answer(&mut self) {
        let positions = &self.positions;
        let reached = |ends: &BTreeMap<i32, i64>| {
            ends.iter().all(|(partition, end)| positions.get(partition).is_some_and(|at| at.next >= *end))
        };
        let (done, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|w| reached(&w.ends));
        self.waiting = waiting;
        let done: Vec<Waiting> = done;
        for Waiting { done, .. } in done {
            // The asker may have given up.
            let _ = done.send(Ok(()));
        }
    }

    /// Nothing came for a while: the rest of a partition may be invisible, and then only a fresh fetch
    /// reports its end.
    fn ask_again(&mut self) {
        for (partition, end) in self.waiting.iter().flat_map(|w| &w.ends) {
            let at = self.positions.entry(*partition).or_default();
            if at.next >= *end {
                continue;
            }
            at.asked_again = at.asked_again.max(Some(*end));
            let offset = Offset::Offset(at.next);
            if let Err(error) = self.consumer.seek(&self.topic, *partition, offset, Duration::ZERO) {
                tracing::debug!(topic = self.topic, partition, %error, "could not seek");
            }
        }
    }
}

/// Asks again while brokers do not know the topic yet, or cannot be reached.
async fn patient_end_offsets(client: Client, topic: String, partitions: Vec<i32>) -> Ends {
    let deadline = Instant::now() + PATIENCE;
    let asked: Vec<_> = partitions.iter().map(|p| TopicPartition::new(topic.clone(), *p)).collect();
    loop {
        match client.list_offsets(&asked, OffsetSpec::Latest).await {
            Ok(ends) => {
                let has_records = ends.into_iter().filter(|(_, end)| *end > 0);
                return Ok(has_records.map(|(at, end)| (at.partition, end)).collect());
            }
            Err(source) if Instant::now() < deadline => {
                tracing::warn!(
                    topic,
                    error = &source as &dyn std::error::Error,
                    "end offsets are not known yet"
                );
                tokio::time::sleep(RETRY).await;
            }
            Err(source) => return Err(LogError::EndOffsets { topic, source: Box::new(source) }),
        }
    }
}
