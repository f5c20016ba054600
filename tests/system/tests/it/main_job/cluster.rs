//! The running cluster seen from outside: REST, containers, Kafka's own tools.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use kafka_control::GroupDescription;
use serde_json::Value;
use testbed::http;
use testbed::ssh_host::SshHost;

use super::ground::Ground;
use super::{CONFIG_TOPIC, GROUP, TASKS, USERS, group};

/// The connector's tasks as REST tells of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tasks(Vec<Task>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Task {
    state: String,
    worker: String,
}

impl Tasks {
    /// Asks the first host's worker.
    pub(super) async fn ask(ground: &Ground) -> Result<Self, testbed::Error> {
        let rest = format!("{}:8083", ground.bookworm.address());
        let answer = http::request(&rest, "GET", &format!("/connectors/{USERS}/status"), "").await?;
        let status: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let task = |task: &Value| Task { state: text(&task["state"]), worker: text(&task["worker_id"]) };
        Ok(Self(tasks.iter().map(task).collect()))
    }

    /// How many of them run on a host.
    pub(super) fn running_on(&self, host: &SshHost) -> usize {
        let worker = format!("{}:8083", host.address());
        self.0.iter().filter(|task| task.state == "RUNNING" && task.worker == worker).count()
    }

    /// Whether all of them run, some on each host.
    pub(super) fn are_spread(&self, ground: &Ground) -> bool {
        let counts = ground.hosts().map(|(_, host)| self.running_on(host));
        counts.iter().sum::<usize>() == TASKS && counts.iter().all(|count| *count > 0)
    }
}

/// Everything that a run without changes leaves as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// By host: containers with their ids and start times, and images.
    docker: BTreeMap<&'static str, String>,
    /// Members and their assignment; a rebalance makes a new leader's assignment or new members.
    group: GroupDescription,
    /// The end of the config topic.
    config: BTreeMap<u32, u64>,
    /// The end of Kafka's metadata log, in which every topic, user, ACL and configuration is a record.
    metadata: u64,
}

impl Standing {
    pub(super) async fn of(ground: &Ground) -> Result<Self> {
        let mut docker = BTreeMap::new();
        for (name, host) in ground.hosts() {
            let format = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}} {{.Image}}";
            let script = format!(
                "docker ps --all --quiet | xargs docker inspect --format '{format}'\n\
                 docker images --all --no-trunc --quiet; docker network ls --no-trunc --quiet; docker volume ls --quiet"
            );
            docker.insert(name, host.exec(&script).await?);
        }
        let (group, config, metadata) = tokio::try_join!(
            group::describe(ground, GROUP),
            async { Ok(end_offsets(ground, CONFIG_TOPIC).await?) },
            metadata_end(ground),
        )?;
        Ok(Self { docker, group, config, metadata })
    }
}

/// End offsets by partition.
pub(super) async fn end_offsets(ground: &Ground, topic: &str) -> Result<BTreeMap<u32, u64>, testbed::Error> {
    let printed =
        ground.kafka.admin_tool("org.apache.kafka.tools.GetOffsetShell", &["--topic", topic]).await?;
    let row = |line: &str| {
        let mut fields = line.rsplit(':');
        let (end, partition) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((partition, end))
    };
    Ok(printed.lines().filter_map(row).collect())
}

/// How far the metadata log goes. The brokers are told to write no records into it while idle.
pub(super) async fn metadata_end(ground: &Ground) -> Result<u64> {
    let main = "org.apache.kafka.tools.MetadataQuorumCommand";
    let printed = ground.kafka.admin_tool(main, &["describe", "--status"]).await?;
    let value = printed
        .lines()
        .find_map(|line| line.strip_prefix("HighWatermark:"))
        .with_context(|| printed.clone())?;
    let end = value.trim().parse()?;
    ensure!(end > 0, "an empty metadata log: {printed}");
    Ok(end)
}
