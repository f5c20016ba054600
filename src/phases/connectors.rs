//! Connectors: the declared ones, validated, created or updated through REST, restarted when they failed, and waited for
//! until their tasks run.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Finding, Phase, PhaseError, Planned, Scope, Scoped, Severity};
use crate::inventory::model::Connector;
use crate::plan::{Action, Change, Target};
use crate::rest_client::{RestClient, RestError, segment};
use crate::standing::{self, Standing};

/// How long a connector may take from its config to running tasks: two rebalances and a slow start.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(150);

pub(crate) struct Connectors;

/// Connectors that the cluster has, by name; empty when no worker of ours answers yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ConnectorFacts {
    found: BTreeMap<String, FoundConnector>,
    /// What the worker finds wrong with configs that are new to it, by connector.
    invalid: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundConnector {
    config: Value,
    /// `None` when no worker has reported on it yet.
    standing: Option<Standing>,
}

#[async_trait]
impl Phase for Connectors {
    type Facts = ConnectorFacts;

    const ID: &'static str = "connectors";
    const TITLE: &'static str = "Connectors";
    const SCOPE: Scope = Scope::Cluster;

    async fn check(&self, at: &Scoped<'_>) -> Result<ConnectorFacts, PhaseError> {
        let mut facts = ConnectorFacts::default();
        if at.inventory().connectors.is_empty() {
            return Ok(facts);
        }
        let Some(rest) = any_worker(at).await else { return Ok(facts) };
        let looks = at.inventory().connectors.iter().map(|(name, connector)| {
            let rest = &rest;
            async move {
                let path = format!("/connectors/{}/config", segment(name.as_str()));
                let both = tokio::join!(rest.get(&path), standing::status(rest, name.as_str()));
                (name, connector, both)
            }
        });
        for (name, connector, (config_there, status)) in futures::future::join_all(looks).await {
            let failed = |error| PhaseError::rest(subject(connector), error);
            let wanted = config(connector);
            match config_there {
                Ok(config) => {
                    let standing = status.map_err(failed)?.as_ref().map(standing::judge);
                    let is_known = differing(&wanted, &config).is_empty();
                    facts.found.insert(name.to_string(), FoundConnector { config, standing });
                    if is_known {
                        continue;
                    }
                }
                Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {}
                Err(error) => return Err(failed(error)),
            }
            let errors = config_errors(&rest, connector, &Value::Object(wanted)).await.map_err(failed)?;
            if !errors.is_empty() {
                facts.invalid.insert(name.to_string(), errors);
            }
        }
        Ok(facts)
    }

