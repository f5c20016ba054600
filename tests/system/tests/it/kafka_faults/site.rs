//! One Connect cluster of one worker on this machine, on a Kafka of the test bed, and the program that makes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::ports::Port;
use testbed::{http, wait};

use super::ground::Ground;
use crate::programs;

pub(super) const DONE: i32 = 0;
pub(super) const USAGE: i32 = 2;
pub(super) const CHECK_FAILED: i32 = 4;
pub(super) const PARTLY_APPLIED: i32 = 5;

/// Longer than the session timeout of a worker, which is 10 s.
const SESSION: Duration = Duration::from_secs(11);

/// What an inventory of the tests says; every field may be made wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    /// `kafka.managed`, for a Kafka of our own; then what follows up to `connect` is left out.
    pub(super) managed: String,
    /// `kafka.bootstrap`.
    pub(super) bootstrap: Vec<String>,
    pub(super) security: &'static str,
    /// The value of `kafka.trust`.
    pub(super) trust: String,
    /// The value of `kafka.admin`.
    pub(super) admin: String,
    /// The value of `kafka.user`.
    pub(super) user: String,
    /// Lines below `connect:`, indented by two.
    pub(super) connect: String,
    /// Lines below `topics:`, indented by two.
    pub(super) topics: String,
    /// Lines below `connectors:`, indented by two.
    pub(super) connectors: String,
}

/// A cluster with folders and ports of its own; dropping it destroys what still runs.
pub(super) struct Site {
    pub(super) name: &'static str,
    folder: PathBuf,
    rest: Port,
    metrics: Port,
    /// Those of a Kafka of our own.
    _further: Vec<Port>,
    /// The inventory that nothing is wrong with.
    pub(super) right: Inventory,
    environment: BTreeMap<&'static str, String>,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) exit: i32,
    pub(super) document: Value,
}

impl Site {
    pub(super) fn new(name: &'static str, ground: &Ground) -> Self {
        let environment = BTreeMap::from([("ADMIN_PASSWORD", ground.admin_password())]);
        Self::with(name, ground.inventory(name), environment, Vec::new())
    }

    /// A cluster with a Kafka of our own.
    pub(super) fn with_own_kafka(name: &'static str) -> Self {
        let ports = [Port::reserve().unwrap(), Port::reserve().unwrap()];
        let right = Inventory {
            managed: format!("{{ port: {}, controller_port: {} }}", ports[0].number(), ports[1].number()),
            ..Inventory::default()
        };
        Self::with(name, right, BTreeMap::new(), ports.into())
    }

    fn with(
        name: &'static str,
        right: Inventory,
        environment: BTreeMap<&'static str, String>,
        further: Vec<Port>,
    ) -> Self {
        let folder = testbed::owner::dir(name).unwrap();
        let (rest, metrics) = (Port::reserve().unwrap(), Port::reserve().unwrap());
        Self { name, folder, rest, metrics, _further: further, right, environment }
    }

    /// Makes the cluster as `inventory` says.
    pub(super) fn apply(&self, inventory: &Inventory) -> Run {
        self.write(inventory);
        self.run(&["apply"])
    }

    pub(super) fn plan(&self, inventory: &Inventory) -> Run {
        self.write(inventory);
        self.run(&["plan"])
    }

    /// A run that must succeed, with what it changed as `PHASE ACTION SUBJECT`.
    pub(super) fn converge(&self, why: &str) -> Vec<String> {
        let run = self.apply(&self.right);
        assert_eq!(run.exit, DONE, "{why}: {}", run.told());
        run.done()
    }

    /// A run that has nothing to do.
    pub(super) fn is_converged(&self, why: &str) {
        assert_eq!(self.converge(why), Vec::<String>::new(), "{why}: the run after it changes nothing");
    }

    /// Waits until the worker has heard of Kafka anew: it is healthy for longer than its session lasts without a word.
    pub(super) async fn until_settled(&self) {
        let address = format!("127.0.0.1:{}", self.rest.number());
        let mut since = None;
        let settled = async || {
            let answer = http::request(&address, "GET", "/health", "").await.ok();
            if answer.is_none_or(|answer| answer.status != 200) {
                since = None;
                return Ok(None);
            }
            let since: Instant = *since.get_or_insert_with(Instant::now);
            Ok((since.elapsed() > SESSION).then_some(()))
        };
        wait::until("the worker is healthy again", Duration::from_secs(240), settled, String::new)
            .await
            .unwrap();
    }

