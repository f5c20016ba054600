//! Looks from outside at what the phases claim: after a phase's changes, and at the end at whatever nothing was changed in.

use std::collections::BTreeSet;

use super::event::{Event, FailureKind};
use super::selection::Selection;
use super::stop::{self, bounded};
use super::survey::targets;
use super::{Failure, failure};
use crate::phases::{AnyPhase, Context, Finding, PhaseError, Scoped, Severity};
use crate::plan::Target;

/// What verification saw.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) findings: Vec<Finding>,
    pub(crate) failures: Vec<Failure>,
    /// Targets on which something is not as it should be.
    pub(super) failed: BTreeSet<Target>,
}

impl Verified {
    pub(super) fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.failures.extend(other.failures);
        self.failed.extend(other.failed);
    }
}

/// Verifies every selected phase that is not in `done`; phases in order, targets of a phase side by side.
pub(crate) async fn verify(
    ctx: &Context,
    phases: &[Box<dyn AnyPhase>],
    selection: &Selection,
    done: &BTreeSet<&'static str>,
) -> Verified {
    let mut verified = Verified::default();
    for phase in phases.iter().map(AsRef::as_ref) {
        let is_asked_for = selection.has_phase(phase.id()) && !done.contains(phase.id());
        if is_asked_for && ctx.interrupt.signal().is_none() {
            verified.extend(verify_phase(ctx, phase, &targets(ctx, phase)).await);
        }
    }
    verified
}

/// Verifies one phase on some of its targets.
pub(super) async fn verify_phase(ctx: &Context, phase: &dyn AnyPhase, targets: &[Target]) -> Verified {
    ctx.events.emit(&Event::VerifyStarted { title: phase.title() });
    let looks = targets.iter().map(|target| async move {
        let at = Scoped { ctx, target };
        let seen = bounded(&at, phase.title(), stop::FOR_A_LOOK, phase.verify(&at)).await;
        (target, seen)
    });
    let mut verified = Verified::default();
    let mut is_whole = true;
    for (target, seen) in futures::future::join_all(looks).await {
        match seen {
            Ok(Ok(findings)) => {
                is_whole &= findings.is_empty();
                for finding in &findings {
                    ctx.events.emit(&Event::Found { finding });
                }
                if findings.iter().any(|finding| finding.severity == Severity::Error) {
                    verified.failed.insert(target.clone());
                }
                verified.findings.extend(findings);
            }
            // What was only looked at and was not finished is no failure: the run is told as stopped.
            Ok(Err(PhaseError::CutOff { .. })) | Err(_) => is_whole = false,
            Ok(Err(error)) => {
                is_whole = false;
                let failure = failure(target, phase.title(), FailureKind::Check, &error);
                ctx.events.emit(&Event::Failed { failure: &failure });
                verified.failures.push(failure);
                verified.failed.insert(target.clone());
            }
        }
    }
    if is_whole {
        ctx.events.emit(&Event::Verified { title: phase.title() });
    }
    verified
}
