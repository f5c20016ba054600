//! The consumer of one sink task: librdkafka is the member of the group and commits, a [`Fetcher`] reads the records.
//!
//! What a million records cost is why: librdkafka hands them out one by one. It believes that all partitions are paused.
//!
//! It announces a rebalance in the middle of a poll, where a task cannot be asked to close its partitions.
//! So the announcement is only noted there; the runner closes or opens partitions between two batches and then
//! tells the consumer to go on. Until it does, the group waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connect_api::{TopicOffsets, TopicPartition};
use kafka_control::{FetchError, Fetcher, RecordSet};
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Problem;
use crate::config::client;
use crate::config::fetch::FetchSettings;
use crate::config::wire_client::{self, WireClientError};

/// For questions to the group's coordinator: as long as JVM consumers ask.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Before asking again while the coordinator moves.
const RETRY: Duration = Duration::from_millis(100);

/// What the group wants of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rebalance {
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
}

#[derive(Default)]
pub(crate) struct SinkContext {
    announced: Mutex<VecDeque<Rebalance>>,
    /// How asynchronous commits have ended.
    commits: Mutex<Vec<KafkaResult<TopicOffsets>>>,
    is_closing: AtomicBool,
    wake: Notify,
}

impl SinkContext {
    /// Only ever locked for a look or a change, never while waiting.
    fn announced(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Likewise.
    fn commits(&self) -> MutexGuard<'_, Vec<KafkaResult<TopicOffsets>>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for SinkContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "sink consumer");
    }
}

impl ConsumerContext for SinkContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = partitions(list);
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
            && !self.is_closing.load(Ordering::Acquire)
        {
            self.announced().push_back(Rebalance::Assign(partitions));
        } else if self.is_closing.load(Ordering::Acquire) {
            // Everything was closed already; the consumer only has to get rid of it.
            if let Err(error) = give_up(consumer, list) {
                tracing::debug!(%error, "could not give up partitions");
            }
        } else {
            self.announced().push_back(Rebalance::Revoke(partitions));
        }
        self.wake.notify_one();
    }

    fn commit_callback(&self, result: KafkaResult<()>, list: &TopicPartitionList) {
        self.commits().push(result.map(|()| offsets(list)));
        self.wake.notify_one();
    }
}

fn give_up(consumer: &BaseConsumer<SinkContext>, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let name = |e: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| TopicPartition {
        topic: Arc::from(e.topic()),
        partition: e.partition(),
    };
    list.elements().into_iter().map(name).collect()
}

