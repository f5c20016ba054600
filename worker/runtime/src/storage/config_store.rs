//! The config topic as a store: the state of the cluster, what changed in it, and the ways to change it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::names::{ConnectorName, RawConfig, TargetState, TaskId};
use crate::storage::cluster_state::{Change, ClusterState};
use crate::storage::log::{Fold, LogError, LogRecord, TopicLog};
use crate::storage::records::ConfigRecord;

/// For writing a whole set of task configs.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Folds the config topic; the log writes to it, the store reads it.
#[derive(Default)]
pub(crate) struct ConfigView {
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    state: ClusterState,
    /// What nobody has acted on yet; empty until the replay at start is over.
    changes: Vec<(i64, Change)>,
    is_live: bool,
}

impl ConfigView {
    /// Only ever locked for a look or a change, never while waiting.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fold for ConfigView {
    fn apply(&self, record: LogRecord<'_>) {
        let mut seen = self.seen();
        match seen.state.apply(record.offset, record.key, record.value) {
            Ok(Some(change)) if seen.is_live => {
                let offset = seen.state.offset();
                seen.changes.push((offset, change));
                drop(seen);
                self.changed.notify_one();
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(offset = record.offset, %error, "record of the config topic is ignored");
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigStoreError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the config topic did not take the records in time")]
    Timeout,
}

#[derive(Clone)]
pub(crate) struct ConfigStore {
    view: Arc<ConfigView>,
    log: Arc<dyn TopicLog>,
}

impl ConfigStore {
    /// `view` is the fold that `log` was opened with.
    pub(crate) fn new(view: Arc<ConfigView>, log: Arc<dyn TopicLog>) -> Self {
        Self { view, log }
    }

    /// Why the topic is of no use any more.
    pub(crate) fn fault(&self) -> Option<LogError> {
        self.log.fault()
    }

    /// Replays the topic; from then on changes are reported.
    pub(crate) async fn start(&self) -> Result<(), ConfigStoreError> {
        self.log.read_to_end().await?;
        self.view.seen().is_live = true;
        Ok(())
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&ClusterState) -> T) -> T {
        at(&self.view.seen().state)
    }

    /// Returns when there are changes to take.
    pub(crate) async fn changed(&self) {
        self.view.changed.notified().await;
    }

    /// Each change with the config offset from which on it is part of the state.
    pub(crate) fn take_changes(&self) -> Vec<(i64, Change)> {
        std::mem::take(&mut self.view.seen().changes)
    }

    pub(crate) async fn read_to_end(&self) -> Result<(), ConfigStoreError> {
        Ok(self.log.read_to_end().await?)
    }

    /// Writes a connector's config and, before it, the state it shall begin in.
    pub(crate) async fn put_connector(
        &self,
        name: &ConnectorName,
        config: RawConfig,
        initial_state: Option<TargetState>,
    ) -> Result<(), ConfigStoreError> {
        let mut records = Vec::new();
        if initial_state.is_some() {
            records.push(ConfigRecord::Target { name: name.clone(), state: initial_state });
        }
        records.push(ConfigRecord::Connector { name: name.clone(), config: Some(config) });
        self.write(records).await
    }

    pub(crate) async fn delete_connector(&self, name: &ConnectorName) -> Result<(), ConfigStoreError> {
        self.write(vec![
            ConfigRecord::Connector { name: name.clone(), config: None },
            ConfigRecord::Target { name: name.clone(), state: None },
        ])
        .await
    }

    /// Writes a full set of task configs and then the record that makes it valid.
    pub(crate) async fn put_tasks(
        &self,
        name: &ConnectorName,
        tasks: Vec<RawConfig>,
    ) -> Result<(), ConfigStoreError> {
        let count = tasks.len() as u32;
        if count > 0 {
            let numbered = tasks.into_iter().zip(0..);
            let record = |(config, task)| ConfigRecord::Task {
                id: TaskId { connector: name.clone(), task },
                config: Some(config),
            };
            self.write(numbered.map(record).collect()).await?;
        }
        self.write(vec![ConfigRecord::Commit { name: name.clone(), tasks: count }]).await
    }

    pub(crate) async fn put_target(
        &self,
        name: &ConnectorName,
        state: TargetState,
    ) -> Result<(), ConfigStoreError> {
        self.write(vec![ConfigRecord::Target { name: name.clone(), state: Some(state) }]).await
    }

    pub(crate) async fn put_restart(
        &self,
        name: &ConnectorName,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<(), ConfigStoreError> {
        self.write(vec![ConfigRecord::Restart { name: name.clone(), include_tasks, only_failed }]).await
    }

    /// Returns when the records are written and read back.
    async fn write(&self, records: Vec<ConfigRecord>) -> Result<(), ConfigStoreError> {
        let written = async {
            let mut acks = Vec::new();
            for record in &records {
                let (key, value) = record.encode();
                acks.push(self.log.append(&key, value.as_deref())?);
            }
            for ack in acks {
                ack.await?;
            }
            self.log.read_to_end().await
        };
        match tokio::time::timeout(WRITE_TIMEOUT, written).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(ConfigStoreError::Timeout),
        }
    }
}
