//! The herder of a group of workers, as REST sees it.
//!
//! Reads are answered from the stores, which every worker has. Changes go to the actor, which knows whether this
//! worker leads the group.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::WorkerConfig;
use crate::herder::requests::{Answer, Patch, Request, patched};
use crate::herder::stage::StageCell;
use crate::herder::{
    ConnectorInfo, ConnectorKind, ConnectorStatus, Existing, Health, Herder, HerderError, Put, RestartScope,
    TaskInfo,
};
use crate::membership::session::Session;
use crate::names::{ConnectorName, RawConfig, Status, TargetState, TaskId};
use crate::plugins::validate::{self, Judgement};
use crate::storage::cluster_state::ClusterState;
use crate::storage::config_store::ConfigStore;
use crate::storage::offset_store::OffsetStore;
use crate::storage::status_store::StatusStore;

/// For one operation.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);
/// How often a patch is merged anew because others were quicker.
const PATCH_ATTEMPTS: usize = 10;
/// For a sign of life.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct DistributedHerder {
    pub(crate) cluster_id: String,
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) configs: ConfigStore,
    pub(crate) statuses: StatusStore,
    pub(crate) offsets: OffsetStore,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) stage: StageCell,
    pub(crate) session: Session,
    /// True once the worker takes part in the group.
    pub(crate) is_ready: watch::Receiver<bool>,
}

impl DistributedHerder {
    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, HerderError> {
        self.ask_for(REQUEST_TIMEOUT, request).await
    }

    async fn ask_for<T>(
        &self,
        limit: Duration,
        request: impl FnOnce(Answer<T>) -> Request,
    ) -> Result<T, HerderError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.requests.send(request(answer)).await.map_err(|_| HerderError::ShuttingDown)?;
            answered.await.map_err(|_| HerderError::ShuttingDown)?
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(result) => result,
            Err(_) => Err(HerderError::TimedOut { stage: self.stage.summary() }),
        }
    }

    /// What is missing, as far as it shows without asking the herder.
    fn visible_fault(&self) -> Option<String> {
        if let Some(silence) = self.session.silence() {
            return Some(format!(
                "The coordinator of group {} has confirmed this worker's membership {} s ago for the last time, and a \
                 session lasts {} ms. {}",
                self.config.group_id,
                silence.as_secs(),
                self.session.timeout().as_millis(),
                self.stage.summary()
            ));
        }
        let stores = [self.configs.fault(), self.statuses.fault(), self.offsets.fault()];
        stores.into_iter().flatten().next().map(|fault| format!("{fault}."))
    }

    /// Looks at the cluster once the replay at start is over.
    async fn look<T>(&self, at: impl FnOnce(&ClusterState) -> T) -> Result<T, HerderError> {
        let mut is_ready = self.is_ready.clone();
        match tokio::time::timeout(REQUEST_TIMEOUT, is_ready.wait_for(|ready| *ready)).await {
            Ok(Ok(_)) => Ok(self.configs.look(at)),
            Ok(Err(_)) => Err(HerderError::ShuttingDown),
            Err(_) => Err(HerderError::TimedOut { stage: self.stage.summary() }),
        }
    }

    /// For what any worker may write: whether this one is a member of the group, once that is known.
    async fn must_be_member(&self) -> Result<(), HerderError> {
        match tokio::time::timeout(REQUEST_TIMEOUT, self.session.decided()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(HerderError::Conflict),
            Err(_) => Err(HerderError::TimedOut { stage: self.stage.summary() }),
        }
    }

    async fn judged(&self, config: &RawConfig) -> Result<(), HerderError> {
        let judgement = self.validate(config).await?;
        if judgement.error_count() > 0 {
            return Err(HerderError::Invalid(judgement));
        }
        Ok(())
    }
}

pub(super) fn info(state: &ClusterState, name: &ConnectorName) -> Option<ConnectorInfo> {
    let config = state.config(name)?;
    Some(ConnectorInfo {
        name: name.clone(),
        config: (**config).clone(),
        tasks: state.task_ids(name).collect(),
        kind: ConnectorKind::of(config),
    })
}

pub(super) fn not_found(name: &ConnectorName) -> HerderError {
    HerderError::NotFound(format!("Connector {name} not found"))
}

#[async_trait]
impl Herder for DistributedHerder {
    fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    async fn health(&self) -> Health {
        if !*self.is_ready.borrow() {
            return Health::Starting { details: self.stage.summary() };
        }
        if let Some(details) = self.visible_fault() {
            return Health::Unhealthy { details };
        }
        match self.ask_for(HEALTH_TIMEOUT, |answer| Request::Ping { answer }).await {
            Ok(()) => Health::Healthy,
            Err(_) => Health::Unhealthy { details: self.stage.summary() },
        }
    }

    async fn connectors(&self) -> Result<Vec<ConnectorName>, HerderError> {
        self.look(|state| state.connectors().cloned().collect()).await
    }

