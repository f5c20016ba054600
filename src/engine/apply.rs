//! Makes the planned changes: phases in order, hosts of a phase side by side, changes of a host one after another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt;

use super::event::{Event, Failure, FailureKind};
use super::stop::{self, bounded};
use super::survey::Survey;
use super::sweep::targets;
use super::timing::Timing;
use super::verify::{Verified, verify_phase};
use super::{failure, journal};
use crate::phases::{AnyPhase, Context, PhaseError, Scoped, Severity};
use crate::plan::{Change, Target};

/// What came of a plan.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) done: Vec<Change>,
    pub(crate) failures: Vec<Failure>,
    /// Planned, and not reached because something before them failed or the user wanted an end.
    pub(crate) not_reached: Vec<Change>,
    /// What the phases found that looked at their own changes.
    pub(crate) verified: Verified,
    /// Phases that have looked at all of their targets.
    pub(crate) verified_phases: BTreeSet<&'static str>,
}

impl Applied {
    /// Whether everything that was planned is made, and right as far as it was looked at.
    pub(crate) fn is_whole(&self) -> bool {
        self.failures.is_empty() && self.not_reached.is_empty() && self.verified.failed.is_empty()
    }
}

/// Executes the plan of `survey`, each phase being verified where it changed something. A failed host is left alone from
/// then on; the others go on. A failed cluster-wide change ends the run, since later phases build on it. So does the wish
/// of the user to stop: what is under way then is finished, or cut off when it takes long.
pub(crate) async fn apply(
    ctx: &Context,
    phases: &[Box<dyn AnyPhase>],
    survey: &Survey,
    parallel: usize,
    timing: &mut Timing,
) -> Applied {
    let mut applied = Applied::default();
    let mut failed: BTreeSet<Target> = BTreeSet::new();

    for phase in phases {
        let mut by_target: BTreeMap<Target, Vec<Change>> = BTreeMap::new();
        for change in survey.plan.changes.iter().filter(|change| change.phase == phase.id()) {
            by_target.entry(change.target.clone()).or_default().push(change.clone());
        }
        if ctx.interrupt.signal().is_some() {
            applied.not_reached.extend(by_target.into_values().flatten());
            continue;
        }
        if by_target.is_empty() {
            let was_seen = |target: &Target| survey.facts.contains_key(&(phase.id(), target.clone()));
            // After a failure nothing is looked at again, so nothing is said of it.
            if applied.failures.is_empty() && targets(ctx, phase.as_ref()).iter().any(was_seen) {
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
            .map(|(target, changes)| async move {
                let made = apply_target(ctx, phase.as_ref(), &target, changes).await;
                (target, made)
            })
            .buffer_unordered(parallel.max(1))
            .collect()
            .await;

        let mut changed = Vec::new();
        let mut durations = Vec::new();
        for (target, Made { done, took, rest, outcome }) in outcomes {
            durations.extend(took);
            if !done.is_empty() && outcome.is_ok() && rest.is_empty() {
                changed.push(target.clone());
            }
            applied.not_reached.extend(rest);
            applied.done.extend(done);
            if let Err(error) = outcome {
                let failure = failure(&target, phase.title(), FailureKind::Apply, &error);
                ctx.events.emit(&Event::Failed { failure: &failure });
                applied.failures.push(failure);
                failed.insert(target);
            }
        }
        if changed.is_empty() || ctx.interrupt.signal().is_some() {
            timing.end(phase.title(), durations);
            continue;
        }
        let verified = verify_phase(ctx, phase.as_ref(), &changed).await;
        failed.extend(verified.failed.iter().cloned());
        applied.verified.extend(verified);
        if targets(ctx, phase.as_ref()).iter().all(|target| changed.contains(target)) {
            applied.verified_phases.insert(phase.id());
        }
        timing.end(phase.title(), durations);
    }
    applied
}

/// What came of the changes of one phase on one target.
struct Made {
    done: Vec<Change>,
    /// Subjects of the changes that were tried, and how long each took.
    took: Vec<(String, Duration)>,
    /// Not reached, because one before them failed or the user wanted an end.
    rest: Vec<Change>,
    outcome: Result<(), PhaseError>,
}

impl Made {
    fn nothing(rest: Vec<Change>, outcome: Result<(), PhaseError>) -> Self {
        Self { done: Vec::new(), took: Vec::new(), rest, outcome }
    }
}

/// Applies the changes of one phase to one target.
///
/// The target is looked at again first, so that a phase never acts on facts from before the phases it rests on, or from
/// before the host was locked. What is found to be right by then is left out: behind a Kafka that was
/// down nothing could be seen, so everything in it was planned.
async fn apply_target(
    ctx: &Context,
    phase: &dyn AnyPhase,
    target: &Target,
    mut changes: Vec<Change>,
) -> Made {
    let at = Scoped { ctx, target };
    let facts = match ctx.interrupt.unless(phase.check(&at)).await {
        Ok(Ok(facts)) => facts,
        Ok(Err(error)) => return Made::nothing(changes, Err(error)),
        Err(_stopping) => return Made::nothing(changes, Ok(())),
    };
    let planned = phase.plan(&at, &facts);
    if let Some(finding) = planned.findings.into_iter().find(|found| found.severity == Severity::Error) {
        let outcome = Err(PhaseError::Refused {
            place: finding.place,
            message: finding.message,
            hint: finding.hint,
            tail: Vec::new(),
        });
        return Made::nothing(changes, outcome);
    }
    changes.retain(|change| planned.changes.iter().any(|wanted| wanted.subject == change.subject));
    let (mut done, mut took) = (Vec::new(), Vec::new());
    let mut rest = changes.into_iter();
    while ctx.interrupt.signal().is_none()
        && let Some(change) = rest.next()
    {
        ctx.events.emit(&Event::ChangeStarted { title: phase.title(), change: &change });
        if let Err(error) = journal::begin(ctx, &change) {
            return Made { done, took, rest: rest.collect(), outcome: Err(error) };
        }
        let began = Instant::now();
        let work = phase.apply(&at, &facts, &change);
        let outcome =
            bounded(&at, &change.subject, stop::FOR_A_CHANGE, work).await.unwrap_or_else(|signal| {
                Err(PhaseError::CutOff { signal: signal.name(), seconds: stop::FOR_A_CHANGE.as_secs() })
            });
        took.push((change.subject.clone(), began.elapsed()));
        let recorded = journal::record(ctx, &change, &outcome).await;
        if outcome.is_err() {
            return Made { done, took, rest: rest.collect(), outcome };
        }
        done.push(change);
        if recorded.is_err() {
            return Made { done, took, rest: rest.collect(), outcome: recorded };
        }
        ctx.events.emit(&Event::ChangeDone { change: done.last().expect("it was pushed above") });
    }
    Made { done, took, rest: rest.collect(), outcome: Ok(()) }
}
