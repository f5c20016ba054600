//! Smoke: does it really work? Asked from the control machine through each host's session, and from inside each host.
//!
//! Every run looks at REST, plugins, metrics and task states. A run that changed something, and `provision smoke`, also
//! carries records end to end with a probe connector, which is removed again. One that a killed run has left is found by
//! its name and removed by the next.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, StatusCode};
use kafka_control::{CreateMode, Endpoint, NewTopic, OffsetSpec, ResponseError, TopicPartition};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Finding, Phase, PhaseError, Planned, Scope, Scoped, Severity};
use crate::causes::chain;
use crate::desired::{privilege, probe_topic};
use crate::host::{Command, Host, HostExt};
use crate::kafka_access::KafkaAccessError;
use crate::plan::{Change, Target};
use crate::rest_client::{RestClient, RestError, segment};
use crate::standing::{self, Standing};

/// A series that every worker exports, whatever runs on it.
const METRIC: &str = "kafka_connect_connect_worker_metrics_task_count";
const LEFTOVER: &str = "probe connector of a run that was killed";
const PROBE: &str = "provision-probe";
const PROBE_CLASS: &str = "io.confluent.kafka.connect.datagen.DatagenConnector";
/// How many records of the probe must arrive.
const PROBE_RECORDS: i64 = 20;
const IS_IT_RUNNING: &str =
    "is the worker running? its log is on the host, see `docker logs` or the log file";
const NOT_OURS: &str = "something else may answer there, or another version of the worker: look who listens on that port of the host";
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Smoke;

/// What a look before everything else has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SmokeFacts {
    /// A probe is there, of a run that was killed.
    has_leftover: bool,
    /// Every worker and every connector is as it should be. If not, or if nobody looked, `verify` looks with patience
    /// and says what is wrong.
    is_all_well: bool,
}

#[async_trait]
impl Phase for Smoke {
    type Facts = SmokeFacts;

    const ID: &'static str = "smoke";
    const TITLE: &'static str = "Smoke checks";
    const SCOPE: Scope = Scope::Cluster;

    async fn check(&self, at: &Scoped<'_>) -> Result<SmokeFacts, PhaseError> {
        let (has_leftover, is_all_well) = tokio::join!(has_leftover(at), is_all_well(at));
        Ok(SmokeFacts { has_leftover, is_all_well })
    }

    fn plan(&self, at: &Scoped<'_>, facts: &SmokeFacts) -> Planned {
        let leftover = facts.has_leftover.then(|| Change::remove(Self::ID, at.target, LEFTOVER));
        Planned { changes: leftover.into_iter().collect(), findings: Vec::new() }
    }

    async fn apply(&self, at: &Scoped<'_>, _: &SmokeFacts, _: &Change) -> Result<(), PhaseError> {
        let Some(host) = at.ctx.hosts.values().next() else { return Ok(()) };
        let rest = RestClient::new(host.as_ref(), at.ctx.rest_endpoint(host.name()));
        remove(at, &rest, PROBE, &probe_topic(at.inventory())).await
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&SmokeFacts>) -> Result<Vec<Finding>, PhaseError> {
        let mut findings = Vec::new();
        if !seen.is_some_and(|facts| facts.is_all_well) {
            findings = look_at_hosts(at).await;
            if findings.is_empty() {
                findings.extend(look_at_connectors(at).await?);
            }
        }
        if findings.is_empty() && at.ctx.is_probe_requested() {
            findings.extend(probe(at).await?);
            // Its coming and going stops every connector for a moment.
            findings.extend(look_at_connectors(at).await?);
        }
        Ok(findings)
    }
}

async fn has_leftover(at: &Scoped<'_>) -> bool {
    for host in at.ctx.hosts.values() {
        let rest = RestClient::new(host.as_ref(), at.ctx.rest_endpoint(host.name()));
        // Not its status: that of a connector that is gone may stay a little longer.
        match rest.get(&format!("/connectors/{PROBE}/config")).await {
            Ok(_) => return true,
            Err(cause) if cause.status() == Some(StatusCode::NOT_FOUND) => break,
            // No worker there, or none yet.
            Err(_unanswered) => {}
        }
    }
    // What is wrong with Kafka is told by the phases that need it.
    let Ok(Some(admin)) = at.ctx.kafka.look(at.ctx).await else { return false };
    matches!(admin.topic(&probe_topic(at.inventory())).await, Ok(Some(_)))
}

