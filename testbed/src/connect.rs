//! The reference worker: Apache Kafka's own Connect, distributed, with the FileStream connectors as plugins.
//!
//! ```no_run
//! # async fn recipe() -> Result<(), testbed::Error> {
//! use testbed::{connect::ConnectJvm, kafka::{Kafka, KafkaSpec}};
//! let kafka = Kafka::start(KafkaSpec::default()).await?;
//! let worker = ConnectJvm::start(&kafka, &[("group.id", "reference")]).await?;
//! let plugins = worker.request("GET", "/connector-plugins", "").await?;
//! # assert_eq!(plugins.status, 200);
//! # Ok(())
//! # }
//! ```

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::http::{self, Answer};
use crate::jars::Jars;
use crate::java::{self, Java};
use crate::kafka::Kafka;
use crate::ports::Port;
use crate::process::{Process, Program};
use crate::{Error, owner, paths};

/// The JVM worker takes some 15 s alone; other tests run beside it.
const START_LIMIT: Duration = Duration::from_secs(180);

/// A running JVM worker; dropping it kills it.
#[derive(Debug)]
pub struct ConnectJvm {
    process: Process,
    port: Port,
}

impl ConnectJvm {
    /// Starts a worker that logs in to `kafka` as its admin, and returns when REST answers 200 on `/`. The
    /// `properties` replace the defaults: group `connect`, topics `connect-{configs,offsets,status}`, JSON converters.
    ///
    /// Errors: the worker's early end or silence, with the last lines of its log.
    pub async fn start(kafka: &Kafka, properties: &[(&str, &str)]) -> Result<Self, Error> {
        let dir = owner::dir("connect")?;
        let port = Port::reserve()?;
        let config = dir.join("worker.properties");
        paths::write_private(&config, self::properties(kafka, &dir, &port, properties).await?)?;
        let program = jvm(&dir, &config, &["-Xmx1g"]).await?;
        let mut process = Process::start(&program)?;
        let address = format!("127.0.0.1:{}", port.number());
        let answers = async |_: &str| {
            // Until the port is open and the worker knows its group, an error is the expected answer.
            let answer = http::request(&address, "GET", "/", "").await.ok();
            Ok(answer.filter(|answer| answer.status == 200).map(drop))
        };
        process.until("the JVM worker answers", START_LIMIT, answers).await?;
        Ok(Self { process, port })
    }

    /// `HOST:PORT` of its REST interface.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Sends one REST request.
    pub async fn request(&self, method: &str, path: &str, body: &str) -> Result<Answer, Error> {
        http::request(&self.address(), method, path, body).await
    }

    /// Its process, to be frozen, killed, measured.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it in order.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.process.stop(Duration::from_secs(60)).await.map(drop)
    }
}

/// The JVM worker as a program, with its files in `dir`; `options` are those of the JVM.
pub async fn jvm(dir: &Path, config: &Path, options: &[&str]) -> Result<Program, Error> {
    let jars = Jars::ensure().await?;
    let log4j = dir.join("log4j2.properties");
    fs::write(&log4j, java::LOG4J).map_err(Error::file(&log4j))?;
    let mut options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    options.push(format!("-Dlog4j2.configurationFile={}", log4j.display()));
    let worker = Java {
        options,
        main: "org.apache.kafka.connect.cli.ConnectDistributed",
        args: vec![config.display().to_string()],
    };
    Ok(Program {
        program: java::program(),
        package: java::PACKAGE,
        args: vec![worker.argument_file(&jars, &dir.join("worker.args"))?],
        env: Vec::new(),
        log: dir.join("worker.log"),
    })
}

/// The properties of a worker that logs in to `kafka` as its admin and listens on `port`; what it trusts is written to
/// `dir`. `properties` replace the defaults: group `connect`, topics `connect-{configs,offsets,status}`, JSON
/// converters.
pub async fn properties(
    kafka: &Kafka,
    dir: &Path,
    port: &Port,
    properties: &[(&str, &str)],
) -> Result<String, Error> {
    let plugins = Jars::ensure().await?.plugins.display().to_string();
    let security = kafka.admin_properties(dir)?;
    let listener = format!("http://127.0.0.1:{}", port.number());
    let replication = kafka.brokers().len().min(3).to_string();
    let json = "org.apache.kafka.connect.json.JsonConverter";
    let mut rows = vec![
        ("bootstrap.servers", kafka.bootstrap()),
        ("group.id", "connect"),
        ("config.storage.topic", "connect-configs"),
        ("offset.storage.topic", "connect-offsets"),
        ("status.storage.topic", "connect-status"),
        ("config.storage.replication.factor", &replication),
        ("offset.storage.replication.factor", &replication),
        ("status.storage.replication.factor", &replication),
        ("key.converter", json),
        ("value.converter", json),
        ("listeners", &listener),
        ("plugin.path", &plugins),
    ];
    rows.retain(|(key, _)| !properties.iter().any(|(given, _)| given == key));
    rows.extend_from_slice(properties);
    let mut text = String::new();
    for (key, value) in rows {
        writeln!(text, "{key}={value}").expect("writing to a string cannot fail");
    }
    // The worker's own clients, and those that it makes for connectors.
    for prefix in ["", "producer.", "consumer.", "admin."] {
        for line in security.lines() {
            writeln!(text, "{prefix}{line}").expect("writing to a string cannot fail");
        }
    }
    Ok(text)
}
