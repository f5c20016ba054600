//! The main job, for real: two bare hosts and a Kafka that only they reach, from nothing to a cluster that carries
//! records, survives the loss of a worker, is left alone by a second run, and is removed again.
//!
//! One scenario, because each step stands on the one before; every step prints its name and how long it took.

mod cluster;
mod ground;
mod group;
mod passing;
mod provision;
mod watch;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use secrecy::SecretString;
use testbed::kafka::JavaClient;
use testbed::wait;

use cluster::{Standing, Tasks};
use ground::Ground;
use provision::Provision;
use watch::Watch;

use crate::search::Sampler;

/// `cluster` of the inventory, and the names that follow from it.
const CLUSTER: &str = "main-job";
const GROUP: &str = "connect-main-job";
const CONFIG_TOPIC: &str = "connect-main-job-configs";
const CONTAINER: &str = "provision-main-job-worker";
/// Where everything of the cluster lies on a host.
const HOST_FOLDER: &str = "/etc/provision/main-job";
/// The topic, the connector that fills it, and the number of its tasks.
const USERS: &str = "users";
const TASKS: usize = 4;

/// What is promised: session timeout (10 s, as in Kafka) and 10 s.
const FAILOVER: Duration = Duration::from_secs(20);
/// How long records or tasks may take that nothing is wrong with.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn bare_hosts_become_a_secured_connect_cluster() -> Result<()> {
    let ground = step("lay the ground: three brokers, two hosts, a jump host", Ground::lay()).await?;
    step("no way to Kafka from here, no Docker on the hosts", ground.assert_premises()).await?;
    let provision = Provision::new(&ground)?;
    let outcome = scenario(&ground, &provision).await;
    if outcome.is_err() {
        show_workers(&ground).await;
    }
    outcome
}

async fn scenario(ground: &Ground, provision: &Provision) -> Result<()> {
    step("plan shows changes and writes nothing", plan_writes_nothing(ground, provision)).await?;
    step("apply, from nothing to smoke checks passed", apply_shows_no_secret(ground, provision)).await?;
    step("a Java consumer reads through our JKS truststore", java_reads(ground, provision)).await?;
    step("both workers are in one group and have tasks", both_work(ground)).await?;
    step("a second run makes 0 changes and 0 writes", second_run_writes_nothing(ground, provision)).await?;
    step("another control machine mints nothing", another_machine(ground, provision)).await?;
    step("docker kill of a worker moves its tasks", failover(ground)).await?;
    step("the next run brings the worker back", worker_returns(ground, provision)).await?;
    step("destroy removes what was made", destroy_removes(ground, provision)).await
}

/// What the workers have logged, for whoever reads of a failure.
async fn show_workers(ground: &Ground) {
    for (name, host) in ground.hosts() {
        let log = host.exec(&format!("docker logs --tail 200 {CONTAINER} 2>&1 || true")).await;
        say(&format!("== {CONTAINER} on {name}\n{}", log.unwrap_or_else(|error| error.to_string())));
    }
}

async fn plan_writes_nothing(ground: &Ground, provision: &Provision) -> Result<()> {
    let watch = Watch::begin(&ground.hosts()).await?;
    let before = cluster::metadata_end(ground).await?;
    let plan = provision.expect(7, &["plan"]).await?;
    for subject in ["bookworm", "trixie", CONFIG_TOPIC, USERS, GROUP] {
        ensure!(plan.stdout.contains(subject), "the plan does not tell of {subject}");
    }
    watch.ensure_silence("plan").await?;
    ensure!(cluster::metadata_end(ground).await? == before, "plan wrote to Kafka");
    ensure!(!provision.certs().exists(), "plan made {}", provision.certs().display());
    Ok(())
}

async fn apply_shows_no_secret(ground: &Ground, provision: &Provision) -> Result<()> {
    let sampler = Sampler::start(Some(provision.runtime()));
    let run = provision.expect(0, &["--yes"]).await?;
    let canaries = provision.canaries()?;

    let plan = provision.expect(0, &["plan", "--json"]).await?;
    let journal = fs::read_to_string(provision.kept("journal.jsonl"))?;
    for (place, text) in [
        ("the run", &run.said()),
        ("its report", &run.stdout),
        ("the plan", &plan.stdout),
        ("its progress", &plan.said()),
        ("the journal", &journal),
    ] {
        canaries.ensure_absent(place, text)?;
    }
    for (name, host) in ground.hosts() {
        let told = host.exec(&format!("docker inspect {CONTAINER}; docker logs {CONTAINER} 2>&1")).await?;
        canaries.ensure_absent(&format!("the container on {name}"), &told)?;
    }
    sampler.ensure_found_nothing(canaries)
}

