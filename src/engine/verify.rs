//! Looks from outside at what the phases claim: after a phase's changes, and at the end at whatever nothing was changed in.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;

use super::event::{Event, FailureKind};
use super::selection::Selection;
use super::stop::{self, bounded};
use super::survey::Survey;
use super::sweep::targets;
use super::{Failure, failure, sweep};
use crate::interrupt::Signal;
use crate::phases::{AnyFacts, AnyPhase, Context, Finding, PhaseError, Scoped, Severity};
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

/// Verifies every selected phase that is not in `done`, at most `parallel` hosts at once; tells of them in running order.
///
/// `seen` is the survey of this run if nothing was changed since.
pub(crate) async fn verify(
    ctx: &Context,
    phases: &[Box<dyn AnyPhase>],
    selection: &Selection,
    parallel: usize,
    done: &BTreeSet<&'static str>,
    seen: Option<&Survey>,
) -> Verified {
    let mut selected = sweep::selected(ctx, phases, selection);
    selected.retain(|(_, phase)| !done.contains(phase.id()));
    let looks = sweep::sweep(ctx, &selected, parallel, |(order, phase), target| async move {
        let facts = seen.and_then(|survey| survey.facts.get(&(phase.id(), target.clone())));
        let looked = look(ctx, phase, &target, facts).await;
        (order, target, looked)
    });
    let mut looks = std::pin::pin!(looks);

    let mut verified = Verified::default();
    let mut answers: BTreeMap<usize, Vec<(Target, Looked)>> = BTreeMap::new();
    for (order, phase) in &selected {
        ctx.events.emit(&Event::VerifyStarted { title: phase.title() });
        let wanted = targets(ctx, *phase).len();
        while answers.get(order).map_or(0, Vec::len) < wanted {
            let Some((order, target, looked)) = looks.next().await else { break };
            answers.entry(order).or_default().push((target, looked));
        }
        let mut answers = answers.remove(order).unwrap_or_default();
        answers.sort_by(|a, b| a.0.cmp(&b.0));
        verified.extend(tell(ctx, *phase, answers));
    }
    verified
}

/// Verifies one phase on some of its targets.
pub(super) async fn verify_phase(ctx: &Context, phase: &dyn AnyPhase, targets: &[Target]) -> Verified {
    ctx.events.emit(&Event::VerifyStarted { title: phase.title() });
    let looks =
        targets.iter().map(|target| async move { (target.clone(), look(ctx, phase, target, None).await) });
    tell(ctx, phase, futures::future::join_all(looks).await)
}

/// What came of a look: not finished when the user wanted an end.
type Looked = Result<Result<Vec<Finding>, PhaseError>, Signal>;

async fn look(ctx: &Context, phase: &dyn AnyPhase, target: &Target, facts: Option<&AnyFacts>) -> Looked {
    let at = Scoped { ctx, target };
    bounded(&at, phase.title(), stop::FOR_A_LOOK, phase.verify(&at, facts)).await
}

fn tell(ctx: &Context, phase: &dyn AnyPhase, looks: Vec<(Target, Looked)>) -> Verified {
    let mut verified = Verified::default();
    let mut is_whole = true;
    for (target, looked) in looks {
        match looked {
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
                let failure = failure(&target, phase.title(), FailureKind::Check, &error);
                ctx.events.emit(&Event::Failed { failure: &failure });
                verified.failures.push(failure);
                verified.failed.insert(target);
            }
        }
    }
    if is_whole {
        ctx.events.emit(&Event::Verified { title: phase.title() });
    }
    verified
}
