//! All numbers of this worker in one place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::metrics::group::GroupMetrics;
use crate::metrics::task::{TaskKind, TaskMetrics};
use crate::names::{ConnectorName, State, TaskId};

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Registry(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) group: GroupMetrics,
    pub(crate) connector_startups: Startups,
    pub(crate) task_startups: Startups,
    pub(crate) started: SystemTime,
    pub(crate) client_id: String,
    instances: Mutex<Instances>,
}

#[derive(Default)]
struct Instances {
    connectors: BTreeMap<ConnectorName, ConnectorFacts>,
    tasks: BTreeMap<TaskId, Arc<TaskMetrics>>,
}

#[derive(Clone, Debug)]
pub(crate) struct ConnectorFacts {
    pub(crate) state: State,
    pub(crate) kind: &'static str,
    pub(crate) class: String,
    pub(crate) version: String,
}

/// How often starting succeeded.
#[derive(Default)]
pub(crate) struct Startups {
    successes: AtomicU64,
    failures: AtomicU64,
}

impl Startups {
    pub(crate) fn record(&self, is_success: bool) {
        let counter = if is_success { &self.successes } else { &self.failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Successes and failures.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.successes.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }
}

impl Registry {
    pub(crate) fn new(client_id: String) -> Self {
        Self(Arc::new(Inner {
            group: GroupMetrics::default(),
            connector_startups: Startups::default(),
            task_startups: Startups::default(),
            started: SystemTime::now(),
            client_id,
            instances: Mutex::default(),
        }))
    }

    pub(crate) fn numbers(&self) -> &Inner {
        &self.0
    }

    pub(crate) fn set_connector(&self, name: &ConnectorName, facts: ConnectorFacts) {
        self.instances().connectors.insert(name.clone(), facts);
    }

    pub(crate) fn set_connector_state(&self, name: &ConnectorName, state: State) {
        if let Some(facts) = self.instances().connectors.get_mut(name) {
            facts.state = state;
        }
    }

    pub(crate) fn remove_connector(&self, name: &ConnectorName) {
        self.instances().connectors.remove(name);
    }

    /// Fresh numbers for a task that starts.
    pub(crate) fn add_task(&self, id: &TaskId, kind: TaskKind) -> Arc<TaskMetrics> {
        let metrics = Arc::new(TaskMetrics::new(kind));
        self.instances().tasks.insert(id.clone(), metrics.clone());
        metrics
    }

    /// Takes a task out, unless a successor has taken its place.
    pub(crate) fn remove_task(&self, id: &TaskId, metrics: &Arc<TaskMetrics>) {
        let mut instances = self.instances();
        if instances.tasks.get(id).is_some_and(|current| Arc::ptr_eq(current, metrics)) {
            instances.tasks.remove(id);
        }
    }

    pub(crate) fn connectors(&self) -> BTreeMap<ConnectorName, ConnectorFacts> {
        self.instances().connectors.clone()
    }

    pub(crate) fn tasks(&self) -> BTreeMap<TaskId, Arc<TaskMetrics>> {
        self.instances().tasks.clone()
    }

    /// Only ever locked for a look or a change, never while waiting.
    fn instances(&self) -> MutexGuard<'_, Instances> {
        self.0.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
