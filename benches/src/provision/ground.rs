//! What all tools work on: hosts with Docker, a Kafka that only they reach, and the files that describe both.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testbed::docker::image::Debian;
use testbed::docker::{Network, Reach, docker};
use testbed::kafka::{Kafka, KafkaSpec, Place, Security};
use testbed::process::{Process, Program};
use testbed::ssh_host::{HostSpec, SshHost};
use testbed::{http, owner, wait};

use super::Latency;

/// Where sshd is reached through a slow line.
const SLOW_PORT: u16 = 2222;
/// Hosts that boot at the same time.
const BOOTING: usize = 5;
const CONNECTOR: &str = "users";
/// How long a connector may take to run again.
const PATIENCE: Duration = Duration::from_secs(60);
/// The group of the worker's files, which has no name on a host.
const GROUP: (&str, u32) = ("connect", 65532);

pub(crate) struct Ground {
    pub(crate) folder: PathBuf,
    hosts: Vec<SshHost>,
    kafka: Kafka,
    /// One per host.
    _lines: Vec<Process>,
    _networks: [Network; 2],
}

impl Ground {
    /// Lays it with `count` hosts; they are up, and so is Docker's engine on each.
    pub(crate) async fn lay(count: usize) -> anyhow::Result<Self> {
        let folder = owner::dir("benchmarks")?;
        let open = Network::create(Reach::ControlMachine).await?;
        let inner = Network::create(Reach::ContainersOnly).await?;
        let kafka = Kafka::start(KafkaSpec {
            brokers: 3,
            place: Place::Network(inner.clone()),
            security: Security::sasl_ssl(),
            acls: true,
            ..KafkaSpec::default()
        })
        .await?;
        let hosts: Vec<SshHost> = stream::iter(0..count)
            .map(|_| SshHost::start_with_docker(Debian::Debian13, HostSpec::in_networks(&[&open, &inner])))
            .buffered(BOOTING)
            .try_collect()
            .await?;
        let mut lines = Vec::new();
        for host in &hosts {
            let up = "until docker version >/dev/null 2>&1; do sleep 0.2; done";
            host.exec(&format!("timeout 120 sh -c '{up}'; groupadd -g {} {}", GROUP.1, GROUP.0)).await?;
            lines.push(slow_line(host, &folder).await?);
        }
        let ground = Self { folder, hosts, kafka, _lines: lines, _networks: [open, inner] };
        ground.write("kafka-ca.pem", ground.kafka.ca_pem().context("Kafka has TLS")?)?;
        ground.write("admin", ground.kafka.admin_password().expose_secret())?;
        ground.write("known_hosts", &ground.known_hosts())?;
        Ok(ground)
    }

