//! The status topic as a store: what every connector and task last said about itself, and who uses which topic.
//!
//! The store shows what was read from the topic, so that all workers show the same. A worker that has lost an
//! instance must not overwrite the status of the new owner: see `is_allowed`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

use crate::names::{ConnectorName, State, Status, TaskId};
use crate::storage::log::{Fold, LogError, LogRecord, TopicLog};
use crate::storage::records::{self, StatusKey};

/// Folds the status topic.
#[derive(Default)]
pub(crate) struct StatusView {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    connectors: BTreeMap<ConnectorName, Status>,
    tasks: BTreeMap<TaskId, Status>,
    topics: BTreeMap<ConnectorName, BTreeSet<String>>,
}

impl StatusView {
    /// Only ever locked for a look or a change, never while waiting.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fold for StatusView {
    fn apply(&self, record: LogRecord<'_>) {
        let Some(key) = StatusKey::decode(record.key) else { return };
        let status = record.value.map(records::decode_status);
        let mut seen = self.seen();
        match (key, status) {
            (StatusKey::Topic { topic, connector }, status) => {
                let topics = seen.topics.entry(connector).or_default();
                match status {
                    Some(_) => topics.insert(topic),
                    None => topics.remove(&topic),
                };
            }
            (_, Some(None)) => {
                tracing::error!(offset = record.offset, "record of the status topic is ignored");
            }
            (StatusKey::Connector(name), None) => drop(seen.connectors.remove(&name)),
            (StatusKey::Task(id), None) => drop(seen.tasks.remove(&id)),
            (StatusKey::Connector(name), Some(Some(status))) => {
                let is_late = status.state == State::Unassigned
                    && seen.connectors.get(&name).is_some_and(|cached| {
                        cached.state == State::Running && cached.generation > status.generation
                    });
                if !is_late {
                    seen.connectors.insert(name, status);
                }
            }
            (StatusKey::Task(id), Some(Some(status))) => {
                // A late word of the old owner does not count against the new one's.
                let is_late = status.state == State::Unassigned
                    && seen.tasks.get(&id).is_some_and(|cached| {
                        cached.state == State::Running && cached.generation >= status.generation
                    });
                if !is_late {
                    seen.tasks.insert(id, status);
                }
            }
        }
    }
}

#[derive(Clone)]
pub(crate) struct StatusStore {
    view: Arc<StatusView>,
    log: Arc<dyn TopicLog>,
    writes: TaskTracker,
}

impl StatusStore {
    /// `view` is the fold that `log` was opened with.
    pub(crate) fn new(view: Arc<StatusView>, log: Arc<dyn TopicLog>) -> Self {
        Self { view, log, writes: TaskTracker::new() }
    }

    /// Why the topic is of no use any more.
    pub(crate) fn fault(&self) -> Option<LogError> {
        self.log.fault()
    }

    pub(crate) async fn start(&self) -> Result<(), LogError> {
        self.log.read_to_end().await
    }

    pub(crate) fn connector(&self, name: &ConnectorName) -> Option<Status> {
        self.view.seen().connectors.get(name).cloned()
    }

    pub(crate) fn task(&self, id: &TaskId) -> Option<Status> {
        self.view.seen().tasks.get(id).cloned()
    }

    /// Task number -> status, in order.
    pub(crate) fn tasks(&self, name: &ConnectorName) -> BTreeMap<u32, Status> {
        let (first, last) = (TaskId::new(name.clone(), 0), TaskId::new(name.clone(), u32::MAX));
        let seen = self.view.seen();
        seen.tasks.range(first..=last).map(|(id, status)| (id.task, status.clone())).collect()
    }

    /// Every connector and task that has a status.
    pub(crate) fn known(&self) -> (Vec<ConnectorName>, Vec<TaskId>) {
        let seen = self.view.seen();
        (seen.connectors.keys().cloned().collect(), seen.tasks.keys().cloned().collect())
    }

    pub(crate) fn topics(&self, name: &ConnectorName) -> Vec<String> {
        self.view.seen().topics.get(name).map(|t| t.iter().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn put_connector(&self, name: &ConnectorName, status: &Status) {
        if is_allowed(self.connector(name), status) {
            self.write(&StatusKey::Connector(name.clone()), Some(records::encode_status(status)));
        }
    }

    pub(crate) fn put_task(&self, id: &TaskId, status: &Status) {
        if is_allowed(self.task(id), status) {
            self.write(&StatusKey::Task(id.clone()), Some(records::encode_status(status)));
        }
    }

    pub(crate) fn forget_connector(&self, name: &ConnectorName) {
        self.write(&StatusKey::Connector(name.clone()), None);
    }

    pub(crate) fn forget_task(&self, id: &TaskId) {
        self.write(&StatusKey::Task(id.clone()), None);
    }

    /// Notes that a task uses a topic, unless that is known of its connector.
    pub(crate) fn put_topic(&self, topic: &str, task: &TaskId, now_ms: i64) {
        let is_known = self.view.seen().topics.get(&task.connector).is_some_and(|t| t.contains(topic));
        if !is_known {
            let key = StatusKey::Topic { topic: topic.to_owned(), connector: task.connector.clone() };
            self.write(&key, Some(records::encode_topic_use(topic, task, now_ms)));
        }
    }

    pub(crate) fn forget_topics(&self, name: &ConnectorName) {
        for topic in self.topics(name) {
            self.write(&StatusKey::Topic { topic, connector: name.clone() }, None);
        }
    }

    /// Returns when everything written so far is acknowledged or was given up.
    pub(crate) async fn flush(&self) {
        self.writes.close();
        self.writes.wait().await;
        self.writes.reopen();
    }

    fn write(&self, key: &StatusKey, value: Option<Vec<u8>>) {
        let failed =
            |error: LogError| tracing::error!(error = &error as &dyn std::error::Error, "status is lost");
        match self.log.append(&key.encode(), value.as_deref()) {
            Ok(ack) => {
                self.writes.spawn(async move {
                    if let Err(error) = ack.await {
                        failed(error);
                    }
                });
            }
            Err(error) => failed(error),
        }
    }
}

/// UNASSIGNED and FAILED are written only where nothing newer of another worker would be lost.
fn is_allowed(cached: Option<Status>, status: &Status) -> bool {
    if !matches!(status.state, State::Unassigned | State::Failed) {
        return true;
    }
    cached.is_none_or(|c| c.worker_id == status.worker_id || c.generation <= status.generation)
}
