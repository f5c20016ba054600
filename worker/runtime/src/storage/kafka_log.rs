//! [`TopicLog`] in Kafka: one consumer without a group per topic, one producer for all of them.
//!
//! End offsets come from the wire client: on the consumer's own connection the question would wait for the fetch
//! that waits for records. Reading to the end means: ask for the end offsets, then wait until every partition was read that far. A
//! partition can also end in something that is never delivered (a transaction marker, a record that was
//! compacted away). When a partition stands still before its end, its reader fetches again from where it is;
//! if the answer is "end of partition", there is nothing more to see before the end that was asked for.
//!
//! A topic that is deleted or begins anew while it is followed is a fault that stays: what the worker knows came from
//! records that nobody else can read any more, so it neither forgets them nor writes behind them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use kafka_control::{Client, OffsetSpec, TopicPartition};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::storage::log::{Ack, Fold, LogError, LogRecord, TopicLog};

/// Before asking for end offsets again.
const RETRY: Duration = Duration::from_millis(250);
/// For end offsets that the brokers, which can be reached, do not tell.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a partition may stand still before its reader asks again from where it is.
const STALL: Duration = Duration::from_secs(2);

pub(crate) struct KafkaLog {
    topic: String,
    producer: FutureProducer,
    requests: mpsc::Sender<ReadToEnd>,
    gone: Gone,
    follower: JoinHandle<()>,
}

/// What became of a topic that is of no use any more.
type Gone = Arc<OnceLock<&'static str>>;

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
        let gone = Gone::default();
        let follower = Follower {
            topic: topic.to_owned(),
            consumer,
            client,
            fold,
            positions: (0..partitions).map(|p| (p, Position::default())).collect(),
            waiting: Vec::new(),
            gone: gone.clone(),
            is_looking: false,
        };
        let follower = tokio::spawn(follower.run(inbox));
        Ok(Self { topic: topic.to_owned(), producer, requests, gone, follower })
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
        self.fault().map_or(Ok(()), Err)?;
        let closed = || LogError::Closed { topic: self.topic.clone() };
        let (done, answer) = oneshot::channel();
        self.requests.send(done).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn append(&self, key: &[u8], value: Option<&[u8]>) -> Result<Ack, LogError> {
        self.fault().map_or(Ok(()), Err)?;
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

    fn fault(&self) -> Option<LogError> {
        self.gone.get().map(|what| LogError::Gone { topic: self.topic.clone(), what })
    }
}

/// How far a partition was read.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Everything before it was read, or is known never to come.
    next: i64,
    /// Behind the last record that came.
    delivered: i64,
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
    /// For end offsets, and for whether the topic is still there.
    client: Client,
    fold: Arc<dyn Fold>,
    positions: BTreeMap<i32, Position>,
    waiting: Vec<Waiting>,
    gone: Gone,
    /// Somebody looks whether the topic is still there.
    is_looking: bool,
}

type Ends = Result<BTreeMap<i32, i64>, LogError>;

/// What was found out beside the consumer.
enum Found {
    Ends(ReadToEnd, Ends),
    /// Whether the topic is there; not known if Kafka could not be asked.
    Topic(Option<bool>),
}

impl Follower {
    async fn run(mut self, mut inbox: mpsc::Receiver<ReadToEnd>) {
        let (finder, mut found) = mpsc::channel::<Found>(64);
        loop {
            let is_waiting = !self.waiting.is_empty();
            let mut may_be_gone = false;
            tokio::select! {
                message = self.consumer.recv() => match message {
                    Ok(message) => {
                        let position = self.positions.entry(message.partition()).or_default();
                        if message.offset() < position.delivered {
                            drop(message);
                            return self.end("was made anew, or lost records,");
                        }
                        position.delivered = message.offset() + 1;
                        position.next = position.next.max(position.delivered);
                        position.asked_again = None;
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
                        may_be_gone = is_about_an_unknown_topic(&error);
                    }
                },
                request = inbox.recv() => match request {
                    Some(done) => {
                        let (client, topic) = (self.client.clone(), self.topic.clone());
                        let partitions: Vec<i32> = self.positions.keys().copied().collect();
                        let finder = finder.clone();
                        tokio::spawn(async move {
                            let ends = patient_end_offsets(client, topic, partitions, &done).await;
                            // The follower is gone when nobody listens.
                            let _ = finder.send(Found::Ends(done, ends)).await;
                        });
                    }
                    None => return,
                },
                Some(found) = found.recv() => match found {
                    Found::Ends(done, Ok(ends)) => self.waiting.push(Waiting { ends, done }),
                    // The asker may have given up.
                    Found::Ends(done, Err(error)) => drop(done.send(Err(error))),
                    Found::Topic(Some(false)) => return self.end("was deleted"),
                    Found::Topic(_) => self.is_looking = false,
                },
                () = tokio::time::sleep(STALL), if is_waiting => self.ask_again(),
            }
            if may_be_gone && !self.is_looking {
                self.is_looking = true;
                let (client, topic, finder) = (self.client.clone(), self.topic.clone(), finder.clone());
                tokio::spawn(async move {
                    let is_there = client.topic(&topic).await.ok().map(|topic| topic.is_some());
                    // The follower is gone when nobody listens.
                    let _ = finder.send(Found::Topic(is_there)).await;
                });
            }
            self.answer();
        }
    }

    /// Whoever waits, and whoever comes, hears what became of the topic.
    fn end(mut self, what: &'static str) {
        let what = *self.gone.get_or_init(|| what);
        let gone = || LogError::Gone { topic: self.topic.clone(), what };
        tracing::error!(error = &gone() as &dyn std::error::Error, "internal topic is of no use any more");
        for Waiting { done, .. } in self.waiting.drain(..) {
            // The asker may have given up.
            let _ = done.send(Err(gone()));
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

fn is_about_an_unknown_topic(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

/// Asks again as long as brokers cannot be reached and somebody waits for the answer, and for a while when they do not
/// know the topic yet.
async fn patient_end_offsets(client: Client, topic: String, partitions: Vec<i32>, asker: &ReadToEnd) -> Ends {
    let deadline = Instant::now() + PATIENCE;
    let asked: Vec<_> = partitions.iter().map(|p| TopicPartition::new(topic.clone(), *p)).collect();
    loop {
        match client.list_offsets(&asked, OffsetSpec::Latest).await {
            Ok(ends) => {
                let has_records = ends.into_iter().filter(|(_, end)| *end > 0);
                return Ok(has_records.map(|(at, end)| (at.partition, end)).collect());
            }
            Err(source) if !asker.is_closed() && (source.is_out_of_reach() || Instant::now() < deadline) => {
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
