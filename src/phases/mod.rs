//! THE LIST: what `provision` does, in running order, and the contract every phase keeps.
//!
//! A phase looks (`check`), decides (`plan`, pure), does (`apply`) and looks again (`verify`). Phases do not know
//! each other, how SSH works or how output looks. What a host should have is computed in [`crate::desired`].

use std::any::Any;

use async_trait::async_trait;

pub(crate) use context::{Context, Scoped};
pub(crate) use error::PhaseError;

use crate::plan::Change;

mod conflicts;
mod connectors;
mod context;
mod credentials;
mod docker;
mod error;
mod files;
mod group;
mod image;
mod java;
mod kafka;
mod package_lock;
mod preflight;
mod services;
mod smoke;
mod topics;
mod trust;

#[cfg(test)]
mod tests;

/// Whether a phase runs once for the cluster or once for each host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Cluster,
    EachHost,
}

/// Something `verify` or a check found that a person should see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// Where: host, topic, connector.
    pub(crate) place: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The run goes on; shown in plan and summary.
    Warning,
    /// The run stops before it changes anything further.
    Error,
}

/// What a `plan` decided.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    /// Empty means nothing to do.
    pub(crate) changes: Vec<Change>,
    /// Findings of severity error stop the run before anything is changed.
    pub(crate) findings: Vec<Finding>,
}

/// What `destroy` did of one phase on one target, in words for people.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) removed: Vec<String>,
    /// What is left on purpose, and how to remove it by hand.
    pub(crate) left: Vec<String>,
}

/// One step of the main job.
///
/// The engine calls `check` and `plan` for every target, shows the plan, then calls `apply` for each planned change in
/// order, and `verify` once per target when the phase's changes are made (and on converged runs).
#[async_trait]
pub(crate) trait Phase: Send + Sync + 'static {
    /// What `check` saw. Absence is a fact, not an error.
    type Facts: Send + Sync + 'static;

    /// Stable, kebab-case; used by `--only`, `--skip`, the journal and the docs.
    const ID: &'static str;
    /// For people: `Worker image`.
    const TITLE: &'static str;
    const SCOPE: Scope;

    /// Looks, and changes nothing on the hosts, in Kafka or on the control machine.
    async fn check(&self, at: &Scoped<'_>) -> Result<Self::Facts, PhaseError>;

    /// Decides. Pure: same inventory and facts, same plan.
    fn plan(&self, at: &Scoped<'_>, facts: &Self::Facts) -> Planned;

    /// Makes exactly this change, idempotently. `facts` were looked at again when anything was changed since the plan.
    async fn apply(&self, at: &Scoped<'_>, facts: &Self::Facts, change: &Change) -> Result<(), PhaseError>;

    /// Looks from outside, does not trust `apply`. Called after all changes and on converged runs.
    ///
    /// `seen` is what `check` saw in this very run when nothing was changed since: looking once is then enough. Without
    /// it the phase looks again.
    async fn verify(&self, at: &Scoped<'_>, seen: Option<&Self::Facts>) -> Result<Vec<Finding>, PhaseError> {
        let _ = (at, seen);
        Ok(Vec::new())
    }

    /// Takes back what `apply` makes, for `destroy`: phases in reverse order. What is not there is fine.
    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let _ = at;
        Ok(Removed::default())
    }
}

/// Facts of a phase whose type only that phase knows.
pub(crate) type AnyFacts = Box<dyn Any + Send + Sync>;

/// [`Phase`] with its facts' type erased, so that phases of different facts stand in one list.
#[async_trait]
pub(crate) trait AnyPhase: Send + Sync {
    fn id(&self) -> &'static str;
    fn title(&self) -> &'static str;
    fn scope(&self) -> Scope;
    async fn check(&self, at: &Scoped<'_>) -> Result<AnyFacts, PhaseError>;
    fn plan(&self, at: &Scoped<'_>, facts: &AnyFacts) -> Planned;
    async fn apply(&self, at: &Scoped<'_>, facts: &AnyFacts, change: &Change) -> Result<(), PhaseError>;
    async fn verify(&self, at: &Scoped<'_>, seen: Option<&AnyFacts>) -> Result<Vec<Finding>, PhaseError>;
    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError>;
}

fn typed<P: Phase>(facts: &AnyFacts) -> &P::Facts {
    facts.downcast_ref().expect("the engine hands a phase the facts that the same phase returned")
}

#[async_trait]
impl<P: Phase> AnyPhase for P {
    fn id(&self) -> &'static str {
        P::ID
    }

    fn title(&self) -> &'static str {
        P::TITLE
    }

    fn scope(&self) -> Scope {
        P::SCOPE
    }

    async fn check(&self, at: &Scoped<'_>) -> Result<AnyFacts, PhaseError> {
        Ok(Box::new(Phase::check(self, at).await?))
    }

    fn plan(&self, at: &Scoped<'_>, facts: &AnyFacts) -> Planned {
        Phase::plan(self, at, typed::<P>(facts))
    }

    async fn apply(&self, at: &Scoped<'_>, facts: &AnyFacts, change: &Change) -> Result<(), PhaseError> {
        Phase::apply(self, at, typed::<P>(facts), change).await
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&AnyFacts>) -> Result<Vec<Finding>, PhaseError> {
        Phase::verify(self, at, seen.map(typed::<P>)).await
    }

    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        Phase::remove(self, at).await
    }
}

/// Every phase, in running order.
pub(crate) fn all() -> Vec<Box<dyn AnyPhase>> {
    vec![
        Box::new(preflight::Preflight),
        Box::new(docker::Docker),
        Box::new(java::Java),
        Box::new(trust::Trust),
        Box::new(kafka::Kafka),
        Box::new(credentials::Credentials),
        Box::new(image::Image),
        Box::new(files::Files),
        Box::new(topics::Topics),
        Box::new(group::Group),
        Box::new(conflicts::Conflicts),
        Box::new(services::Services),
        Box::new(connectors::Connectors),
        Box::new(smoke::Smoke),
    ]
}