    /// Names and hosts, of the first `count`.
    pub(crate) fn hosts(&self, count: usize) -> impl Iterator<Item = (String, &SshHost)> {
        self.hosts.iter().take(count).enumerate().map(|(index, host)| (format!("w{}", index + 1), host))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    /// The inventory of `provision`: the cluster on the first `count` hosts.
    pub(crate) fn inventory(&self, cluster: &str, count: usize, latency: Latency) -> anyhow::Result<PathBuf> {
        let mut text = format!("cluster: {cluster}\nhosts:\n");
        for (name, host) in self.hosts(count) {
            let (address, key) = (host.address(), host.host_key_line());
            let port = port(latency);
            writeln!(text, "  {name}: {{ address: {address}, ssh: {{ port: {port}, host_key: {key} }} }}")?;
        }
        let first = self.hosts.first().context("there is a host")?;
        let (user, identity) = (first.user(), first.identity().display());
        let brokers: Vec<String> = self.kafka.brokers().iter().map(|broker| broker.address()).collect();
        let brokers = brokers.join(", ");
        write!(
            text,
            "ssh: {{ user: {user}, identity: {identity} }}\n\
             kafka:\n  bootstrap: [{brokers}]\n  security: SASL_SSL\n  trust: {{ pem: ./kafka-ca.pem }}\n  \
             admin: {{ username: admin, password: {{ file: ./admin }} }}\n  user: {{ acls: create }}\n\
             connect:\n  rest: {{ port: 8083, bind: private }}\n  metrics: {{ port: 8079, bind: private }}\n\
             topics:\n  users: {{ partitions: 4, replication: 3 }}\n\
             connectors:\n  {CONNECTOR}:\n    connector.class: io.confluent.kafka.connect.datagen.DatagenConnector\n    \
             kafka.topic: users\n    quickstart: users\n    max.interval: 1000\n    tasks.max: 4\n"
        )?;
        let name = format!("{cluster}-{}.yml", latency.milliseconds());
        self.write(&name, &text)?;
        Ok(self.path(&name))
    }

    /// What the peers are told: the cluster as `provision` has left it on the hosts.
    pub(crate) async fn about(&self, cluster: &str, count: usize, archive: &Path) -> anyhow::Result<Value> {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        let (mut workers, mut digests) = (Vec::new(), serde_json::Map::new());
        let root = format!("/etc/provision/{cluster}");
        let container = format!("provision-{cluster}-worker");
        let tree = self.path(&format!("tree-{cluster}"));
        for (name, host) in self.hosts(count) {
            let place = tree.join(&name).join("etc/provision");
            fs::create_dir_all(&place)?;
            let from = format!("{}:{root}", host.container().name());
            docker(&["cp", &from, &place.join(cluster).display().to_string()]).await?;
            let format = "{{index .Config.Labels \"provision.digest\"}}";
            let digest = host.exec(&format!("docker inspect --format '{format}' {container}")).await?;
            digests.insert(name.clone(), digest.trim().into());
            workers.push(json!({ "name": name, "address": host.address() }));
            if name == "w1" {
                let found = host
                    .exec(&format!(
                        "find {root} ! -name marker ! -name journal.jsonl -printf '%y %m %U %G %p\\n'"
                    ))
                    .await?;
                for line in found.lines() {
                    let fields: Vec<&str> = line.splitn(5, ' ').collect();
                    let [kind, mode, uid, gid, path] = fields[..] else { continue };
                    let named = |id: &str| if id == "0" { "root" } else { GROUP.0 };
                    let entry = json!({
                        "path": path, "mode": format!("0{mode}"), "uid": uid, "gid": gid,
                        "owner": named(uid), "group_name": named(gid),
                    });
                    if kind == "d" { folders.push(entry) } else { files.push(entry) }
                }
                folders.insert(
                    0,
                    json!({
                        "path": "/etc/provision", "mode": "0755", "uid": "0", "gid": "0",
                        "owner": "root", "group_name": "root",
                    }),
                );
            }
        }
        let first = self.hosts.first().context("there is a host")?;
        let image =
            first.exec(&format!("docker inspect --format '{{{{.Config.Image}}}}' {container}")).await?;
        let format = "{{index .Config.Labels \"provision.image-digest\"}}";
        let image_digest = first.exec(&format!("docker inspect --format '{format}' {container}")).await?;
        let rest = format!("{}:8083", first.address());
        let path = format!("/connectors/{CONNECTOR}/config");
        let connector: Value = serde_json::from_str(&http::request(&rest, "GET", &path, "").await?.body)?;
        let check = include_str!("../../peers/pyinfra/check.py").replace("CONNECTOR", &connector.to_string());
        self.write("check.py", &check)?;
        let brokers: Vec<Value> = self
            .kafka
            .brokers()
            .iter()
            .map(|broker| json!({ "host": broker.host(), "port": broker.port() }))
            .collect();
        Ok(json!({
            "workers": workers,
            "user": first.user(),
            "identity": first.identity(),
            "known_hosts": self.path("known_hosts"),
            "tree": tree,
            "folders": folders,
            "files": files,
            "digests": digests,
            "container": container,
            "project": format!("provision-{cluster}"),
            "compose_file": format!("{root}/compose.yml"),
            "image": image.trim(),
            "image_digest": image_digest.trim(),
            "archive": archive,
            "brokers": brokers,
            "conflicts": ["confluent-kafka-connect.service"],
            "connector": connector,
            "check": self.path("check.py"),
        }))
    }

    /// Takes everything of the tools off the hosts. Docker, and what is in Kafka, stay.
    pub(crate) async fn reset(&self, cluster: &str, count: usize) -> anyhow::Result<()> {
        let script = format!(
            "docker rm --force --volumes provision-{cluster}-worker >/dev/null 2>&1 || true\n\
             docker network rm provision-{cluster}_connect >/dev/null 2>&1 || true\n\
             docker images --quiet provision/connect-worker | xargs -r docker image rm --force >/dev/null\n\
             rm -rf /etc/provision\n"
        );
        let all = self.hosts(count).map(|(_, host)| host.exec(&script));
        futures::future::try_join_all(all).await?;
        Ok(())
    }

    /// What a run without changes leaves as it is: containers with their start, and every file with its digest.
    pub(crate) async fn fingerprint(&self, cluster: &str, count: usize) -> anyhow::Result<String> {
        let format = "{{.Id}} {{.State.StartedAt}} {{.State.Status}} {{.Image}}";
        let script = format!(
            "docker inspect --format '{format}' provision-{cluster}-worker\n\
             find /etc/provision ! -name marker ! -name journal.jsonl -printf '%y %m %U %G %p\\n' | sort\n\
             find /etc/provision -type f ! -name marker ! -name journal.jsonl | sort | xargs sha256sum\n"
        );
        let all = self.hosts(count).map(|(_, host)| host.exec(&script));
        Ok(futures::future::try_join_all(all).await?.concat())
    }

    /// The files alone: what every tool has to bring about, to the byte.
    pub(crate) fn files_of(fingerprint: &str) -> Vec<&str> {
        fingerprint.lines().filter(|line| line.contains("/etc/provision")).collect()
    }

    /// Waits until the connector runs with all of its tasks, as the first host's worker tells.
    pub(crate) async fn until_running(&self) -> anyhow::Result<()> {
        let first = self.hosts.first().context("there is a host")?;
        let (rest, path) = (format!("{}:8083", first.address()), format!("/connectors/{CONNECTOR}/status"));
        let mut last = Value::Null;
        let runs = async || {
            let answer = http::request(&rest, "GET", &path, "").await?;
            last = serde_json::from_str(&answer.body).unwrap_or_default();
            let tasks = last["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
            let run = tasks.iter().filter(|task| task["state"] == "RUNNING").count();
            Ok((run == 4 && last["connector"]["state"] == "RUNNING").then_some(()))
        };
        let running = wait::until("the connector runs", PATIENCE, runs, String::new).await;
        running.with_context(|| last.to_string())
    }

    fn known_hosts(&self) -> String {
        let line = |host: &SshHost| {
            let (address, key) = (host.address(), host.host_key_line());
            format!("{address} {key}\n[{address}]:{SLOW_PORT} {key}\n")
        };
        self.hosts.iter().map(line).collect()
    }
}

/// The port at which sshd is reached.
pub(crate) fn port(latency: Latency) -> u16 {
    match latency {
        Latency::None => 22,
        Latency::Added => SLOW_PORT,
    }
}

/// Lays a slow line to a host's sshd, in the host's network: this very program, see [`super::delay`].
async fn slow_line(host: &SshHost, folder: &Path) -> anyhow::Result<Process> {
    let name = host.container().name();
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", name]).await?;
    let program = Program {
        program: PathBuf::from("nsenter"),
        package: "util-linux",
        args: ["--target", &pid, "--net", "--"]
            .into_iter()
            .map(str::to_owned)
            .chain([
                std::env::current_exe()?.display().to_string(),
                super::DELAY.to_owned(),
                SLOW_PORT.to_string(),
                host.port().to_string(),
                Latency::Added.milliseconds().to_string(),
            ])
            .collect(),
        env: Vec::new(),
        log: folder.join(format!("line-{name}.log")),
    };
    Ok(Process::start(&program)?)
}
