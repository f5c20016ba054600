//! What users of a producer hold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::queue::{Appended, Queue};
use super::sender::Sender;
use super::{Deliveries, ProduceError, ProducerConfig};
use crate::batch::{LARGEST, RecordToSend};
use crate::client::Client;

/// Writes records to any topic; what became of them is told to its [`Deliveries`]. Used within a tokio runtime.
///
/// When it is dropped, records that were not acknowledged may or may not be written, and nothing more is told of them.
pub struct Producer {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) config: ProducerConfig,
    /// Only ever locked for a look or a change, never while waiting.
    queue: Mutex<Queue>,
    /// The sender may have something to do.
    pub(super) news: Notify,
    /// There may be room, or a topic's partitions are known.
    pub(super) room: Notify,
    /// What is on its way is of no use any more.
    pub(super) discarded: Notify,
}

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Producer {
    /// Asks nobody anything before the first record.
    pub fn new(client: Client, config: ProducerConfig, deliveries: Arc<dyn Deliveries>) -> Self {
        let config = ProducerConfig {
            batch_size: config.batch_size.min(LARGEST),
            max_request_size: config.max_request_size.min(LARGEST),
            ..config
        };
        let shared = Arc::new(Shared {
            config,
            queue: Mutex::default(),
            news: Notify::new(),
            room: Notify::new(),
            discarded: Notify::new(),
        });
        tokio::spawn(Sender::new(shared.clone(), client, deliveries).run());
        Self { shared }
    }

    /// Takes a record, if there is room for it and its topic is known; `false` if not. `mark`: by what
    /// [`Deliveries`] tell of it; those of records that follow each other should do so too.
    #[inline]
    pub fn try_send(&self, topic: &str, record: &RecordToSend<'_>, mark: u64) -> Result<bool, ProduceError> {
        let appended = self.shared.queue().append(&self.shared.config, topic, record, mark)?;
        if appended != Appended::Taken {
            self.shared.news.notify_one();
        }
        Ok(appended != Appended::NotYet)
    }

    /// Becomes ready when there may be room, or a topic may be known: to be made before [`Self::try_send`], to be waited
    /// for after it.
    pub fn room(&self) -> Notified<'_> {
        self.shared.room.notified()
    }

    /// Takes a record as soon as there is room for it and its topic is known, however long that takes. When the future
    /// is dropped before its end, the record was not taken.
    pub async fn send(&self, topic: &str, record: &RecordToSend<'_>, mark: u64) -> Result<(), ProduceError> {
        loop {
            let room = self.room();
            if self.try_send(topic, record, mark)? {
                return Ok(());
            }
            room.await;
        }
    }

    /// Forgets what was not sent, and does not wait for what was, nor sends it again. Nothing more is told of any of it, but
    /// for what has just been answered.
    pub fn discard(&self) {
        self.shared.queue().discard();
        self.shared.discarded.notify_waiters();
        self.shared.room.notify_waiters();
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.news.notify_one();
    }
}
