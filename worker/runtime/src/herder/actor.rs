//! The one task that owns what this worker does for its group.
//!
//! It reacts to the group (joined, to be joined again, lost), to the config topic (something was added, changed or
//! removed), to runners and to requests. The eager protocol means: before joining again, everything is stopped.
//! What happened while the group rebalanced is part of the state that the assignment was made from, or makes the
//! worker join once more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use connect_api::ConnectError;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::herder::catch_up::Unsynced;
use crate::herder::requests::Request;
use crate::herder::restart::impact;
use crate::herder::stage::StageCell;
use crate::herder::{ConnectorKind, ConnectorStatus, RestartScope, task_configs};
use crate::membership::member::{Assigned, GroupEvent, JoinId, MemberHandle, Owners};
use crate::membership::session::Session;
use crate::metrics::group::GroupMetrics;
use crate::names::{ConnectorName, RawConfig, TargetState, TaskId};
use crate::plugins::connector_config::ConnectorSettings;
use crate::storage::cluster_state::Change;
use crate::storage::config_store::ConfigStore;
use crate::storage::status_store::StatusStore;
use crate::worker::WorkerEvent;
use crate::worker::controls::Identity;
use crate::worker::instances::{TaskOrder, Worker};

/// Before a connector is asked again for its tasks after an error that may pass.
const PLAN_RETRY: Duration = Duration::from_secs(1);
/// For statuses that are still to be written when everything has stopped.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// How task configs reach the leader when this worker is not it. Tries until it succeeds or is dropped.
#[async_trait]
pub(crate) trait TaskPublisher: Send + Sync + 'static {
    async fn publish(&self, leader_url: &str, name: &ConnectorName, tasks: &[RawConfig]);
}

/// Drops what was queued for the internal topics and is not acknowledged. Does not block.
pub(crate) type DiscardUnwritten = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Parts {
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) configs: ConfigStore,
    pub(crate) statuses: StatusStore,
    pub(crate) worker: Worker,
    pub(crate) member: MemberHandle,
    pub(crate) session: Session,
    pub(crate) discard_unwritten: DiscardUnwritten,
    pub(crate) publisher: Arc<dyn TaskPublisher>,
    pub(crate) identity: Identity,
    pub(crate) advertised_url: String,
    pub(crate) metrics: GroupMetrics,
    pub(crate) stage: StageCell,
    /// Set once the worker takes part in the group.
    pub(crate) is_ready: watch::Sender<bool>,
}

pub(crate) struct Inputs {
    pub(crate) group: mpsc::Receiver<(JoinId, GroupEvent)>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) runners: mpsc::UnboundedReceiver<WorkerEvent>,
    pub(crate) shutdown: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum HerderFailure {
    #[error("the worker cannot take part in group {group}{}", hint.as_ref().map(|h| format!("\nhint: {h}")).unwrap_or_default())]
    Group {
        group: String,
        hint: Option<String>,
        #[source]
        source: Box<kafka_control::group::GroupError>,
    },
    #[error("the task that keeps this worker in its group has ended by itself")]
    MemberEnded,
}

/// This worker's part in the current generation.
pub(super) struct Current {
    pub(super) leader_url: String,
    /// Present on the leader only.
    pub(super) owners: Option<Owners>,
}

pub(crate) struct Actor {
    pub(super) parts: Parts,
    /// None while the group rebalances.
    pub(super) current: Option<Current>,
    /// Since the last assignment the lease has not ended yet.
    has_lease: bool,
    /// Task configs on their way to the leader.
    publishing: HashMap<ConnectorName, AbortHandle>,
    pub(super) unsynced: Unsynced,
}

impl Actor {
    pub(crate) fn new(parts: Parts) -> Self {
        let unsynced = Unsynced::default();
        Self { parts, current: None, has_lease: false, publishing: HashMap::new(), unsynced }
    }

