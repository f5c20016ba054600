//! `apply`, `plan` and `smoke`: one survey, one plan, and what each command makes of it.

use super::open::{Intent, Run};
use crate::cli::{ApplyArgs, RunArgs};
use crate::engine::event::{Event, Failure, FailureKind};
use crate::engine::{self, apply::Applied, survey::Survey, verify::Verified};
use crate::exit_code::Exit;
use crate::phases::{self, AnyPhase, Severity};
use crate::plan;
use crate::report::{self, Outcome, Style};

/// Makes hosts and Kafka as the inventory says.
pub(crate) async fn apply(args: ApplyArgs) -> Exit {
    let run = match Run::open("apply", &args.run, Intent::Change).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let phases = phases::all();
    let survey = look(&run, &phases).await;
    if survey.is_blocked() || !run.failures.is_empty() {
        return finish(run, "apply", &survey, Applied::default(), Verified::default()).await;
    }
    let applied = if survey.plan.is_empty() {
        Applied::default()
    } else {
        if run.style != Style::Json {
            report::stdout(&plan_text(&survey, &phases));
        }
        if !args.yes && !report::confirmed("Make these changes?") {
            report::stderr("nothing was changed\n");
            run.close().await;
            return Exit::ChangesPending;
        }
        engine::apply::apply(&run.ctx, &phases, &survey, args.run.parallel).await
    };
    let verified = if applied.failures.is_empty() {
        if !applied.done.is_empty() {
            run.ctx.request_probe();
        }
        engine::verify::verify(&run.ctx, &phases, &run.selection).await
    } else {
        Verified::default()
    };
    finish(run, "apply", &survey, applied, verified).await
}

/// Shows what `apply` would change.
pub(crate) async fn plan(args: RunArgs) -> Exit {
    let run = match Run::open("plan", &args, Intent::Look).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let phases = phases::all();
    let survey = look(&run, &phases).await;
    if run.style == Style::Json || survey.is_blocked() || !run.failures.is_empty() {
        return finish(run, "plan", &survey, Applied::default(), Verified::default()).await;
    }
    report::stdout(&plan_text(&survey, &phases));
    run.close().await;
    pending(&survey)
}

/// Checks from outside, with a probe connector.
pub(crate) async fn smoke(mut args: RunArgs) -> Exit {
    args.only = vec!["smoke".to_owned()];
    let run = match Run::open("smoke", &args, Intent::Change).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let phases = phases::all();
    run.ctx.request_probe();
    let survey = look(&run, &phases).await;
    let verified = engine::verify::verify(&run.ctx, &phases, &run.selection).await;
    finish(run, "smoke", &survey, Applied::default(), verified).await
}

async fn look(run: &Run, phases: &[Box<dyn AnyPhase>]) -> Survey {
    let survey = engine::survey::survey(&run.ctx, phases, &run.selection).await;
    run.ctx.events.emit(&Event::Planned);
    survey
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
) -> Exit {
    let findings: Vec<_> = survey
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .chain(&verified.findings)
        .cloned()
        .collect();
    let failures: Vec<Failure> = run
        .failures
        .iter()
        .chain(&survey.failures)
        .chain(&applied.failures)
        .chain(&verified.failures)
        .cloned()
        .collect();
    let exit = if !applied.failures.is_empty() {
        Exit::PartlyApplied
    } else if failures.iter().any(|failure| failure.kind == FailureKind::Unreachable) {
        Exit::Unreachable
    } else if !failures.is_empty() || findings.iter().any(|finding| finding.severity == Severity::Error) {
        Exit::CheckFailed
    } else if command == "plan" {
        pending(survey)
    } else {
        Exit::Done
    };
    let urls = if exit == Exit::Done { run.pointers() } else { Vec::new() };
    let outcome = Outcome {
        command,
        cluster: run.ctx.inventory.cluster.as_str(),
        exit,
        plan: &survey.plan,
        done: &applied.done,
        not_reached: &applied.not_reached,
        findings: &findings,
        failures: &failures,
        urls: &urls,
    };
    if run.style == Style::Json {
        report::stdout(&format!("{:#}\n", report::envelope(&outcome)));
    } else {
        report::stdout(&report::summary(&outcome));
    }
    run.close().await;
    exit
}
