//! The last words of a run: what changed, what did not, where to look.

use std::fmt::Write;

use serde::Serialize;

use super::lines;
use crate::engine::event::Failure;
use crate::exit_code::Exit;
use crate::interrupt::Signal;
use crate::phases::Finding;
use crate::plan::{Change, Plan};

/// Somewhere to look or something to try: a label and a URL or a command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Pointer {
    pub(crate) label: String,
    pub(crate) target: String,
}

/// Everything a finished run has to say.
pub(crate) struct Outcome<'a> {
    pub(crate) command: &'static str,
    pub(crate) cluster: &'a str,
    pub(crate) exit: Exit,
    /// The signal with which the user ended the run.
    pub(crate) stopped: Option<Signal>,
    pub(crate) plan: &'a Plan,
    pub(crate) done: &'a [Change],
    pub(crate) not_reached: &'a [Change],
    pub(crate) findings: &'a [Finding],
    pub(crate) failures: &'a [Failure],
    /// URLs and next commands.
    pub(crate) urls: &'a [Pointer],
}

fn changes(out: &mut String, title: &str, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}:");
    for change in changes {
        let _ = writeln!(out, "  {}: {}", change.target, change.subject);
    }
}

/// The summary for people. Ends with a newline.
pub(crate) fn summary(outcome: &Outcome<'_>) -> String {
    let mut out = String::new();
    for finding in outcome.findings {
        let _ = writeln!(out, "{}", lines::found(finding));
    }
    for failure in outcome.failures {
        let _ = writeln!(out, "{}", lines::failed(failure));
    }
    if outcome.stopped.is_some() {
        changes(&mut out, "Done", outcome.done);
    }
    changes(&mut out, "Not reached", outcome.not_reached);
    for warning in &outcome.plan.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    let changed = outcome.done.len();
    let noun = if changed == 1 { "change" } else { "changes" };
    let verdict = match (outcome.exit, outcome.stopped) {
        (_, Some(signal)) => format!("was left where {} stopped the run", signal.name()),
        (Exit::Done, _) => "is as the inventory says".to_owned(),
        (Exit::PartlyApplied, _) => "is partly applied; run it again when the cause is gone".to_owned(),
        _ => "is not as the inventory says".to_owned(),
    };
    let _ = writeln!(out, "\nCluster {} {verdict}: {changed} {noun} made.", outcome.cluster);
    if !outcome.urls.is_empty() {
        let width = outcome.urls.iter().map(|pointer| pointer.label.len()).max().unwrap_or(0);
        for pointer in outcome.urls {
            let _ = writeln!(out, "  {:width$}  {}", pointer.label, pointer.target);
        }
    }
    out
}
