//! Writes records of the internal topics, and tells each of its writers what became of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_control::{Client, Deliveries, ProduceError, Producer, ProducerConfig, RecordToSend, Run, Stored};
use tokio::sync::oneshot;

/// One for all internal topics.
pub(crate) struct Writer {
    producer: Producer,
    acks: Arc<Acks>,
    next: AtomicU64,
}

/// Names a record until it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

pub(crate) type Written = oneshot::Receiver<Result<(), ProduceError>>;

#[derive(Default)]
struct Acks {
    awaited: Mutex<HashMap<u64, oneshot::Sender<Result<(), ProduceError>>>>,
}

impl Acks {
    /// Only ever locked for a look or a change, never while waiting.
    fn awaited(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<(), ProduceError>>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliveries for Acks {
    fn delivered(&self, run: Run, result: Result<Stored, &ProduceError>) {
        let mut awaited = self.awaited();
        for mark in run.first..run.first + u64::from(run.count) {
            if let Some(writer) = awaited.remove(&mark) {
                // Nobody may want to know.
                let _ = writer.send(result.map(drop).map_err(Clone::clone));
            }
        }
    }
}

impl Writer {
    pub(crate) fn new(client: Client, config: ProducerConfig) -> Self {
        let acks = Arc::<Acks>::default();
        Self { producer: Producer::new(client, config, acks.clone()), acks, next: AtomicU64::new(0) }
    }

    /// Announces a record. What is told when nothing is: it was discarded.
    pub(crate) fn announce(&self) -> (Mark, Written) {
        let mark = self.next.fetch_add(1, Ordering::Relaxed);
        let (writer, written) = oneshot::channel();
        self.acks.awaited().insert(mark, writer);
        (Mark(mark), written)
    }

    /// Returns when the record is queued, or was discarded.
    pub(crate) async fn write(&self, mark: Mark, topic: &str, key: &[u8], value: Option<&[u8]>) {
        let record = RecordToSend { key: Some(key), value, ..RecordToSend::default() };
        loop {
            let room = self.producer.room();
            {
                // What is discarded from here on is in the queue, or never gets there.
                let mut awaited = self.acks.awaited();
                if !awaited.contains_key(&mark.0) {
                    return;
                }
                match self.producer.try_send(topic, &record, mark.0) {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => {
                        if let Some(writer) = awaited.remove(&mark.0) {
                            let _ = writer.send(Err(error));
                        }
                        return;
                    }
                }
            }
            room.await;
        }
    }

    /// Gives up what is not written yet. Does not block.
    pub(crate) fn discard(&self) {
        // Nobody announces and queues a record in between.
        let mut awaited = self.acks.awaited();
        awaited.clear();
        self.producer.discard();
    }
}
