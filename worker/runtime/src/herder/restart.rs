//! What a restart of connectors and tasks does on the worker that runs them. Which ones: `restart_plan.rs`.

use std::sync::atomic::Ordering;

use crate::herder::actor::Actor;
use crate::herder::{RestartScope, restart_plan};
use crate::names::{ConnectorName, State, Status};

impl Actor {
    /// Restarts those of the selected instances that run here.
    pub(super) async fn restart_here(&mut self, name: &ConnectorName, scope: RestartScope) {
        let Some(status) = self.status(name) else { return };
        let plan = restart_plan::plan(&status, scope);
        let restarts_connector = plan.restarts_connector && self.parts.worker.has_connector(name);
        let tasks: Vec<_> = plan.tasks.into_iter().filter(|id| self.parts.worker.has_task(id)).collect();
        tracing::info!(connector = %name, restarts_connector, tasks = tasks.len(), "restart was asked for");
        if restarts_connector {
            self.parts.worker.stop_connectors(std::slice::from_ref(name), false).await;
            self.parts.statuses.put_connector(name, &self.restarting(&status.connector));
        }
        self.parts.worker.stop_tasks(&tasks, false).await;
        for (id, task) in status.tasks.iter().filter(|(id, _)| tasks.contains(id)) {
            self.parts.statuses.put_task(id, &self.restarting(task));
        }
        if restarts_connector {
            self.start_connector(name).await;
        }
        for id in &tasks {
            self.start_task(id);
        }
    }

    fn restarting(&self, status: &Status) -> Status {
        Status {
            state: State::Restarting,
            trace: None,
            worker_id: self.parts.identity.worker_id.clone(),
            generation: self.parts.identity.generation.load(Ordering::Acquire),
            version: status.version.clone(),
        }
    }
}

/// Of two restarts of one connector the one that does more is done.
pub(super) fn impact(scope: RestartScope) -> u8 {
    match (scope.only_failed, scope.include_tasks) {
        (true, false) => 0,
        (true, true) => 1,
        (false, false) => 2,
        (false, true) => 3,
    }
}