/// Of the partitions that have one.
fn offsets(list: &TopicPartitionList) -> TopicOffsets {
    let elements = list.elements().into_iter().zip(partitions(list));
    let known = elements.filter_map(|(element, partition)| match element.offset() {
        Offset::Offset(offset) => Some((partition, offset)),
        _ => None,
    });
    known.collect()
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsumerError {
    #[error("consumer settings: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Problem>),
    #[error("consumer settings")]
    Client(#[from] WireClientError),
    #[error("could not create a consumer")]
    Create(#[source] KafkaError),
    #[error("could not subscribe")]
    Subscribe(#[source] KafkaError),
    #[error("could not take or give up partitions")]
    Rebalance(#[source] KafkaError),
    #[error("could not read committed offsets")]
    Committed(#[source] KafkaError),
    #[error("could not commit offsets")]
    Commit(#[source] KafkaError),
    #[error("could not name partitions")]
    Name(#[source] KafkaError),
    #[error("could not take part in the group")]
    Group(#[source] KafkaError),
    #[error("could not fetch records")]
    Fetch(#[source] FetchError),
}

/// What the runner should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Something was announced, or a commit has ended.
    Group,
    Records,
}

pub(crate) struct SinkConsumer {
    /// None only while it is dropped.
    consumer: Option<Arc<StreamConsumer<SinkContext>>>,
    fetcher: Fetcher,
    max_poll_records: usize,
}

impl SinkConsumer {
    /// `settings` are those of a Java consumer; a topic that begins with `^` is a regular expression.
    pub(crate) fn open(settings: &BTreeMap<String, String>, topics: &[&str]) -> Result<Self, ConsumerError> {
        let config = client::librdkafka(settings).map_err(ConsumerError::Settings)?;
        let fetching = FetchSettings::from_java(settings).map_err(ConsumerError::Settings)?;
        let fetcher = Fetcher::new(wire_client::from_java(settings)?, fetching.fetch);
        let consumer: StreamConsumer<SinkContext> =
            config.create_with_context(SinkContext::default()).map_err(ConsumerError::Create)?;
        consumer.subscribe(topics).map_err(ConsumerError::Subscribe)?;
        let max_poll_records = fetching.max_poll_records;
        Ok(Self { consumer: Some(Arc::new(consumer)), fetcher, max_poll_records })
    }

    /// `max.poll.records`: the most records of one batch.
    pub(crate) fn max_poll_records(&self) -> usize {
        self.max_poll_records
    }

    fn inner(&self) -> &Arc<StreamConsumer<SinkContext>> {
        self.consumer.as_ref().expect("it is taken out when this is dropped")
    }

    /// The group has taken the partitions away already, so nothing can be committed.
    pub(crate) fn is_assignment_lost(&self) -> bool {
        self.inner().assignment_lost()
    }

    /// The next announcement, if there is one.
    pub(crate) fn announced(&self) -> Option<Rebalance> {
        self.inner().context().announced().pop_front()
    }

    /// Waits until there is something to do. Cancel-safe.
    pub(crate) async fn news(&mut self) -> Result<News, ConsumerError> {
        let consumer = self.inner().clone();
        tokio::select! {
            biased;
            () = consumer.context().wake.notified() => Ok(News::Group),
            // What librdkafka has fetched before it heard of the pause is fetched here too.
            message = consumer.recv() => match message {
                Ok(_) => Ok(News::Group),
                Err(error) => Err(ConsumerError::Group(error)),
            },
            ready = self.fetcher.ready() => ready.map(|()| News::Records).map_err(ConsumerError::Fetch),
        }
    }

    /// Records that are here, of one partition; to be called again when they are taken.
    pub(crate) fn records(&mut self) -> Option<(&kafka_control::TopicPartition, &mut RecordSet)> {
        self.fetcher.records()
    }

    /// Takes newly assigned partitions and finds out where they were left off.
    pub(crate) async fn take(&mut self, new: &[TopicPartition]) -> Result<TopicOffsets, ConsumerError> {
        let consumer = self.inner().clone();
        let asked = list(new.iter().map(|p| (p, Offset::Invalid)))?;
        let committed = self.committed(&asked).await.map_err(ConsumerError::Committed)?;
        // Any offset will do, librdkafka fetches nothing; with one it has nothing to look up.
        let list = list(new.iter().map(|p| (p, Offset::Offset(0))))?;
        let taken = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&list),
            _ => consumer.assign(&list),
        };
        taken.and_then(|()| consumer.pause(&list)).map_err(ConsumerError::Rebalance)?;
        let committed = offsets(&committed);
        for partition in new {
            self.fetcher.assign(wire_name(partition), committed.get(partition).copied());
        }
        Ok(committed)
    }

    async fn committed(&mut self, list: &TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let (consumer, asked) = (self.inner().clone(), list.clone());
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = tokio::task::spawn_blocking(move || consumer.committed_offsets(asked, left)).await;
            match answer {
                Ok(Err(error)) if is_coordinator_moving(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(RETRY).await;
                }
                // Of a partition that was refused it is not known whether it has an offset.
                Ok(answer) => return answer.and_then(|list| first_error(&list).map(|()| list)),
                Err(_) => return Err(KafkaError::Canceled),
            }
        }
    }

    pub(crate) fn give_up(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        for partition in partitions {
            self.fetcher.unassign(&wire_name(partition));
        }
        let consumer = self.inner();
        let list = list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
        let given_up = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(&list),
            _ => consumer.unassign(),
        };
        given_up.map_err(ConsumerError::Rebalance)
    }

    /// The answer comes through [`Self::commit_results`].
    pub(crate) fn commit_later(&self, offsets: &TopicOffsets) -> Result<(), ConsumerError> {
        let list = list(offsets.iter().map(|(p, o)| (p, Offset::Offset(*o))))?;
        self.inner().commit(&list, CommitMode::Async).map_err(ConsumerError::Commit)
    }

    pub(crate) async fn commit_now(&mut self, offsets: &TopicOffsets) -> Result<(), ConsumerError> {
        let list = list(offsets.iter().map(|(p, o)| (p, Offset::Offset(*o))))?;
        let consumer = self.inner().clone();
        match tokio::task::spawn_blocking(move || consumer.commit(&list, CommitMode::Sync)).await {
            Ok(result) => result.map_err(ConsumerError::Commit),
            Err(_) => Err(ConsumerError::Commit(KafkaError::Canceled)),
        }
    }

    /// How asynchronous commits have ended since the last call, with what was committed.
    pub(crate) fn commit_results(&self) -> Vec<KafkaResult<TopicOffsets>> {
        std::mem::take(&mut *self.inner().context().commits())
    }

    pub(crate) fn pause<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            self.fetcher.pause(&wire_name(partition));
        }
    }

    pub(crate) fn resume<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            self.fetcher.resume(&wire_name(partition));
        }
    }

    pub(crate) fn seek(&mut self, offsets: &TopicOffsets) {
        for (partition, offset) in offsets {
            self.fetcher.seek(&wire_name(partition), *offset);
        }
    }
}

/// The error of the first partition that was refused.
fn first_error(list: &TopicPartitionList) -> KafkaResult<()> {
    list.elements().iter().try_for_each(|element| element.error())
}

/// When its broker goes away, the coordinator of a group is for some seconds nobody, or one that has to learn first.
fn is_coordinator_moving(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(
        error.rdkafka_error_code(),
        Some(NotCoordinator | CoordinatorNotAvailable | CoordinatorLoadInProgress)
    )
}

fn wire_name(partition: &TopicPartition) -> kafka_control::TopicPartition {
    kafka_control::TopicPartition::new(&*partition.topic, partition.partition)
}

fn list<'a>(
    partitions: impl Iterator<Item = (&'a TopicPartition, Offset)>,
) -> Result<TopicPartitionList, ConsumerError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(&partition.topic, partition.partition, offset)
            .map_err(ConsumerError::Name)?;
    }
    Ok(list)
}

