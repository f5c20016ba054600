//! Three brokers that restart one after the other, as in an upgrade that also meets an accident.

use std::fs;

use testbed::kafka::{Kafka, KafkaSpec};

use super::{Copying, LATE, TOPIC, Writer, client, complete, ends, has_lines, until_health};
use crate::worker::{SOON, Worker};

#[tokio::test]
async fn brokers_restart_one_after_another() {
    let mut kafka = Kafka::start(KafkaSpec { brokers: 3, ..KafkaSpec::default() }).await.unwrap();
    kafka.create_topic(TOPIC, 1).await.unwrap();
    let replicated: String =
        ["config", "offset", "status"].map(|t| format!("{t}.storage.replication.factor=3\n")).concat();
    let mut worker = Worker::start(&kafka, &replicated).await;
    let copying = Copying::start(&worker, worker.folder.join("out.txt")).await;
    let output = copying.output.clone();
    let arrived = || complete(&fs::read_to_string(&output).unwrap_or_default());

    let writer = Writer::start(&copying.input, 0);
    for id in 1..=3 {
        match id {
            1 => kafka.broker(id).kill().await.unwrap(),
            _ => kafka.broker(id).stop().await.unwrap(),
        }
        let before = arrived();
        let flows = async |_: &str| Ok((arrived() > before).then_some(()));
        worker.process.until("lines go on without a broker", LATE, flows).await.unwrap();
        kafka.broker(id).start().await.unwrap();
    }
    let count = writer.end().await;
    has_lines(&worker, &output, count).await;
    until_health(&worker, 200, "healthy").await;
    let log = worker.process.log();
    assert!(!log.contains("task failed"), "{log}");
    for connector in ["source", "sink"] {
        worker.json("PUT", &format!("/connectors/{connector}/stop"), "", 204).await;
        let path = format!("/connectors/{connector}/status");
        worker.until("it has stopped", SOON, &path, |s| s["connector"]["state"] == "STOPPED").await;
    }
    let (end, committed) = ends(&client(&kafka)).await;
    assert_eq!(committed, Some(end));
}
