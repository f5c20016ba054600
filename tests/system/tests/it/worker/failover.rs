//! Two workers: work is shared, followers forward, and the work of a lost worker moves.

use std::time::{Duration, Instant};

use serde_json::json;
use testbed::kafka::{Kafka, KafkaSpec};
use testbed::process::Signal;

use super::{Worker, owners, states};

/// `session.timeout.ms` of these workers.
const SESSION: Duration = Duration::from_secs(6);

#[tokio::test]
async fn work_of_a_lost_worker_moves() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    kafka.create_topic("users", 1).await.unwrap();
    let extra = format!("session.timeout.ms={}\n", SESSION.as_millis());
    let first = Worker::start(&kafka, &extra).await;
    let mut second = Worker::start(&kafka, &extra).await;

    // One of the two is a follower and has to forward this.
    let datagen = json!({ "connector.class": "DatagenConnector", "quickstart": "users", "kafka.topic": "users",
        "max.interval": "50", "tasks.max": "4" });
    second.json("PUT", "/connectors/a/config", &datagen.to_string(), 201).await;
    first.json("PUT", "/connectors/b/config", &datagen.to_string(), 201).await;
    for connector in ["a", "b"] {
        let status = first.until_running(connector, 4).await;
        let owners = owners(&status);
        assert!(owners.contains(&first.id()) && owners.contains(&second.id()), "{owners:?}");
    }
    // Every task can be restarted through every worker.
    for task in 0..4 {
        for worker in [&first, &second] {
            worker.json("POST", &format!("/connectors/a/tasks/{task}/restart"), "", 204).await;
        }
    }
    second.json("PUT", "/connectors/a/pause", "", 202).await;
    let path = "/connectors/a/tasks/3/status";
    first.until("the pause shows", super::SOON, path, |t| t["state"] == "PAUSED").await;
    first.json("PUT", "/connectors/a/resume", "", 202).await;
    first.until_running("a", 4).await;

    let began = Instant::now();
    second.process.signal(Signal::Term);
    all_on(&first, Duration::from_secs(5)).await;
    let orderly = began.elapsed();
    assert!(orderly < Duration::from_secs(2), "tasks moved after {orderly:?}");
    let id = second.id();
    drop(second);

    let mut third = Worker::start(&kafka, &extra).await;
    assert_ne!(third.id(), id);
    let shared =
        |status: &serde_json::Value| owners(status).contains(&third.id()) && states(status) == (true, 4);
    first.until("the new worker has tasks", super::SOON, "/connectors/a/status", shared).await;
    third.process.signal(Signal::Kill);
    all_on(&first, SESSION + Duration::from_secs(10)).await;
}

/// Waits until everything runs on one worker.
async fn all_on(worker: &Worker, limit: Duration) {
    for connector in ["a", "b"] {
        let path = format!("/connectors/{connector}/status");
        let here = |status: &serde_json::Value| {
            states(status) == (true, 4)
                && status["connector"]["worker_id"] == worker.id()
                && owners(status).iter().all(|owner| *owner == worker.id())
        };
        worker.until("all tasks have moved", limit, &path, here).await;
    }
}
