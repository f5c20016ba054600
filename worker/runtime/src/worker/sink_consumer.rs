//! The consumer of one sink task.
//!
//! librdkafka announces a rebalance in the middle of a poll, where a task cannot be asked to close its partitions.
//! So the announcement is only noted there; the runner closes or opens partitions between two batches and then
//! tells the consumer to go on. Until it does, the group waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connect_api::{TopicOffsets, TopicPartition};
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Problem;
use crate::config::client::{self, ClientKind};

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
    #[error("could not pause, resume or seek")]
    Steer(#[source] KafkaError),
}

pub(crate) struct SinkConsumer {
    /// None only while it is dropped.
    consumer: Option<Arc<StreamConsumer<SinkContext>>>,
}

impl SinkConsumer {
    /// `settings` are those of a Java consumer; a topic that begins with `^` is a regular expression.
    pub(crate) fn open(settings: &BTreeMap<String, String>, topics: &[&str]) -> Result<Self, ConsumerError> {
        let config = client::librdkafka(ClientKind::Consumer, settings).map_err(ConsumerError::Settings)?;
        let consumer: StreamConsumer<SinkContext> =
            config.create_with_context(SinkContext::default()).map_err(ConsumerError::Create)?;
        consumer.subscribe(topics).map_err(ConsumerError::Subscribe)?;
        Ok(Self { consumer: Some(Arc::new(consumer)) })
    }

    pub(crate) fn inner(&self) -> &Arc<StreamConsumer<SinkContext>> {
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

    /// Returns when something was announced or a commit has ended.
    pub(crate) async fn woken(&self) {
        self.inner().context().wake.notified().await;
    }

    /// Takes newly assigned partitions, beside `current` ones, and finds out where they were left off.
    pub(crate) async fn take(&self, new: &[TopicPartition]) -> Result<TopicOffsets, ConsumerError> {
        let consumer = self.inner().clone();
        let list = self.list(new.iter().map(|p| (p, Offset::Invalid)))?;
        let committed = self.committed(&list).await.map_err(ConsumerError::Committed)?;
        let taken = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&list),
            _ => consumer.assign(&list),
        };
        taken.map_err(ConsumerError::Rebalance)?;
        Ok(offsets(&committed))
    }

    async fn committed(&self, list: &TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let (consumer, asked) = (self.inner().clone(), list.clone());
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = tokio::task::spawn_blocking(move || consumer.committed_offsets(asked, left)).await;
            match answer {
                Ok(Err(error)) if is_coordinator_moving(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(RETRY).await;
                }
                Ok(answer) => return answer,
                Err(_) => return Err(KafkaError::Canceled),
            }
        }
    }

    pub(crate) fn give_up(&self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        let consumer = self.inner();
        let list = self.list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
        let given_up = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(&list),
            _ => consumer.unassign(),
        };
        given_up.map_err(ConsumerError::Rebalance)
    }

    /// The answer comes through [`Self::commit_results`].
    pub(crate) fn commit_later(&self, offsets: &TopicOffsets) -> Result<(), ConsumerError> {
        let list = self.list(offsets.iter().map(|(p, o)| (p, Offset::Offset(*o))))?;
        self.inner().commit(&list, CommitMode::Async).map_err(ConsumerError::Commit)
    }

    pub(crate) async fn commit_now(&self, offsets: &TopicOffsets) -> Result<(), ConsumerError> {
        let list = self.list(offsets.iter().map(|(p, o)| (p, Offset::Offset(*o))))?;
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

    pub(crate) fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        let list = self.list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
        self.inner().pause(&list).map_err(ConsumerError::Steer)
    }

    pub(crate) fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        let list = self.list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
        self.inner().resume(&list).map_err(ConsumerError::Steer)
    }

    pub(crate) async fn seek(&self, offsets: &TopicOffsets) -> Result<(), ConsumerError> {
        let list = self.list(offsets.iter().map(|(p, o)| (p, Offset::Offset(*o))))?;
        let consumer = self.inner().clone();
        match tokio::task::spawn_blocking(move || consumer.seek_partitions(list, TIMEOUT)).await {
            Ok(result) => result.map(drop).map_err(ConsumerError::Steer),
            Err(_) => Err(ConsumerError::Steer(KafkaError::Canceled)),
        }
    }

    fn list<'a>(
        &self,
        partitions: impl Iterator<Item = (&'a TopicPartition, Offset)>,
    ) -> Result<TopicPartitionList, ConsumerError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in partitions {
            list.add_partition_offset(&partition.topic, partition.partition, offset)
                .map_err(ConsumerError::Steer)?;
        }
        Ok(list)
    }
}

/// When its broker goes away, the coordinator of a group is for some seconds nobody, or one that has to learn first.
fn is_coordinator_moving(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(
        error.rdkafka_error_code(),
        Some(NotCoordinator | CoordinatorNotAvailable | CoordinatorLoadInProgress)
    )
}

/// Whether an error of the consumer passes by itself.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    match error {
        KafkaError::MessageConsumptionFatal(_) => false,
        KafkaError::MessageConsumption(code) => !matches!(
            code,
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::InconsistentGroupProtocol
        ),
        _ => true,
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
        let consumer = SinkConsumer::open(&settings, &["^others"]).unwrap();
        let partition = TopicPartition { topic: "lines".into(), partition: 0 };
        assert_eq!(consumer.take(&[partition]).await.unwrap(), TopicOffsets::new());
    }
}