async fn is_all_well(at: &Scoped<'_>) -> bool {
    // Only where workers of ours are to be expected: a bare host is not asked for one.
    if !at.ctx.hosts.keys().all(|name| at.ctx.is_claimed(name)) {
        return false;
    }
    let (workers, connectors) = tokio::join!(look_at_hosts(at), connectors_run(at));
    workers.is_empty() && connectors
}

async fn look_at_hosts(at: &Scoped<'_>) -> Vec<Finding> {
    let looks = at.ctx.hosts.values().map(|host| look_at_host(at, host.as_ref()));
    futures::future::join_all(looks).await.into_iter().flatten().collect()
}

/// REST and metrics of one host's worker.
async fn look_at_host(at: &Scoped<'_>, host: &dyn Host) -> Vec<Finding> {
    let rest = RestClient::new(host, at.ctx.rest_endpoint(host.name()));
    let metrics = RestClient::new(host, at.ctx.metrics_endpoint(host.name()));
    let (outside, page, inside) = tokio::join!(
        rest_root(at, host, &rest),
        metrics.text("/metrics"),
        from_inside(at, host, rest.endpoint())
    );
    let mut findings = outside;
    match page {
        Ok(page) if page.lines().any(|line| line.starts_with(METRIC)) => {}
        Ok(_) => {
            findings.push(error(host, format!("metrics on {} lack {METRIC}", metrics.endpoint()), NOT_OURS))
        }
        Err(cause) => findings.push(unreachable(host, &cause)),
    }
    findings.extend(inside);
    findings
}

async fn rest_root(at: &Scoped<'_>, host: &dyn Host, rest: &RestClient<'_>) -> Vec<Finding> {
    let (root, plugins) = match tokio::try_join!(rest.get("/"), rest.get("/connector-plugins")) {
        Ok(answers) => answers,
        Err(cause) => return vec![unreachable(host, &cause)],
    };
    let mut findings = Vec::new();
    for key in ["version", "commit", "kafka_cluster_id"] {
        if root[key].as_str().is_none_or(str::is_empty) {
            findings.push(error(host, format!("{} does not tell its {key}", rest.endpoint()), NOT_OURS));
        }
    }
    let wanted: BTreeSet<&str> =
        at.inventory().connectors.values().map(|connector| connector.class.as_str()).collect();
    let has = |class: &str| {
        plugins.as_array().into_iter().flatten().any(|plugin| plugin["class"].as_str() == Some(class))
    };
    for class in wanted.into_iter().filter(|class| !has(class)) {
        findings.push(error(host, format!("the worker does not carry {class}"), NOT_OURS));
    }
    findings
}

/// The same question asked on the host itself, with nothing but bash: bare hosts have no curl.
async fn from_inside(at: &Scoped<'_>, host: &dyn Host, endpoint: &Endpoint) -> Option<Finding> {
    let script = format!(
        "timeout 20 bash -c 'exec 3<>\"/dev/tcp/$0/$1\" && printf \"GET / HTTP/1.0\\r\\nHost: $0\\r\\n\\r\\n\" >&3 && exec cat <&3' {} {} \
         || {{ [ $? != 124 ] || echo 'no answer within 20 s' >&2; exit 1; }}",
        crate::shell::quote(&endpoint.host),
        endpoint.port
    );
    let mut look = Command::look("ask the worker from inside the host", script);
    // As the other looks at this host, so that they go together.
    look.privilege = privilege(at.inventory());
    match host.check(&look).await {
        Ok(answer) if answer.contains("kafka_cluster_id") => None,
        Ok(_) => {
            let message = format!("{endpoint} asked from inside the host: not a Connect worker's answer");
            Some(error(host, message, NOT_OURS))
        }
        Err(cause) => {
            Some(error(host, format!("{endpoint} asked from inside the host: {cause}"), IS_IT_RUNNING))
        }
    }
}

fn error(host: &dyn Host, message: String, hint: &str) -> Finding {
    let place = host.name().to_string();
    Finding { severity: Severity::Error, place, message, hint: Some(hint.to_owned()) }
}

