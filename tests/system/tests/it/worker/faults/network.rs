//! A network that carries nothing for a minute: no connection is refused or closed, what is sent just never arrives.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use testbed::kafka::{Kafka, KafkaSpec};
use testbed::wait;

use super::{Copying, LATE, TOPIC, Writer, client, ends, has_lines, until_health};
use crate::worker::{SOON, Worker};

/// How long nothing arrives: longer than a session, a request and a connection attempt last.
const OUTAGE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_minute_without_network_loses_nothing() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    kafka.create_topic(TOPIC, 1).await.unwrap();
    let worker = Worker::start(&kafka, "offset.storage.partitions=1\n").await;
    let copying = Copying::start(&worker, worker.folder.join("out.txt")).await;
    let writer = Writer::start(&copying.input, 0);
    let lines = async || Ok(fs::metadata(&copying.output).ok().filter(|file| file.len() > 0).map(drop));
    wait::until("lines arrive", LATE, lines, String::new).await.unwrap();

    let loss = Loss::begin(kafka.brokers()[0].port());
    let began = Instant::now();
    until_health(&worker, 500, "has confirmed this worker's membership").await;
    // The length of the outage is the fault.
    tokio::time::sleep(OUTAGE.saturating_sub(began.elapsed())).await;
    drop(loss);

    until_health(&worker, 200, "healthy").await;
    for connector in ["source", "sink"] {
        worker.until_running(connector, 1).await;
    }
    let count = writer.end().await;
    has_lines(&worker, &copying.output, count).await;
    for connector in ["source", "sink"] {
        worker.json("PUT", &format!("/connectors/{connector}/stop"), "", 204).await;
        let path = format!("/connectors/{connector}/status");
        worker.until("it has stopped", SOON, &path, |s| s["connector"]["state"] == "STOPPED").await;
    }
    let (end, committed) = ends(&client(&kafka)).await;
    assert_eq!(committed, Some(end));
}

/// Nothing that a port of this machine answers arrives, until this is dropped.
struct Loss {
    port: u16,
}

impl Loss {
    fn begin(port: u16) -> Self {
        let loss = Self { port };
        loss.rule("--insert");
        loss
    }

    fn rule(&self, action: &str) {
        let port = self.port.to_string();
        let rule = ["INPUT", "--in-interface", "lo", "--protocol", "tcp", "--sport", &port, "--jump", "DROP"];
        let status = Command::new("iptables").args(["--wait", action]).args(rule).status().unwrap();
        assert!(status.success(), "iptables {action}: {status}");
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        self.rule("--delete");
    }
}
