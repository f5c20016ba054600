//! The Connect worker, through its REST API, its properties file and its signals, against real brokers.

mod compatibility;
mod configuration;
mod failover;
mod faults;
mod lifecycle;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use testbed::Error;
use testbed::http::{self, Answer};
use testbed::kafka::Kafka;
use testbed::ports::Port;
use testbed::process::{Process, Program};

use crate::programs;

/// For everything that a healthy worker does at once.
const SOON: Duration = Duration::from_secs(30);

/// A running worker; dropping it kills it.
struct Worker {
    process: Process,
    folder: PathBuf,
    rest: Port,
    metrics: Port,
}

/// Properties of a worker that logs in as the cluster's admin; the password stands in a file of its own.
fn properties(kafka: &Kafka, folder: &std::path::Path, rest: u16, metrics: u16, extra: &str) -> String {
    let mut text = format!(
        "bootstrap.servers={}\ngroup.id=workers\nconfig.storage.topic=workers-configs\n\
         offset.storage.topic=workers-offsets\nstatus.storage.topic=workers-status\n\
         config.storage.replication.factor=1\noffset.storage.replication.factor=1\n\
         status.storage.replication.factor=1\nkey.converter=org.apache.kafka.connect.storage.StringConverter\n\
         value.converter=org.apache.kafka.connect.storage.StringConverter\noffset.flush.interval.ms=500\n\
         connect.protocol=eager\nworker.unsync.backoff.ms=1000\n\
         listeners=http://127.0.0.1:{rest}\nmetrics.listener=http://127.0.0.1:{metrics}\n",
        kafka.bootstrap()
    );
    if kafka.ca_pem().is_some() {
        let secrets = folder.join("secrets.properties");
        fs::write(&secrets, format!("kafka.password={}\n", kafka.admin_password().expose_secret())).unwrap();
        text.push_str(
            "config.providers=file\n\
             config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n",
        );
        for prefix in ["", "producer.", "consumer."] {
            text.push_str(&format!(
                "{prefix}security.protocol=SASL_SSL\n{prefix}sasl.mechanism=SCRAM-SHA-512\n\
                 {prefix}sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
                 username=\"{}\" password=\"${{file:{}:kafka.password}}\";\n\
                 {prefix}ssl.truststore.type=PEM\n{prefix}ssl.truststore.location={}\n",
                kafka.admin_username(),
                secrets.display(),
                kafka.ca_file().display()
            ));
        }
    }
    text + extra
}

impl Worker {
    /// Starts a worker and waits until it is healthy.
    async fn start(kafka: &Kafka, extra: &str) -> Self {
        let mut worker = Self::launch(kafka, extra, &[]);
        let address = worker.id();
        let healthy = async |_: &str| {
            let answer = http::request(&address, "GET", "/health", "").await.ok();
            Ok(answer.filter(|answer| answer.status == 200).map(drop))
        };
        worker.process.until("the worker is healthy", SOON, healthy).await.unwrap();
        worker
    }

    /// Starts a worker and waits for nothing. `before`: the words of a command that ends in running what follows.
    fn launch(kafka: &Kafka, extra: &str, before: &[&str]) -> Self {
        let folder = testbed::owner::dir("worker").unwrap();
        let (rest, metrics) = (Port::reserve().unwrap(), Port::reserve().unwrap());
        let text = properties(kafka, &folder, rest.number(), metrics.number(), extra);
        let file = folder.join("worker.properties");
        fs::write(&file, text).unwrap();
        let worker = programs::connect_worker().display().to_string();
        let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        words.extend([worker, "distributed".to_owned(), "--config".to_owned(), file.display().to_string()]);
        let process = Process::start(&Program {
            program: words.remove(0).into(),
            package: "",
            args: words,
            env: vec![("CONNECT_LOG".to_owned(), "debug".to_owned())],
            log: folder.join("worker.log"),
        })
        .unwrap();
        Self { process, folder, rest, metrics }
    }

    fn id(&self) -> String {
        format!("127.0.0.1:{}", self.rest.number())
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("worker.properties")
    }

    async fn request(&self, method: &str, path: &str, body: &str) -> Answer {
        http::request(&self.id(), method, path, body).await.unwrap()
    }

    /// The answer's JSON; an answer of another status is a failure.
    async fn json(&self, method: &str, path: &str, body: &str, status: u16) -> Value {
        let answer = self.request(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    async fn metrics(&self) -> String {
        let address = format!("127.0.0.1:{}", self.metrics.number());
        http::request(&address, "GET", "/metrics", "").await.unwrap().body
    }

    /// Waits for a condition about an answer of this worker.
    async fn until(
        &self,
        what: &str,
        limit: Duration,
        path: &str,
        mut is_met: impl FnMut(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let asked = async || {
            let answer = http::request(&self.id(), "GET", path, "").await?;
            last = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
            Ok::<_, Error>(is_met(&last).then(|| last.clone()))
        };
        let found = testbed::wait::until(what, limit, asked, String::new).await;
        found.unwrap_or_else(|error| panic!("{error}; {}", self.process.log()))
    }

    async fn until_running(&self, connector: &str, tasks: usize) -> Value {
        let path = format!("/connectors/{connector}/status");
        let what = format!("{connector} and {tasks} tasks run");
        self.until(&what, SOON, &path, |status| states(status) == (true, tasks)).await
    }

    /// Ends the worker in order.
    async fn stop(mut self) -> String {
        let status = self.process.stop(Duration::from_secs(20)).await.unwrap();
        assert!(status.success(), "{status}: {}", self.process.log());
        self.process.log()
    }
}

/// Whether the connector runs, and how many tasks do.
fn states(status: &Value) -> (bool, usize) {
    let is_running = |instance: &Value| instance["state"] == "RUNNING";
    let tasks = status["tasks"].as_array().map_or(0, |tasks| tasks.iter().filter(|t| is_running(t)).count());
    (is_running(&status["connector"]), tasks)
}

/// The workers that run the tasks, by task.
fn owners(status: &Value) -> Vec<String> {
    let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
    tasks.iter().filter_map(|task| task["worker_id"].as_str().map(str::to_owned)).collect()
}
