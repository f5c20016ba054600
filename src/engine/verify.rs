//! Looks from outside at what the phases claim, whether or not this run changed anything.

use super::event::{Event, Failure, FailureKind};
use super::failure;
use super::selection::Selection;
use super::survey::targets;
use crate::phases::{AnyPhase, Context, Finding, Scoped};

/// What verification saw.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) findings: Vec<Finding>,
    pub(crate) failures: Vec<Failure>,
}

/// Verifies every selected phase; phases in order, targets of a phase side by side.
pub(crate) async fn verify(ctx: &Context, phases: &[Box<dyn AnyPhase>], selection: &Selection) -> Verified {
    let mut verified = Verified::default();
    for phase in phases.iter().filter(|phase| selection.has_phase(phase.id())) {
        ctx.events.emit(&Event::VerifyStarted { title: phase.title() });
        let targets = targets(ctx, phase.as_ref());
        let looks = targets.iter().map(|target| {
            let phase = phase.as_ref();
            async move { (target, phase.verify(&Scoped { ctx, target }).await) }
        });
        let mut all_well = true;
        for (target, seen) in futures::future::join_all(looks).await {
            match seen {
                Ok(findings) => {
                    for finding in &findings {
                        all_well = false;
                        ctx.events.emit(&Event::Found { finding });
                    }
                    verified.findings.extend(findings);
                }
                Err(error) => {
                    all_well = false;
                    let failure = failure(target, phase.title(), FailureKind::Check, &error);
                    ctx.events.emit(&Event::Failed { failure: &failure });
                    verified.failures.push(failure);
                }
            }
        }
        if all_well {
            ctx.events.emit(&Event::Verified { title: phase.title() });
        }
    }
    verified
}