async fn java_reads(ground: &Ground, provision: &Provision) -> Result<()> {
    let truststore = provision.kept("stores/truststore.jks");
    let password = fs::read_to_string(provision.kept("secrets/truststore"))?;
    let ours = fs::read(&truststore)?;
    for (name, host) in ground.hosts() {
        let folder = format!("{HOST_FOLDER}/worker");
        let there = host.exec(&format!("od -An -v -tx1 {folder}/truststore.jks")).await?;
        let bytes = there.split_whitespace().map(|byte| u8::from_str_radix(byte, 16));
        let there = bytes.collect::<Result<Vec<u8>, _>>()?;
        ensure!(there == ours, "{name} has another truststore than we keep");
        let secret = host.exec(&format!("cat {folder}/secrets/truststore-password")).await?;
        ensure!(
            secret.trim() == password.trim(),
            "{name} has another password of the truststore than we keep"
        );
    }
    let client = JavaClient {
        truststore_type: "JKS",
        truststore: &truststore,
        truststore_password: Some(&SecretString::from(password.trim())),
        username: ground.kafka.admin_username(),
        password: ground.kafka.admin_password(),
    };
    let records = ground.kafka.console_consume(USERS, Some(&client), 1_000).await?;
    let distinct: BTreeSet<&String> = records.iter().collect();
    ensure!(distinct.len() >= 1_000, "{} records, {} distinct", records.len(), distinct.len());
    for record in distinct {
        let value: serde_json::Value = serde_json::from_str(record).with_context(|| record.clone())?;
        // With or without the schema that JsonConverter puts around it.
        let user = value.get("payload").unwrap_or(&value);
        ensure!(user["userid"].as_str().is_some_and(|id| id.starts_with("User_")), "not a user: {record}");
    }
    Ok(())
}

async fn both_work(ground: &Ground) -> Result<()> {
    let group = group::describe(ground, GROUP).await?;
    ensure!(group.protocol_type == "connect" && group.state == "Stable", "{group:?}");
    let from: BTreeSet<&str> = group.members.iter().map(|member| member.client_host.as_str()).collect();
    ensure!(group.members.len() == 2 && from.len() == 2, "not one member from each host: {group:?}");
    let tasks = Tasks::ask(ground).await?;
    ensure!(tasks.are_spread(ground), "not all tasks run, or all on one host: {tasks:?}");
    Ok(())
}

async fn second_run_writes_nothing(ground: &Ground, provision: &Provision) -> Result<()> {
    let watch = Watch::begin(&ground.hosts()).await?;
    let before = Standing::of(ground).await?;
    let kept = provision.kept_files()?;
    watch.again().await?;

    let run = provision.expect(0, &["--yes"]).await?;
    ensure!(run.stdout.contains("0 changes"), "the second run does not say 0 changes");
    watch.ensure_silence("the second run").await?;
    let plan = provision.expect(0, &["plan"]).await?;
    ensure!(plan.stdout.contains("0 changes"), "the plan after it does not say 0 changes");
    watch.ensure_silence("the plan after it").await?;

    let after = Standing::of(ground).await?;
    ensure!(before == after, "containers, images, group or Kafka changed:\n{before:#?}\n{after:#?}");
    ensure!(kept == provision.kept_files()?, "{} changed", provision.certs().display());
    Ok(())
}

/// A control machine that lacks what belongs to the cluster is told so, and neither draws secrets anew nor changes a
/// thing.
async fn another_machine(ground: &Ground, provision: &Provision) -> Result<()> {
    let watch = Watch::begin(&ground.hosts()).await?;
    let run = provision.elsewhere("elsewhere").expect(4, &["--yes"]).await?;
    for (name, _) in ground.hosts() {
        let is_refused = |line: &str| line.starts_with(&format!("error: {name}: "));
        ensure!(run.stdout.lines().any(is_refused), "nothing is said of {name}:\n{}", run.stdout);
    }
    run.ensure(4, &["elsewhere/main-job from the control machine"])?;
    watch.ensure_silence("a run without the cluster's folder").await?;
    ensure!(!provision.folder().join("elsewhere/main-job").exists(), "secrets were drawn anew");
    Ok(())
}