fn unreachable(host: &dyn Host, cause: &RestError) -> Finding {
    error(host, chain(cause), IS_IT_RUNNING)
}

/// Whether every declared connector runs with all its tasks right now.
async fn connectors_run(at: &Scoped<'_>) -> bool {
    let Some((name, host)) = at.ctx.hosts.iter().next() else { return true };
    let rest = RestClient::new(host.as_ref(), at.ctx.rest_endpoint(name));
    let statuses = at.inventory().connectors.keys().map(|name| standing::status(&rest, name.as_str()));
    let statuses = futures::future::join_all(statuses).await;
    let runs = |status: &Option<Value>| status.as_ref().map(standing::judge) == Some(Standing::Running);
    statuses.iter().all(|status| status.as_ref().is_ok_and(runs))
}

/// Every declared connector with all its tasks, as the cluster reports them.
async fn look_at_connectors(at: &Scoped<'_>) -> Result<Vec<Finding>, PhaseError> {
    let mut findings = Vec::new();
    let Some((name, host)) = at.ctx.hosts.iter().next() else { return Ok(findings) };
    let rest = RestClient::new(host.as_ref(), at.ctx.rest_endpoint(name));
    for name in at.inventory().connectors.keys() {
        let place = format!("connector {name}");
        let progress = |why: &str| at.ctx.events.progress(&Target::Cluster, &format!("{place}: {why}"));
        // A converged run may look in the middle of a rebalance: give the tasks their time.
        let settled = standing::settle(&rest, name.as_str(), None, PATIENCE, progress)
            .await
            .map_err(|error| PhaseError::rest(&place, error))?;
        let (severity, message, hint) = match settled {
            Standing::Running => continue,
            Standing::Halted { state } => {
                let hint = format!("PUT /connectors/{name}/resume lets it run");
                (Severity::Warning, format!("is {state}, by somebody's will"), hint)
            }
            Standing::Waiting { why } => {
                let message = format!("is not running after {} s: {why}", PATIENCE.as_secs());
                (Severity::Error, message, "look at the workers' logs".to_owned())
            }
            Standing::Failed { id, trace } => {
                let trace = trace.first().cloned().unwrap_or_default();
                (
                    Severity::Error,
                    format!("{id} failed: {trace}"),
                    "mend the cause and run `apply`: failed tasks are restarted".to_owned(),
                )
            }
        };
        findings.push(Finding { severity, place, message, hint: Some(hint) });
    }
    Ok(findings)
}

/// Carries records from a source connector through Kafka to us, and cleans up whatever came of it.
async fn probe(at: &Scoped<'_>) -> Result<Vec<Finding>, PhaseError> {
    let Some(host) = at.ctx.hosts.values().next() else { return Ok(Vec::new()) };
    let rest = RestClient::new(host.as_ref(), at.ctx.rest_endpoint(host.name()));
    let topic = probe_topic(at.inventory());
    // One name, so that what an interrupted run left is found and removed.
    remove(at, &rest, PROBE, &topic).await?;
    let outcome = at.ctx.interrupt.unless(carry(at, &rest, PROBE, &topic)).await;
    let removed = remove(at, &rest, PROBE, &topic).await;
    let findings =
        outcome.unwrap_or_else(|signal| Err(PhaseError::CutOff { signal: signal.name(), seconds: 0 }))?;
    removed?;
    Ok(findings)
}

