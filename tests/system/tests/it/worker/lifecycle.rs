//! Connectors from creation to deletion, and records through both kinds of task, on a secured broker.

use std::fs;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::json;
use testbed::kafka::{Kafka, KafkaSpec, Security};

use super::{SOON, Worker};

#[tokio::test]
async fn connectors_live_as_the_api_says_and_records_arrive_exactly() {
    let spec = KafkaSpec { security: Security::sasl_ssl(), ..KafkaSpec::default() };
    let kafka = Kafka::start(spec).await.unwrap();
    for topic in ["users", "lines"] {
        kafka.create_topic(topic, 1).await.unwrap();
    }
    let worker = Worker::start(&kafka, "").await;

    let root = worker.json("GET", "/", "", 200).await;
    assert_eq!(root["kafka_cluster_id"], kafka.cluster_id());
    let plugins = worker.json("GET", "/connector-plugins", "", 200).await;
    assert!(
        plugins
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["class"].as_str().unwrap().ends_with("DatagenConnector"))
    );

    crud(&worker).await;
    states_follow_the_user(&worker).await;
    file_to_file(&worker).await;

    let expected = [
        "kafka_connect_connect_worker_metrics_connector_running_task_count{connector=\"users\"} 2",
        "kafka_connect_connector_metrics{connector=\"sink\",connector_type=\"sink\"} 1",
        "kafka_connect_source_task_metrics_source_record_write_total{connector=\"users\",task=\"0\"}",
        "kafka_connect_sink_task_metrics_sink_record_send_total{connector=\"sink\",task=\"0\"}",
    ];
    // After a deletion the work is shared anew: tasks and their numbers go and come back.
    let mut metrics = String::new();
    let shown = async || {
        metrics = worker.metrics().await;
        Ok(expected.iter().all(|line| metrics.contains(line)).then_some(()))
    };
    let shown = testbed::wait::until("the metrics show what runs", SOON, shown, String::new).await;
    shown.unwrap_or_else(|error| panic!("{error}: {expected:#?} in {metrics}"));
    let records = kafka.console_consume("users", None, 10).await.unwrap();
    let first: serde_json::Value = serde_json::from_str(&records[0]).unwrap();
    assert!(first["userid"].is_string(), "{first}");

    let health = std::process::Command::new(crate::programs::connect_worker())
        .args(["healthcheck", "--config"])
        .arg(worker.properties())
        .status()
        .unwrap();
    assert!(health.success());
    let log = worker.stop().await;
    assert!(log.contains("worker has stopped"), "{log}");
    assert!(!log.contains(kafka.admin_password().expose_secret()), "the password is in the log");
    assert!(!log.contains("planted-value"), "a value of a request body is in the log");
}

async fn crud(worker: &Worker) {
    let datagen = json!({
        "connector.class": "DatagenConnector", "quickstart": "users", "kafka.topic": "users",
        "max.interval": "20", "tasks.max": "2",
        "value.converter": "JsonConverter", "value.converter.schemas.enable": "false",
    });
    let create = json!({ "name": "users", "config": datagen }).to_string();
    let created = worker.request("POST", "/connectors", &create).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert!(created.head.to_lowercase().contains("location: /connectors/users"), "{}", created.head);
    let again = worker.json("POST", "/connectors", &create, 409).await;
    assert_eq!(again, json!({ "error_code": 409, "message": "Connector users already exists" }));

    worker.until_running("users", 2).await;
    let info = worker.json("GET", "/connectors/users", "", 200).await;
    assert_eq!((info["type"].as_str(), info["tasks"].as_array().unwrap().len()), (Some("source"), 2));
    assert_eq!(info["config"]["name"], "users");
    let tasks = worker.json("GET", "/connectors/users/tasks", "", 200).await;
    assert_eq!(tasks[1]["id"], json!({ "connector": "users", "task": 1 }));
    assert!(tasks[0]["config"]["task.class"].is_string());
    worker.json("PUT", "/connectors/users/config", &datagen.to_string(), 200).await;
    let patch = json!({ "max.interval": "10" }).to_string();
    let patched = worker.json("PATCH", "/connectors/users/config", &patch, 200).await;
    assert_eq!(patched["config"]["max.interval"], "10");
    worker.until_running("users", 2).await;
    worker
        .until("the topic is tracked", SOON, "/connectors/users/topics", |t| {
            t["users"]["topics"] == json!(["users"])
        })
        .await;

    // Errors in the JVM's form and with its statuses.
    let error = |status: u16, message: &str| json!({ "error_code": status, "message": message });
    for (method, path, body, status, message) in [
        ("GET", "/connectors/absent", "", 404, "Connector absent not found"),
        ("GET", "/connectors/absent/status", "", 404, "No status found for connector absent"),
        ("DELETE", "/connectors/absent", "", 404, "Connector absent not found"),
        ("PUT", "/connectors/absent/pause", "", 404, "Unknown connector absent"),
        ("GET", "/nowhere", "", 404, "HTTP 404 Not Found"),
        ("DELETE", "/connectors", "", 405, "HTTP 405 Method Not Allowed"),
        ("PUT", "/connectors/x/config", "{}", 400, "Connector config contains no connector type"),
    ] {
        let answer = worker.json(method, path, body, status).await;
        assert_eq!(answer, error(status, message), "{method} {path}");
    }
    let malformed = worker.request("POST", "/connectors", "{\"name\": planted-value}").await;
    assert_eq!(malformed.status, 500);
    let unknown = r#"{"name":"x","config":{},"planted-value":1}"#;
    assert_eq!(worker.request("POST", "/connectors", unknown).await.status, 500);
    let invalid = json!({ "connector.class": "DatagenConnector", "kafka.topic": "users", "tasks.max": "none",
        "quickstart": "users", "transforms": "x", "password": "planted-value" });
    let answer = worker.json("PUT", "/connectors/bad/config", &invalid.to_string(), 400).await;
    let message = answer["message"].as_str().unwrap();
    for expected in [
        "contains the following 3 error(s):",
        "Invalid value none for configuration tasks.max: Not a number of type INT",
        "transforms is not supported by this worker yet",
    ] {
        assert!(message.contains(expected), "{expected} in {message}");
    }
    let path = "/connector-plugins/DatagenConnector/config/validate";
    let judged = worker.json("PUT", path, &invalid.to_string(), 200).await;
    // The same three, and the name that this request leaves out.
    assert_eq!(judged["error_count"], 4, "{judged}");
}

