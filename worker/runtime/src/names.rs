//! What things are called: connectors, tasks, generations.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A flat connector or task configuration, raw: `${provider:..}` is not replaced in it.
pub(crate) type RawConfig = BTreeMap<String, String>;

/// The name of a connector; any text that is not empty.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectorName(Arc<str>);

impl ConnectorName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The group of its tasks' consumers, if it is a sink and nothing else is said (`SinkUtils`).
    pub(crate) fn consumer_group(&self) -> String {
        format!("connect-{self}")
    }
}

impl From<&str> for ConnectorName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for ConnectorName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for ConnectorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConnectorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One task of a connector; printed as Kafka does, `connector-0`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId {
    pub(crate) connector: ConnectorName,
    pub(crate) task: u32,
}

impl TaskId {
    pub(crate) fn new(connector: impl Into<ConnectorName>, task: u32) -> Self {
        Self { connector: connector.into(), task }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.task)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the user wants a connector to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TargetState {
    #[default]
    Started,
    Paused,
    Stopped,
}

/// What a connector or a task is, as its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Unassigned,
    Running,
    Paused,
    Stopped,
    Failed,
    Restarting,
}

impl State {
    pub(crate) const ALL: [Self; 6] =
        [Self::Unassigned, Self::Running, Self::Paused, Self::Stopped, Self::Failed, Self::Restarting];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
        }
    }
}

/// The state of one connector or task with who reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: State,
    pub(crate) trace: Option<String>,
    pub(crate) worker_id: String,
    pub(crate) generation: i32,
    pub(crate) version: Option<String>,
}
