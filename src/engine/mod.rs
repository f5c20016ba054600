//! Runs phases over targets: survey (look and plan), apply, verify. Knows no phase by name and prints nothing.

pub(crate) mod apply;
pub(crate) mod connect;
pub(crate) mod event;
pub(crate) mod journal;
pub(crate) mod lock;
pub(crate) mod selection;
pub(crate) mod stop;
pub(crate) mod survey;
pub(crate) mod sweep;
pub(crate) mod timing;
pub(crate) mod verify;

use crate::causes::chain;
use crate::host::HostError;
use crate::phases::PhaseError;
use crate::plan::Target;
use event::{Failure, FailureKind};

/// A failed step of a target, as events and summaries have it.
pub(crate) fn failure(target: &Target, step: &str, kind: FailureKind, error: &PhaseError) -> Failure {
    let kind = match error {
        PhaseError::Host(HostError::Locked { .. }) => FailureKind::Locked,
        PhaseError::Host(host) if host.is_unreachable() => FailureKind::Unreachable,
        _ => kind,
    };
    Failure {
        target: target.clone(),
        step: step.to_owned(),
        message: chain(error),
        hint: error.hint(),
        tail: error.tail().to_vec(),
        kind,
    }
}
