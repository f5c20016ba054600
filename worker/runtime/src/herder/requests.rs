//! What the herder's task can be asked, and how it answers.

use tokio::sync::oneshot;

use crate::herder::actor::Actor;
use crate::herder::distributed::{info, not_found};
use crate::herder::restart_plan;
use crate::herder::{ConnectorInfo, ConnectorStatus, Existing, HerderError, Put, RestartScope};
use crate::membership::member::Owners;
use crate::names::{ConnectorName, RawConfig, TargetState, TaskId};

pub(crate) type Answer<T> = oneshot::Sender<Result<T, HerderError>>;

/// Key -> new value; a key without value is removed.
pub(crate) type Patch = Vec<(String, Option<String>)>;

pub(super) fn patched(mut config: RawConfig, patch: &Patch) -> RawConfig {
    for (key, value) in patch {
        match value {
            Some(value) => drop(config.insert(key.clone(), value.clone())),
            None => drop(config.remove(key)),
        }
    }
    config
}

/// Requests that change something, and those that only the leader or an owner can do.
pub(crate) enum Request {
    Put {
        name: ConnectorName,
        config: RawConfig,
        initial_state: Option<TargetState>,
        existing: Existing,
        answer: Answer<Put>,
    },
    /// The answer is `None` when the patch does not lead to the config that was judged: somebody was quicker.
    Patch {
        name: ConnectorName,
        patch: Patch,
        judged: RawConfig,
        answer: Answer<Option<ConnectorInfo>>,
    },
    Delete {
        name: ConnectorName,
        answer: Answer<()>,
    },
    Stop {
        name: ConnectorName,
        answer: Answer<()>,
    },
    RestartConnector {
        name: ConnectorName,
        answer: Answer<()>,
    },
    Restart {
        name: ConnectorName,
        scope: RestartScope,
        answer: Answer<ConnectorStatus>,
    },
    RestartTask {
        id: TaskId,
        answer: Answer<()>,
    },
    PublishTasks {
        name: ConnectorName,
        tasks: Vec<RawConfig>,
        answer: Answer<()>,
    },
    /// Is anybody there?
    Ping {
        answer: Answer<()>,
    },
}

impl Actor {
    pub(super) async fn request(&mut self, request: Request) {
        // Whoever asked may have given up; the answer then goes nowhere.
        match request {
            Request::Put { name, config, initial_state, existing, answer } => {
                let _ = answer.send(self.put(&name, config, initial_state, existing).await);
            }
            Request::Patch { name, patch, judged, answer } => {
                let _ = answer.send(self.patch(&name, &patch, judged).await);
            }
            Request::Delete { name, answer } => drop(answer.send(self.delete(&name).await)),
            Request::Stop { name, answer } => drop(answer.send(self.stop(&name).await)),
            Request::RestartConnector { name, answer } => {
                let _ = answer.send(self.restart_connector(&name).await);
            }
            Request::Restart { name, scope, answer } => {
                let _ = answer.send(self.restart(&name, scope).await);
            }
            Request::RestartTask { id, answer } => drop(answer.send(self.restart_task(&id).await)),
            Request::PublishTasks { name, tasks, answer } => {
                let _ = answer.send(self.publish_for_owner(&name, tasks).await);
            }
            Request::Ping { answer } => drop(answer.send(Ok(()))),
        }
    }

    /// A leader that was replaced without having heard of it leads nothing.
    fn must_lead(&self) -> Result<&Owners, HerderError> {
        if !self.parts.session.is_alive() {
            return Err(HerderError::NotLeader { leader_url: None });
        }
        let leader_url = self.current.as_ref().map(|c| c.leader_url.clone());
        self.current.as_ref().and_then(|c| c.owners.as_ref()).ok_or(HerderError::NotLeader { leader_url })
    }

    /// Of an instance that runs here. An owner that was replaced without having heard of it owns nothing.
    fn must_own(&self) -> Result<(), HerderError> {
        if self.parts.session.is_alive() { Ok(()) } else { Err(HerderError::Conflict) }
    }

    fn must_know(&self, name: &ConnectorName) -> Result<(), HerderError> {
        match self.parts.configs.look(|s| s.contains(name)) {
            true => Ok(()),
            false => Err(not_found(name)),
        }
    }

    async fn put(
        &mut self,
        name: &ConnectorName,
        config: RawConfig,
        initial_state: Option<TargetState>,
        existing: Existing,
    ) -> Result<Put, HerderError> {
        self.must_lead()?;
        let is_known = self.parts.configs.look(|s| s.contains(name));
        if is_known && existing == Existing::Refuse {
            return Err(HerderError::AlreadyExists(name.clone()));
        }
        let stored = self.parts.configs.put_connector(name, config, initial_state).await;
        stored.map_err(HerderError::Store)?;
        let info = self.parts.configs.look(|s| info(s, name)).ok_or_else(|| not_found(name))?;
        Ok(if is_known { Put::Updated(info) } else { Put::Created(info) })
    }

