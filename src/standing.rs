//! How a connector stands, from its status document, and the patience to wait until it runs.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::rest_client::{RestClient, RestError, segment};

const PAUSE: Duration = Duration::from_millis(150);
/// How long a status may still be the one from before a change.
const STALE: Duration = Duration::from_secs(10);

/// Where a connector with all its tasks is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Running,
    /// Paused or stopped, by somebody's will.
    Halted {
        state: String,
    },
    /// Still on its way, and what is missing.
    Waiting {
        why: String,
    },
    Failed {
        id: String,
        trace: Vec<String>,
    },
}

/// Reads a status document (`GET /connectors/X/status`).
pub(crate) fn judge(status: &Value) -> Standing {
    let state = |instance: &Value| instance["state"].as_str().unwrap_or("unknown").to_owned();
    let connector = &status["connector"];
    let tasks: Vec<&Value> = status["tasks"].as_array().into_iter().flatten().collect();
    let all = std::iter::once(("the connector".to_owned(), connector))
        .chain(tasks.iter().map(|task| (format!("task {}", task["id"]), *task)));
    let mut waiting = None;
    for (id, instance) in all {
        match state(instance).as_str() {
            "RUNNING" => {}
            "FAILED" => {
                let trace = instance["trace"].as_str().unwrap_or_default();
                return Standing::Failed { id, trace: trace.lines().take(6).map(str::to_owned).collect() };
            }
            other => waiting = waiting.or(Some(format!("{id} is {other}"))),
        }
    }
    match (state(connector).as_str(), waiting) {
        ("PAUSED" | "STOPPED", _) => Standing::Halted { state: state(connector) },
        (_, Some(why)) => Standing::Waiting { why },
        (_, None) if tasks.is_empty() => Standing::Waiting { why: "no tasks yet".to_owned() },
        (_, None) => Standing::Running,
    }
}

/// The status document of a connector; `None` when the cluster has none of that name.
pub(crate) async fn status(rest: &RestClient<'_>, name: &str) -> Result<Option<Value>, RestError> {
    match rest.get(&format!("/connectors/{}/status", segment(name))).await {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.status() == Some(http::StatusCode::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until the connector stands still: running, halted or failed; `Waiting` when `patience` was over first.
///
/// `before` is the status from before a change: while the answer is still that one, a failure in it is an old one.
/// `progress` is told what is missing, whenever that changes.
pub(crate) async fn settle(
    rest: &RestClient<'_>,
    name: &str,
    before: Option<&Value>,
    patience: Duration,
    progress: impl Fn(&str),
) -> Result<Standing, RestError> {
    let began = Instant::now();
    let mut last = Standing::Waiting { why: "no status yet".to_owned() };
    let mut told = String::new();
    while began.elapsed() < patience {
        let found = match status(rest, name).await {
            Ok(found) => found,
            // A rebalance makes the worker refuse for a moment.
            Err(error) if error.status().is_some() => {
                last = Standing::Waiting { why: error.to_string() };
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(found) = found {
            let is_old = before == Some(&found) && began.elapsed() < STALE;
            match judge(&found) {
                Standing::Waiting { why } => last = Standing::Waiting { why },
                Standing::Failed { id, .. } if is_old => {
                    last = Standing::Waiting { why: format!("{id} has not restarted yet") };
                }
                settled => return Ok(settled),
            }
        }
        if let Standing::Waiting { why } = &last
            && *why != told
        {
            progress(why);
            told.clone_from(why);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(connector: &str, tasks: &Value) -> Value {
        json!({ "connector": { "state": connector }, "tasks": tasks })
    }

    #[test]
    fn a_connector_runs_when_it_and_all_its_tasks_do() {
        let running = json!([{ "id": 0, "state": "RUNNING" }]);
        assert_eq!(judge(&document("RUNNING", &running)), Standing::Running);
        assert!(matches!(judge(&document("RUNNING", &json!([]))), Standing::Waiting { .. }));
        let unassigned = json!([{ "id": 0, "state": "UNASSIGNED" }]);
        assert!(matches!(
            judge(&document("RUNNING", &unassigned)),
            Standing::Waiting { why } if why == "task 0 is UNASSIGNED"
        ));
        let failed = json!([{ "id": 0, "state": "FAILED", "trace": "a\nb" }]);
        let expected = Standing::Failed { id: "task 0".to_owned(), trace: vec!["a".into(), "b".into()] };
        assert_eq!(judge(&document("RUNNING", &failed)), expected);
    }

    #[test]
    fn what_was_halted_on_purpose_is_not_waited_for() {
        let paused = json!([{ "id": 0, "state": "PAUSED" }]);
        assert!(matches!(judge(&document("PAUSED", &paused)), Standing::Halted { .. }));
        assert!(matches!(judge(&document("STOPPED", &json!([]))), Standing::Halted { .. }));
    }
}