/// Whether an error of the consumer passes by itself.
pub(crate) fn is_passing(error: &ConsumerError) -> bool {
    match error {
        ConsumerError::Group(KafkaError::MessageConsumptionFatal(_)) => false,
        ConsumerError::Group(KafkaError::MessageConsumption(code)) => !matches!(
            code,
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::InconsistentGroupProtocol
        ),
        ConsumerError::Group(_) => true,
        // A fetcher says only what it cannot help itself.
        _ => false,
    }
}

impl Drop for SinkConsumer {
    fn drop(&mut self) {
        let consumer = self.consumer.take();
        if let Some(consumer) = &consumer {
            consumer.context().is_closing.store(true, Ordering::Release);
        }
        // Leaving the group waits for the broker.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(consumer));
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::RDKafkaApiKey;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn partitions_are_taken_while_the_coordinator_moves() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("lines", 1, 1).unwrap();
        cluster.request_errors(
            RDKafkaApiKey::OffsetFetch,
            &[
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            ],
        );
        let settings = [("bootstrap.servers", cluster.bootstrap_servers()), ("group.id", "g".to_owned())];
        let settings = settings.map(|(key, value)| (key.to_owned(), value)).into();
        let mut consumer = SinkConsumer::open(&settings, &["^others"]).unwrap();
        let partition = TopicPartition { topic: "lines".into(), partition: 0 };
        assert_eq!(consumer.take(&[partition]).await.unwrap(), TopicOffsets::new());
    }
}
