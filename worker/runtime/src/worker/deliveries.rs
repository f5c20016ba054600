//! Producers that several tasks share, and the way of an acknowledgement back to the task that sent the record.
//!
//! A record carries one machine word to the broker and back: the task's slot at its producer, its batch, and its
//! place in the batch. So nothing is allocated per record. A slot is given to another task only when nothing
//! that was sent with it is still under way.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use connect_api::{BatchOffsets, OffsetMap, RecordMetadata};
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::Notify;

use crate::config::Problem;
use crate::config::client::{self, ClientKind};
use crate::producer::{self, CreateError};
use crate::worker::submitted_offsets::{BatchId, Committable, SubmittedOffsets};

const INDEX_BITS: u32 = 20;
const BATCH_BITS: u32 = 24;
/// More records than these are sent as several batches.
pub(crate) const MAX_BATCH: usize = 1 << INDEX_BITS;

/// The word that travels with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(usize);

impl Tag {
    pub(crate) fn new(slot: usize, batch: BatchId, index: usize) -> Self {
        let batch = (batch.0 as usize) & ((1 << BATCH_BITS) - 1);
        Self(slot << (INDEX_BITS + BATCH_BITS) | batch << INDEX_BITS | index)
    }

    fn slot(self) -> usize {
        self.0 >> (INDEX_BITS + BATCH_BITS)
    }

    fn batch(self) -> u32 {
        (self.0 >> INDEX_BITS) as u32 & ((1 << BATCH_BITS) - 1)
    }

    fn index(self) -> usize {
        self.0 & ((1 << INDEX_BITS) - 1)
    }

    pub(crate) fn word(self) -> usize {
        self.0
    }
}

pub(crate) type Producer = producer::Producer<Deliveries>;

/// What a producer knows about its users.
#[derive(Default)]
pub(crate) struct Deliveries {
    slots: RwLock<Vec<Arc<Outbox>>>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, word: usize) {
        let tag = Tag(word);
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(outbox) = slots.get(tag.slot()) {
            outbox.delivered(tag, result);
        }
    }
}

impl Deliveries {
    /// A slot for a task that begins to send.
    fn register(&self, outbox: &Arc<Outbox>) -> usize {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        match slots.iter().position(|old| old.is_over()) {
            Some(free) => {
                slots[free] = outbox.clone();
                free
            }
            None => {
                slots.push(outbox.clone());
                slots.len() - 1
            }
        }
    }
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
    failure: Option<KafkaError>,
    skipped: u64,
    /// Acknowledgements for `commit_record`, if the task wants them.
    metadata: Vec<Acknowledged>,
    /// Records that the producer has yet to report on.
    under_way: usize,
    is_closed: bool,
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
        sent.submitted.ack(batch, index);
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

    pub(crate) fn failure(&self) -> Option<KafkaError> {
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

    /// The task has ended; late deliveries are counted and change nothing else.
    pub(crate) fn close(&self) {
        self.sent().is_closed = true;
    }

    fn is_over(&self) -> bool {
        let sent = self.sent();
        sent.is_closed && sent.under_way == 0
    }

    fn delivered(&self, tag: Tag, result: &DeliveryResult<'_>) {
        let mut sent = self.sent();
        sent.under_way -= 1;
        let batch = sent.submitted.full_id(tag.batch(), BATCH_BITS);
        let metadata = match result {
            Ok(message) => {
                self.acked.fetch_add(1, Ordering::Relaxed);
                Some(RecordMetadata { partition: message.partition(), offset: message.offset() })
            }
            Err((error, _)) => {
                if !self.tolerates_errors {
                    // The batch stays incomplete, so nothing behind this record is ever committed.
                    sent.failure.get_or_insert_with(|| error.clone());
                    drop(sent);
                    self.progress.notify_waiters();
                    return;
                }
                sent.skipped += 1;
                None
            }
        };
        sent.submitted.ack(batch, tag.index());
        if self.wants_metadata.load(Ordering::Relaxed) && !sent.is_closed {
            sent.metadata.push(Acknowledged { batch, index: tag.index(), metadata });
        }
        if sent.is_awaited && sent.under_way == 0 {
            drop(sent);
            self.progress.notify_waiters();
        }
    }

    /// Only ever locked for a look or a change, never while waiting.
    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProducerError {
    #[error("producer settings: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Problem>),
    #[error("could not create a producer")]
    Create(#[source] CreateError),
}

/// Producers by their effective settings.
#[derive(Default)]
pub(crate) struct ProducerPool {
    producers: Mutex<HashMap<BTreeMap<String, String>, Weak<Producer>>>,
}

/// One task's use of a shared producer.
pub(crate) struct Lease {
    /// None only while it is dropped.
    producer: Option<Arc<Producer>>,
    pub(crate) slot: usize,
}

impl Lease {
    pub(crate) fn producer(&self) -> &Producer {
        self.producer.as_deref().expect("it is taken out when the lease is dropped")
    }
}

impl ProducerPool {
    /// `settings` are those of a Java producer, with everything that applies already merged.
    pub(crate) fn lease(
        &self,
        settings: &BTreeMap<String, String>,
        outbox: &Arc<Outbox>,
    ) -> Result<Lease, ProducerError> {
        let mut producers = self.producers.lock().unwrap_or_else(PoisonError::into_inner);
        producers.retain(|_, producer| producer.strong_count() > 0);
        let producer = match producers.get(settings).and_then(Weak::upgrade) {
            Some(producer) => producer,
            None => {
                let config =
                    client::librdkafka(ClientKind::Producer, settings).map_err(ProducerError::Settings)?;
                let created = Producer::create(&config, Deliveries::default());
                let producer = Arc::new(created.map_err(ProducerError::Create)?);
                producers.insert(settings.clone(), Arc::downgrade(&producer));
                producer
            }
        };
        let slot = producer.context().register(outbox);
        Ok(Lease { producer: Some(producer), slot })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing the last use of a producer waits for its threads.
        let producer = self.producer.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(producer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_their_parts() {
        for (slot, batch, index) in [(0, 0, 0), (65_535, 16_777_215, MAX_BATCH - 1), (7, 16_777_216 + 5, 3)] {
            let tag = Tag(Tag::new(slot, BatchId(batch), index).word());
            assert_eq!((tag.slot(), tag.batch(), tag.index()), (slot, batch % (1 << BATCH_BITS), index));
        }
    }
}