async fn states_follow_the_user(worker: &Worker) {
    let all = |state: &'static str, tasks: usize| {
        move |status: &serde_json::Value| {
            let found = status["tasks"].as_array().unwrap();
            status["connector"]["state"] == state
                && found.len() == tasks
                && found.iter().all(|t| t["state"] == state)
        }
    };
    let path = "/connectors/users/status";
    for (verb, status, expected, tasks) in [
        ("pause", 202, "PAUSED", 2),
        ("resume", 202, "RUNNING", 2),
        ("stop", 204, "STOPPED", 0),
        ("resume", 202, "RUNNING", 2),
    ] {
        worker.json("PUT", &format!("/connectors/users/{verb}"), "", status).await;
        worker.until(&format!("{verb} shows"), SOON, path, all(expected, tasks)).await;
    }
    worker.json("POST", "/connectors/users/restart", "", 204).await;
    worker.json("POST", "/connectors/users/tasks/1/restart", "", 204).await;
    worker.json("POST", "/connectors/users/tasks/7/restart", "", 404).await;
    let restarting = worker.json("POST", "/connectors/users/restart?includeTasks=true", "", 202).await;
    assert!(all("RESTARTING", 2)(&restarting), "{restarting}");
    worker.until_running("users", 2).await;
}

/// What a file source reads, a file sink writes, once each, over a restart of both.
async fn file_to_file(worker: &Worker) {
    let (input, output) = (worker.folder.join("in.txt"), worker.folder.join("out.txt"));
    let lines = |from: u32, to: u32| (from..to).map(|n| format!("line {n} äö\n")).collect::<String>();
    fs::write(&input, lines(0, 2_000)).unwrap();
    let source = json!({ "connector.class": "FileStreamSource", "file": input, "topic": "lines" });
    let sink = json!({ "connector.class": "FileStreamSink", "file": output, "topics": "lines" });
    worker.json("PUT", "/connectors/source/config", &source.to_string(), 201).await;
    worker.json("PUT", "/connectors/sink/config", &sink.to_string(), 201).await;
    holds(&output, &lines(0, 2_000)).await;
    // Offsets are in Kafka before the instances are made anew.
    for connector in ["source", "sink"] {
        worker.json("PUT", &format!("/connectors/{connector}/stop"), "", 204).await;
    }
    fs::write(&input, lines(0, 2_500)).unwrap();
    for connector in ["source", "sink"] {
        worker.json("PUT", &format!("/connectors/{connector}/resume"), "", 202).await;
    }
    holds(&output, &lines(0, 2_500)).await;
    worker.json("DELETE", "/connectors/source", "", 204).await;
    worker.json("GET", "/connectors/source", "", 404).await;
}

async fn holds(file: &std::path::Path, expected: &str) {
    let read = async || {
        let text = fs::read_to_string(file).unwrap_or_default();
        Ok((text == expected).then_some(()))
    };
    let what = || format!("{} bytes", fs::metadata(file).map_or(0, |m| m.len()));
    testbed::wait::until("the sink has written every line once", Duration::from_secs(60), read, what)
        .await
        .unwrap();
}