    async fn info(&self, name: &ConnectorName) -> Result<ConnectorInfo, HerderError> {
        self.look(|state| info(state, name)).await?.ok_or_else(|| not_found(name))
    }

    async fn tasks(&self, name: &ConnectorName) -> Result<Vec<TaskInfo>, HerderError> {
        let tasks = self
            .look(|state| {
                let ids = state.contains(name).then(|| state.task_ids(name))?;
                Some(ids.zip(state.tasks(name).iter().cloned()).collect())
            })
            .await?;
        tasks.ok_or_else(|| not_found(name))
    }

    async fn status(&self, name: &ConnectorName) -> Result<ConnectorStatus, HerderError> {
        let missing = || HerderError::NotFound(format!("No status found for connector {name}"));
        let connector = self.statuses.connector(name).ok_or_else(missing)?;
        let kind = self.configs.look(|s| s.config(name).map(|c| ConnectorKind::of(c)));
        let tasks = self.statuses.tasks(name);
        Ok(ConnectorStatus {
            name: name.clone(),
            connector,
            tasks: tasks.into_iter().map(|(n, s)| (TaskId::new(name.clone(), n), s)).collect(),
            kind: kind.unwrap_or(ConnectorKind::Unknown),
        })
    }

    async fn task_status(&self, id: &TaskId) -> Result<Status, HerderError> {
        let missing = || HerderError::NotFound(format!("No status found for task {id}"));
        self.statuses.task(id).ok_or_else(missing)
    }

    async fn topics(&self, name: &ConnectorName) -> Result<Vec<String>, HerderError> {
        if !self.config.topic_tracking {
            return Err(HerderError::Forbidden("Topic tracking is disabled."));
        }
        Ok(self.statuses.topics(name))
    }

    async fn reset_topics(&self, name: &ConnectorName) -> Result<(), HerderError> {
        if !self.config.topic_tracking {
            return Err(HerderError::Forbidden("Topic tracking is disabled."));
        }
        if !self.config.topic_tracking_reset {
            return Err(HerderError::Forbidden("Topic tracking reset is disabled."));
        }
        self.must_be_member().await?;
        self.statuses.forget_topics(name);
        Ok(())
    }

    async fn validate(&self, config: &RawConfig) -> Result<Judgement, HerderError> {
        Ok(validate::judge(config, &self.config).await?)
    }

    async fn put(
        &self,
        name: &ConnectorName,
        config: RawConfig,
        initial_state: Option<TargetState>,
        existing: Existing,
    ) -> Result<Put, HerderError> {
        self.judged(&config).await?;
        let name = name.clone();
        self.ask(|answer| Request::Put { name, config, initial_state, existing, answer }).await
    }

    async fn patch(&self, name: &ConnectorName, patch: Patch) -> Result<ConnectorInfo, HerderError> {
        // Judging may take long, so the herder's task does not wait for it; it merges again and compares.
        for _ in 0..PATCH_ATTEMPTS {
            let judged = patched(self.info(name).await?.config, &patch);
            self.judged(&judged).await?;
            let (name, patch) = (name.clone(), patch.clone());
            if let Some(info) = self.ask(|answer| Request::Patch { name, patch, judged, answer }).await? {
                return Ok(info);
            }
        }
        Err(HerderError::Conflict)
    }

    async fn delete(&self, name: &ConnectorName) -> Result<(), HerderError> {
        let name = name.clone();
        self.ask(|answer| Request::Delete { name, answer }).await
    }

    async fn set_target(&self, name: &ConnectorName, target: TargetState) -> Result<(), HerderError> {
        if target == TargetState::Stopped {
            let name = name.clone();
            return self.ask(|answer| Request::Stop { name, answer }).await;
        }
        // Any worker may write this one.
        if !self.look(|state| state.contains(name)).await? {
            return Err(HerderError::NotFound(format!("Unknown connector {name}")));
        }
        self.must_be_member().await?;
        self.configs.put_target(name, target).await.map_err(HerderError::Store)
    }

    async fn restart_connector(&self, name: &ConnectorName) -> Result<(), HerderError> {
        let name = name.clone();
        self.ask(|answer| Request::RestartConnector { name, answer }).await
    }

    async fn restart(
        &self,
        name: &ConnectorName,
        scope: RestartScope,
    ) -> Result<ConnectorStatus, HerderError> {
        let name = name.clone();
        self.ask(|answer| Request::Restart { name, scope, answer }).await
    }

    async fn restart_task(&self, id: &TaskId) -> Result<(), HerderError> {
        let id = id.clone();
        self.ask(|answer| Request::RestartTask { id, answer }).await
    }

    async fn publish_tasks(&self, name: &ConnectorName, tasks: Vec<RawConfig>) -> Result<(), HerderError> {
        let name = name.clone();
        self.ask(|answer| Request::PublishTasks { name, tasks, answer }).await
    }
}
