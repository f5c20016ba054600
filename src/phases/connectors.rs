//! Connectors: the declared ones, validated, created or updated through REST, and waited for until their tasks run.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Finding, Phase, PhaseError, Planned, Scope, Scoped, Severity};
use crate::inventory::model::Connector;
use crate::plan::{Change, Target};
use crate::rest_client::{RestClient, RestError, segment};

/// How long a connector may take from its config to running tasks: two rebalances and a slow start.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(150);

pub(crate) struct Connectors;

/// Configs that the cluster has, by connector name; `None` when no worker answers yet.
pub(crate) type ConnectorFacts = Option<BTreeMap<String, Value>>;

#[async_trait]
impl Phase for Connectors {
    type Facts = ConnectorFacts;

    const ID: &'static str = "connectors";
    const TITLE: &'static str = "Connectors";
    const SCOPE: Scope = Scope::Cluster;

    async fn check(&self, at: &Scoped<'_>) -> Result<ConnectorFacts, PhaseError> {
        if at.inventory().connectors.is_empty() {
            return Ok(Some(BTreeMap::new()));
        }
        let Some(rest) = any_worker(at).await else { return Ok(None) };
        let mut found = BTreeMap::new();
        for name in at.inventory().connectors.keys() {
            match rest.get(&format!("/connectors/{}/config", segment(name.as_str()))).await {
                Ok(config) => {
                    found.insert(name.to_string(), config);
                }
                Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {}
                Err(error) => return Err(PhaseError::make(format!("list of connectors ({name})"), error)),
            }
        }
        Ok(Some(found))
    }

    fn plan(&self, at: &Scoped<'_>, facts: &ConnectorFacts) -> Planned {
        let mut planned = Planned::default();
        for connector in at.inventory().connectors.values() {
            let found = facts.as_ref().and_then(|found| found.get(connector.name.as_str()));
            match found {
                None => planned.changes.push(Change::create(Self::ID, at.target, subject(connector))),
                Some(found) => {
                    let fields = differing(&config(connector), found);
                    if !fields.is_empty() {
                        planned.changes.push(Change::update(Self::ID, at.target, subject(connector), fields));
                    }
                }
            }
        }
        planned
    }

    async fn apply(
        &self,
        at: &Scoped<'_>,
        _facts: &ConnectorFacts,
        change: &Change,
    ) -> Result<(), PhaseError> {
        let connector = at
            .inventory()
            .connectors
            .values()
            .find(|connector| subject(connector) == change.subject)
            .expect("a planned connector is a declared one");
        let rest = any_worker(at).await.ok_or_else(|| no_worker(at))?;
        let wanted = Value::Object(config(connector));
        validate(&rest, connector, &wanted).await?;
        let path = format!("/connectors/{}/config", segment(connector.name.as_str()));
        put_with_patience(&rest, &path, &wanted)
            .await
            .map_err(|error| PhaseError::make(subject(connector), error))?;
        wait_until_running(at, &rest, connector).await
    }

    async fn verify(&self, at: &Scoped<'_>) -> Result<Vec<Finding>, PhaseError> {
        let mut findings = Vec::new();
        if at.inventory().connectors.is_empty() {
            return Ok(findings);
        }
        let rest = any_worker(at).await.ok_or_else(|| no_worker(at))?;
        for connector in at.inventory().connectors.values() {
            // A converged run may look in the middle of a rebalance: give the tasks their time.
            if let Err(error) = wait_until_running(at, &rest, connector).await {
                findings.push(Finding {
                    severity: Severity::Error,
                    place: subject(connector),
                    message: error.to_string(),
                    hint: error.hint(),
                });
            }
        }
        Ok(findings)
    }
}

fn subject(connector: &Connector) -> String {
    format!("connector {}", connector.name)
}

/// A client for the first worker that answers.
async fn any_worker<'a>(at: &Scoped<'a>) -> Option<RestClient<'a>> {
    for host in at.ctx.hosts.values() {
        let rest = RestClient::new(host.as_ref(), at.ctx.rest_endpoint(host.name()));
        if rest.get("/").await.is_ok() {
            return Some(rest);
        }
    }
    None
}

fn no_worker(at: &Scoped<'_>) -> PhaseError {
    let hosts: Vec<&str> = at.ctx.hosts.keys().map(|name| name.as_str()).collect();
    PhaseError::refused(
        at.target,
        format!("no worker answers on {}", hosts.join(", ")),
        "look at the worker's log on a host: `docker logs` of its container, or its log file",
    )
}

/// The config as Connect keeps it: with the name in it.
fn config(connector: &Connector) -> Map<String, Value> {
    let mut config: Map<String, Value> =
        connector.config.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    config.insert("name".to_owned(), Value::from(connector.name.as_str()));
    config
}

/// Names of the keys that are new, different or gone.
fn differing(wanted: &Map<String, Value>, found: &Value) -> Vec<String> {
    let empty = Map::new();
    let found = found.as_object().unwrap_or(&empty);
    let mut keys: Vec<String> = wanted
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value))
        .map(|(key, _)| key.clone())
        .chain(found.keys().filter(|key| !wanted.contains_key(*key)).cloned())
        .collect();
    keys.sort();
    keys
}

