//! `destroy`: every phase takes back what it made, in reverse order; what stays is said.

use serde_json::json;

use super::open::{Intent, Run};
use super::refusal::Refusal;
use crate::cli::DestroyArgs;
use crate::desired::{host_root, privilege};
use crate::engine::event::{Event, Failure, FailureKind};
use crate::engine::stop::{self, bounded};
use crate::engine::{self, sweep};
use crate::exit_code::Exit;
use crate::host::{Command, HostExt};
use crate::interrupt::Interrupt;
use crate::phases::{self, PhaseError, Removed, Scope, Scoped};
use crate::plan::Target;
use crate::report::{self, Style};
use crate::shell::quote;

/// What failures after the last phase are failures of.
const STEP: &str = "destroy";

/// Stops the cluster and removes what was made. Without `--yes` nothing is touched.
pub(crate) async fn destroy(args: DestroyArgs, interrupt: &Interrupt) -> Exit {
    if !args.yes {
        let refusal = Refusal::new("destroy", &args.run.hosts.inventory);
        let message = "destroy removes the workers and everything that provision made";
        return refusal.tell(Exit::Usage, message, Some("add --yes"));
    }
    let mut run = match Run::open("destroy", &args.run, Intent::Change, interrupt).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let has_locks = run.lock_hosts().await;
    let mut total = Removed::default();
    let mut failures = run.failures.clone();
    for failure in &run.failures {
        let why = match failure.kind {
            FailureKind::Locked => "another run has it",
            FailureKind::Unreachable => "it could not be reached",
            FailureKind::Check | FailureKind::Apply => "it could not be locked",
        };
        total.left.push(format!("{}: everything, {why}", failure.target));
    }
    let mut not_reached: Vec<&str> = Vec::new();
    let is_whole = run.selection.limit.is_empty();
    for phase in phases::all().iter().rev().filter(|phase| run.selection.has_phase(phase.id())) {
        if !has_locks || interrupt.signal().is_some() {
            not_reached.push(phase.title());
            continue;
        }
        if phase.scope() == Scope::Cluster && !(is_whole && failures.is_empty()) {
            // Workers that still run need their login, their topics and their connectors.
            total.left.push(format!("cluster: {}, since not every worker is stopped", phase.title()));
            continue;
        }
        let targets = sweep::targets(&run.ctx, phase.as_ref());
        let removals = targets.iter().map(|target| {
            let ctx = &run.ctx;
            async move {
                let at = Scoped { ctx, target };
                (target, bounded(&at, phase.title(), stop::FOR_A_CHANGE, phase.remove(&at)).await)
            }
        });
        for (target, outcome) in futures::future::join_all(removals).await {
            match outcome {
                Err(signal) => {
                    let seconds = stop::FOR_A_CHANGE.as_secs();
                    let error = PhaseError::CutOff { signal: signal.name(), seconds };
                    failures.push(engine::failure(target, phase.title(), FailureKind::Apply, &error));
                }
                Ok(Ok(part)) => {
                    total.removed.extend(part.removed.into_iter().map(|text| format!("{target}: {text}")));
                    total.left.extend(part.left.into_iter().map(|text| format!("{target}: {text}")));
                }
                Ok(Err(error)) => {
                    failures.push(engine::failure(target, phase.title(), FailureKind::Apply, &error));
                }
            }
        }
    }
    let stopped = interrupt.signal();
    if failures.is_empty() && stopped.is_none() && run.selection.has_every_phase() {
        failures.extend(forget(&run).await);
    }
    if failures.is_empty() && stopped.is_none() && run.selection.is_everything() {
        match run.ctx.home.remove() {
            Ok(()) => total.removed.push(run.ctx.home.folder().display().to_string()),
            Err(error) => {
                failures.push(engine::failure(&Target::Cluster, STEP, FailureKind::Apply, &error.into()));
            }
        }
    }
    let exit = match stopped {
        Some(signal) => signal.into(),
        None => exit_of(&failures, has_locks, !total.removed.is_empty()),
    };
    run.ctx.events.emit(&Event::Ended);
    show(&run, &Destroyed { total, not_reached, failures, exit });
    run.close().await;
    exit
}

fn exit_of(failures: &[Failure], has_locks: bool, is_anything_removed: bool) -> Exit {
    let is_locked = |failure: &Failure| failure.kind == FailureKind::Locked;
    let is_out_of_reach = |failure: &Failure| failure.kind == FailureKind::Unreachable;
    if failures.iter().any(is_locked) {
        Exit::Locked
    } else if failures.is_empty() {
        Exit::Done
    } else if !has_locks {
        Exit::CheckFailed
    } else if !is_anything_removed && failures.iter().all(is_out_of_reach) {
        Exit::Unreachable
    } else {
        Exit::PartlyApplied
    }
}

/// Removes marker, journal and lock of every host, and folders of ours that are empty then.
async fn forget(run: &Run) -> Vec<Failure> {
    let removals = run.ctx.hosts.values().map(|host| async move {
        let root = host_root(&run.ctx.inventory, host.as_ref());
        let mut script = format!(
            "rm -f {lock}\ncd {root} 2>/dev/null || exit 0\nrm -f marker journal.jsonl\ncd /\n\
             rmdir --ignore-fail-on-non-empty {root}\n",
            lock = quote(&engine::lock::file(&run.ctx)),
            root = quote(&root.to_string_lossy())
        );
        // The folder above holds the clusters of this host, unless somebody chose another place.
        let is_ours = run.ctx.spec(host.name()).worker.directory.is_none();
        if let Some(clusters) = root.parent().filter(|_| is_ours) {
            script += &format!("rmdir --ignore-fail-on-non-empty {}\n", quote(&clusters.to_string_lossy()));
        }
        let mut command = Command::new("remove marker and journal", script);
        command.privilege = privilege(&run.ctx.inventory);
        let error = PhaseError::from(host.check(&command).await.err()?);
        Some(engine::failure(&Target::Host(host.name().clone()), STEP, FailureKind::Apply, &error))
    });
    futures::future::join_all(removals).await.into_iter().flatten().collect()
}

/// What came of it.
struct Destroyed {
    total: Removed,
    /// Titles of phases that a wish to stop has left as they were.
    not_reached: Vec<&'static str>,
    failures: Vec<Failure>,
    exit: Exit,
}

fn show(run: &Run, destroyed: &Destroyed) {
    let Destroyed { total, not_reached, failures, exit } = destroyed;
    if run.style == Style::Json {
        report::stdout(&format!(
            "{:#}\n",
            json!({
                "command": "destroy",
                "cluster": run.ctx.inventory.cluster.as_str(),
                "exit": *exit as u8,
                "removed": total.removed,
                "left": total.left,
                "not_reached": not_reached,
                "failures": report::failure_documents(failures),
            })
        ));
        return;
    }
    let mut text = String::new();
    for (title, lines) in [("Removed", &total.removed), ("Left", &total.left)] {
        if !lines.is_empty() {
            text += &format!("{title}:\n");
            lines.iter().for_each(|line| text += &format!("  {line}\n"));
        }
    }
    if !not_reached.is_empty() {
        text += &format!("Not reached: {}\n", not_reached.join(", "));
    }
    if let Some(signal) = run.ctx.interrupt.signal() {
        let way_on = run.way_on();
        text += &format!("Stopped by {}.\n  {}  {}\n", signal.name(), way_on.label, way_on.target);
    } else if total.removed.is_empty() && failures.is_empty() {
        text += "Nothing to remove.\n";
    }
    failures.iter().for_each(|failure| text += &format!("{}\n", report::failure_text(failure)));
    report::stdout(&text);
}
