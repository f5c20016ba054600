//! `destroy`: every phase takes back what it made, in reverse order; what stays is said.

use serde_json::json;

use super::open::{Intent, Run};
use crate::causes::chain;
use crate::cli::DestroyArgs;
use crate::desired::{host_root, privilege};
use crate::engine::survey;
use crate::exit_code::Exit;
use crate::host::{Command, HostExt};
use crate::phases::{self, Removed, Scope, Scoped};
use crate::report::{self, Style};
use crate::shell::quote;

/// Stops the cluster and removes what was made. Without `--yes` nothing is touched.
pub(crate) async fn destroy(args: DestroyArgs) -> Exit {
    if !args.yes {
        report::stderr(
            "error: destroy removes the workers and everything that provision made\n  hint: add --yes\n",
        );
        return Exit::Usage;
    }
    let run = match Run::open(&args.run, Intent::Change).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let mut total = Removed::default();
    let mut errors: Vec<String> = Vec::new();
    for failure in &run.failures {
        errors.push(failure.message.clone());
        total.left.push(format!("{}: everything, it could not be reached", failure.target));
    }
    let is_whole = run.selection.limit.is_empty();
    for phase in phases::all().iter().rev().filter(|phase| run.selection.has_phase(phase.id())) {
        if phase.scope() == Scope::Cluster && !(is_whole && errors.is_empty()) {
            // Workers that still run need their login, their topics and their connectors.
            total.left.push(format!("cluster: {}, since not every worker is stopped", phase.title()));
            continue;
        }
        let targets = survey::targets(&run.ctx, phase.as_ref());
        let removals = targets.iter().map(|target| {
            let ctx = &run.ctx;
            async move { (target, phase.remove(&Scoped { ctx, target }).await) }
        });
        for (target, outcome) in futures::future::join_all(removals).await {
            match outcome {
                Ok(part) => {
                    total.removed.extend(part.removed.into_iter().map(|text| format!("{target}: {text}")));
                    total.left.extend(part.left.into_iter().map(|text| format!("{target}: {text}")));
                }
                Err(error) => errors.push(format!("{target}: {}: {}", phase.title(), chain(&error))),
            }
        }
    }
    if errors.is_empty() && run.selection.has_every_phase() {
        errors.extend(forget(&run).await);
    }
    if errors.is_empty() && run.selection.is_everything() {
        match run.ctx.home.remove() {
            Ok(()) => total.removed.push(run.ctx.home.folder().display().to_string()),
            Err(error) => errors.push(chain(&error)),
        }
    }
    let exit = if errors.is_empty() { Exit::Done } else { Exit::PartlyApplied };
    show(&run, &total, &errors, exit);
    run.close().await;
    exit
}

/// Removes marker and journal of every host, and folders of ours that are empty then.
async fn forget(run: &Run) -> Vec<String> {
    let removals = run.ctx.hosts.values().map(|host| async move {
        let root = host_root(&run.ctx.inventory, host.as_ref());
        let mut script = format!(
            "cd {root} 2>/dev/null || exit 0\nrm -f marker journal.jsonl\ncd /\n\
             rmdir --ignore-fail-on-non-empty {root}\n",
            root = quote(&root.to_string_lossy())
        );
        // The folder above holds the clusters of this host, unless somebody chose another place.
        let is_ours = run.ctx.spec(host.name()).worker.directory.is_none();
        if let Some(clusters) = root.parent().filter(|_| is_ours) {
            script += &format!("rmdir --ignore-fail-on-non-empty {}\n", quote(&clusters.to_string_lossy()));
        }
        let mut command = Command::new("remove marker and journal", script);
        command.privilege = privilege(&run.ctx.inventory);
        host.check(&command).await
    });
    let outcomes = futures::future::join_all(removals).await;
    outcomes.into_iter().filter_map(Result::err).map(|error| chain(&error)).collect()
}

fn show(run: &Run, total: &Removed, errors: &[String], exit: Exit) {
    if run.style == Style::Json {
        report::stdout(&format!(
            "{:#}\n",
            json!({
                "command": "destroy",
                "cluster": run.ctx.inventory.cluster.as_str(),
                "exit": exit as u8,
                "removed": total.removed,
                "left": total.left,
                "failures": errors,
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
    if total.removed.is_empty() && errors.is_empty() {
        text += "Nothing to remove.\n";
    }
    report::stdout(&text);
    for error in errors {
        report::stderr(&format!("error: {error}\n"));
    }
}
