//! The plan as data: what a run would change, and nothing else. Pure; no I/O, no clock, no randomness.

pub(crate) mod change;
pub(crate) mod hash;
pub(crate) mod render;

pub(crate) use change::{Action, Change, Disruption, Reversal};

use serde::Serialize;

use crate::inventory::model::HostName;

/// What a change is about: the whole cluster, or one host of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "scope", content = "host")]
pub(crate) enum Target {
    Cluster,
    Host(HostName),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Cluster => f.write_str("cluster"),
            Target::Host(name) => write!(f, "{name}"),
        }
    }
}

/// Every change of one run, in running order. Empty means nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    /// What a person should know and no change expresses: a REST port open to the network, a topic with one replica.
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
