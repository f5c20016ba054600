//! `provision` beside ansible-core and pyinfra: the same hosts, the same ten steps, the same files to the byte.

pub(crate) mod delay;
mod ground;
mod tool;

use std::collections::BTreeMap;

use anyhow::ensure;
use async_trait::async_trait;
use serde_json::Value;

use crate::bench::{Bench, Group, Peers, Section};
use crate::figure::{Figure, Peer, Samples, Target, Unit};
use crate::machine::first_line;
use crate::report::say;
use ground::Ground;
use tool::{Case, Tool};

pub(crate) const SECTION: Section =
    Section { id: "provision", groups: &[&Hosts], versions: || Box::pin(async { versions() }) };

/// This program as a slow line: `benchmarks DELAY LISTEN TO MILLISECONDS`.
pub(crate) const DELAY: &str = "slow-line";

/// Whether a slow line lies between the tools and the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Latency {
    None,
    Added,
}

impl Latency {
    pub(crate) fn milliseconds(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Added => 20,
        }
    }
}

fn versions() -> Vec<String> {
    vec![
        "ours: `provision` as it is shipped (release, static)".to_owned(),
        "peers: ansible-core 2.19.14 (`benches/peers/ansible/`: pipelining, 10 forks, `strategy: free`, no facts but those \
         of the preflight) and pyinfra 3.10.0 (`benches/peers/pyinfra/`), from PyPI"
            .to_owned(),
        format!("ssh: {}", first_line("ssh", &["-V"])),
    ]
}

struct Hosts;

#[async_trait(?Send)]
impl Group for Hosts {
    fn name(&self) -> &'static str {
        "hosts"
    }

    fn title(&self) -> &'static str {
        "First and second run, one host and ten"
    }

    fn method(&self) -> String {
        "Wall time of one command, from `exec` to its end. Hosts are containers with systemd and sshd (Debian 13), each \
         with a Docker engine of its own; Docker and Python are installed beforehand, so that a first run measures the \
         tools and not a package mirror. They run on the same cores as the tools. Kafka (three brokers, SASL_SSL, ACLs) \
         is reached by the hosts alone. The ten steps: preflight with the way to each broker, Docker's packages, its \
         service, folders, files and secrets with owner and mode, the Compose file, the image, conflicting units, the \
         worker's container, and REST, metrics and the connector with its tasks.\n\n\
         `provision` does more in the same time: it also logs in to Kafka as administrator and as the worker's user, \
         compares ACLs and topics, and its first run carries records through a probe connector. The peers have no module \
         for that, so it is left out for them, as is the rendering of templates and the making of certificates: they are \
         given the files as `provision` renders them. After every first run the files are compared to the byte; a second \
         run must leave files and containers as they are. The factor is promised against ansible-core; pyinfra is there to \
         be looked at. A first run is timed once per tool, on hosts from which \
         container, image and files were removed; what is in Kafka stays. Second runs are medians of all rounds, the \
         tools taking turns.\n\n\
         20 ms more are added to every round trip by a proxy before each sshd (half in each direction, and the whole \
         before a connection, for its handshake), since not every kernel has `netem`. Ansible's connections are ended \
         after each run: every run begins without one.\n\n\
         `of it` are the parts that `provision --json` tells of a second run on one host.\n"
            .to_owned()
    }

    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let peers = match bench.peers {
            Peers::Measured => Some(tool::install_peers().await?),
            Peers::LeftOut => None,
        };
        let many = bench.scaled(10, 2);
        say(&format!("{many} hosts and three brokers: starting"));
        let ground = Ground::lay(many).await?;
        let mut figures = Vec::new();
        for (cluster, count, limit) in [("one", 1, 0.6), ("ten", many, 1.5)] {
            let case =
                |latency| Case { bench, ground: &ground, cluster, count, latency, peers: peers.as_deref() };
            prepare(&case(Latency::None)).await?;
            for latency in [Latency::None, Latency::Added] {
                figures.extend(measure(&case(latency), limit).await?);
            }
            ground.reset(cluster, count).await?;
        }
        Ok(figures)
    }
}

