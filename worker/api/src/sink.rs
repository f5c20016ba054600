//! Sink connectors: from Kafka into another system.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{ConfigDef, ConfigValue, ConnectError, ConnectorContext, Props, SinkRecord, TopicPartition};

/// Consumer offsets: partition -> offset of the next record to read.
pub type TopicOffsets = BTreeMap<TopicPartition, i64>;

/// Plans the work of a sink. The contract is that of [`SourceConnector`](crate::SourceConnector).
#[async_trait]
pub trait SinkConnector: Send + Sync {
    /// The connector's own settings, without those that every connector has (`topics` included).
    fn config_def(&self) -> &ConfigDef;

    /// Checks settings, across keys too. The default checks each key alone.
    async fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        self.config_def().validate(props)
    }

    /// Takes the settings. Called once, before `task_configs`.
    ///
    /// # Errors
    /// Any error makes the connector FAILED.
    async fn start(&mut self, ctx: Arc<dyn ConnectorContext>, props: &Props) -> Result<(), ConnectError>;

    /// The settings of at most `max_tasks` tasks.
    ///
    /// # Errors
    /// Retriable: called again. Others make the connector FAILED.
    async fn task_configs(&self, max_tasks: usize) -> Result<Vec<Props>, ConnectError>;

    /// Called at most once, after a failed `start` too.
    ///
    /// # Errors
    /// Are logged.
    async fn stop(&mut self) -> Result<(), ConnectError>;

    /// Java's class name of the task, written into task settings as `task.class`.
    fn task_class(&self) -> &'static str;

    /// A new task, not started. Called on an instance that has not been started.
    fn task(&self) -> Box<dyn SinkTask>;

    /// Checks consumer offsets that a user wants to set; `None` to forget a partition's. `Ok(true)` means
    /// checked, `Ok(false)` that the connector does not look.
    ///
    /// # Errors
    /// Connect, when the connector cannot take these offsets.
    fn alter_offsets(
        &self,
        props: &Props,
        offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<bool, ConnectError> {
        let _ = (props, offsets);
        Ok(false)
    }
}

/// How a sink task talks to the worker. Requests take effect after the call in which they are made.
pub trait SinkTaskContext: Send + Sync {
    /// The partitions that the task has now.
    fn assignment(&self) -> Vec<TopicPartition>;

    /// Read on from these offsets.
    fn seek(&self, offsets: TopicOffsets);

    /// Deliver no records of these partitions until they are resumed.
    fn pause(&self, partitions: &[TopicPartition]);

    /// Deliver records of these partitions again.
    fn resume(&self, partitions: &[TopicPartition]);

    /// How long to wait before a batch that failed with a retriable error is delivered again.
    fn retry_after(&self, delay: Duration);

    /// Commit offsets soon.
    fn request_commit(&self);

    /// Where bad records go; `None` when the user has configured nothing for them.
    fn errant_record_reporter(&self) -> Option<Arc<dyn ErrantRecordReporter>>;
}

/// Takes records that a sink task cannot write.
#[async_trait]
pub trait ErrantRecordReporter: Send + Sync {
    /// Reports a record; returns when it is in the dead letter queue.
    ///
    /// # Errors
    /// Connect, when errors are not tolerated: the task has to return it from `put`.
    async fn report(&self, record: &SinkRecord, error: ConnectError) -> Result<(), ConnectError>;
}

/// Writes records to a sink.
///
/// Order of calls: `start` once; `open` before the first record of a partition; `put` and `pre_commit`; `close`
/// for partitions that go away, after their last `pre_commit`; then `stop` once, also after a failure. Calls
/// never overlap and none is cancelled, but a task that exceeds the worker's stop timeout is abandoned where it
/// waits.
#[async_trait]
pub trait SinkTask: Send {
    /// Takes the task's settings.
    ///
    /// # Errors
    /// Any error makes the task FAILED.
    async fn start(&mut self, ctx: Arc<dyn SinkTaskContext>, props: &Props) -> Result<(), ConnectError>;

    /// These partitions are now the task's.
    ///
    /// # Errors
    /// Make the task FAILED.
    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        let _ = partitions;
        Ok(())
    }

    /// Takes the next records, of any of the task's partitions, each partition in order. Called with an empty
    /// slice too, when there was nothing to read.
    ///
    /// Texts and bytes share the memory in which they were fetched, with all that came in the same answer: a task that
    /// keeps a few of them for long copies them.
    ///
    /// # Errors
    /// Retriable: the same records are delivered again, after the time asked for with
    /// [`SinkTaskContext::retry_after`]. Others make the task FAILED.
    async fn put(&mut self, records: &[SinkRecord]) -> Result<(), ConnectError>;

    /// Makes durable what `put` has taken, and says up to where that is. `current` are the offsets of everything
    /// delivered; what is returned is committed. An empty map commits nothing.
    ///
    /// # Errors
    /// Are logged; the task is rewound to the last committed offsets.
    async fn pre_commit(&mut self, current: &TopicOffsets) -> Result<TopicOffsets, ConnectError>;

    /// These partitions are no longer the task's.
    ///
    /// # Errors
    /// Make the task FAILED.
    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        let _ = partitions;
        Ok(())
    }

    /// Gives back what `start` took. No call follows.
    ///
    /// # Errors
    /// Are logged.
    async fn stop(&mut self) -> Result<(), ConnectError>;
}
