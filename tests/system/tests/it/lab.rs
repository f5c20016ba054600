//! The embedded lab, through the program that its users run: a real Kafka, the real worker, this machine alone.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use testbed::ports::Port;
use testbed::wait;

use crate::programs;
use crate::search::{Canaries, Sampler};

const DONE: i32 = 0;
const CHECK_FAILED: i32 = 4;
const CHANGES_PENDING: i32 = 7;

/// How long a killed JVM may take to give back its memory and ports on a busy machine.
const KILLED: Duration = Duration::from_secs(30);

/// A lab with folders and ports of its own; dropping it destroys what still runs.
struct Lab {
    folder: PathBuf,
    ports: BTreeMap<&'static str, Port>,
}

impl Lab {
    fn new() -> Self {
        let folder = testbed::owner::dir("lab").unwrap();
        let ports = ["kafka", "controller", "rest", "metrics"];
        let ports = ports.into_iter().map(|name| (name, Port::reserve().unwrap())).collect();
        let lab = Self { folder, ports };
        lab.write_inventory(lab.port("kafka"));
        lab
    }

    fn port(&self, name: &str) -> u16 {
        self.ports[name].number()
    }

    fn write_inventory(&self, kafka: u16) {
        let text = format!(
            "cluster: lab\nruntime: process\nhosts:\n  localhost: {{ connection: local }}\n\
             kafka:\n  managed: {{ port: {kafka}, controller_port: {} }}\n\
             connect:\n  rest: {{ port: {} }}\n  metrics: {{ port: {} }}\n\
             topics:\n  users: {{ partitions: 3 }}\n\
             connectors:\n  users:\n    connector.class: DatagenConnector\n    kafka.topic: users\n    \
             quickstart: users\n    max.interval: 20\n    tasks.max: 1\n",
            self.port("controller"),
            self.port("rest"),
            self.port("metrics"),
        );
        std::fs::write(self.inventory(), text).unwrap();
    }

    fn inventory(&self) -> PathBuf {
        self.folder.join("lab.yml")
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state/provision/lab")
    }

    /// Runs `provision WORDS --json` and returns its exit code and document.
    fn run(&self, words: &[&str]) -> (i32, Value) {
        let output = self.output(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let document = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{words:?}: {error}\n{text}\n{}", String::from_utf8_lossy(&output.stderr))
        });
        (output.status.code().unwrap(), document)
    }

    fn output(&self, words: &[&str]) -> Output {
        Command::new(programs::provision())
            .args(words)
            .arg("--inventory")
            .arg(self.inventory())
            .arg("--certs")
            .arg(self.folder.join("certs"))
            .arg("--json")
            .env("CONNECT_WORKER_BIN", programs::connect_worker())
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .env_remove("KAFKA_HOME")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The process id in a pid file of ours.
    fn pid(&self, file: &str) -> u32 {
        let text = std::fs::read_to_string(self.state().join(file)).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Kills broker and worker, and returns once the kernel has taken back what they held: a killed process keeps its
    /// ports until the last of its threads is gone.
    async fn kill_all(&self) {
        for pid in [self.pid("kafka/kafka.pid"), self.pid("connect-worker.pid")] {
            assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
        }
        let free = async || {
            let mut ports = self.ports.values();
            let free = ports.all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).is_ok());
            Ok(free.then_some(()))
        };
        wait::until("the ports of killed processes", KILLED, free, String::new).await.unwrap();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.state().exists() {
            self.output(&["destroy", "--yes"]);
        }
    }
}

