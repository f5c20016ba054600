//! The offsets topic as a store: connector and source partition -> source offset.
//!
//! In the topic a partition is its bytes. Two workers may write the fields of the same partition in different
//! orders, so the store compares partitions as maps, and writes under the bytes that are there already:
//! whoever reads by bytes finds the newest offset where it has always been.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use crate::names::ConnectorName;
use crate::storage::log::{Fold, LogError, LogRecord, TopicLog};
use crate::storage::records;

/// A JSON object: a source partition or a source offset.
pub(crate) type SourceMap = Map<String, Value>;

/// Folds the offsets topic. Values stay bytes until somebody asks.
#[derive(Default)]
pub(crate) struct OffsetView {
    /// Canonical key -> key as written, value.
    seen: Mutex<HashMap<Vec<u8>, Stored>>,
}

struct Stored {
    key: Box<[u8]>,
    value: Box<[u8]>,
}

impl OffsetView {
    /// Only ever locked for a look or a change, never while waiting.
    fn seen(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Stored>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fold for OffsetView {
    fn apply(&self, record: LogRecord<'_>) {
        let Some(canonical) = records::canonical_offset_key(record.key) else {
            tracing::warn!(
                offset = record.offset,
                "key of the offsets topic is not a source partition, ignored"
            );
            return;
        };
        let mut seen = self.seen();
        match record.value {
            Some(value) => {
                drop(seen.insert(canonical, Stored { key: record.key.into(), value: value.into() }))
            }
            None => drop(seen.remove(&canonical)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OffsetError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("stored offset of {connector} is not a JSON object")]
    Malformed {
        connector: ConnectorName,
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Clone)]
pub(crate) struct OffsetStore {
    view: Arc<OffsetView>,
    log: Arc<dyn TopicLog>,
}

impl OffsetStore {
    /// `view` is the fold that `log` was opened with.
    pub(crate) fn new(view: Arc<OffsetView>, log: Arc<dyn TopicLog>) -> Self {
        Self { view, log }
    }

    /// Why the topic is of no use any more.
    pub(crate) fn fault(&self) -> Option<LogError> {
        self.log.fault()
    }

    pub(crate) async fn start(&self) -> Result<(), LogError> {
        self.log.read_to_end().await
    }

    /// The offset of each partition, in order, after everything written so far.
    pub(crate) async fn get(
        &self,
        connector: &ConnectorName,
        partitions: &[SourceMap],
    ) -> Result<Vec<Option<SourceMap>>, OffsetError> {
        self.log.read_to_end().await?;
        let seen = self.view.seen();
        let malformed = |source| OffsetError::Malformed { connector: connector.clone(), source };
        partitions
            .iter()
            .map(|partition| match seen.get(&canonical(connector, partition)) {
                // A stored JSON null is a reset offset too.
                Some(stored) => serde_json::from_slice(&stored.value).map_err(malformed),
                None => Ok(None),
            })
            .collect()
    }

    /// Returns when all offsets are written. No offset resets a partition.
    pub(crate) async fn put(
        &self,
        connector: &ConnectorName,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<(), OffsetError> {
        let mut acks = Vec::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            let known =
                self.view.seen().get(&canonical(connector, partition)).map(|stored| stored.key.clone());
            let key = known.map_or_else(|| records::offset_key(connector, partition), Vec::from);
            let value = offset.as_ref().map(records::json_bytes);
            acks.push(self.log.append(&key, value.as_deref())?);
        }
        for ack in acks {
            ack.await?;
        }
        Ok(())
    }
}

fn canonical(connector: &ConnectorName, partition: &SourceMap) -> Vec<u8> {
    let mut partition = partition.clone();
    partition.sort_keys();
    records::offset_key(connector, &partition)
}
