//! The lab of `provision`: Kafka, a worker and a connector on this machine, from nothing to smoke checks passed.

use std::fs;

use anyhow::ensure;
use async_trait::async_trait;
use serde_json::Value;
use testbed::owner;
use testbed::ports::Port;
use tokio::process::Command;

use crate::bench::{Bench, Group, Section};
use crate::figure::{Figure, Samples, Target, Unit};
use crate::machine::first_line;
use crate::report::say;

pub(crate) const SECTION: Section =
    Section { id: "lab", groups: &[&Lab], versions: || Box::pin(async { versions() }) };

fn versions() -> Vec<String> {
    vec![format!("Apache Kafka 4.3.1 on {}", first_line("java", &["-version"]))]
}

/// The inventory that is shipped.
const INVENTORY: &str = include_str!("../../inventory/lab.yml");

struct Lab;

#[async_trait(?Send)]
impl Group for Lab {
    fn name(&self) -> &'static str {
        "ready"
    }

    fn title(&self) -> &'static str {
        "Lab ready"
    }

    fn method(&self) -> String {
        "`provision` with `inventory/lab.yml` (other ports), from `exec` to its end: Kafka, a worker and a connector run, \
         and a probe has carried records. Worker and `provision` are built, and Kafka's jars are in their cache: one run \
         before the first round sees to that. Each round begins without state and certificates. A line for each part of \
         the run, as it tells them itself; `broker` is Kafka's own start, until its admin user is let in.\n"
            .to_owned()
    }

    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let mut figures: Vec<Figure> = Vec::new();
        let mut add = |name: &str, seconds: f64, targets: Vec<Target>| match figures
            .iter_mut()
            .find(|figure| figure.name == name)
        {
            Some(figure) => figure.ours.0.push(seconds),
            None => figures.push(Figure {
                name: name.to_owned(),
                unit: Unit::Seconds,
                ours: Samples(vec![seconds]),
                peers: Vec::new(),
                targets,
            }),
        };
        say("lab: bring the jars");
        let lab = Running::begin()?;
        lab.run(bench, &["apply", "--yes", "--only", "preflight,java,trust,kafka"]).await?;
        lab.end(bench).await?;
        for round in 0..bench.rounds {
            say(&format!("lab: round {}", round + 1));
            let lab = Running::begin()?;
            let first = lab.run(bench, &["apply", "--yes"]).await;
            let second = match &first {
                Ok(_) => lab.run(bench, &["apply", "--yes"]).await,
                Err(_) => Ok((0.0, Value::Null)),
            };
            lab.end(bench).await?;
            let ((ready, told), (again, told_again)) = (first?, second?);
            let unchanged = told_again["done"].as_array().is_some_and(Vec::is_empty);
            ensure!(unchanged, "a second run changed something: {told_again}");
            add("lab ready", ready, vec![Target::AtMost(15.0)]);
            for part in told["parts"].as_array().into_iter().flatten() {
                let (Some(name), Some(seconds)) = (part["name"].as_str(), part["seconds"].as_f64()) else {
                    continue;
                };
                add(&format!("of it {name}"), seconds, Vec::new());
                for change in part["changes"].as_array().into_iter().flatten().filter(|_| name == "Kafka") {
                    let (Some(subject), Some(seconds)) =
                        (change["subject"].as_str(), change["seconds"].as_f64())
                    else {
                        continue;
                    };
                    add(&format!("of it {name}: {subject}"), seconds, Vec::new());
                }
            }
            add("second run", again, Vec::new());
        }
        Ok(figures)
    }
}

/// A lab with a state of its own.
struct Running {
    folder: std::path::PathBuf,
    _ports: [Port; 4],
}

impl Running {
    fn begin() -> anyhow::Result<Self> {
        let folder = owner::dir("lab")?;
        let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let mut text = INVENTORY.to_owned();
        for (shipped, port) in ["port: 9093", "port: 9094", "port: 8083", "port: 8079"].iter().zip(&ports) {
            ensure!(text.contains(shipped), "inventory/lab.yml has no {shipped}");
            text = text.replace(shipped, &format!("port: {}", port.number()));
        }
        fs::write(folder.join("lab.yml"), text)?;
        Ok(Self { folder, _ports: ports })
    }

    /// Seconds, and what the run tells of itself.
    async fn run(&self, bench: &Bench, words: &[&str]) -> anyhow::Result<(f64, Value)> {
        let mut command = Command::new(bench.program("provision")?);
        command
            .args(words)
            .args(["--json", "--inventory", "lab.yml"])
            .current_dir(&self.folder)
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .env("CONNECT_WORKER_BIN", bench.program("connect-worker")?)
            .stdin(std::process::Stdio::null());
        let began = std::time::Instant::now();
        let output = command.output().await?;
        let took = began.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "provision {words:?}: {}\n{said}\n{errors}", output.status);
        Ok((took, serde_json::from_str(&said)?))
    }

    async fn end(self, bench: &Bench) -> anyhow::Result<()> {
        self.run(bench, &["destroy", "--yes"]).await.map(drop)
    }
}
