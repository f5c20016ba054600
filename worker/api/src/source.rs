//! Source connectors: from another system into Kafka.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    ConfigDef, ConfigValue, ConnectError, ConnectorContext, OffsetMap, OffsetStorageReader, Props,
    SourceBatch, SourceRecord,
};

/// Whether a connector can give exactly-once delivery with the given settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    /// It can.
    Supported,
    /// It cannot.
    Unsupported,
}

/// Plans the work of a source: validates settings and divides the work into tasks.
///
/// The worker creates an instance for each of three purposes and never mixes them: to validate (only
/// [`config_def`](Self::config_def), [`validate`](Self::validate), [`exactly_once_support`](Self::exactly_once_support)
/// and [`alter_offsets`](Self::alter_offsets) are called), to run (`start`, then `task_configs` any number of
/// times, then `stop` once), and to make tasks (`task`). Calls on one instance never overlap.
#[async_trait]
pub trait SourceConnector: Send + Sync {
    /// The connector's own settings, without those that every connector has.
    fn config_def(&self) -> &ConfigDef;

    /// Checks settings, across keys too. May take its time (open a connection); changes nothing. The default
    /// checks each key alone.
    async fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        self.config_def().validate(props)
    }

    /// Takes the settings and begins to watch the source. Called once, before `task_configs`.
    ///
    /// # Errors
    /// Any error makes the connector FAILED.
    async fn start(&mut self, ctx: Arc<dyn ConnectorContext>, props: &Props) -> Result<(), ConnectError>;

    /// The settings of at most `max_tasks` tasks. Called after `start` and after each
    /// `request_task_reconfiguration`.
    ///
    /// # Errors
    /// Retriable: called again. Others make the connector FAILED.
    async fn task_configs(&self, max_tasks: usize) -> Result<Vec<Props>, ConnectError>;

    /// Stops watching the source. Called at most once, after a failed `start` too.
    ///
    /// # Errors
    /// Are logged.
    async fn stop(&mut self) -> Result<(), ConnectError>;

    /// Java's class name of the task, written into task settings as `task.class`.
    fn task_class(&self) -> &'static str;

    /// A new task, not started. Called on an instance that has not been started.
    fn task(&self) -> Box<dyn SourceTask>;

    /// What the connector says about exactly-once delivery; `None` is "it does not say".
    fn exactly_once_support(&self, props: &Props) -> Option<ExactlyOnceSupport> {
        let _ = props;
        None
    }

    /// Checks offsets that a user wants to store. Shape: source partition -> source offset, `None` to forget
    /// the partition. `Ok(true)` means checked, `Ok(false)` that the connector does not look.
    ///
    /// # Errors
    /// Connect, when an offset is not one of this connector's.
    fn alter_offsets(
        &self,
        props: &Props,
        offsets: &[(OffsetMap, Option<OffsetMap>)],
    ) -> Result<bool, ConnectError> {
        let _ = (props, offsets);
        Ok(false)
    }
}

/// How a source task talks to the worker.
pub trait SourceTaskContext: Send + Sync {
    /// The stored source offsets of the connector.
    fn offset_storage_reader(&self) -> Arc<dyn OffsetStorageReader>;
}

/// Where Kafka has stored a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

/// Reads records from a source.
///
/// Order of calls: `start` once; then `poll`, `commit_record` and `commit` in any order; then `stop` once, also
/// after a failure of any of them. Calls never overlap. All run on the worker's runtime: what blocks longer
/// than a few hundred microseconds belongs on `spawn_blocking`.
///
/// Only `poll` may be cancelled, by dropping its future: the worker does that to pause, to commit or to stop. It
/// has to be cancel-safe: records that a dropped `poll` had already read are returned by the next one.
#[async_trait]
pub trait SourceTask: Send {
    /// Takes the task's settings and finds its place from the stored offsets.
    ///
    /// # Errors
    /// Any error makes the task FAILED.
    async fn start(&mut self, ctx: Arc<dyn SourceTaskContext>, props: &Props) -> Result<(), ConnectError>;

    /// The next records; waits while there are none. `None` is allowed and means "call again": a task that
    /// returns it at once, again and again, burns a core. An empty batch is the same as `None`.
    ///
    /// # Errors
    /// Retriable: logged, and `poll` is called again. Others make the task FAILED; the records of earlier
    /// batches are still sent and committed.
    async fn poll(&mut self) -> Result<Option<SourceBatch>, ConnectError>;

    /// Whether the worker shall call `commit_record`. Asked once, after `start`. Those who do not need it spare
    /// the worker a record's copy.
    fn wants_commit_record(&self) -> bool {
        false
    }

    /// Kafka has stored a record, or (`metadata` is `None`) a transform has dropped it. Called once per record,
    /// in the order of acknowledgements.
    ///
    /// # Errors
    /// Are logged.
    async fn commit_record(
        &mut self,
        record: &SourceRecord,
        metadata: Option<RecordMetadata>,
    ) -> Result<(), ConnectError> {
        let _ = (record, metadata);
        Ok(())
    }

    /// Offsets have been stored (or none had to be). Called every `offset.flush.interval.ms`.
    ///
    /// # Errors
    /// Are logged.
    async fn commit(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    /// Gives back what `start` took. No call follows; offsets of records still in flight may be committed later.
    ///
    /// # Errors
    /// Are logged.
    async fn stop(&mut self) -> Result<(), ConnectError>;
}