async fn carry(
    at: &Scoped<'_>,
    rest: &RestClient<'_>,
    name: &str,
    topic: &str,
) -> Result<Vec<Finding>, PhaseError> {
    let admin = at.ctx.kafka.admin(at.ctx).await?;
    let new = NewTopic {
        name: topic.to_owned(),
        partitions: Some(1),
        replication_factor: None,
        configs: [("retention.ms".to_owned(), "3600000".to_owned())].into(),
    };
    for (_, result) in
        admin.create_topics(&[new], CreateMode::Create).await.map_err(KafkaAccessError::from)?
    {
        match result {
            Err(refusal) if refusal.code != ResponseError::TopicAlreadyExists => {
                let hint = refusal.hint().unwrap_or("the admin user needs the right to create topics");
                return Err(PhaseError::refused(format!("topic {topic}"), refusal.to_string(), hint));
            }
            _ => {}
        }
    }
    let config = json!({
        "name": name,
        "config": {
            "connector.class": PROBE_CLASS,
            "kafka.topic": topic,
            "quickstart": "users",
            "max.interval": "20",
            "tasks.max": "1",
        },
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        match rest.json(Method::POST, "/connectors", Some(&config)).await {
            Ok(_) => break,
            Err(cause) if cause.status() == Some(StatusCode::CONFLICT) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(cause) => {
                return Err(PhaseError::rest("probe connector", cause));
            }
        }
    }
    let partition = TopicPartition::new(topic, 0);
    let mut seen = 0;
    while Instant::now() < deadline {
        let offsets = admin.list_offsets(std::slice::from_ref(&partition), OffsetSpec::Latest).await;
        if let Ok(offsets) = offsets {
            seen = offsets.get(&partition).copied().unwrap_or(0);
        }
        if seen >= PROBE_RECORDS {
            return read_back(at, &admin, &partition).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let status = rest.get(&format!("/connectors/{name}/status")).await.unwrap_or(Value::Null);
    Ok(vec![Finding {
        severity: Severity::Error,
        place: "probe connector".to_owned(),
        message: format!(
            "{seen} of {PROBE_RECORDS} records arrived in {topic} within {} s",
            PATIENCE.as_secs()
        ),
        hint: Some(format!("its last status: {status}")),
    }])
}

/// Reads the probe's records as any consumer would.
async fn read_back(
    at: &Scoped<'_>,
    admin: &kafka_control::Client,
    partition: &TopicPartition,
) -> Result<Vec<Finding>, PhaseError> {
    let records =
        admin.fetch(partition, 0, 1 << 20, Duration::from_secs(5)).await.map_err(KafkaAccessError::from)?;
    let whole =
        records.iter().filter(|record| record.value.as_ref().is_some_and(|value| !value.is_empty())).count();
    if whole > 0 {
        let said = format!("probe connector: {whole} records came through Kafka and back");
        at.ctx.events.progress(&Target::Cluster, &said);
        return Ok(Vec::new());
    }
    Ok(vec![Finding {
        severity: Severity::Error,
        place: "probe connector".to_owned(),
        message: format!("{} has records, and none with a value can be read back", partition.topic),
        hint: Some(
            "look whether something deletes its records: `cleanup.policy`, retention, another program".into(),
        ),
    }])
}

/// Removes connector and topic; what is not there is fine.
async fn remove(at: &Scoped<'_>, rest: &RestClient<'_>, name: &str, topic: &str) -> Result<(), PhaseError> {
    let path = format!("/connectors/{}", segment(name));
    let deadline = Instant::now() + PATIENCE;
    loop {
        match rest.json(Method::DELETE, &path, None).await {
            Ok(_) => break,
            Err(cause) if cause.status() == Some(StatusCode::NOT_FOUND) => break,
            Err(cause) if cause.status() == Some(StatusCode::CONFLICT) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(cause) => {
                return Err(PhaseError::rest("removal of the probe connector", cause));
            }
        }
    }
    // A task that still writes could make the topic anew where brokers allow that.
    while standing::status(rest, name).await.is_ok_and(|status| status.is_some()) && Instant::now() < deadline
    {
        tokio::time::sleep(PAUSE).await;
    }
    let admin = at.ctx.kafka.admin(at.ctx).await?;
    for (_, result) in admin.delete_topics(&[topic]).await.map_err(KafkaAccessError::from)? {
        match result {
            Err(refusal) if refusal.code != ResponseError::UnknownTopicOrPartition => {
                let hint = refusal.hint().unwrap_or("delete it by hand");
                return Err(PhaseError::refused(format!("topic {topic}"), refusal.to_string(), hint));
            }
            _ => {}
        }
    }
    // Brokers learn of it a little after the controller, and the next run must not take it for a leftover.
    while admin.topic(topic).await.map_err(KafkaAccessError::from)?.is_some() {
        if Instant::now() >= deadline {
            let message = format!("is still there {} s after its deletion", PATIENCE.as_secs());
            return Err(PhaseError::refused(
                format!("topic {topic}"),
                message,
                "look into the brokers' logs",
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