/// Makes the cluster once, so that what belongs to Kafka is there, and tells the peers of it.
async fn prepare(case: &Case<'_>) -> anyhow::Result<()> {
    case.run(Tool::Provision, &[]).await?;
    let archive = case.ground.path("worker.tar");
    let provision = case.bench.program("provision")?;
    let output = tokio::process::Command::new(provision)
        .args(["image", "--output"])
        .arg(&archive)
        .env("CONNECT_WORKER_BIN", case.bench.program("connect-worker")?)
        .output()
        .await?;
    ensure!(output.status.success(), "provision image: {}", String::from_utf8_lossy(&output.stderr));
    let about = case.ground.about(case.cluster, case.count, &archive).await?;
    case.ground.write("about.json", &about.to_string())
}

async fn measure(case: &Case<'_>, limit: f64) -> anyhow::Result<Vec<Figure>> {
    let ground = case.ground;
    let (cluster, count) = (case.cluster, case.count);
    let place = format!(
        "{count} host{}, {} ms added",
        if count == 1 { "" } else { "s" },
        case.latency.milliseconds()
    );
    // Ours comes last, so that the second runs find the hosts as it has left them.
    let tools: &[Tool] = match case.peers {
        Some(_) => &[Tool::Ansible, Tool::Pyinfra, Tool::Provision],
        None => &[Tool::Provision],
    };
    let wanted = ground.fingerprint(cluster, count).await?;
    let wanted = Ground::files_of(&wanted);
    let mut first: BTreeMap<&str, Samples> = BTreeMap::new();
    let mut second: BTreeMap<&str, Samples> = BTreeMap::new();
    for tool in tools {
        say(&format!("first run, {place}: {}", tool.name()));
        ground.reset(cluster, count).await?;
        let (took, _) = case.run(*tool, &[]).await?;
        first.entry(tool.name()).or_default().0.push(took);
        ground.until_running().await?;
        let found = ground.fingerprint(cluster, count).await?;
        ensure!(Ground::files_of(&found) == wanted, "{} has made other files:\n{found}", tool.name());
    }
    let standing = ground.fingerprint(cluster, count).await?;
    for round in 0..case.bench.rounds {
        for tool in tools {
            say(&format!("second run {}, {place}: {}", round + 1, tool.name()));
            let (took, _) = case.run(*tool, &[]).await?;
            second.entry(tool.name()).or_default().0.push(took);
        }
    }
    ground.until_running().await?;
    ensure!(ground.fingerprint(cluster, count).await? == standing, "a second run changed something");

    let targets = match case.latency {
        Latency::None => vec![Target::AtMost(limit), Target::TimesLess(5.0)],
        Latency::Added => vec![Target::TimesLess(5.0)],
    };
    let mut figures = vec![
        figure(format!("first run, {place}"), first, Vec::new()),
        figure(format!("second run, {place}"), second, targets),
    ];
    if count == 1 {
        figures.extend(parts(case, &place).await?);
    }
    Ok(figures)
}

/// Where the time of a second run goes, as it tells itself.
async fn parts(case: &Case<'_>, place: &str) -> anyhow::Result<Vec<Figure>> {
    let mut parts: Vec<(String, Samples)> = Vec::new();
    for _ in 0..case.bench.rounds {
        let (_, said) = case.run(Tool::Provision, &["--json"]).await?;
        let document: Value = serde_json::from_str(&said)?;
        ensure!(
            document["done"].as_array().is_some_and(Vec::is_empty),
            "a second run changed something: {said}"
        );
        for part in document["parts"].as_array().into_iter().flatten() {
            let (Some(name), Some(seconds)) = (part["name"].as_str(), part["seconds"].as_f64()) else {
                continue;
            };
            match parts.iter_mut().find(|(known, _)| known == name) {
                Some((_, samples)) => samples.0.push(seconds),
                None => parts.push((name.to_owned(), Samples(vec![seconds]))),
            }
        }
    }
    let figure = |(name, ours)| Figure {
        name: format!("of it {name}, {place}"),
        unit: Unit::Seconds,
        ours,
        peers: Vec::new(),
        targets: Vec::new(),
    };
    Ok(parts.into_iter().map(figure).collect())
}

fn figure(name: String, mut samples: BTreeMap<&str, Samples>, targets: Vec<Target>) -> Figure {
    let ours = samples.remove(Tool::Provision.name()).unwrap_or_default();
    let peer = |(name, samples)| Peer { is_target: name == Tool::Ansible.name(), ..Peer::new(name, samples) };
    let peers = samples.into_iter().map(peer).collect();
    Figure { name, unit: Unit::Seconds, ours, peers, targets }
}
