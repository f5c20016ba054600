//! One line per event, for logs and pipes.

use std::fmt::Write;

use crate::engine::event::{Event, Failure, Reporter};
use crate::phases::{Finding, Severity};

pub(super) struct Lines;

impl Reporter for Lines {
    fn event(&self, event: &Event<'_>) {
        if let Some(text) = line(event) {
            super::stderr(&format!("{text}\n"));
        }
    }
}

/// For JSON output: the document at the end says everything.
pub(super) struct Silent;

impl Reporter for Silent {
    fn event(&self, _event: &Event<'_>) {}
}

/// The event as one line; `None` when there is nothing to say. Of what failed or was found it says only where: cause
/// and remedy stand once, in the summary.
pub(super) fn line(event: &Event<'_>) -> Option<String> {
    match event {
        Event::HostConnecting { .. }
        | Event::Planned
        | Event::Ended
        | Event::VerifyStarted { .. }
        // A line says that a change began: the next one, or a failure, says how it ended.
        | Event::ChangeDone { .. } => None,
        Event::HostConnected { host } => Some(format!("{host}: connected")),
        Event::SurveyStarted { hosts: [] } => None,
        Event::SurveyStarted { hosts } => Some(format!("looking at {} host(s) and Kafka", hosts.len())),
        Event::PhaseUnchanged { title } => Some(format!("{title}: unchanged")),
        Event::ChangeStarted { change, title } => {
            Some(format!("{}: {title}: {} …", change.target, change.subject))
        }
        Event::Progress { target, text } => Some(format!("{target}: {text}")),
        Event::Found { finding } => Some(format!("{}: not as it should be", finding.place)),
        Event::Failed { failure } => Some(format!("{}: {}: failed", failure.target, failure.step)),
        Event::Verified { title } => Some(format!("{title}: verified")),
        Event::Stopping { target, what, signal, patience } => Some(format!(
            "{target}: {}: {what} may take {} s to its end, an installation of packages longer; a second one stops at \
             once",
            signal.name(),
            patience.as_secs()
        )),
    }
}

pub(super) fn found(finding: &Finding) -> String {
    let kind = match finding.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut text = format!("{kind}: {}: {}", finding.place, finding.message);
    if let Some(hint) = &finding.hint {
        let _ = write!(text, "\n  hint: {hint}");
    }
    text
}

/// A failure as several lines: place, step, cause, last output, remedy.
pub(crate) fn failed(failure: &Failure) -> String {
    let place = failure.target.to_string();
    // Errors of a host begin with its name already.
    let message = failure.message.strip_prefix(&format!("{place}: ")).unwrap_or(&failure.message);
    let mut text = format!("error: {place}: {}: {message}", failure.step);
    for line in &failure.tail {
        let _ = write!(text, "\n  | {line}");
    }
    if let Some(hint) = &failure.hint {
        let _ = write!(text, "\n  hint: {hint}");
    }
    text
}
