//! Makes the planned changes: phases in order, hosts of a phase side by side, changes of a host one after another.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;

use super::event::{Event, Failure, FailureKind};
use super::survey::{Survey, targets};
use super::{failure, journal};
use crate::phases::{AnyFacts, AnyPhase, Context, PhaseError, Scoped};
use crate::plan::{Change, Target};

/// What came of a plan.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) done: Vec<Change>,
    pub(crate) failures: Vec<Failure>,
    /// Planned, and not reached because something before them failed.
    pub(crate) not_reached: Vec<Change>,
}

/// Executes the plan of `survey`. A failed host is left alone from then on; the others go on. A failed cluster-wide
/// change ends the run, since later phases build on it.
pub(crate) async fn apply(
    ctx: &Context,
    phases: &[Box<dyn AnyPhase>],
    survey: &Survey,
    parallel: usize,
) -> Applied {
    let mut applied = Applied::default();
    let mut failed: BTreeSet<Target> = BTreeSet::new();
    let mut touched: BTreeSet<Target> = BTreeSet::new();

    for phase in phases {
        let mut by_target: BTreeMap<Target, Vec<Change>> = BTreeMap::new();
        for change in survey.plan.changes.iter().filter(|change| change.phase == phase.id()) {
            by_target.entry(change.target.clone()).or_default().push(change.clone());
        }
        if by_target.is_empty() {
            if targets(ctx, phase.as_ref())
                .iter()
                .any(|t| survey.facts.contains_key(&(phase.id(), t.clone())))
            {
                ctx.events.emit(&Event::PhaseUnchanged { title: phase.title() });
            }
            continue;
        }
        let all_hosts_failed = !ctx.hosts.is_empty()
            && ctx.hosts.keys().all(|name| failed.contains(&Target::Host(name.clone())));
        let (reachable, unreachable): (Vec<_>, Vec<_>) = by_target.into_iter().partition(|(target, _)| {
            !failed.contains(target) && !failed.contains(&Target::Cluster) && !all_hosts_failed
        });
        applied.not_reached.extend(unreachable.into_iter().flat_map(|(_, changes)| changes));

        let outcomes: Vec<_> = futures::stream::iter(reachable)
            .map(|(target, changes)| {
                let seen = &survey.facts[&(phase.id(), target.clone())];
                let stale = !touched.is_empty();
                async move {
                    let outcome = apply_target(ctx, phase.as_ref(), &target, &changes, seen, stale).await;
                    (target, changes, outcome)
                }
            })
            .buffer_unordered(parallel.max(1))
            .collect()
            .await;

        for (target, changes, (done, outcome)) in outcomes {
            if done > 0 {
                touched.insert(target.clone());
            }
            applied.not_reached.extend(changes.iter().skip(done + usize::from(outcome.is_err())).cloned());
            applied.done.extend(changes.into_iter().take(done));
            if let Err(error) = outcome {
                let failure = failure(&target, phase.title(), FailureKind::Apply, &error);
                ctx.events.emit(&Event::Failed { failure: &failure });
                applied.failures.push(failure);
                failed.insert(target);
            }
        }
    }
    applied
}

/// Applies the changes of one phase to one target; says how many were made, and the error that ended it.
///
/// When anything was changed since the survey, the target is looked at again first, so that a phase never acts on
/// facts from before the phases it rests on.
async fn apply_target(
    ctx: &Context,
    phase: &dyn AnyPhase,
    target: &Target,
    changes: &[Change],
    seen: &AnyFacts,
    stale: bool,
) -> (usize, Result<(), PhaseError>) {
    let at = Scoped { ctx, target };
    let fresh;
    let facts = if stale {
        match phase.check(&at).await {
            Ok(facts) => {
                fresh = facts;
                &fresh
            }
            Err(error) => return (0, Err(error)),
        }
    } else {
        seen
    };
    for (done, change) in changes.iter().enumerate() {
        ctx.events.emit(&Event::ChangeStarted { title: phase.title(), change });
        let outcome = phase.apply(&at, facts, change).await;
        let recorded = journal::record(ctx, change, &outcome).await;
        if let Err(error) = outcome {
            return (done, Err(error));
        }
        if let Err(error) = recorded {
            return (done + 1, Err(error));
        }
        ctx.events.emit(&Event::ChangeDone { change });
    }
    (changes.len(), Ok(()))
}
