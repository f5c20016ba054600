//! The last words of a run: what changed, what did not, where to look.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::lines;
use crate::engine::event::Failure;
use crate::engine::timing::{Part, Timing};
use crate::exit_code::Exit;
use crate::interrupt::Signal;
use crate::phases::Finding;
use crate::plan::{Change, Plan};

/// A change that took less is not named beside its phase.
const WORTH_TELLING: Duration = Duration::from_millis(50);

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
    /// No phase and no host was left out.
    pub(crate) is_whole: bool,
    /// The signal with which the user ended the run.
    pub(crate) stopped: Option<Signal>,
    pub(crate) plan: &'a Plan,
    pub(crate) done: &'a [Change],
    pub(crate) not_reached: &'a [Change],
    pub(crate) findings: &'a [Finding],
    pub(crate) failures: &'a [Failure],
    /// URLs and next commands.
    pub(crate) urls: &'a [Pointer],
    pub(crate) timing: &'a Timing,
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
        (Exit::Done, _) if outcome.is_whole => "is as the inventory says".to_owned(),
        (Exit::Done, _) => "is as the inventory says, as far as this run looked".to_owned(),
        (Exit::PartlyApplied, _) => "is partly applied; run it again when the cause is gone".to_owned(),
        _ => "is not as the inventory says".to_owned(),
    };
    let total = outcome.timing.total().as_secs_f64();
    let _ = writeln!(out, "\nCluster {} {verdict}: {changed} {noun} made in {total:.1} s.", outcome.cluster);
    if !outcome.urls.is_empty() {
        let width = outcome.urls.iter().map(|pointer| pointer.label.len()).max().unwrap_or(0);
        for pointer in outcome.urls {
            let _ = writeln!(out, "  {:width$}  {}", pointer.label, pointer.target);
        }
    }
    if changed > 0 {
        out.push_str(&parts(&outcome.timing.parts));
    }
    out
}

/// A line per part of a run that changed something: where its time went.
fn parts(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        let _ = write!(out, "  {:5.1} s  {}", part.took.as_secs_f64(), part.name);
        let mut slowest: Vec<&(String, Duration)> =
            part.changes.iter().filter(|(_, took)| *took >= WORTH_TELLING).collect();
        slowest.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        let told: Vec<String> = slowest
            .iter()
            .take(3)
            .map(|(subject, took)| format!("{subject} {:.1} s", took.as_secs_f64()))
            .collect();
        if part.changes.len() > 1 && !told.is_empty() {
            let _ = write!(out, ": {}", told.join(", "));
        }
        out.push('\n');
    }
    out
}
