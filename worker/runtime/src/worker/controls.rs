//! How a runner is told what to do, and how it reports what it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::membership::session::Session;
use crate::metrics::task::TaskMetrics;
use crate::names::{ConnectorName, State, Status, TargetState, TaskId};
use crate::storage::status_store::StatusStore;

/// What a runner listens to: each of both is seen however long it was busy, and telling never waits for it.
pub(crate) struct Controls {
    pub(crate) stop: CancellationToken,
    pub(crate) target: watch::Receiver<TargetState>,
}

/// Who reports: facts that every status of this worker bears.
#[derive(Clone)]
pub(crate) struct Identity {
    /// `host:port` of the advertised URL.
    pub(crate) worker_id: String,
    /// Of the group, as of the last assignment.
    pub(crate) generation: Arc<AtomicI32>,
}

/// Writes the statuses of one instance, as long as this worker is a member of its group, and until it is muted because
/// the instance may run elsewhere already.
#[derive(Clone)]
pub(crate) struct Reporter<Id> {
    pub(crate) id: Id,
    store: StatusStore,
    identity: Identity,
    session: Session,
    version: Option<String>,
    is_muted: Arc<AtomicBool>,
}

impl<Id> Reporter<Id> {
    pub(crate) fn new(
        id: Id,
        store: StatusStore,
        identity: Identity,
        session: Session,
        version: Option<String>,
    ) -> Self {
        Self { id, store, identity, session, version, is_muted: Arc::default() }
    }

    pub(crate) fn mute(&self) {
        self.is_muted.store(true, Ordering::Release);
    }

    /// Whether it is still this worker's to say anything. Waits while that is not known.
    async fn may_speak(&self) -> bool {
        self.session.decided().await && !self.is_muted.load(Ordering::Acquire)
    }

    async fn status(&self, state: State, trace: Option<String>) -> Option<Status> {
        if !self.may_speak().await {
            return None;
        }
        Some(Status {
            state,
            trace,
            worker_id: self.identity.worker_id.clone(),
            generation: self.identity.generation.load(Ordering::Acquire),
            version: self.version.clone(),
        })
    }
}

impl Reporter<ConnectorName> {
    pub(crate) async fn report(&self, state: State, trace: Option<String>) {
        if let Some(status) = self.status(state, trace).await {
            self.store.put_connector(&self.id, &status);
        }
    }
}

impl Reporter<TaskId> {
    pub(crate) async fn report(&self, state: State, trace: Option<String>, metrics: &TaskMetrics) {
        metrics.set_state(state);
        if let Some(status) = self.status(state, trace).await {
            self.store.put_task(&self.id, &status);
        }
    }

    pub(crate) async fn uses_topic(&self, topic: &str, now_ms: i64) {
        if self.may_speak().await {
            self.store.put_topic(topic, &self.id, now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::metrics::task::TaskKind;
    use crate::storage::memory::MemoryLog;
    use crate::storage::status_store::StatusView;

    /// Every report that a runner makes is nothing that a worker may say whom the group has replaced.
    #[tokio::test(start_paused = true)]
    async fn replaced_worker_says_nothing() {
        let view = Arc::<StatusView>::default();
        let log = MemoryLog::open(Vec::new(), view.clone());
        let session = Session::new(Duration::from_secs(10));
        let identity = Identity { worker_id: "w:1".to_owned(), generation: Arc::new(AtomicI32::new(1)) };
        let reporter = Reporter::new(
            TaskId::new("c", 0),
            StatusStore::new(view, log.clone()),
            identity,
            session.clone(),
            None,
        );
        session.confirm(Instant::now());
        reporter.uses_topic("before", 0).await;
        assert_eq!(log.records().len(), 1);
        // Thawed after its time: the coordinator has not said anything yet.
        tokio::time::advance(Duration::from_secs(60)).await;
        let metrics = TaskMetrics::new(TaskKind::Source);
        let reports = async {
            reporter.uses_topic("after", 0).await;
            reporter.report(State::Running, None, &metrics).await;
        };
        let coordinator = async {
            tokio::task::yield_now().await;
            assert_eq!(log.records().len(), 1);
            session.end();
        };
        tokio::join!(reports, coordinator);
        assert_eq!(log.records().len(), 1);
    }
}