#[tokio::test]
async fn the_lab_comes_from_nothing_heals_and_goes() {
    let lab = Lab::new();

    let (exit, plan) = lab.run(&["plan"]);
    assert_eq!(exit, CHANGES_PENDING, "{plan:#}");
    assert!(!lab.state().exists() && !lab.folder.join("certs").exists(), "a plan writes nothing");

    let sampler = Sampler::start(None);
    let (exit, applied) = lab.run(&["apply"]);
    assert_eq!(exit, DONE, "{applied:#}");
    assert_eq!(applied["not_reached"], Value::Array(Vec::new()));

    let before = (lab.pid("kafka/kafka.pid"), lab.pid("connect-worker.pid"));
    let (exit, again) = lab.run(&["apply"]);
    assert_eq!((exit, changes(&again["plan"]["changes"])), (DONE, Vec::new()), "{again:#}");
    let after = (lab.pid("kafka/kafka.pid"), lab.pid("connect-worker.pid"));
    assert_eq!(before, after, "a second run restarts nothing");

    nothing_shows_a_secret(&lab, &applied, sampler);

    lab.kill_all().await;
    let (exit, plan) = lab.run(&["plan"]);
    assert_eq!(exit, CHANGES_PENDING, "{plan:#}");
    let planned = changes(&plan["plan"]["changes"]);
    assert!(planned.iter().any(|change| change == "kafka restart broker"), "{planned:?}");
    let (exit, healed) = lab.run(&["apply"]);
    assert_eq!(exit, DONE, "{healed:#}");
    assert_eq!(changes(&healed["done"]), ["kafka restart broker", "services restart connect-worker"]);
    let (exit, smoke) = lab.run(&["smoke"]);
    assert_eq!(exit, DONE, "{smoke:#}");
    let (exit, newest) = lab.run(&["records", "users", "-n", "3"]);
    assert_eq!((exit, newest["records"].as_array().map(Vec::len)), (DONE, Some(3)), "{newest:#}");
    assert!(newest["records"][0]["value"].as_str().unwrap().contains("userid"), "{newest:#}");
    let (exit, nowhere) = lab.run(&["records", "usres"]);
    let told = nowhere["problems"][0]["message"].as_str();
    assert_eq!((exit, told), (CHECK_FAILED, Some("there is no topic usres in Kafka")), "{nowhere:#}");

    let pids = [lab.pid("kafka/kafka.pid"), lab.pid("connect-worker.pid")];
    let (exit, destroyed) = lab.run(&["destroy", "--yes"]);
    assert_eq!(exit, DONE, "{destroyed:#}");
    assert!(!lab.state().exists(), "nothing is left of the state");
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}/cwd")).exists(), "process {pid} still runs");
    }
    for port in lab.ports.values() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
    }
}

#[test]
fn a_port_in_use_is_named_with_the_key_that_changes_it() {
    let lab = Lab::new();
    let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, lab.port("kafka"))).unwrap();
    let (exit, outcome) = lab.run(&["apply"]);
    assert_eq!(exit, CHECK_FAILED, "{outcome:#}");
    let findings = outcome["findings"].as_array().unwrap();
    let says = |text: &str| findings.iter().any(|finding| finding.to_string().contains(text));
    assert!(says(&format!("port {}", lab.port("kafka"))) && says("kafka.managed.port"), "{outcome:#}");
    assert!(!lab.state().exists(), "nothing was made");
    drop(stranger);
}

/// `PHASE ACTION SUBJECT` of every change.
fn changes(list: &Value) -> Vec<String> {
    let text = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    let line =
        |change| format!("{} {} {}", text(change, "phase"), text(change, "action"), text(change, "subject"));
    list.as_array().unwrap().iter().map(line).collect()
}

/// No secret is where it need not be: command lines and environments while the lab was made, what its run said, and
/// every file of its services but those that are read for it.
fn nothing_shows_a_secret(lab: &Lab, applied: &Value, sampler: Sampler) {
    let certs = lab.folder.join("certs/lab");
    let mut canaries = Canaries::default();
    canaries.add_files(&certs.join("secrets")).unwrap();
    // Of PKCS #8 for P-256: the end of the scalar, and the public key.
    canaries.add_key("authority", &certs.join("ca.key"), 2).unwrap();
    canaries.ensure_absent("the document", &applied.to_string()).unwrap();
    let mut showing = files_with(&canaries, &lab.state());
    showing.sort();
    assert_eq!(showing, WITH_SECRETS);
    for file in WITH_SECRETS {
        let mode = std::fs::metadata(lab.state().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "others may read {file}");
    }
    sampler.ensure_found_nothing(canaries).unwrap();
}

/// The files that Kafka and the worker read their secrets from.
const WITH_SECRETS: [&str; 3] =
    ["kafka/broker.properties", "worker/secrets/sasl.jaas.config", "worker/secrets/truststore-password"];

/// Paths below the folder, without those of Kafka's data.
fn files_with(canaries: &Canaries, root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((!path.ends_with("kafka/data")).then_some(path));
            } else if path.is_file() && canaries.first_in(&std::fs::read(&path).unwrap()).is_some() {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found
}
