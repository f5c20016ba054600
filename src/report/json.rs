//! One JSON document per run, for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::Outcome;
use crate::engine::event::{Failure, FailureKind};
use crate::engine::timing::Part;
use crate::interrupt::Signal;
use crate::phases::{Finding, Severity};

/// The document that `--json` prints: what was planned, done, found and failed, and the exit code.
pub(crate) fn envelope(outcome: &Outcome<'_>) -> Value {
    json!({
        "command": outcome.command,
        "cluster": outcome.cluster,
        "exit": outcome.exit as u8,
        "stopped": outcome.stopped.map(Signal::name),
        "plan": {
            "hash": outcome.plan.hash(),
            "changes": outcome.plan.changes,
            "warnings": outcome.plan.warnings,
        },
        "done": outcome.done,
        "not_reached": outcome.not_reached,
        "findings": outcome.findings.iter().map(finding).collect::<Vec<_>>(),
        "failures": failures(outcome.failures),
        "urls": outcome.urls,
        "seconds": seconds(outcome.timing.total()),
        "parts": outcome.timing.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

fn part(part: &Part) -> Value {
    let changes: Vec<Value> = part
        .changes
        .iter()
        .map(|(subject, took)| json!({ "subject": subject, "seconds": seconds(*took) }))
        .collect();
    json!({ "name": part.name, "seconds": seconds(part.took), "changes": changes })
}

/// To the millisecond.
fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}

fn finding(finding: &Finding) -> Value {
    json!({
        "severity": match finding.severity { Severity::Warning => "warning", Severity::Error => "error" },
        "place": finding.place,
        "message": finding.message,
        "hint": finding.hint,
    })
}

/// Failures as the document has them.
pub(crate) fn failures(failures: &[Failure]) -> Vec<Value> {
    failures.iter().map(failure).collect()
}

fn failure(failure: &Failure) -> Value {
    json!({
        "target": failure.target.to_string(),
        "step": failure.step,
        "kind": match failure.kind {
            FailureKind::Unreachable => "unreachable",
            FailureKind::Locked => "locked",
            FailureKind::Check => "check",
            FailureKind::Apply => "apply",
        },
        "message": failure.message,
        "hint": failure.hint,
        "tail": failure.tail,
    })
}
