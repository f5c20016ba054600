//! [`TopicLog`] in Kafka: a [`Fetcher`] per topic, one producer for all of them.
//!
//! Reading to the end means: ask for the end offsets, then wait until every partition was read that far. A batch counts
//! as read with all of its offsets, also those of which nothing is left: records that were compacted away, the markers of
//! transactions.
//!
//! A topic that is deleted or begins anew while it is followed is a fault that stays: what the worker knows came from
//! records that nobody else can read any more, so it neither forgets them nor writes behind them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use kafka_control::{
    Client, FetchConfig, FetchError, Fetcher, Isolation, OffsetReset, OffsetSpec, ResponseError,
    TopicPartition,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::storage::log::{Ack, Fold, LogError, LogRecord, TopicLog};
use crate::storage::writer::{Mark, Writer};

/// Before asking for end offsets again.
const RETRY: Duration = Duration::from_millis(250);
/// For a topic and end offsets of which the brokers, which can be reached, do not know yet.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before reading again what could not be read.
const PAUSE: Duration = Duration::from_secs(1);
/// How long brokers deny a topic before it is believed: one that has just started may not know it yet.
const DENIAL: Duration = Duration::from_secs(5);
/// How long a broker keeps a question for records. It answers as soon as there is one, and mostly there is none for
/// hours: each question less is work less, here and there.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Of one answer; a single batch may be larger.
const MAX_BYTES: i32 = 4 << 20;

pub(crate) struct KafkaLog {
    topic: String,
    writer: Arc<Writer>,
    unwritten: mpsc::UnboundedSender<Unwritten>,
    requests: mpsc::Sender<ReadToEnd>,
    gone: Gone,
    follower: JoinHandle<()>,
    writing: JoinHandle<()>,
}

struct Unwritten {
    mark: Mark,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

/// What became of a topic that is of no use any more.
type Gone = Arc<OnceLock<&'static str>>;

type ReadToEnd = oneshot::Sender<Result<(), LogError>>;

impl KafkaLog {
    /// Opens the topic with its partitions 0 to `partitions` - 1 and begins to follow it.
    pub(crate) fn open(
        topic: &str,
        partitions: i32,
        client: Client,
        fetching: FetchConfig,
        writer: Arc<Writer>,
        fold: Arc<dyn Fold>,
    ) -> Self {
        let fetching = FetchConfig {
            max_wait: MAX_WAIT,
            max_bytes: MAX_BYTES,
            isolation: Isolation::ReadUncommitted,
            reset: OffsetReset::Earliest,
            tells_unknown: true,
            ..fetching
        };
        let mut fetcher = Fetcher::new(client.clone(), fetching);
        for partition in 0..partitions {
            // Not "earliest", which would be one more question to the broker: nothing deletes from these topics
            // at their beginning, and if something did, the reset above applies.
            fetcher.assign(TopicPartition::new(topic, partition), Some(0));
        }
        let (requests, inbox) = mpsc::channel(64);
        let gone = Gone::default();
        let follower = Follower {
            topic: topic.to_owned(),
            fetcher,
            client,
            fold,
            positions: (0..partitions).map(|p| (p, Position::default())).collect(),
            waiting: Vec::new(),
            gone: gone.clone(),
            is_looking: false,
            denial: Denial::default(),
        };
        let follower = tokio::spawn(follower.run(inbox));
        let (unwritten, queue) = mpsc::unbounded_channel();
        let writing = tokio::spawn(write(writer.clone(), topic.to_owned(), queue));
        Self { topic: topic.to_owned(), writer, unwritten, requests, gone, follower, writing }
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.follower.abort();
        self.writing.abort();
    }
}

#[async_trait]
impl TopicLog for KafkaLog {
    async fn read_to_end(&self) -> Result<(), LogError> {
        self.fault().map_or(Ok(()), Err)?;
        // Whoever reads has ended: with a fault, or with the worker.
        let closed = || self.fault().unwrap_or_else(|| LogError::Closed { topic: self.topic.clone() });
        let (done, answer) = oneshot::channel();
        self.requests.send(done).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn append(&self, key: &[u8], value: Option<&[u8]>) -> Result<Ack, LogError> {
        self.fault().map_or(Ok(()), Err)?;
        let topic = self.topic.clone();
        let (mark, written) = self.writer.announce();
        let unwritten = Unwritten { mark, key: key.to_owned(), value: value.map(<[u8]>::to_owned) };
        if self.unwritten.send(unwritten).is_err() {
            return Err(LogError::Closed { topic });
        }
        Ok(Box::pin(async move {
            match written.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(source)) => Err(LogError::Write { topic, source }),
                Err(_) => Err(LogError::Closed { topic }),
            }
        }))
    }

    fn fault(&self) -> Option<LogError> {
        self.gone.get().map(|what| LogError::Gone { topic: self.topic.clone(), what })
    }
}

/// Hands records over in their order, however long one of them has to wait.
async fn write(writer: Arc<Writer>, topic: String, mut queue: mpsc::UnboundedReceiver<Unwritten>) {
    while let Some(Unwritten { mark, key, value }) = queue.recv().await {
        writer.write(mark, &topic, &key, value.as_deref()).await;
    }
}

