//! A lab with folders and ports of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::ports::Port;
use testbed::{http, wait};

use crate::running::{Subject, processes_with};

/// What may go on for a moment after a run was killed: longer than any script that is ended needs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Lab {
    pub(super) subject: Subject,
    kafka: Port,
    _controller: Port,
    rest: Port,
    _metrics: Port,
}

impl Lab {
    pub(super) fn new() -> Result<Self> {
        let [kafka, controller, rest, metrics] =
            [Port::reserve()?, Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let inventory = format!(
            "cluster: lab\nruntime: process\nhosts:\n  localhost: {{ connection: local }}\n\
             kafka:\n  managed: {{ port: {}, controller_port: {} }}\n\
             connect:\n  rest: {{ port: {} }}\n  metrics: {{ port: {} }}\n\
             topics:\n  users: {{ partitions: 3 }}\n\
             connectors:\n  users:\n    connector.class: DatagenConnector\n    kafka.topic: users\n    \
             quickstart: users\n    max.interval: 20\n    tasks.max: 1\n",
            kafka.number(),
            controller.number(),
            rest.number(),
            metrics.number(),
        );
        let subject = Subject::new(&inventory, Vec::new())?;
        Ok(Self { subject, kafka, _controller: controller, rest, _metrics: metrics })
    }

    /// Where the lab's services keep their files.
    pub(super) fn state(&self) -> PathBuf {
        self.subject.folder().join("state/provision/lab")
    }

    /// What this control machine keeps.
    pub(super) fn certs(&self) -> PathBuf {
        self.subject.folder().join("certs/lab")
    }

    pub(super) fn bootstrap(&self) -> String {
        format!("localhost:{}", self.kafka.number())
    }

    /// The body of an answer of the worker; `None` when it is not a success.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, testbed::Error> {
        let answer = http::request(&format!("127.0.0.1:{}", self.rest.number()), "GET", path, "").await?;
        Ok((answer.status == 200).then(|| serde_json::from_str(&answer.body).unwrap_or_default()))
    }

    pub(super) async fn has_probe(&self) -> Result<bool, testbed::Error> {
        Ok(self.get("/connectors/provision-probe/config").await?.is_some())
    }

    pub(super) async fn until_probe_is_there(&self) -> Result<()> {
        let is_there = async || Ok(self.has_probe().await?.then_some(()));
        Ok(wait::until("the probe connector is there", PATIENCE, is_there, String::new).await?)
    }

    /// How many changes the journal has as made.
    pub(super) fn made(&self) -> Result<usize> {
        let journal = std::fs::read_to_string(self.certs().join("journal.jsonl"))?;
        Ok(journal.lines().filter(|line| line.contains("\"outcome\":\"made\"")).count())
    }

    /// Processes that the pid files name.
    pub(super) fn services(&self) -> BTreeSet<u32> {
        let id = |file: &str| {
            let text = std::fs::read_to_string(self.state().join(file)).ok()?;
            text.split_whitespace().next()?.parse().ok()
        };
        ["kafka/kafka.pid", "connect-worker.pid"].into_iter().filter_map(id).collect()
    }

    /// Everything that runs from the lab's folder is a service of it or keeps what one prints, as soon as what a killed run
    /// had begun is ended.
    pub(super) async fn ensure_nothing_runs_unknown(&self) -> Result<()> {
        let folder = self.subject.folder().display().to_string();
        let unknown = || {
            let services = self.services();
            processes_with(&folder).map(|mut found| {
                found.retain(|id| !services.contains(id) && !keeps_what_a_service_prints(*id));
                found
            })
        };
        let none = async || Ok(unknown()?.is_empty().then_some(()));
        let log = || format!("{:?}", unknown());
        wait::until("nothing else runs", PATIENCE, none, log).await.context("after the run")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Whatever a failed test has left; a whole removal is what the tests themselves see to.
        for id in self.services() {
            let _ = std::process::Command::new("kill").args(["-9", &id.to_string()]).status();
        }
    }
}

/// Whether a process writes the `NAME.out` of a service that runs, as `NAME.pid` says: its last word is that file.
fn keeps_what_a_service_prints(id: u32) -> bool {
    let pid_file = || {
        let words = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        let last = words.trim_end_matches('\0').rsplit('\0').next()?;
        let out = Path::new(last);
        out.extension().is_some_and(|end| end == "out").then(|| out.with_extension("pid"))
    };
    let service = pid_file().and_then(|file| std::fs::read_to_string(file).ok());
    let service = service.and_then(|text| text.split_whitespace().next().map(str::to_owned));
    service.is_some_and(|id| Path::new(&format!("/proc/{id}/cwd")).exists())
}
