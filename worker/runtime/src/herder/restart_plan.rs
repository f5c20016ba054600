//! Which instances a restart request selects: a function of their statuses, the same on every worker.

use crate::herder::{ConnectorStatus, RestartScope};
use crate::names::{State, TaskId};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RestartPlan {
    pub(crate) restarts_connector: bool,
    pub(crate) tasks: Vec<TaskId>,
}

pub(crate) fn plan(status: &ConnectorStatus, scope: RestartScope) -> RestartPlan {
    let is_selected = |state: State| !scope.only_failed || state == State::Failed;
    let tasks = status.tasks.iter().filter(|(_, s)| scope.include_tasks && is_selected(s.state));
    RestartPlan {
        restarts_connector: is_selected(status.connector.state),
        tasks: tasks.map(|(id, _)| id.clone()).collect(),
    }
}

/// The statuses as the answer to the request shows them.
pub(crate) fn announced(mut status: ConnectorStatus, plan: &RestartPlan) -> ConnectorStatus {
    if plan.restarts_connector {
        status.connector.state = State::Restarting;
    }
    for (id, task) in &mut status.tasks {
        if plan.tasks.contains(id) {
            task.state = State::Restarting;
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::herder::ConnectorKind;
    use crate::names::Status;

    fn status(state: State) -> Status {
        Status { state, trace: None, worker_id: "w:1".into(), generation: 1, version: None }
    }

    fn connector(state: State, tasks: &[State]) -> ConnectorStatus {
        let numbered = tasks.iter().zip(0..);
        ConnectorStatus {
            name: "c".into(),
            connector: status(state),
            tasks: numbered.map(|(s, n)| (TaskId::new("c", n), status(*s))).collect(),
            kind: ConnectorKind::Source,
        }
    }

    #[test]
    fn scope_selects() {
        use State::{Failed, Running};
        let check = |state, include_tasks, only_failed, expected: (bool, &[u32])| {
            let status = connector(state, &[Running, Failed]);
            let plan = plan(&status, RestartScope { include_tasks, only_failed });
            let tasks: Vec<_> = plan.tasks.iter().map(|t| t.task).collect();
            assert_eq!((plan.restarts_connector, tasks.as_slice()), expected);
        };
        check(Running, false, false, (true, &[]));
        check(Running, true, false, (true, &[0, 1]));
        check(Running, true, true, (false, &[1]));
        check(Failed, false, true, (true, &[]));
    }

    #[test]
    fn selected_instances_are_shown_as_restarting() {
        let before = connector(State::Running, &[State::Running, State::Failed]);
        let plan = plan(&before, RestartScope { include_tasks: true, only_failed: true });
        let after = announced(before, &plan);
        let states: Vec<_> = after.tasks.iter().map(|(_, s)| s.state).collect();
        assert_eq!(
            (after.connector.state, states),
            (State::Running, vec![State::Running, State::Restarting])
        );
    }
}
