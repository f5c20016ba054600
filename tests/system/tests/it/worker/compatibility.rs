//! The same topics under the JVM worker and ours, one after the other.

use serde_json::json;
use std::fs;
use std::time::Duration;

use testbed::connect::ConnectJvm;
use testbed::kafka::{Kafka, KafkaSpec};

use super::{Worker, states};

#[tokio::test]
async fn a_cluster_moves_to_the_jvm_worker_and_back() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    kafka.create_topic("lines", 1).await.unwrap();
    let ours = Worker::start(&kafka, "").await;
    let input = ours.folder.join("in.txt");
    let write = |lines: usize| {
        let text: String = (0..lines).map(|n| format!("line {n}\n")).collect();
        fs::write(&input, text).unwrap();
    };
    write(100);
    let source = json!({ "connector.class": "FileStreamSource", "file": input, "topic": "lines" });
    ours.json("PUT", "/connectors/source/config", &source.to_string(), 201).await;
    // It may write before it is stopped: to a topic of its own.
    let idle = json!({ "connector.class": "FileStreamSource", "file": input, "topic": "unread" });
    ours.json("PUT", "/connectors/idle/config", &idle.to_string(), 201).await;
    ours.json("PUT", "/connectors/idle/stop", "", 204).await;
    ours.until_running("source", 1).await;
    kafka.console_consume("lines", None, 100).await.unwrap();
    let before = ours.json("GET", "/connectors/source", "", 200).await;
    ours.stop().await;

    let jvm = ConnectJvm::start(
        &kafka,
        &[
            ("group.id", "workers"),
            ("config.storage.topic", "workers-configs"),
            ("offset.storage.topic", "workers-offsets"),
            ("status.storage.topic", "workers-status"),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("value.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("offset.flush.interval.ms", "500"),
        ],
    )
    .await
    .unwrap();
    let runs = async || {
        let answer = jvm.request("GET", "/connectors/source/status", "").await?;
        let status = serde_json::from_str(&answer.body).unwrap_or_default();
        Ok((states(&status) == (true, 1)).then_some(()))
    };
    testbed::wait::until("the JVM worker runs our connector", Duration::from_secs(90), runs, || jvm.log())
        .await
        .unwrap();
    let idle = jvm.request("GET", "/connectors/idle/status", "").await.unwrap();
    assert!(idle.body.contains("STOPPED"), "{}", idle.body);
    let after: serde_json::Value =
        serde_json::from_str(&jvm.request("GET", "/connectors/source", "").await.unwrap().body).unwrap();
    assert_eq!(before, after);
    // It goes on behind the offset that we stored: nothing is read twice.
    write(150);
    kafka.console_consume("lines", None, 150).await.unwrap();
    jvm.stop().await.unwrap();

    let ours = Worker::start(&kafka, "").await;
    ours.until_running("source", 1).await;
    write(200);
    fs::copy(&input, ours.folder.join("in.txt")).unwrap();
    let lines = kafka.console_consume("lines", None, 200).await.unwrap();
    let expected: Vec<String> = (0..200).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, expected);
    ours.stop().await;
}
