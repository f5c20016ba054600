//! Two workers, of which one goes away: how long until its tasks run on the other.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;
use serde_json::{Value, json};
use testbed::kafka::Kafka;
use testbed::process::Signal;

use super::jvm;
use super::subject::{self, Subject, Worker};
use crate::bench::{Bench, Group};
use crate::figure::{Figure, Peer, Samples, Target, Unit};
use crate::report::say;

/// How many connectors of one task share the two workers.
const CONNECTORS: usize = 4;
/// Connect's default `session.timeout.ms`, in seconds.
const SESSION_TIMEOUT: f64 = 10.0;
/// The JVM worker waits 300 s before it gives lost tasks to others.
const LIMIT: Duration = Duration::from_secs(420);
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) struct Failover;

#[async_trait(?Send)]
impl Group for Failover {
    fn name(&self) -> &'static str {
        "failover"
    }

    fn title(&self) -> &'static str {
        "One of two workers goes away"
    }

    fn method(&self) -> String {
        "One broker, plaintext, two workers, four FileStream sources of one task each. From the signal until every \
         connector and every task is RUNNING on the worker that is left, as its REST API says, asked every 5 ms. All \
         settings are the defaults: the JVM worker waits `scheduled.rebalance.max.delay.ms` (5 minutes) after a clean \
         stop too, so it is measured once, and not with SIGKILL.\n"
            .to_owned()
    }

    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let kafka = Kafka::start(super::broker()).await?;
        let (mut stopped, mut killed) = (Samples::default(), Samples::default());
        for round in 0..bench.rounds {
            for (signal, samples) in [(Signal::Term, &mut stopped), (Signal::Kill, &mut killed)] {
                let group = format!("failover-{round}-{signal:?}").to_lowercase();
                let moved = moved_after(bench, Subject::Ours, &kafka, &group, signal).await?;
                samples.0.push(moved.as_secs_f64());
            }
        }
        let mut peers = Vec::new();
        for subject in &bench.subjects(&[&jvm::DEFAULTS])[1..] {
            let moved = moved_after(bench, *subject, &kafka, "failover-jvm", Signal::Term).await?;
            peers.push(Peer::new(subject.name(), Samples(vec![moved.as_secs_f64()])));
        }
        kafka.stop().await?;
        let figure = |name: &str, ours, peers, limit| Figure {
            name: format!("{name} → its tasks RUNNING on the other"),
            unit: Unit::Seconds,
            ours,
            peers,
            targets: vec![Target::AtMost(limit)],
        };
        Ok(vec![
            figure("SIGTERM", stopped, peers, 2.0),
            figure("SIGKILL", killed, vec![], SESSION_TIMEOUT + 10.0),
        ])
    }
}

/// Starts two workers, lets them share the connectors, ends one of them, and returns how long its work took to move.
async fn moved_after(
    bench: &Bench,
    subject: Subject,
    kafka: &Kafka,
    group: &str,
    signal: Signal,
) -> anyhow::Result<Duration> {
    let delay = [("scheduled.rebalance.max.delay.ms", "1000")];
    let extra = bench.scaled(&delay[..0], &delay[..]);
    let (mut first, mut second) = (
        Worker::launch(bench, subject, kafka, group, extra).await?,
        Worker::launch(bench, subject, kafka, group, extra).await?,
    );
    first.ready().await?;
    second.ready().await?;
    kafka.create_topic(group, 1).await?;
    let folder = subject::folder()?;
    for number in 0..CONNECTORS {
        create(&first, &folder, group, number).await?;
    }
    let (here, there) = (first.address(), second.address());
    until(&first, |owners| owners.contains(&here) && owners.contains(&there)).await?;
    let began = Instant::now();
    second.signal(signal);
    until(&first, |owners| owners.iter().all(|owner| *owner == here)).await?;
    let moved = began.elapsed();
    say(&format!("  {}, {signal:?}: {moved:.3?}", subject.name()));
    first.stop().await?;
    Ok(moved)
}

async fn create(worker: &Worker, folder: &Path, topic: &str, number: usize) -> anyhow::Result<()> {
    let file = folder.join(format!("{number}.txt"));
    fs::write(&file, "a line\n")?;
    let config = json!({ "name": name(number), "config": {
        "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
        "tasks.max": "1", "file": file, "topic": topic } });
    worker.call("POST", "/connectors", &config.to_string()).await.map(drop)
}

fn name(number: usize) -> String {
    format!("lines-{number}")
}

/// Waits until everything runs and its owners are as they should be.
async fn until(worker: &Worker, is_so: impl Fn(&[String]) -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let all = worker.call("GET", "/connectors?expand=status", "").await.unwrap_or_default();
        let owners = running(&all);
        // A connector and a task each.
        if owners.len() == 2 * CONNECTORS && is_so(&owners) {
            return Ok(());
        }
        ensure!(began.elapsed() < LIMIT, "work has not moved after {LIMIT:?}: {all}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The owner of each connector and of each task that is RUNNING.
fn running(all: &Value) -> Vec<String> {
    let mut owners = Vec::new();
    for connector in all.as_object().into_iter().flat_map(|all| all.values()) {
        let status = &connector["status"];
        let tasks = status["tasks"].as_array().into_iter().flatten();
        for instance in std::iter::once(&status["connector"]).chain(tasks) {
            if instance["state"] == "RUNNING" {
                owners.extend(instance["worker_id"].as_str().map(str::to_owned));
            }
        }
    }
    owners
}