    fn plan(&self, at: &Scoped<'_>, facts: &ConnectorFacts) -> Planned {
        let mut planned = Planned::default();
        for connector in at.inventory().connectors.values() {
            if let Some(errors) = facts.invalid.get(connector.name.as_str()) {
                planned.findings.push(Finding {
                    severity: Severity::Error,
                    place: subject(connector),
                    message: format!("{}: {}", refused_config(errors), errors.join("; ")),
                    hint: Some(config_hint(connector)),
                });
                continue;
            }
            let Some(found) = facts.found.get(connector.name.as_str()) else {
                planned.changes.push(Change::create(Self::ID, at.target, subject(connector)));
                continue;
            };
            let fields = differing(&config(connector), &found.config);
            if !fields.is_empty() {
                planned.changes.push(Change::update(Self::ID, at.target, subject(connector), fields));
                continue;
            }
            match &found.standing {
                Some(Standing::Failed { id, .. }) => {
                    let change =
                        Change::update(Self::ID, at.target, subject(connector), [format!("{id} failed")]);
                    planned
                        .changes
                        .push(Change { action: Action::Restart, ..change }.irreversible("it failed"));
                }
                Some(Standing::Halted { state }) => planned.findings.push(Finding {
                    severity: Severity::Warning,
                    place: subject(connector),
                    message: format!("is {state}, by somebody's will"),
                    hint: Some(format!("PUT /connectors/{}/resume lets it run", connector.name)),
                }),
                Some(Standing::Running | Standing::Waiting { .. }) | None => {}
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
        let failed = |error| PhaseError::rest(subject(connector), error);
        let before = standing::status(&rest, connector.name.as_str()).await.map_err(failed)?;
        let name = segment(connector.name.as_str());
        if change.action == Action::Restart {
            let path = format!("/connectors/{name}/restart?includeTasks=true&onlyFailed=true");
            send_with_patience(&rest, Method::POST, &path, None).await.map_err(failed)?;
        } else {
            let wanted = Value::Object(config(connector));
            let errors = config_errors(&rest, connector, &wanted).await.map_err(failed)?;
            if !errors.is_empty() {
                return Err(PhaseError::Refused {
                    place: subject(connector),
                    message: refused_config(&errors),
                    hint: Some(config_hint(connector)),
                    tail: errors,
                });
            }
            let path = format!("/connectors/{name}/config");
            send_with_patience(&rest, Method::PUT, &path, Some(&wanted)).await.map_err(failed)?;
        }
        let progress =
            |why: &str| at.ctx.events.progress(&Target::Cluster, &format!("{}: {why}", subject(connector)));
        let settled = standing::settle(&rest, connector.name.as_str(), before.as_ref(), PATIENCE, progress);
        match settled.await.map_err(failed)? {
            Standing::Running | Standing::Halted { .. } => Ok(()),
            Standing::Failed { id, trace } => Err(PhaseError::Refused {
                place: subject(connector),
                message: format!("{id} failed"),
                hint: Some(
                    "mend the cause that the trace names and run again: failed tasks are restarted".into(),
                ),
                tail: trace,
            }),
            Standing::Waiting { why } => Err(PhaseError::refused(
                subject(connector),
                format!("is not running after {} s: {why}", PATIENCE.as_secs()),
                "look at the workers' logs",
            )),
        }
    }
}

fn subject(connector: &Connector) -> String {
    format!("connector {}", connector.name)
}

/// A client for the first worker of ours that has found its way into its group; a stranger on the port is not asked.
async fn any_worker<'a>(at: &Scoped<'a>) -> Option<RestClient<'a>> {
    for (name, host) in &at.ctx.hosts {
        if !at.ctx.is_claimed(name) {
            continue;
        }
        let rest = RestClient::new(host.as_ref(), at.ctx.rest_endpoint(name));
        if rest.get("/health").await.is_ok() {
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

fn refused_config(errors: &[String]) -> String {
    let noun = if errors.len() == 1 { "error" } else { "errors" };
    format!("the worker refuses its config ({} {noun})", errors.len())
}

fn config_hint(connector: &Connector) -> String {
    format!("change `connectors.{}` in the inventory", connector.name)
}

/// Every error that the worker finds in a config, as `KEY: WHAT`.
async fn config_errors(
    rest: &RestClient<'_>,
    connector: &Connector,
    wanted: &Value,
) -> Result<Vec<String>, RestError> {
    // The worker refuses a path that spells the class otherwise than the config does: a full name for an alias.
    let class = connector.config.get("connector.class").map_or(connector.class.as_str(), String::as_str);
    let path = format!("/connector-plugins/{}/config/validate", segment(class));
    let answer = rest.json(Method::PUT, &path, Some(wanted)).await?;
    let errors = answer["configs"].as_array().into_iter().flatten().filter_map(|entry| {
        let errors: Vec<&str> =
            entry["value"]["errors"].as_array()?.iter().filter_map(Value::as_str).collect();
        let name = entry["value"]["name"].as_str()?;
        (!errors.is_empty()).then(|| format!("{name}: {}", errors.join("; ")))
    });
    Ok(errors.collect())
}

/// Connect answers 409 while the group rebalances; that passes.
async fn send_with_patience(
    rest: &RestClient<'_>,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(), RestError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match rest.json(method.clone(), path, body).await {
            Ok(_) => return Ok(()),
            Err(error) if error.status() == Some(StatusCode::CONFLICT) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
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
}
