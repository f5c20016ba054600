//! Which phases and hosts a run is about: `--only`, `--skip`, `--limit`.

use std::collections::BTreeSet;

use crate::inventory::model::HostName;

/// Empty sets mean "all".
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    pub(crate) only: BTreeSet<String>,
    pub(crate) skip: BTreeSet<String>,
    pub(crate) limit: BTreeSet<HostName>,
}

impl Selection {
    /// Whether nothing was left out.
    pub(crate) fn is_everything(&self) -> bool {
        self.has_every_phase() && self.limit.is_empty()
    }

    /// Whether no phase was left out.
    pub(crate) fn has_every_phase(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty()
    }

    pub(crate) fn has_phase(&self, id: &str) -> bool {
        (self.only.is_empty() || self.only.contains(id)) && !self.skip.contains(id)
    }

    pub(crate) fn has_host(&self, name: &HostName) -> bool {
        self.limit.is_empty() || self.limit.contains(name)
    }
}