/// Asks the worker for every error of the config before it is written.
async fn validate(rest: &RestClient<'_>, connector: &Connector, wanted: &Value) -> Result<(), PhaseError> {
    let path = format!("/connector-plugins/{}/config/validate", segment(connector.class.as_str()));
    let answer = rest
        .json(Method::PUT, &path, Some(wanted))
        .await
        .map_err(|error| PhaseError::make(format!("validation of {}", subject(connector)), error))?;
    let errors: Vec<String> = answer["configs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let errors: Vec<&str> =
                entry["value"]["errors"].as_array()?.iter().filter_map(Value::as_str).collect();
            let name = entry["value"]["name"].as_str()?;
            (!errors.is_empty()).then(|| format!("{name}: {}", errors.join("; ")))
        })
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(PhaseError::Refused {
        place: subject(connector),
        message: format!("the worker refuses its config ({} errors)", errors.len()),
        hint: Some(format!("change `connectors.{}` in the inventory", connector.name)),
        tail: errors,
    })
}

/// Connect answers 409 while the group rebalances; that passes.
async fn put_with_patience(rest: &RestClient<'_>, path: &str, wanted: &Value) -> Result<(), RestError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match rest.json(Method::PUT, path, Some(wanted)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.status() == Some(StatusCode::CONFLICT) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until the connector and at least one task run, and none has failed.
async fn wait_until_running(
    at: &Scoped<'_>,
    rest: &RestClient<'_>,
    connector: &Connector,
) -> Result<(), PhaseError> {
    let path = format!("/connectors/{}/status", segment(connector.name.as_str()));
    let deadline = Instant::now() + PATIENCE;
    let mut last = String::from("no status yet");
    while Instant::now() < deadline {
        match rest.get(&path).await {
            Ok(status) => match judge(&status) {
                Standing::Running => return Ok(()),
                Standing::Failed { id, trace } => {
                    return Err(PhaseError::Refused {
                        place: subject(connector),
                        message: format!("{id} failed"),
                        hint: Some(
                            "the trace is in the worker's status; mend the cause and run again".into(),
                        ),
                        tail: trace,
                    });
                }
                Standing::Waiting { why } => last = why,
            },
            Err(error) if error.status().is_some() => last = error.to_string(),
            Err(error) => return Err(PhaseError::make(subject(connector), error)),
        }
        at.ctx.events.progress(&Target::Cluster, &format!("{}: {last}", subject(connector)));
        tokio::time::sleep(PAUSE).await;
    }
    Err(PhaseError::refused(
        subject(connector),
        format!("is not running after {} s: {last}", PATIENCE.as_secs()),
        "look at the workers' logs",
    ))
}

/// How a connector stands, from its status document.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Running,
    /// Still on its way, and what is missing.
    Waiting {
        why: String,
    },
    Failed {
        id: String,
        trace: Vec<String>,
    },
}

fn judge(status: &Value) -> Standing {
    let tasks: Vec<&Value> = status["tasks"].as_array().into_iter().flatten().collect();
    let all = std::iter::once(("the connector".to_owned(), &status["connector"]))
        .chain(tasks.iter().map(|task| (format!("task {}", task["id"]), *task)));
    let mut waiting = None;
    for (id, instance) in all {
        match instance["state"].as_str().unwrap_or("unknown") {
            "RUNNING" => {}
            "FAILED" => {
                let trace = instance["trace"].as_str().unwrap_or_default();
                return Standing::Failed { id, trace: trace.lines().take(6).map(str::to_owned).collect() };
            }
            state => waiting = waiting.or(Some(format!("{id} is {state}"))),
        }
    }
    match waiting {
        Some(why) => Standing::Waiting { why },
        None if tasks.is_empty() => Standing::Waiting { why: "no tasks yet".to_owned() },
        None => Standing::Running,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_differ_are_named_and_not_their_values() {
        let wanted = json!({ "name": "users", "a": "1", "b": "2" });
        let found = json!({ "name": "users", "a": "1", "b": "3", "c": "4" });
        assert_eq!(differing(wanted.as_object().unwrap(), &found), ["b", "c"]);
        assert!(differing(wanted.as_object().unwrap(), &wanted).is_empty());
    }

    #[test]
    fn a_connector_runs_when_it_and_all_its_tasks_do() {
        let status =
            |connector: &str, tasks: Value| json!({ "connector": { "state": connector }, "tasks": tasks });
        assert_eq!(judge(&status("RUNNING", json!([{ "id": 0, "state": "RUNNING" }]))), Standing::Running);
        assert!(matches!(judge(&status("RUNNING", json!([]))), Standing::Waiting { .. }));
        assert!(matches!(
            judge(&status("RUNNING", json!([{ "id": 0, "state": "UNASSIGNED" }]))),
            Standing::Waiting { why } if why == "task 0 is UNASSIGNED"
        ));
        let failed = judge(&status("RUNNING", json!([{ "id": 0, "state": "FAILED", "trace": "a\nb" }])));
        assert_eq!(failed, Standing::Failed { id: "task 0".to_owned(), trace: vec!["a".into(), "b".into()] });
    }
}
