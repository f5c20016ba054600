//! What one task has sent, and how it fared.
//!
//! A record's mark says it all: its batch, and its place in the batch. Marks of records that follow each other do so too,
//! and are told of together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connect_api::{BatchOffsets, OffsetMap, RecordMetadata};
use kafka_control::{Deliveries, ProduceError, Producer, Run, Stored};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::config::produce;
use crate::config::wire_client::{self, WireClientError};
use crate::worker::submitted_offsets::{BatchId, Committable, SubmittedOffsets};

const INDEX_BITS: u32 = 20;
/// A batch has no more records than these. One less than could be told apart: the mark behind the last one of a batch
/// is not that of the next batch's first.
pub(crate) const MAX_BATCH: usize = (1 << INDEX_BITS) - 1;

/// A task's own producer, which tells its outbox. `settings` are those of a Java producer, `runtime` is where it works.
pub(crate) fn producer(
    settings: &BTreeMap<String, String>,
    outbox: &Arc<Outbox>,
    runtime: &Handle,
) -> Result<Producer, WireClientError> {
    let config = produce::from_java(settings).map_err(WireClientError::Settings)?;
    let client = wire_client::from_java(settings)?;
    let _entered = runtime.enter();
    Ok(Producer::new(client, config, outbox.clone()))
}

/// By what a producer tells of a record.
pub(crate) fn mark(batch: BatchId, index: usize) -> u64 {
    u64::from(batch.0) << INDEX_BITS | index as u64
}

/// The batch and the first of its records.
fn read_mark(mark: u64) -> (BatchId, usize) {
    (BatchId((mark >> INDEX_BITS) as u32), mark as usize & ((1 << INDEX_BITS) - 1))
}

/// What one task has sent and how it fared.
#[derive(Default)]
pub(crate) struct Outbox {
    sent: Mutex<Sent>,
    acked: AtomicU64,
    /// Something was delivered or failed, and somebody waits for that.
    pub(crate) progress: Notify,
    tolerates_errors: bool,
    wants_metadata: AtomicBool,
}

#[derive(Default)]
struct Sent {
    submitted: SubmittedOffsets,
    /// The first failure that is not tolerated.
    failure: Option<ProduceError>,
    skipped: u64,
    /// Acknowledgements for `commit_record`, if the task wants them.
    metadata: Vec<Acknowledged>,
    /// Records that the producer has yet to report on.
    under_way: usize,
    is_awaited: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) batch: BatchId,
    pub(crate) index: usize,
    /// None for a record that was skipped.
    pub(crate) metadata: Option<RecordMetadata>,
}

impl Outbox {
    pub(crate) fn new(tolerates_errors: bool) -> Arc<Self> {
        Arc::new(Self { tolerates_errors, ..Self::default() })
    }

    /// From now on acknowledgements are kept until they are taken.
    pub(crate) fn keep_acknowledgements(&self) {
        self.wants_metadata.store(true, Ordering::Relaxed);
    }

    pub(crate) fn submit(
        &self,
        partition: &Arc<OffsetMap>,
        offsets: &Arc<dyn BatchOffsets>,
        count: usize,
    ) -> BatchId {
        let mut sent = self.sent();
        sent.under_way += count;
        sent.submitted.submit(partition, offsets, count)
    }

    /// The last `count` records of a batch will not be sent, and nothing will be committed for them.
    pub(crate) fn abandon(&self, count: usize) {
        self.sent().under_way -= count;
    }

    /// The record is not sent, on purpose.
    pub(crate) fn drop_record(&self, batch: BatchId, index: usize) {
        let mut sent = self.sent();
        sent.under_way -= 1;
        sent.submitted.ack(batch, index..index + 1);
        if self.wants_metadata.load(Ordering::Relaxed) {
            sent.metadata.push(Acknowledged { batch, index, metadata: None });
        }
    }

    /// Records acknowledged so far.
    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.sent().under_way
    }

    pub(crate) fn failure(&self) -> Option<ProduceError> {
        self.sent().failure.clone()
    }

    pub(crate) fn take_committable(&self) -> Vec<Committable> {
        self.sent().submitted.take()
    }

    pub(crate) fn put_back(&self, failed: Vec<Committable>) {
        self.sent().submitted.put_back(failed);
    }

    pub(crate) fn take_acknowledged(&self) -> Vec<Acknowledged> {
        std::mem::take(&mut self.sent().metadata)
    }

    /// Records that were given up because errors are tolerated, since the last call.
    pub(crate) fn take_skipped(&self) -> u64 {
        std::mem::take(&mut self.sent().skipped)
    }

    /// Returns when nothing is under way any more or something has failed. Cancel-safe.
    pub(crate) async fn drained(&self) {
        loop {
            let progress = self.progress.notified();
            {
                let mut sent = self.sent();
                if sent.under_way == 0 || sent.failure.is_some() {
                    sent.is_awaited = false;
                    return;
                }
                sent.is_awaited = true;
            }
            progress.await;
        }
    }

    /// Only ever locked for a look or a change, never while waiting.
    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliveries for Outbox {
    fn delivered(&self, run: Run, result: Result<Stored, &ProduceError>) {
        let (batch, first) = read_mark(run.first);
        let records: Range<usize> = first..first + run.count as usize;
        let mut sent = self.sent();
        sent.under_way -= records.len();
        match result {
            Ok(_) => drop(self.acked.fetch_add(records.len() as u64, Ordering::Relaxed)),
            Err(_) if self.tolerates_errors => sent.skipped += records.len() as u64,
            Err(error) => {
                // The batch stays incomplete, so nothing behind these records is ever committed.
                sent.failure.get_or_insert_with(|| error.clone());
                drop(sent);
                self.progress.notify_waiters();
                return;
            }
        }
        sent.submitted.ack(batch, records.clone());
        if self.wants_metadata.load(Ordering::Relaxed) {
            let metadata = |nth: usize| {
                let Stored { partition, offset } = result.ok()?;
                // Without an answer that says where, it is nowhere, as in Java.
                let offset = offset.map_or(-1, |first| first + nth as i64);
                Some(RecordMetadata { partition, offset })
            };
            let acknowledged = records.enumerate().map(|(nth, index)| Acknowledged {
                batch,
                index,
                metadata: metadata(nth),
            });
            sent.metadata.extend(acknowledged);
        }
        if sent.is_awaited && sent.under_way == 0 {
            drop(sent);
            self.progress.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_keep_their_parts() {
        for (batch, index) in [(0, 0), (u32::MAX, MAX_BATCH - 1), (16_777_221, 3)] {
            let (read, first) = read_mark(mark(BatchId(batch), index));
            assert_eq!((read.0, first), (batch, index));
        }
    }

    #[test]
    fn no_batch_follows_another_without_a_gap() {
        assert!(mark(BatchId(7), MAX_BATCH - 1) + 1 < mark(BatchId(8), 0));
    }
}
