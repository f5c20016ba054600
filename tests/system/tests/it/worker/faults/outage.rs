//! The only broker is away: not there yet, restarted, silent.

use std::fs;

use serde_json::json;
use testbed::kafka::{Kafka, KafkaSpec};
use testbed::process::{Process, Signal};

use super::{Copying, LATE, TOPIC, Writer, client, ends, has_lines, health_check, positions, until_health};
use crate::worker::{SOON, Worker};

/// Well above what the worker needs, and far below what it would take if a source were never held back.
const MOST_MEMORY_KB: u64 = 400 * 1024;

#[tokio::test]
async fn worker_outlasts_its_kafka() {
    let mut kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    kafka.create_topic(TOPIC, 1).await.unwrap();
    kafka.create_topic("users", 1).await.unwrap();
    let extra = "session.timeout.ms=6000\noffset.storage.partitions=1\n";

    // Nobody there at the start: it waits, says so, and can be ended.
    kafka.broker(1).stop().await.unwrap();
    let early = Worker::launch(&kafka, extra, &[]);
    until_health(&early, 503, "The worker is currently connecting to Kafka").await;
    let (is_healthy, said) = health_check(&early);
    assert!(!is_healthy && said.contains("503"), "{said}");
    early.stop().await;
    let mut worker = Worker::launch(&kafka, extra, &[]);
    until_health(&worker, 503, "The worker is currently connecting to Kafka").await;
    kafka.broker(1).start().await.unwrap();
    until_health(&worker, 200, "healthy").await;

    // Restarted under load.
    let copying = Copying::start(&worker, worker.folder.join("out.txt")).await;
    let writer = Writer::start(&copying.input, 0);
    worker
        .process
        .until("lines arrive", LATE, async |_| Ok(fs::metadata(&copying.output).ok()))
        .await
        .unwrap();
    kafka.broker(1).stop().await.unwrap();
    kafka.broker(1).start().await.unwrap();
    let count = writer.end().await;
    has_lines(&worker, &copying.output, count).await;
    until_health(&worker, 200, "healthy").await;

    // Silent for longer than a session lasts, while one source is slow and another one as fast as it can.
    let datagen = json!({ "connector.class": "DatagenConnector", "quickstart": "users", "kafka.topic": "users",
        "max.interval": "0", "tasks.max": "2" });
    let writer = Writer::start(&copying.input, count);
    worker.json("PUT", "/connectors/users/config", &datagen.to_string(), 201).await;
    worker.until_running("users", 2).await;
    kafka.broker(1).pause().await.unwrap();
    let message = until_health(&worker, 500, "has confirmed this worker's membership").await;
    assert!(message.contains("coordinator of group workers"), "{message}");
    let (is_healthy, said) = health_check(&worker);
    assert!(!is_healthy && said.contains("has confirmed"), "{said}");
    let count = writer.end().await;
    kafka.broker(1).resume().await.unwrap();
    until_health(&worker, 200, "healthy").await;
    for (connector, tasks) in [("users", 2), ("source", 1), ("sink", 1)] {
        worker.until_running(connector, tasks).await;
    }
    worker.json("DELETE", "/connectors/users", "", 204).await;
    has_lines(&worker, &copying.output, count).await;

    // What is stored is where the files end.
    for connector in ["source", "sink"] {
        worker.json("PUT", &format!("/connectors/{connector}/stop"), "", 204).await;
        let path = format!("/connectors/{connector}/status");
        worker.until("it has stopped", SOON, &path, |s| s["connector"]["state"] == "STOPPED").await;
    }
    let client = client(&kafka);
    let (end, committed) = ends(&client).await;
    assert_eq!(committed, Some(end));
    let read = fs::metadata(&copying.input).unwrap().len();
    assert_eq!(positions(&client, 1).await.last(), Some(&(read as i64)));
    let peak = peak_memory_kb(&worker.process);
    assert!(peak < MOST_MEMORY_KB, "{peak} kB");

    // Nobody there at the end, with tasks that have something to write.
    for connector in ["source", "sink"] {
        worker.json("PUT", &format!("/connectors/{connector}/resume"), "", 202).await;
        worker.until_running(connector, 1).await;
    }
    kafka.broker(1).pause().await.unwrap();
    worker.process.signal(Signal::Term);
    // Compose waits so long before it kills.
    let status = worker.process.wait(std::time::Duration::from_secs(30)).await.unwrap();
    assert!(status.success(), "{status}: {}", worker.process.log());
    kafka.broker(1).resume().await.unwrap();
}

fn peak_memory_kb(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
