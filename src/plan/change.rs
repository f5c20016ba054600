//! One planned change.

use serde::Serialize;

use super::Target;

/// What is done to the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Create,
    Update,
    Restart,
    Remove,
}

/// What the change interrupts while it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Disruption {
    None,
    /// The worker of this host stops and starts; its tasks move.
    WorkerRestart,
    /// The managed Kafka node stops and starts; everybody waits for it.
    BrokerRestart,
    /// A service that is not ours stops.
    ForeignService,
}

/// How the change is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Reversal {
    /// The earlier state is put back.
    Restore,
    /// What was made is removed.
    Remove,
    Irreversible {
        reason: String,
    },
}

/// One change: a value that is shown, hashed, executed and journaled as it stands.
///
/// Carries names of fields and never their values, so that a plan can be shown and stored anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// Id of the phase that planned it and will make it.
    pub(crate) phase: &'static str,
    pub(crate) target: Target,
    pub(crate) action: Action,
    /// What is changed, unique within phase and target: `topic connect-orders-configs`, `/etc/provision/…/compose.yml`.
    pub(crate) subject: String,
    /// Names of what changes in the subject: `content`, `mode`, `partitions`.
    pub(crate) fields: Vec<String>,
    pub(crate) disruption: Disruption,
    pub(crate) reversal: Reversal,
}

impl Change {
    /// A change that interrupts nothing and is taken back by removing what it made.
    pub(crate) fn create(phase: &'static str, target: &Target, subject: impl Into<String>) -> Self {
        Self {
            phase,
            target: target.clone(),
            action: Action::Create,
            subject: subject.into(),
            fields: Vec::new(),
            disruption: Disruption::None,
            reversal: Reversal::Remove,
        }
    }

    /// A change of named fields, taken back by restoring them.
    pub(crate) fn update<F: Into<String>>(
        phase: &'static str,
        target: &Target,
        subject: impl Into<String>,
        fields: impl IntoIterator<Item = F>,
    ) -> Self {
        Self {
            action: Action::Update,
            fields: fields.into_iter().map(Into::into).collect(),
            reversal: Reversal::Restore,
            ..Self::create(phase, target, subject)
        }
    }

    /// A removal of what nobody needs, which is not taken back.
    pub(crate) fn remove(phase: &'static str, target: &Target, subject: impl Into<String>) -> Self {
        Self { action: Action::Remove, ..Self::create(phase, target, subject) }
            .irreversible("nothing rests on it")
    }

    pub(crate) fn disrupting(mut self, disruption: Disruption) -> Self {
        self.disruption = disruption;
        self
    }

    pub(crate) fn irreversible(mut self, reason: impl Into<String>) -> Self {
        self.reversal = Reversal::Irreversible { reason: reason.into() };
        self
    }
}
