//! What a sink task may ask of its runner. Requests are noted here and honored after the call.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connect_api::{ErrantRecordReporter, SinkTaskContext, TopicOffsets, TopicPartition};

#[derive(Default)]
pub(crate) struct Requests {
    noted: Mutex<Noted>,
}

/// What was asked for since the runner last looked, and what lasts.
#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) assignment: BTreeSet<TopicPartition>,
    pub(crate) seek: TopicOffsets,
    /// Partitions that the task has paused itself.
    pub(crate) paused: BTreeSet<TopicPartition>,
    pub(crate) has_new_pauses: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) wants_commit: bool,
}

impl Requests {
    /// Only ever locked for a look or a change, never while waiting.
    pub(crate) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SinkTaskContext for Requests {
    fn assignment(&self) -> Vec<TopicPartition> {
        self.noted().assignment.iter().cloned().collect()
    }

    fn seek(&self, offsets: TopicOffsets) {
        self.noted().seek.extend(offsets);
    }

    fn pause(&self, partitions: &[TopicPartition]) {
        let mut noted = self.noted();
        noted.paused.extend(partitions.iter().cloned());
        noted.has_new_pauses = true;
    }

    fn resume(&self, partitions: &[TopicPartition]) {
        let mut noted = self.noted();
        for partition in partitions {
            noted.paused.remove(partition);
        }
        noted.has_new_pauses = true;
    }

    fn retry_after(&self, delay: Duration) {
        self.noted().retry_after = Some(delay);
    }

    fn request_commit(&self) {
        self.noted().wants_commit = true;
    }

    /// Dead letter queues do not exist here yet.
    fn errant_record_reporter(&self) -> Option<Arc<dyn ErrantRecordReporter>> {
        None
    }
}
