//! What source and sink connectors share: their settings, their context, the names of partitions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{ConnectError, OffsetMap};

/// Settings as the user wrote them. Shape: key -> text.
pub type Props = BTreeMap<String, String>;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

/// Kafka's `topic-partition`.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// How a connector talks to the worker that runs it. May be used from any task the connector spawns, until
/// `stop` returns; later calls have no effect.
pub trait ConnectorContext: Send + Sync {
    /// The number or the settings of tasks have changed: the worker will call `task_configs` again.
    fn request_task_reconfiguration(&self);

    /// The connector has failed; its status becomes FAILED. Its tasks keep running.
    fn raise_error(&self, error: ConnectError);

    /// The stored source offsets; `None` for sink connectors.
    fn offset_storage_reader(&self) -> Option<Arc<dyn OffsetStorageReader>>;
}

/// Reads the source offsets that earlier tasks of the same connector committed.
#[async_trait]
pub trait OffsetStorageReader: Send + Sync {
    /// The stored offsets of some partitions, in the order asked; `None` where nothing is stored. Partitions
    /// are compared as maps, not as bytes.
    ///
    /// # Errors
    /// Connect, when the offsets cannot be read.
    async fn offsets(&self, partitions: &[OffsetMap]) -> Result<Vec<Option<OffsetMap>>, ConnectError>;
}
