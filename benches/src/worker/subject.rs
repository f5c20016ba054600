//! A worker that is being measured: ours or the JVM's, started from the same properties.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use testbed::kafka::Kafka;
use testbed::ports::Port;
use testbed::process::{Process, Program, Signal};
use testbed::{connect, http, owner};

use super::jvm::Tuning;
use crate::bench::{Bench, Peers};
use crate::stat;

/// For whatever a worker does; the JVM's is slow to start.
const LIMIT: Duration = Duration::from_secs(180);
/// How often a worker is asked whether it answers.
const PAUSE: Duration = Duration::from_millis(2);
/// A worker that used a tenth of a core at most for this long has settled.
const SETTLE_PAUSE: Duration = Duration::from_millis(300);
/// A worker that does not settle is measured all the same.
const SETTLE_LOOKS: usize = 40;

/// Which worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    Ours,
    Jvm(&'static Tuning),
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "connect-worker",
            Self::Jvm(tuning) => tuning.name,
        }
    }
}

impl Bench {
    /// Ours, and the peers if they are measured.
    pub(crate) fn subjects(&self, tunings: &[&'static Tuning]) -> Vec<Subject> {
        let peers = tunings.iter().filter(|_| self.peers == Peers::Measured);
        std::iter::once(Subject::Ours).chain(peers.map(|tuning| Subject::Jvm(tuning))).collect()
    }
}

/// A running worker; dropping it kills it.
pub(crate) struct Worker {
    process: Process,
    port: Port,
    _metrics_port: Port,
    began: Instant,
}

impl Worker {
    /// Starts a worker of group `group`, whose internal topics bear the same name. Returns at once.
    pub(crate) async fn launch(
        bench: &Bench,
        subject: Subject,
        kafka: &Kafka,
        group: &str,
        extra: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = owner::dir("worker")?;
        let (port, metrics_port) = (Port::reserve()?, Port::reserve()?);
        // The JVM worker does not know it. Its default is one port for all workers of a host.
        let metrics_listener = format!("http://127.0.0.1:{}", metrics_port.number());
        let topics = ["configs", "offsets", "status"].map(|what| format!("{group}-{what}"));
        let string = "org.apache.kafka.connect.storage.StringConverter";
        let mut rows = vec![
            ("group.id", group),
            ("config.storage.topic", &topics[0]),
            ("offset.storage.topic", &topics[1]),
            ("status.storage.topic", &topics[2]),
            ("key.converter", string),
            ("value.converter", string),
            ("metrics.listener", &metrics_listener),
        ];
        rows.extend_from_slice(extra);
        if let Subject::Jvm(tuning) = subject {
            rows.extend_from_slice(tuning.properties);
        }
        let config = folder.join("worker.properties");
        std::fs::write(&config, connect::properties(kafka, &folder, &port, &rows).await?)?;
        let program = match subject {
            Subject::Jvm(tuning) => connect::jvm(&folder, &config, &tuning.options()).await?,
            Subject::Ours => Program {
                program: bench.program("connect-worker")?,
                package: "",
                args: vec!["distributed".to_owned(), config.display().to_string()],
                env: Vec::new(),
                log: folder.join("worker.log"),
            },
        };
        let began = Instant::now();
        Ok(Self { process: Process::start(&program)?, port, _metrics_port: metrics_port, began })
    }

    /// How long ago it was launched.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for the first 200 on `/`; how long after its launch that was.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<Duration> {
        loop {
            let answer = http::request(&self.address(), "GET", "/", "").await;
            let elapsed = self.began.elapsed();
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(elapsed);
            }
            if let Some(status) = self.process.ended()? {
                anyhow::bail!("the worker ended with {status}: {}", self.process.log());
            }
            ensure!(elapsed < LIMIT, "the worker does not answer: {}", self.process.log());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// `HOST:PORT` of its REST interface, which is its name in the group, too.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().with_context(|| format!("the worker has ended: {}", self.process.log()))
    }

    /// Processor time since its launch.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        stat::cpu_time(self.pid()?)
    }

    /// Waits until it has next to nothing to do, and returns its processor time then.
    pub(crate) async fn settled(&self) -> anyhow::Result<Duration> {
        let mut last = self.cpu_time()?;
        for _ in 0..SETTLE_LOOKS {
            tokio::time::sleep(SETTLE_PAUSE).await;
            let now = self.cpu_time()?;
            if now - last <= SETTLE_PAUSE / 10 {
                return Ok(now);
            }
            last = now;
        }
        Ok(last)
    }

    /// Sends a REST request and returns the answer's JSON; an answer that is not 2xx is an error.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let answer = http::request(&self.address(), method, path, body).await?;
        ensure!(answer.status / 100 == 2, "{method} {path}: {} {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop(Duration::from_secs(60)).await?;
        Ok(())
    }
}

/// A new private folder for a measurement's files.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    Ok(owner::dir("data")?)
}
