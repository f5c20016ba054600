//! [`TopicLog`] in memory, for tests: what is appended is folded in at once.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::storage::log::{Ack, Fold, LogError, LogRecord, TopicLog};
use crate::storage::records::KeyValue;

pub(crate) struct MemoryLog {
    fold: Arc<dyn Fold>,
    records: Mutex<Vec<KeyValue>>,
}

impl MemoryLog {
    /// Replays `records` first, as a worker does that starts on an existing topic.
    pub(crate) fn open(records: Vec<KeyValue>, fold: Arc<dyn Fold>) -> Arc<Self> {
        for (offset, (key, value)) in records.iter().enumerate() {
            fold.apply(LogRecord { offset: offset as i64, key, value: value.as_deref() });
        }
        Arc::new(Self { fold, records: Mutex::new(records) })
    }

    pub(crate) fn records(&self) -> Vec<KeyValue> {
        self.records.lock().unwrap().clone()
    }
}

#[async_trait]
impl TopicLog for MemoryLog {
    async fn read_to_end(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn append(&self, key: &[u8], value: Option<&[u8]>) -> Result<Ack, LogError> {
        let mut records = self.records.lock().unwrap();
        let offset = records.len() as i64;
        records.push((key.to_vec(), value.map(<[u8]>::to_vec)));
        self.fold.apply(LogRecord { offset, key, value });
        Ok(Box::pin(async { Ok(()) }))
    }

    fn fault(&self) -> Option<LogError> {
        None
    }
}