/// How far a partition was read.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Everything before it was read.
    next: i64,
    /// Behind the last record that came.
    delivered: i64,
}

/// A request that waits until these offsets are reached.
struct Waiting {
    ends: BTreeMap<i32, i64>,
    done: ReadToEnd,
}

struct Follower {
    topic: String,
    fetcher: Fetcher,
    /// For end offsets, and for whether the topic is still there.
    client: Client,
    fold: Arc<dyn Fold>,
    positions: BTreeMap<i32, Position>,
    waiting: Vec<Waiting>,
    gone: Gone,
    /// Somebody looks whether the topic is still there.
    is_looking: bool,
    denial: Denial,
}

/// What is believed of a topic that brokers deny.
#[derive(Debug, Default)]
struct Denial {
    /// Nobody knows the topic since then.
    since: Option<Instant>,
    /// Some broker knew it before. One that was made just now may not have got around.
    was_there: bool,
}

impl Denial {
    /// The topic is there.
    fn is_over(&mut self) {
        *self = Self { since: None, was_there: true };
    }

    /// Whether the topic is no more, when it was denied again just now.
    fn is_believed(&mut self) -> bool {
        let patience = if self.was_there { DENIAL } else { PATIENCE };
        self.since.get_or_insert_with(Instant::now).elapsed() >= patience
    }
}

type Ends = Result<BTreeMap<i32, i64>, LogError>;

/// What was found out beside the fetcher.
enum Found {
    Ends(ReadToEnd, Ends),
    /// Whether the topic is there; not known if Kafka could not be asked.
    Topic(Option<bool>),
}

enum Read {
    On,
    /// What was there before is not what is there now.
    Anew,
}

impl Follower {
    async fn run(mut self, mut inbox: mpsc::Receiver<ReadToEnd>) {
        let (finder, mut found) = mpsc::channel::<Found>(64);
        let mut not_before = Instant::now();
        loop {
            let mut may_be_gone = false;
            tokio::select! {
                () = tokio::time::sleep_until(not_before), if Instant::now() < not_before => {}
                ready = self.fetcher.ready(), if Instant::now() >= not_before => {
                    match ready.and_then(|()| self.read()) {
                        Ok(Read::On) => {}
                        Ok(Read::Anew) => return self.end("was made anew, or lost records,"),
                        Err(error) => {
                            tracing::warn!(
                                topic = self.topic,
                                error = &error as &dyn std::error::Error,
                                "could not read internal topic, still trying"
                            );
                            not_before = Instant::now() + PAUSE;
                            may_be_gone = is_about_an_unknown_topic(&error);
                        }
                    }
                }
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
                    Found::Ends(done, Ok(ends)) => {
                        self.denial.was_there = true;
                        self.waiting.push(Waiting { ends, done });
                    }
                    // The asker may have given up.
                    Found::Ends(done, Err(error)) => drop(done.send(Err(error))),
                    Found::Topic(is_there) => {
                        self.is_looking = false;
                        if self.is_deleted(is_there) {
                            return self.end("was deleted");
                        }
                    }
                },
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

    /// Takes in the records that are here.
    fn read(&mut self) -> Result<Read, FetchError> {
        while let Some((partition, records)) = self.fetcher.records() {
            let position = self.positions.entry(partition.partition).or_default();
            let unreadable = |source| FetchError::Records { partition: partition.clone(), source };
            let end = records.end().map_err(unreadable)?;
            while let Some(record) = records.next_record().map_err(unreadable)? {
                if record.offset < position.delivered {
                    return Ok(Read::Anew);
                }
                position.delivered = record.offset + 1;
                self.fold.apply(LogRecord {
                    offset: record.offset,
                    key: record.key.as_deref().unwrap_or_default(),
                    value: record.value.as_deref(),
                });
            }
            position.next = position.next.max(position.delivered).max(end.unwrap_or_default());
            self.denial.is_over();
        }
        Ok(Read::On)
    }

    /// Whether the topic is no more, after a look; see [`Found::Topic`].
    fn is_deleted(&mut self, is_there: Option<bool>) -> bool {
        match is_there {
            Some(true) => {
                self.denial.is_over();
                false
            }
            Some(false) => self.denial.is_believed(),
            None => false,
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
}

fn is_about_an_unknown_topic(error: &FetchError) -> bool {
    matches!(error, FetchError::Partition { source, .. } if source.code == ResponseError::UnknownTopicOrPartition)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_topic_that_nobody_knew_yet_is_denied_for_longer() {
        let mut denial = Denial::default();
        assert!(!denial.is_believed());
        tokio::time::advance(DENIAL).await;
        assert!(!denial.is_believed(), "it may have been made just now");
        denial.is_over();
        assert!(!denial.is_believed());
        tokio::time::advance(DENIAL).await;
        assert!(denial.is_believed());

        let mut denial = Denial::default();
        assert!(!denial.is_believed());
        tokio::time::advance(PATIENCE).await;
        assert!(denial.is_believed());
    }
}