    /// Joins the group and works until shutdown. Everything is stopped when it returns.
    pub(crate) async fn run(mut self, mut inputs: Inputs) -> Result<(), HerderFailure> {
        let result = self.work(&mut inputs).await;
        self.parts.stage.begin("shutting down");
        self.abort_publishing();
        self.stop_everything().await;
        self.parts.member.end().await;
        self.parts.stage.end();
        result
    }

    async fn work(&mut self, inputs: &mut Inputs) -> Result<(), HerderFailure> {
        self.join().await;
        loop {
            // Changes and requests wait while the group rebalances: the assignment says what to do about them.
            let is_assigned = self.current.is_some();
            tokio::select! {
                biased;
                () = inputs.shutdown.cancelled() => return Ok(()),
                // Also while the group is being joined again, however late Kafka can be reached.
                () = self.parts.session.over(), if self.has_lease => self.lease_ended(),
                event = inputs.group.recv() => match event {
                    Some((id, event)) if self.parts.member.is_current(id) => {
                        self.group_event(event, &inputs.shutdown).await?;
                    }
                    Some(_) => {}
                    None => return Err(HerderFailure::MemberEnded),
                },
                () = self.parts.configs.changed(), if is_assigned => self.changed(-1).await,
                Some(event) = inputs.runners.recv(), if is_assigned => self.runner_event(event).await,
                Some(request) = inputs.requests.recv(), if is_assigned => self.request(request).await,
            }
        }
    }

    /// Others may do this worker's work by now: what is queued here must not be written any more.
    pub(super) fn lease_ended(&mut self) {
        self.has_lease = false;
        (self.parts.discard_unwritten)();
    }

    async fn group_event(
        &mut self,
        event: GroupEvent,
        shutdown: &CancellationToken,
    ) -> Result<(), HerderFailure> {
        match event {
            GroupEvent::Assigned(assigned) => self.assigned(assigned, shutdown).await,
            GroupEvent::Rebalance => {
                tracing::info!("the group rebalances");
                self.rejoin().await;
            }
            GroupEvent::Lost => {
                tracing::warn!("lost the group, stopping all work before joining again");
                // Others may have taken it over: nothing that is said here counts any more.
                self.parts.worker.mute();
                self.rejoin().await;
            }
            GroupEvent::Failed(source) => {
                let group = self.parts.config.group_id.clone();
                return Err(HerderFailure::Group { group, hint: source.hint(), source: Box::new(source) });
            }
        }
        Ok(())
    }

    pub(super) async fn join(&mut self) {
        self.parts.stage.begin("waiting for the other workers in the group to join");
        self.parts.metrics.rebalance_began();
        self.parts.member.join().await;
    }

    /// Gives up all work and joins again.
    pub(super) async fn rejoin(&mut self) {
        self.parts.stage.begin("stopping connectors and tasks before a rebalance");
        self.parts.metrics.rebalance_began();
        self.current = None;
        self.abort_publishing();
        self.stop_everything().await;
        self.join().await;
    }

    /// Stops all that runs here. What is said of it is in Kafka before anybody else can take it over: a late UNASSIGNED
    /// would hide the RUNNING of the new owner for good.
    async fn stop_everything(&mut self) {
        let (tasks, connectors) = (self.parts.worker.tasks(), self.parts.worker.connectors());
        if !tasks.is_empty() || !connectors.is_empty() {
            tracing::info!(
                connectors = connectors.len(),
                tasks = tasks.len(),
                "stopping connectors and tasks"
            );
        }
        self.parts.worker.stop_tasks(&tasks, true).await;
        self.parts.worker.stop_connectors(&connectors, true).await;
        if !self.parts.session.is_alive() {
            return;
        }
        if tokio::time::timeout(FLUSH_TIMEOUT, self.parts.statuses.flush()).await.is_err() {
            tracing::warn!("not all statuses were written in time");
        }
    }

    fn abort_publishing(&mut self) {
        self.publishing.drain().for_each(|(_, task)| task.abort());
    }

