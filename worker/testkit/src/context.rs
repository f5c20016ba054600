//! What a worker offers to connectors and tasks, in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use connect_api::{
    ConnectError, ConnectorContext, ErrantRecordReporter, OffsetMap, OffsetStorageReader, SinkTaskContext,
    SourceTaskContext, TopicOffsets, TopicPartition, Value,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stored source offsets. Shape: source partition -> source offset.
#[derive(Debug, Default)]
pub struct MemoryOffsets(Mutex<Vec<(OffsetMap, OffsetMap)>>);

impl MemoryOffsets {
    /// Stores an offset the way the offsets topic does: integers come back as 64-bit ones.
    pub fn store(&self, partition: &OffsetMap, offset: Option<OffsetMap>) {
        let mut stored = lock(&self.0);
        stored.retain(|(known, _)| known != partition);
        if let Some(offset) = offset {
            stored.push((widened(partition), widened(&offset)));
        }
    }
}

fn widened(map: &OffsetMap) -> OffsetMap {
    let widen = |value: &Value| value.as_i64().map_or_else(|| value.clone(), Value::Int64);
    map.iter().map(|(name, value)| (name.clone(), widen(value))).collect()
}

#[async_trait]
impl OffsetStorageReader for MemoryOffsets {
    async fn offsets(&self, partitions: &[OffsetMap]) -> Result<Vec<Option<OffsetMap>>, ConnectError> {
        let stored = lock(&self.0);
        let find =
            |partition| stored.iter().find(|(known, _)| known == partition).map(|(_, offset)| offset.clone());
        Ok(partitions.iter().map(find).collect())
    }
}

/// The context of connectors and source tasks.
#[derive(Debug, Default)]
pub struct MemoryContext {
    /// What earlier tasks have stored.
    pub offsets: Arc<MemoryOffsets>,
    errors: Mutex<Vec<ConnectError>>,
    reconfigurations: Mutex<usize>,
}

impl MemoryContext {
    /// Takes the errors that a connector has raised since the last call.
    pub fn take_errors(&self) -> Vec<ConnectError> {
        std::mem::take(&mut lock(&self.errors))
    }

    /// How often a connector has asked for new task configurations.
    pub fn reconfigurations(&self) -> usize {
        *lock(&self.reconfigurations)
    }
}

impl ConnectorContext for MemoryContext {
    fn request_task_reconfiguration(&self) {
        *lock(&self.reconfigurations) += 1;
    }

    fn raise_error(&self, error: ConnectError) {
        lock(&self.errors).push(error);
    }

    fn offset_storage_reader(&self) -> Option<Arc<dyn OffsetStorageReader>> {
        Some(self.offsets.clone())
    }
}

impl SourceTaskContext for MemoryContext {
    fn offset_storage_reader(&self) -> Arc<dyn OffsetStorageReader> {
        self.offsets.clone()
    }
}

/// What a sink task has asked of its worker.
#[derive(Debug, Default)]
pub struct MemorySinkContext {
    assignment: Vec<TopicPartition>,
    requests: Mutex<Vec<SinkRequest>>,
}

/// One request of a sink task.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkRequest {
    /// To read on from other offsets.
    Seek(TopicOffsets),
    /// To deliver nothing of these partitions.
    Pause(Vec<TopicPartition>),
    /// To deliver them again.
    Resume(Vec<TopicPartition>),
    /// To wait before a redelivery.
    RetryAfter(Duration),
    /// To commit soon.
    Commit,
}

impl MemorySinkContext {
    /// The context of a task that has these partitions.
    pub fn new(assignment: &[TopicPartition]) -> Self {
        Self { assignment: assignment.to_vec(), requests: Mutex::default() }
    }

    /// Takes the requests since the last call, oldest first.
    pub fn take_requests(&self) -> Vec<SinkRequest> {
        std::mem::take(&mut lock(&self.requests))
    }

    fn request(&self, request: SinkRequest) {
        lock(&self.requests).push(request);
    }
}

impl SinkTaskContext for MemorySinkContext {
    fn assignment(&self) -> Vec<TopicPartition> {
        self.assignment.clone()
    }

    fn seek(&self, offsets: TopicOffsets) {
        self.request(SinkRequest::Seek(offsets));
    }

    fn pause(&self, partitions: &[TopicPartition]) {
        self.request(SinkRequest::Pause(partitions.to_vec()));
    }

    fn resume(&self, partitions: &[TopicPartition]) {
        self.request(SinkRequest::Resume(partitions.to_vec()));
    }

    fn retry_after(&self, delay: Duration) {
        self.request(SinkRequest::RetryAfter(delay));
    }

    fn request_commit(&self) {
        self.request(SinkRequest::Commit);
    }

    fn errant_record_reporter(&self) -> Option<Arc<dyn ErrantRecordReporter>> {
        None
    }
}
