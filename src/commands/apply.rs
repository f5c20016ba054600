//! `apply`, `plan` and `smoke`: one survey, one plan, and what each command makes of it.

use std::collections::BTreeSet;

use super::open::{Intent, Run};
use crate::cli::{ApplyArgs, HostsArgs, RunArgs};
use crate::engine::event::{Event, Failure, FailureKind};
use crate::engine::{self, apply::Applied, survey::Survey, timing::Timing, verify::Verified};
use crate::exit_code::Exit;
use crate::interrupt::{Interrupt, Signal};
use crate::phases::{self, AnyPhase, Severity};
use crate::plan;
use crate::report::{self, Outcome, Style};

/// Makes hosts and Kafka as the inventory says.
pub(crate) async fn apply(args: ApplyArgs, interrupt: &Interrupt) -> Exit {
    let mut timing = Timing::begin();
    let mut run = match Run::open("apply", &args.run, Intent::Change, interrupt).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    timing.end("connect", Vec::new());
    let phases = phases::all();
    let survey = match look(&run, &phases, args.run.hosts.parallel).await {
        Ok(survey) => survey,
        Err(signal) => return run.abandon(signal).await,
    };
    timing.end("look", Vec::new());
    if survey.is_blocked() || !run.failures.is_empty() {
        return finish(run, "apply", &survey, Applied::default(), Verified::default(), &timing).await;
    }
    let applied = if survey.plan.is_empty() {
        Applied::default()
    } else {
        if run.style != Style::Json {
            report::stdout(&plan_text(&survey, &phases));
        }
        if !args.yes {
            match interrupt.unless(report::confirmed("Make these changes?")).await {
                Ok(true) => {}
                Ok(false) => {
                    report::stderr("nothing was changed\n");
                    run.close().await;
                    return Exit::ChangesPending;
                }
                Err(signal) => return run.abandon(signal).await,
            }
        }
        run.lock_hosts().await;
        if !run.failures.is_empty() {
            return finish(run, "apply", &survey, Applied::default(), Verified::default(), &timing).await;
        }
        timing.restart();
        // The removal of a probe that was left is verified in there.
        run.ctx.request_probe();
        engine::apply::apply(&run.ctx, &phases, &survey, args.run.hosts.parallel, &mut timing).await
    };
    let verified = if applied.is_whole() && interrupt.signal().is_none() {
        let seen = survey.plan.is_empty().then_some(&survey);
        let done = &applied.verified_phases;
        engine::verify::verify(&run.ctx, &phases, &run.selection, args.run.hosts.parallel, done, seen).await
    } else {
        Verified::default()
    };
    timing.end("verify", Vec::new());
    finish(run, "apply", &survey, applied, verified, &timing).await
}

/// Shows what `apply` would change.
pub(crate) async fn plan(args: RunArgs, interrupt: &Interrupt) -> Exit {
    let timing = Timing::begin();
    let run = match Run::open("plan", &args, Intent::Look, interrupt).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let phases = phases::all();
    let survey = match look(&run, &phases, args.hosts.parallel).await {
        Ok(survey) => survey,
        Err(signal) => return run.abandon(signal).await,
    };
    if run.style == Style::Json || survey.is_blocked() || !run.failures.is_empty() {
        return finish(run, "plan", &survey, Applied::default(), Verified::default(), &timing).await;
    }
    report::stdout(&plan_text(&survey, &phases));
    run.close().await;
    pending(&survey)
}

/// Checks from outside, with a probe connector.
pub(crate) async fn smoke(args: HostsArgs, interrupt: &Interrupt) -> Exit {
    let timing = Timing::begin();
    let parallel = args.parallel;
    let args = RunArgs::of(args, &["smoke"]);
    let mut run = match Run::open("smoke", &args, Intent::Change, interrupt).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let phases = phases::all();
    run.ctx.request_probe();
    let has_locks = run.lock_hosts().await;
    let survey = match look(&run, &phases, parallel).await {
        Ok(survey) => survey,
        Err(signal) => return run.abandon(signal).await,
    };
    let verified = if !has_locks {
        Verified::default()
    } else {
        let seen = survey.plan.is_empty().then_some(&survey);
        let done = BTreeSet::new();
        engine::verify::verify(&run.ctx, &phases, &run.selection, parallel, &done, seen).await
    };
    finish(run, "smoke", &survey, Applied::default(), verified, &timing).await
}

async fn look(run: &Run, phases: &[Box<dyn AnyPhase>], parallel: usize) -> Result<Survey, Signal> {
    let survey = engine::survey::survey(&run.ctx, phases, &run.selection, parallel);
    let survey = run.ctx.interrupt.unless(survey).await?;
    run.ctx.events.emit(&Event::Planned);
    Ok(survey)
}

fn plan_text(survey: &Survey, phases: &[Box<dyn AnyPhase>]) -> String {
    plan::render::text(&survey.plan, |id| {
        phases.iter().find(|phase| phase.id() == id).map_or(id, |phase| phase.title()).to_owned()
    })
}

fn pending(survey: &Survey) -> Exit {
    if survey.plan.is_empty() { Exit::Done } else { Exit::ChangesPending }
}

/// Shows the outcome and ends the run.
async fn finish(
    run: Run,
    command: &'static str,
    survey: &Survey,
    applied: Applied,
    verified: Verified,
    timing: &Timing,
) -> Exit {
    let findings: Vec<_> = survey
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .chain(&applied.verified.findings)
        .chain(&verified.findings)
        .cloned()
        .collect();
    let failures: Vec<Failure> = run
        .failures
        .iter()
        .chain(&survey.failures)
        .chain(&applied.failures)
        .chain(&applied.verified.failures)
        .chain(&verified.failures)
        .cloned()
        .collect();
    let stopped = run.ctx.interrupt.signal();
    let exit = if let Some(signal) = stopped {
        signal.into()
    } else if !applied.failures.is_empty() || !applied.not_reached.is_empty() {
        Exit::PartlyApplied
    } else if failures.iter().any(|failure| failure.kind == FailureKind::Locked) {
        Exit::Locked
    } else if failures.iter().any(|failure| failure.kind == FailureKind::Unreachable) {
        Exit::Unreachable
    } else if !failures.is_empty() || findings.iter().any(|finding| finding.severity == Severity::Error) {
        Exit::CheckFailed
    } else if command == "plan" {
        pending(survey)
    } else {
        Exit::Done
    };
    let urls = match (exit, stopped) {
        (Exit::Done, _) => run.pointers(),
        (_, Some(_)) => vec![run.way_on()],
        _ => Vec::new(),
    };
    run.ctx.events.emit(&Event::Ended);
    let outcome = Outcome {
        command,
        cluster: run.ctx.inventory.cluster.as_str(),
        exit,
        is_whole: run.selection.is_everything(),
        stopped,
        plan: &survey.plan,
        done: &applied.done,
        not_reached: &applied.not_reached,
        findings: &findings,
        failures: &failures,
        urls: &urls,
        timing,
    };
    if run.style == Style::Json {
        report::stdout(&format!("{:#}\n", report::envelope(&outcome)));
    } else {
        report::stdout(&report::summary(&outcome));
    }
    run.close().await;
    exit
}
