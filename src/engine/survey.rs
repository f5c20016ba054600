//! Looks at everything and makes the plan. All checks of a host run at once; a host bounds its own commands.

use std::collections::BTreeMap;

use futures::StreamExt;

use super::event::{Event, Failure, FailureKind};
use super::selection::Selection;
use super::{failure, sweep};
use crate::inventory::model::HostName;
use crate::phases::{AnyFacts, AnyPhase, Context, Finding, Scoped, Severity};
use crate::plan::{Plan, Target};

/// What was seen, and what follows from it.
pub(crate) struct Survey {
    pub(crate) plan: Plan,
    /// Facts by phase id and target.
    pub(crate) facts: BTreeMap<(&'static str, Target), AnyFacts>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) failures: Vec<Failure>,
}

impl Survey {
    /// Whether anything found or failed forbids to change anything.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.failures.is_empty() || self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Checks every selected phase on every target and plans; at most `parallel` hosts at once.
pub(crate) async fn survey(
    ctx: &Context,
    phases: &[Box<dyn AnyPhase>],
    selection: &Selection,
    parallel: usize,
) -> Survey {
    let hosts: Vec<HostName> = ctx.hosts.keys().cloned().collect();
    ctx.events.emit(&Event::SurveyStarted { hosts: &hosts });
    let selected = sweep::selected(ctx, phases, selection);
    let checks = sweep::sweep(ctx, &selected, parallel, |(order, phase), target| async move {
        let seen = phase.check(&Scoped { ctx, target: &target }).await;
        (order, phase, target, seen)
    });
    let mut checks = std::pin::pin!(checks);

    let mut survey =
        Survey { plan: Plan::default(), facts: BTreeMap::new(), findings: Vec::new(), failures: Vec::new() };
    let mut planned = BTreeMap::new();
    while let Some((order, phase, target, seen)) = checks.next().await {
        match seen {
            Ok(facts) => {
                planned.insert((order, target.clone()), phase.plan(&Scoped { ctx, target: &target }, &facts));
                survey.facts.insert((phase.id(), target), facts);
            }
            Err(error) => {
                let failure = failure(&target, phase.title(), FailureKind::Check, &error);
                ctx.events.emit(&Event::Failed { failure: &failure });
                survey.failures.push(failure);
            }
        }
    }
    survey.failures = joined(survey.failures);
    for phase in planned.into_values() {
        survey.plan.changes.extend(phase.changes);
        survey.findings.extend(phase.findings);
    }
    survey.plan.warnings.extend(ctx.inventory.warnings.iter().map(ToString::to_string));
    survey.plan.warnings.extend(
        survey.findings.iter().filter(|finding| finding.severity == Severity::Warning).map(|finding| {
            let hint = finding.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{}: {}{hint}", finding.place, finding.message)
        }),
    );
    survey
}

/// The failures by target; those with one cause in common, as when Kafka cannot be asked, are one of several steps.
fn joined(mut failures: Vec<Failure>) -> Vec<Failure> {
    failures.sort_by(|a, b| (&a.target, &a.message, &a.step).cmp(&(&b.target, &b.message, &b.step)));
    failures.dedup_by(|next, kept| {
        let is_same = next.target == kept.target && next.message == kept.message;
        if is_same {
            kept.step = format!("{}, {}", kept.step, next.step);
        }
        is_same
    });
    failures
}