    async fn assigned(&mut self, assigned: Assigned, shutdown: &CancellationToken) {
        let Assigned { generation, assignment, owners } = assigned;
        self.has_lease = true;
        let is_leader = owners.is_some();
        tracing::info!(
            generation,
            is_leader,
            leader_url = assignment.leader_url,
            config_offset = assignment.config_offset,
            connectors = assignment.work.connectors.len(),
            tasks = assignment.work.tasks.len(),
            "joined the group"
        );
        if !self.has_caught_up(&assignment, is_leader, shutdown).await {
            return;
        }
        self.parts.identity.generation.store(generation, Ordering::Release);
        let work = &assignment.work;
        self.parts.metrics.assigned(generation, work.connectors.len(), work.tasks.len());
        self.current = Some(Current { leader_url: assignment.leader_url.clone(), owners });
        if is_leader {
            self.forget_old_statuses();
        }
        self.parts.stage.begin("starting connectors and tasks");
        for name in &work.connectors {
            self.start_connector(name).await;
        }
        for id in &work.tasks {
            self.start_task(id);
        }
        self.parts.stage.end();
        if !self.parts.is_ready.send_replace(true) {
            tracing::info!("worker has completed startup and is ready to handle requests");
        }
        self.changed(assignment.config_offset).await;
    }

    /// The leader takes back what was said of connectors and tasks that do not exist any more.
    fn forget_old_statuses(&self) {
        let (connectors, tasks) = self.parts.statuses.known();
        self.parts.configs.look(|state| {
            for name in connectors.iter().filter(|name| !state.contains(name)) {
                self.parts.statuses.forget_connector(name);
            }
            for id in tasks.iter().filter(|id| state.task_config(id).is_none()) {
                self.parts.statuses.forget_task(id);
            }
        });
    }

    pub(super) async fn start_connector(&mut self, name: &ConnectorName) {
        let found = self.parts.configs.look(|s| Some((s.config(name)?.clone(), s.target(name))));
        // Without a config it was deleted meanwhile, and the group is about to hear of it.
        if let Some((config, target)) = found {
            self.parts.worker.start_connector(name, &config, target).await;
        }
    }

    pub(super) fn start_task(&mut self, id: &TaskId) {
        let found = self.parts.configs.look(|s| {
            let (connector, task) = (s.config(&id.connector)?.clone(), s.task_config(id)?.clone());
            Some(TaskOrder { id: id.clone(), connector, task, target: s.target(&id.connector) })
        });
        if let Some(order) = found {
            self.parts.worker.start_task(order);
        }
    }

    /// Acts on what was read from the config topic. The current assignment knows all up to `covered`.
    async fn changed(&mut self, covered: i64) {
        let mut needs_rejoin = false;
        let mut targets = BTreeSet::new();
        let mut reconfigured = BTreeSet::new();
        let mut restarts: HashMap<ConnectorName, RestartScope> = HashMap::new();
        for (offset, change) in self.parts.configs.take_changes() {
            match change {
                Change::ConnectorAdded(_) | Change::Tasks(_) => needs_rejoin |= offset > covered,
                Change::ConnectorRemoved(name) => {
                    needs_rejoin |= offset > covered;
                    self.parts.statuses.forget_topics(&name);
                }
                Change::ConnectorConfig(name) => {
                    if offset > covered {
                        reconfigured.insert(name);
                    }
                }
                Change::Target(name) => drop(targets.insert(name)),
                Change::Restart { name, include_tasks, only_failed } => {
                    let scope = RestartScope { include_tasks, only_failed };
                    let known = restarts.entry(name).or_insert(scope);
                    if impact(scope) > impact(*known) {
                        *known = scope;
                    }
                }
            }
        }
        if needs_rejoin {
            self.rejoin().await;
            return;
        }
        for name in targets {
            let target = self.parts.configs.look(|s| s.target(&name));
            self.parts.worker.set_target(&name, target);
        }
        for name in reconfigured {
            if self.parts.worker.has_connector(&name) {
                tracing::info!(connector = %name, "config has changed, restarting connector");
                self.parts.worker.stop_connectors(std::slice::from_ref(&name), false).await;
                self.start_connector(&name).await;
            }
        }
        for (name, scope) in restarts {
            self.restart_here(&name, scope).await;
        }
    }