    pub(super) fn write(&self, inventory: &Inventory) {
        let Inventory { managed, bootstrap, security, trust, admin, user, connect, topics, connectors } =
            inventory;
        let kafka = match managed.is_empty() {
            false => format!("  managed: {managed}\n"),
            true => format!(
                "  bootstrap: [{}]\n  security: {security}\n{}{}{}",
                bootstrap.join(", "),
                entry("trust", trust),
                entry("admin", admin),
                entry("user", user),
            ),
        };
        let text = format!(
            "cluster: {}\nruntime: process\nhosts:\n  here: {{ connection: local, address: 127.0.0.1 }}\n\
             kafka:\n{kafka}connect:\n  rest: {{ port: {} }}\n  metrics: {{ port: {} }}\n{connect}\
             topics:{}\nconnectors:{}\n",
            self.name,
            self.rest.number(),
            self.metrics.number(),
            section(topics),
            section(connectors),
        );
        fs::write(self.folder.join("inventory.yml"), text).unwrap();
    }

    /// Runs `provision WORDS --json`.
    pub(super) fn run(&self, words: &[&str]) -> Run {
        let output = self.output(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let document = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{words:?}: {error}\n{text}\n{}", String::from_utf8_lossy(&output.stderr))
        });
        Run { exit: output.status.code().unwrap(), document }
    }

    fn output(&self, words: &[&str]) -> Output {
        self.command(words).arg("--json").output().unwrap()
    }

    /// A run that is told to stop when it takes too long, and killed when that does not help: then it has another exit code.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=60", &programs::RUN_LIMIT.as_secs().to_string()])
            .arg(programs::provision())
            .args(words)
            .args(["--inventory", "inventory.yml", "--certs", "certs"])
            .arg("--worker")
            .arg(programs::connect_worker())
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .envs(&self.environment)
            .env_remove("KAFKA_HOME")
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// The worker's folder on its host.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state/provision").join(self.name)
    }

    /// The control machine's folder.
    pub(super) fn kept(&self) -> PathBuf {
        self.folder.join("certs").join(self.name)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.state().exists() {
            self.write(&self.right);
            self.output(&["destroy", "--yes"]);
        }
    }
}

fn entry(key: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("  {key}: {value}\n") }
}

fn section(lines: &str) -> String {
    if lines.is_empty() { " {}".to_owned() } else { format!("\n{lines}") }
}

impl Run {
    /// `PHASE ACTION SUBJECT` of every change made.
    pub(super) fn done(&self) -> Vec<String> {
        let word = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
        let changes = self.document["done"].as_array().into_iter().flatten();
        changes
            .map(|change| [word(change, "phase"), word(change, "action"), word(change, "subject")].join(" "))
            .collect()
    }

    /// Every error of the run: where and what, and what to do, as a person reads it.
    pub(super) fn errors(&self) -> Vec<String> {
        let list = |key: &str| self.document[key].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let findings = list("findings").into_iter().filter(|found| found["severity"] == "error");
        let found = findings.map(|it| {
            format!("{}: {}\n  hint: {}", text(&it["place"]), text(&it["message"]), text(&it["hint"]))
        });
        let failed = list("failures").into_iter().map(|it| {
            let tail: Vec<String> = it["tail"].as_array().into_iter().flatten().map(text).collect();
            format!(
                "{}: {}: {}\n  | {}\n  hint: {}",
                text(&it["target"]),
                text(&it["step"]),
                text(&it["message"]),
                tail.join("\n  | "),
                text(&it["hint"])
            )
        });
        let problems = list("problems").into_iter().map(|it| text(&it));
        found.chain(failed).chain(problems).collect()
    }

    /// Warnings of the run.
    pub(super) fn warnings(&self) -> Vec<String> {
        let warnings = self.document["plan"]["warnings"].as_array().into_iter().flatten();
        warnings.map(|warning| warning.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Everything, for the message of a failed assertion.
    pub(super) fn told(&self) -> String {
        format!(
            "exit {}\ndone: {:?}\n{}\nwarnings: {:#?}",
            self.exit,
            self.done(),
            self.errors().join("\n"),
            self.warnings()
        )
    }

    /// Asserts the exit code, and that one single error has all of `says` and a remedy.
    pub(super) fn fails(&self, name: &str, exit: i32, says: &[&str]) {
        assert_eq!(self.exit, exit, "{name}: {}", self.told());
        let has_all = |error: &String| says.iter().all(|word| error.contains(word));
        assert!(self.errors().iter().any(has_all), "{name}: no error says all of {says:?}: {}", self.told());
        for error in self.errors() {
            assert!(!error.ends_with("hint: "), "{name}: an error without a remedy: {error}");
        }
    }
}
