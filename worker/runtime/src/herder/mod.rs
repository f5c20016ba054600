//! The herder: what the user may ask of the cluster, and who sees to it that the cluster does it.
//!
//! [`Herder`] is the port that REST speaks to. [`distributed`] is the herder of a group of workers: its `actor.rs`
//! is one task that owns all state of this worker and reacts to requests, to the config topic and to the group.

pub(crate) mod actor;
mod catch_up;
pub(crate) mod distributed;
pub(crate) mod requests;
mod restart;
pub(crate) mod restart_plan;
pub(crate) mod stage;
pub(crate) mod task_configs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

use crate::names::{ConnectorName, RawConfig, Status, TargetState, TaskId};
use crate::plugins::validate::{JudgeError, Judgement};

/// A connector as REST shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConnectorInfo {
    pub(crate) name: ConnectorName,
    /// Raw.
    pub(crate) config: RawConfig,
    pub(crate) tasks: Vec<TaskId>,
    pub(crate) kind: ConnectorKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectorKind {
    Source,
    Sink,
    /// The class is not known to this worker.
    Unknown,
}

/// The statuses of a connector and its tasks, by task number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConnectorStatus {
    pub(crate) name: ConnectorName,
    pub(crate) connector: Status,
    pub(crate) tasks: Vec<(TaskId, Status)>,
    pub(crate) kind: ConnectorKind,
}

/// A task and its raw config.
pub(crate) type TaskInfo = (TaskId, Arc<RawConfig>);

/// What can be said of this worker as a member of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Never had a part in the group yet.
    Starting {
        /// A sentence about what it waits for.
        details: String,
    },
    /// The coordinator has confirmed the session in time, the internal topics are there, and the herder answers.
    Healthy,
    Unhealthy {
        /// Sentences about what is missing.
        details: String,
    },
}

/// Which instances a restart is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RestartScope {
    pub(crate) include_tasks: bool,
    pub(crate) only_failed: bool,
}

/// Whether `put` may replace a connector that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Replace,
}

/// Whether `put` made a connector or changed one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Put {
    Created(ConnectorInfo),
    Updated(ConnectorInfo),
}

/// What can be asked of a cluster. Operations that only the leader or the owner can do answer with the URL of the
/// worker that can. All are cancel-safe; one that is given up may still happen.
#[async_trait]
pub(crate) trait Herder: Send + Sync + 'static {
    fn cluster_id(&self) -> &str;
    async fn health(&self) -> Health;

    async fn connectors(&self) -> Result<Vec<ConnectorName>, HerderError>;
    async fn info(&self, name: &ConnectorName) -> Result<ConnectorInfo, HerderError>;
    async fn tasks(&self, name: &ConnectorName) -> Result<Vec<TaskInfo>, HerderError>;
    async fn status(&self, name: &ConnectorName) -> Result<ConnectorStatus, HerderError>;
    async fn task_status(&self, id: &TaskId) -> Result<Status, HerderError>;
    async fn topics(&self, name: &ConnectorName) -> Result<Vec<String>, HerderError>;
    async fn reset_topics(&self, name: &ConnectorName) -> Result<(), HerderError>;
    async fn validate(&self, config: &RawConfig) -> Result<Judgement, HerderError>;

    async fn put(
        &self,
        name: &ConnectorName,
        config: RawConfig,
        initial_state: Option<TargetState>,
        existing: Existing,
    ) -> Result<Put, HerderError>;
    /// Merges `patch` into the config; a key without value is removed.
    async fn patch(
        &self,
        name: &ConnectorName,
        patch: Vec<(String, Option<String>)>,
    ) -> Result<ConnectorInfo, HerderError>;
    async fn delete(&self, name: &ConnectorName) -> Result<(), HerderError>;
    async fn set_target(&self, name: &ConnectorName, target: TargetState) -> Result<(), HerderError>;
    async fn restart_connector(&self, name: &ConnectorName) -> Result<(), HerderError>;
    async fn restart(
        &self,
        name: &ConnectorName,
        scope: RestartScope,
    ) -> Result<ConnectorStatus, HerderError>;
    async fn restart_task(&self, id: &TaskId) -> Result<(), HerderError>;
    /// Of one worker to another: the task configs that a connector has made.
    async fn publish_tasks(&self, name: &ConnectorName, tasks: Vec<RawConfig>) -> Result<(), HerderError>;
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum HerderError {
    #[error("{0}")]
    NotFound(String),
    #[error("Connector {0} already exists")]
    AlreadyExists(ConnectorName),
    #[error("{}", invalid(.0))]
    Invalid(Judgement),
    #[error(transparent)]
    Unjudged(#[from] JudgeError),
    #[error("{0}")]
    Forbidden(&'static str),
    /// Only the leader can do this; nobody knows the leader while the group rebalances.
    #[error("not the leader")]
    NotLeader { leader_url: Option<String> },
    #[error("not the owner")]
    NotOwner { owner_url: String },
    #[error("Cannot complete request because of a conflicting operation (e.g. worker rebalance)")]
    Conflict,
    #[error("could not write to the config topic")]
    Store(#[source] crate::storage::config_store::ConfigStoreError),
    #[error("Request timed out. {stage}")]
    TimedOut { stage: String },
    #[error("the worker is shutting down")]
    ShuttingDown,
}

fn invalid(judgement: &Judgement) -> String {
    let errors: String = judgement.errors().map(|e| format!("\n{e}")).collect();
    format!(
        "Connector configuration is invalid and contains the following {} error(s):{errors}\nYou can also find the \
         above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
        judgement.error_count()
    )
}

impl ConnectorKind {
    /// Of the class that a config names.
    pub(crate) fn of(config: &RawConfig) -> Self {
        let class = config.get("connector.class").map(|c| c.trim()).unwrap_or_default();
        match crate::plugins::registry::find_connector(class).map(|p| p.kind()) {
            Ok("source") => Self::Source,
            Ok("sink") => Self::Sink,
            _ => Self::Unknown,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Unknown => "unknown",
        }
    }
}