    /// None when nothing was ever reported.
    pub(super) fn status(&self, name: &ConnectorName) -> Option<ConnectorStatus> {
        let connector = self.parts.statuses.connector(name)?;
        let tasks = self.parts.statuses.tasks(name);
        let kind = self.parts.configs.look(|s| s.config(name).map(|c| ConnectorKind::of(c)));
        Some(ConnectorStatus {
            name: name.clone(),
            connector,
            tasks: tasks.into_iter().map(|(n, s)| (TaskId::new(name.clone(), n), s)).collect(),
            kind: kind.unwrap_or(ConnectorKind::Unknown),
        })
    }

    async fn runner_event(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::TasksNeeded(name) => {
                if let Some(config) = self.parts.configs.look(|s| s.config(&name).cloned()) {
                    self.parts.worker.ask_for_tasks(&name, self.settings(&config).tasks_max);
                }
            }
            // Of an instance that is gone, with a configuration that may be gone as well; and who is stopped has no tasks.
            WorkerEvent::TasksPlanned(name, _, stop)
                if stop.is_cancelled()
                    || self.parts.configs.look(|s| s.target(&name)) == TargetState::Stopped =>
            {
                tracing::debug!(connector = %name, "tasks that are not wanted any more");
            }
            WorkerEvent::TasksPlanned(name, Ok(plan), _) => {
                let Some(config) = self.parts.configs.look(|s| s.config(&name).cloned()) else { return };
                let settings = self.settings(&config);
                let count = task_configs::check_count(&name, plan.configs.len(), settings.tasks_max);
                if let Err(message) = count {
                    if settings.enforce_tasks_max {
                        self.parts.worker.fail_connector(&name, ConnectError::connect(message));
                        return;
                    }
                    tracing::warn!(connector = %name, "{message}");
                }
                self.publish(name, task_configs::raw_configs(plan, &config)).await;
            }
            WorkerEvent::TasksPlanned(name, Err(error), _) if error.is_retriable() => {
                tracing::warn!(connector = %name, error = &error as &dyn std::error::Error, "no task configs yet, asking again");
                self.parts.worker.ask_again_later(&name, PLAN_RETRY);
            }
            WorkerEvent::TasksPlanned(name, Err(error), _) => {
                self.parts.worker.fail_connector(&name, error);
            }
        }
    }

    /// The settings of a configuration, with variables replaced as far as they can be.
    fn settings(&self, config: &RawConfig) -> ConnectorSettings {
        match self.parts.config.providers.resolve_map(config) {
            Ok(resolved) => ConnectorSettings::read(&resolved),
            Err(_told_by_the_connector_itself) => ConnectorSettings::read(config),
        }
    }

    /// Stores task configs, or has the leader do it, unless they are there already.
    async fn publish(&mut self, name: ConnectorName, tasks: Vec<RawConfig>) {
        if self.parts.configs.look(|s| s.has_applied(&name, &tasks)) {
            return;
        }
        let Some(current) = &self.current else { return };
        if current.owners.is_some() {
            if !self.parts.session.is_alive() {
                self.parts.worker.ask_again_later(&name, PLAN_RETRY);
                return;
            }
            if let Err(error) = self.parts.configs.put_tasks(&name, tasks).await {
                tracing::error!(connector = %name, error = &error as &dyn std::error::Error, "could not store task configs, trying again");
                self.parts.worker.ask_again_later(&name, PLAN_RETRY);
            }
            return;
        }
        let (publisher, leader_url) = (self.parts.publisher.clone(), current.leader_url.clone());
        let connector = name.clone();
        let publishing =
            tokio::spawn(async move { publisher.publish(&leader_url, &connector, &tasks).await });
        if let Some(old) = self.publishing.insert(name, publishing.abort_handle()) {
            old.abort();
        }
    }
}