    async fn patch(
        &mut self,
        name: &ConnectorName,
        patch: &Patch,
        judged: RawConfig,
    ) -> Result<Option<ConnectorInfo>, HerderError> {
        self.must_lead()?;
        let current = self.parts.configs.look(|s| s.config(name).cloned()).ok_or_else(|| not_found(name))?;
        if patched((*current).clone(), patch) != judged {
            return Ok(None);
        }
        match self.put(name, judged, None, Existing::Replace).await? {
            Put::Created(info) | Put::Updated(info) => Ok(Some(info)),
        }
    }

    async fn delete(&mut self, name: &ConnectorName) -> Result<(), HerderError> {
        self.must_lead()?;
        self.must_know(name)?;
        self.parts.configs.delete_connector(name).await.map_err(HerderError::Store)
    }

    async fn stop(&mut self, name: &ConnectorName) -> Result<(), HerderError> {
        self.must_lead()?;
        if !self.parts.configs.look(|s| s.contains(name)) {
            return Err(HerderError::NotFound(format!("Unknown connector {name}")));
        }
        // Tasks go first, so that a stopped connector never has any.
        self.parts.configs.put_tasks(name, Vec::new()).await.map_err(HerderError::Store)?;
        self.parts.configs.put_target(name, TargetState::Stopped).await.map_err(HerderError::Store)
    }

    async fn restart_connector(&mut self, name: &ConnectorName) -> Result<(), HerderError> {
        if !self.parts.configs.look(|s| s.contains(name)) {
            return Err(HerderError::NotFound(format!("Unknown connector: {name}")));
        }
        if self.parts.worker.has_connector(name) {
            self.must_own()?;
            self.parts.worker.stop_connectors(std::slice::from_ref(name), false).await;
            self.start_connector(name).await;
            return Ok(());
        }
        let owner = self.must_lead()?.connectors.get(name).cloned();
        Err(self.owned_by(owner))
    }

    async fn restart_task(&mut self, id: &TaskId) -> Result<(), HerderError> {
        if !self.parts.configs.look(|s| s.contains(&id.connector)) {
            return Err(HerderError::NotFound(format!("Unknown connector: {}", id.connector)));
        }
        if self.parts.configs.look(|s| s.task_config(id).is_none()) {
            return Err(HerderError::NotFound(format!("Unknown task: {id}")));
        }
        if self.parts.worker.has_task(id) {
            self.must_own()?;
            self.parts.worker.stop_tasks(std::slice::from_ref(id), false).await;
            self.start_task(id);
            return Ok(());
        }
        let owner = self.must_lead()?.tasks.get(id).cloned();
        Err(self.owned_by(owner))
    }

    /// An owner that is ourselves and does not have the instance: something moved meanwhile.
    fn owned_by(&self, owner: Option<String>) -> HerderError {
        match owner {
            Some(owner_url) if owner_url != self.parts.advertised_url => HerderError::NotOwner { owner_url },
            _ => HerderError::Conflict,
        }
    }

    async fn restart(
        &mut self,
        name: &ConnectorName,
        scope: RestartScope,
    ) -> Result<ConnectorStatus, HerderError> {
        self.must_lead()?;
        if !self.parts.configs.look(|s| s.contains(name)) {
            return Err(HerderError::NotFound(format!("Unknown connector: {name}")));
        }
        let missing = || HerderError::NotFound(format!("Status for connector {name} not found"));
        let status = self.status(name).ok_or_else(missing)?;
        let plan = restart_plan::plan(&status, scope);
        let written = self.parts.configs.put_restart(name, scope.include_tasks, scope.only_failed).await;
        written.map_err(HerderError::Store)?;
        Ok(restart_plan::announced(status, &plan))
    }

    async fn publish_for_owner(
        &mut self,
        name: &ConnectorName,
        tasks: Vec<RawConfig>,
    ) -> Result<(), HerderError> {
        self.must_lead()?;
        self.must_know(name)?;
        // The owner may not know yet that it was stopped.
        let is_stopped = self.parts.configs.look(|s| s.target(name)) == TargetState::Stopped;
        if is_stopped && !tasks.is_empty() || self.parts.configs.look(|s| s.has_applied(name, &tasks)) {
            return Ok(());
        }
        self.parts.configs.put_tasks(name, tasks).await.map_err(HerderError::Store)
    }
}
