//! [`TopicLog`] in Kafka: one consumer without a group per topic, one producer for all of them.
//!
//! Reading to the end means: ask for the end offsets, then wait until every partition was read that far. A
//! partition can also end in something that is never delivered (a transaction marker, a record that was
//! compacted away). When a partition stands still before its end, its reader fetches again from where it is;
//! if the answer is "end of partition", there is nothing more to see before the end that was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::storage::log::{Ack, Fold, LogError, LogRecord, TopicLog};

/// For one question about end offsets.
const END_OFFSETS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a partition may stand still before its reader asks again from where it is.
const STALL: Duration = Duration::from_millis(500);

pub(crate) struct KafkaLog {
    topic: String,
    producer: FutureProducer,
    requests: mpsc::Sender<ReadToEnd>,
    follower: JoinHandle<()>,
}

type ReadToEnd = oneshot::Sender<Result<(), LogError>>;

impl KafkaLog {
    /// Opens the topic with its partitions 0 to `partitions` - 1 and begins to follow it.
    pub(crate) fn open(
        topic: &str,
        partitions: i32,
        mut consumer: ClientConfig,
        producer: FutureProducer,
        fold: Arc<dyn Fold>,
    ) -> Result<Self, LogError> {
        let open = |source| LogError::Open { topic: topic.to_owned(), source };
        // A group id has to be there and is never used: partitions are assigned by hand.
        consumer.set("group.id", format!("unused-{topic}"));
        consumer.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
        let consumer: StreamConsumer = consumer.create().map_err(open)?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).map_err(open)?;
        }
        consumer.assign(&assignment).map_err(open)?;
        let (requests, inbox) = mpsc::channel(64);
        let follower = Follower {
            topic: topic.to_owned(),
            consumer: Arc::new(consumer),
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
        let delivery =
            sent.map_err(|(source, _)| LogError::Write { topic: self.topic.clone(), source })?;
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
    consumer: Arc<StreamConsumer>,
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
                        let (consumer, topic) = (self.consumer.clone(), self.topic.clone());
                        let partitions: Vec<i32> = self.positions.keys().copied().collect();
                        let found = found.clone();
                        tokio::spawn(async move {
                            let asked = tokio::task::spawn_blocking(move || end_offsets(&consumer, &topic, &partitions));
                            if let Ok(ends) = asked.await {
                                // The follower is gone when nobody listens.
                                let _ = found.send((done, ends)).await;
                            }
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
            let offset = if at.next == 0 { Offset::Beginning } else { Offset::Offset(at.next) };
            if let Err(error) = self.consumer.seek(&self.topic, *partition, offset, Duration::ZERO) {
                tracing::debug!(topic = self.topic, partition, %error, "could not seek");
            }
        }
    }
}

/// Partition -> offset after its last record, for partitions that have any. Blocks.
fn end_offsets(consumer: &StreamConsumer, topic: &str, partitions: &[i32]) -> Ends {
    let failed = |source| LogError::EndOffsets { topic: topic.to_owned(), source };
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        // The timestamp -1 asks for the latest offset.
        asked.add_partition_offset(topic, *partition, Offset::End).map_err(failed)?;
    }
    let ends = consumer.offsets_for_times(asked, END_OFFSETS_TIMEOUT).map_err(failed)?;
    let mut found = BTreeMap::new();
    for end in ends.elements() {
        end.error().map_err(failed)?;
        match end.offset() {
            Offset::Offset(offset) if offset > 0 => {
                found.insert(end.partition(), offset);
            }
            _ => {}
        }
    }
    Ok(found)
}