async fn failover(ground: &Ground) -> Result<()> {
    let tasks = Tasks::ask(ground).await?;
    ensure!(tasks.are_spread(ground), "nothing to move: {tasks:?}");
    ground.trixie.exec(&format!("docker kill {CONTAINER}")).await?;
    let killed = Instant::now();
    let mut last = tasks;
    let have_moved = async || {
        last = Tasks::ask(ground).await?;
        Ok((last.running_on(&ground.bookworm) == TASKS).then_some(()))
    };
    let moved = wait::until("the tasks have moved", FAILOVER, have_moved, String::new).await;
    moved.with_context(|| format!("{last:?}"))?;
    say(&format!("the tasks moved within {:.1} s", killed.elapsed().as_secs_f64()));

    // Every one of them goes on, not only says so.
    let at_first = cluster::end_offsets(ground, USERS).await?;
    let is_growing = async || {
        let now = cluster::end_offsets(ground, USERS).await?;
        Ok((now.values().sum::<u64>() > at_first.values().sum::<u64>() + 1_000).then_some(()))
    };
    wait::until("records keep coming", PATIENCE, is_growing, String::new).await?;
    Ok(())
}

async fn worker_returns(ground: &Ground, provision: &Provision) -> Result<()> {
    let plan = provision.expect(7, &["plan"]).await?;
    let is_one_restart =
        plan.stdout.contains(": 1 change\n") && plan.stdout.contains("* trixie  connect-worker");
    ensure!(is_one_restart, "not the restart of the lost worker alone is planned");
    provision.expect(0, &["--yes"]).await?;
    let mut last = Tasks::default();
    let are_spread = async || {
        last = Tasks::ask(ground).await?;
        Ok(last.are_spread(ground).then_some(()))
    };
    let spread = wait::until("both workers have tasks again", PATIENCE, are_spread, String::new).await;
    spread.with_context(|| format!("{last:?}"))
}

async fn destroy_removes(ground: &Ground, provision: &Provision) -> Result<()> {
    let run = provision.expect(0, &["destroy", "--yes"]).await?;
    ensure!(run.stdout.contains(CONFIG_TOPIC), "destroy does not say that it leaves topics");
    for (name, host) in ground.hosts() {
        // systemd has a file of that name, too.
        let left = host
            .exec(&format!(
                "docker ps --all --quiet; docker images --quiet; docker network ls --quiet --filter type=custom\n\
                 ss -Hltn 'sport = :8083 or sport = :8079'\n\
                 find / /run /tmp -xdev \\( -name '*provision*' -o -name '*{CLUSTER}*' -o -name '*connect-worker*' \\) \
                 -not -path /usr/lib/tmpfiles.d/provision.conf"
            ))
            .await?;
        ensure!(left.trim().is_empty(), "{name} still has: {left}");
    }
    let kafka = &ground.kafka;
    let args = ["--describe", "--entity-type", "users"];
    let users = kafka.admin_tool("kafka.admin.ConfigCommand", &args).await?;
    ensure!(users.contains("admin") && !users.contains(GROUP), "Kafka still has the user: {users}");
    let acls = kafka.admin_tool("org.apache.kafka.tools.AclCommand", &["--list"]).await?;
    ensure!(!acls.contains(GROUP), "Kafka still has ACLs: {acls}");
    ensure!(!provision.kept("").exists(), "{} is still there", provision.kept("").display());
    Ok(())
}

/// Runs one step of the scenario and says how long it took.
async fn step<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    say(&format!("== {name}"));
    let start = Instant::now();
    let result = work.await.with_context(|| format!("step `{name}`"));
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(_) => say(&format!("== passed after {seconds:.1} s: {name}")),
        // Here too, and not only at the end: the workers' logs come in between.
        Err(error) => say(&format!("== FAILED after {seconds:.1} s: {name}\n{error:#}")),
    }
    result
}

#[expect(clippy::print_stdout, reason = "a long scenario says where it is")]
fn say(text: &str) {
    println!("{text}");
}
