//! Topics: the three internal ones of Connect and the declared ones of the application.
//!
//! What is missing is created; what exists is compared and never repaired by force, since that would lose data.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use kafka_control::{ApiRefusal, Client, CreateMode, NewTopic, ResponseError};
use tokio::time::Instant;

use super::{Finding, Phase, PhaseError, Planned, Removed, Scope, Scoped, Severity};
use crate::desired::topics::{DesiredTopic, Role, desired};
use crate::kafka_access::KafkaAccessError;
use crate::plan::Change;

/// How long the brokers may take to learn of a new topic.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Topics;

/// A topic as Kafka has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundTopic {
    pub(crate) partitions: usize,
    pub(crate) replication: usize,
    /// Effective configuration by name.
    pub(crate) config: BTreeMap<String, String>,
}

/// Topics by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicFacts {
    /// Those that exist.
    found: BTreeMap<String, FoundTopic>,
    /// Missing ones that Kafka would not create as they are wanted.
    refused: BTreeMap<String, ApiRefusal>,
}

#[async_trait]
impl Phase for Topics {
    type Facts = TopicFacts;

    const ID: &'static str = "topics";
    const TITLE: &'static str = "Topics";
    const SCOPE: Scope = Scope::Cluster;

    async fn check(&self, at: &Scoped<'_>) -> Result<TopicFacts, PhaseError> {
        let Some(admin) = at.ctx.kafka.look(at.ctx).await? else { return Ok(TopicFacts::default()) };
        let wanted = desired(at.inventory());
        let names: Vec<&str> = wanted.iter().map(|topic| topic.name.as_str()).collect();
        let mut facts = TopicFacts::default();
        let found = admin.topics(&names).await.map_err(KafkaAccessError::from)?;
        let existing: Vec<&str> =
            found.iter().filter(|(_, topic)| topic.is_ok()).map(|(name, _)| name.as_str()).collect();
        let mut configs = match existing.as_slice() {
            [] => BTreeMap::new(),
            names => admin.describe_topic_configs(names).await.map_err(KafkaAccessError::from)?,
        };
        for (name, described) in found {
            let topic = match described {
                Ok(topic) => topic,
                Err(refusal) if refusal.code == ResponseError::UnknownTopicOrPartition => continue,
                Err(refusal) => {
                    let hint = refusal.hint().unwrap_or("see the message of the broker");
                    return Err(PhaseError::refused(subject(&name), refusal.to_string(), hint));
                }
            };
            let config = match configs.remove(&name) {
                Some(Ok(entries)) => {
                    entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
                }
                // Without the right to see the configuration there is nothing to compare, as for Connect itself.
                Some(Err(refusal)) if refusal.code == ResponseError::TopicAuthorizationFailed => {
                    BTreeMap::new()
                }
                Some(Err(refusal)) => {
                    return Err(PhaseError::make(format!("configuration of topic {name}"), refusal));
                }
                None => BTreeMap::new(),
            };
            facts.found.insert(
                name,
                FoundTopic {
                    partitions: topic.partitions.len(),
                    replication: topic.replication_factor(),
                    config,
                },
            );
        }
        // Kafka checks replicas, rights, configuration and policies without making anything.
        let missing: Vec<NewTopic> =
            wanted.iter().filter(|topic| !facts.found.contains_key(&topic.name)).map(new).collect();
        let judged =
            admin.create_topics(&missing, CreateMode::ValidateOnly).await.map_err(KafkaAccessError::from)?;
        for (name, result) in judged {
            match result {
                Err(refusal) if refusal.code != ResponseError::TopicAlreadyExists => {
                    facts.refused.insert(name, refusal);
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    fn plan(&self, at: &Scoped<'_>, facts: &TopicFacts) -> Planned {
        let mut planned = Planned::default();
        for topic in desired(at.inventory()) {
            match facts.found.get(&topic.name) {
                None if facts.refused.contains_key(&topic.name) => {
                    let refusal = &facts.refused[&topic.name];
                    planned.findings.push(Finding {
                        severity: Severity::Error,
                        place: subject(&topic.name),
                        message: format!("would not be created: {refusal}"),
                        hint: Some(remedy(&topic, refusal)),
                    });
                }
                None => planned.changes.push(
                    Change::create(Self::ID, at.target, subject(&topic.name))
                        .irreversible("a topic that holds records is not deleted"),
                ),
                Some(found) => planned.findings.extend(compare(&topic, found)),
            }
        }
        planned
    }

    async fn apply(&self, at: &Scoped<'_>, facts: &TopicFacts, change: &Change) -> Result<(), PhaseError> {
        let wanted = desired(at.inventory());
        let topic = wanted
            .iter()
            .find(|topic| subject(&topic.name) == change.subject)
            .expect("a planned topic is a desired one");
        if facts.found.contains_key(&topic.name) {
            return Ok(());
        }
        let admin = at.ctx.kafka.admin(at.ctx).await?;
        let results =
            admin.create_topics(&[new(topic)], CreateMode::Create).await.map_err(KafkaAccessError::from)?;
        for (name, result) in results {
            match result {
                Ok(()) => {}
                Err(refusal) if refusal.code == ResponseError::TopicAlreadyExists => {}
                Err(refusal) => {
                    let hint = remedy(topic, &refusal);
                    return Err(PhaseError::refused(subject(&name), refusal.to_string(), hint));
                }
            }
        }
        has_leaders(&admin, &topic.name).await
    }

    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        if at.inventory().kafka.managed().is_some() {
            return Ok(Removed::default());
        }
        let names: Vec<String> = desired(at.inventory()).into_iter().map(|topic| topic.name).collect();
        let left = format!("topics and their records: {} (kafka-topics.sh --delete)", names.join(", "));
        Ok(Removed { removed: Vec::new(), left: vec![left] })
    }
}

/// Waits until every partition has a leader: what comes next uses the topic at once, and brokers learn of it a little
/// after the controller.
async fn has_leaders(admin: &Client, name: &str) -> Result<(), PhaseError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = admin.topic(name).await.map_err(KafkaAccessError::from)?;
        if found.is_some_and(|topic| topic.partitions.iter().all(|partition| partition.leader.is_some())) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(PhaseError::refused(
                subject(name),
                format!("was created and has no leader after {} s", PATIENCE.as_secs()),
                "look into the brokers' logs",
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn subject(name: &str) -> String {
    format!("topic {name}")
}

fn new(topic: &DesiredTopic) -> NewTopic {
    NewTopic {
        name: topic.name.clone(),
        partitions: Some(topic.partitions),
        replication_factor: Some(topic.replication),
        configs: topic.config.clone(),
    }
}

/// What to do about a topic that Kafka does not create.
fn remedy(topic: &DesiredTopic, refusal: &ApiRefusal) -> String {
    let key = match topic.role {
        Role::ConnectConfigs => "connect.topics.config".to_owned(),
        Role::ConnectOffsets => "connect.topics.offset".to_owned(),
        Role::ConnectStatus => "connect.topics.status".to_owned(),
        Role::Application => format!("topics.{}", topic.name),
    };
    match refusal.code {
        ResponseError::InvalidReplicationFactor => {
            format!("set `{key}.replication` to the number of running brokers at most, or start more brokers")
        }
        ResponseError::TopicAuthorizationFailed | ResponseError::ClusterAuthorizationFailed => format!(
            "give the user that `kafka.admin` names (without it: the Connect user) the right to create it: \
             kafka-acls.sh --add --allow-principal User:NAME --operation Create --topic {}",
            topic.name
        ),
        ResponseError::InvalidPartitions => format!("change `{key}.partitions`"),
        ResponseError::InvalidConfig => format!("change `{key}.config`"),
        _ => refusal
            .hint()
            .map_or_else(|| format!("see the message of the broker, and `{key}`"), str::to_owned),
    }
}

/// What is wrong with an existing topic: errors where Connect would refuse it or lose data, warnings elsewhere.
fn compare(wanted: &DesiredTopic, found: &FoundTopic) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |severity, message: String, hint: String| {
        let place = subject(&wanted.name);
        findings.push(Finding { severity, place, message, hint: Some(hint) });
    };
    let policy = found.config.get("cleanup.policy");
    if wanted.role == Role::ConnectConfigs && found.partitions != 1 {
        say(
            Severity::Error,
            format!("has {} partitions, and Connect needs exactly 1 for its configs", found.partitions),
            "choose another name with `connect.topics.config.name`, or delete the topic if nothing uses it"
                .into(),
        );
    }
    if wanted.role != Role::Application && policy.is_some_and(|policy| policy != "compact") {
        say(
            Severity::Error,
            format!(
                "has cleanup.policy={}, and Connect needs exactly `compact`: anything else loses its state",
                policy.map_or("", String::as_str)
            ),
            format!(
                "kafka-configs.sh --alter --topic {} --add-config cleanup.policy=compact, then run again",
                wanted.name
            ),
        );
    }
    let is_fixed = wanted.role == Role::ConnectConfigs;
    if !is_fixed && i32::try_from(found.partitions) != Ok(wanted.partitions) {
        say(
            Severity::Warning,
            format!("has {} partitions, the inventory says {}", found.partitions, wanted.partitions),
            "partitions of an existing topic are left alone; bring the inventory in line".into(),
        );
    }
    if i16::try_from(found.replication) != Ok(wanted.replication) {
        say(
            Severity::Warning,
            format!("has {} replicas, the inventory says {}", found.replication, wanted.replication),
            "move replicas with kafka-reassign-partitions.sh, or bring the inventory in line".into(),
        );
    }
    let min_isr = found.config.get("min.insync.replicas").and_then(|text| text.parse::<usize>().ok());
    if min_isr.is_some_and(|min_isr| found.replication > 1 && min_isr >= found.replication) {
        say(
            Severity::Warning,
            "has min.insync.replicas as high as its replicas: one broker down stops all writes".into(),
            "lower min.insync.replicas by one, or add a replica".into(),
        );
    }
    for (name, value) in
        wanted.config.iter().filter(|(name, _)| *name != "cleanup.policy" || !found.config.is_empty())
    {
        let differs = found.config.get(name).is_some_and(|found| found != value);
        if differs && wanted.role == Role::Application {
            say(
                Severity::Warning,
                format!("has {name}={}, the inventory says {value}", found.config[name]),
                "the configuration of an existing topic is left alone; bring one in line with the other"
                    .into(),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(role: Role, partitions: i32) -> DesiredTopic {
        let config = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        DesiredTopic { name: "t".to_owned(), role, partitions, replication: 3, config }
    }

    fn found(partitions: usize, replication: usize, policy: &str) -> FoundTopic {
        let config = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        FoundTopic { partitions, replication, config }
    }

    fn severities(wanted: &DesiredTopic, found: &FoundTopic) -> Vec<Severity> {
        compare(wanted, found).into_iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn what_connect_refuses_is_an_error_and_the_rest_a_warning() {
        use Severity::{Error, Warning};
        assert_eq!(severities(&wanted(Role::ConnectConfigs, 1), &found(1, 3, "compact")), []);
        assert_eq!(severities(&wanted(Role::ConnectConfigs, 1), &found(2, 3, "compact")), [Error]);
        assert_eq!(severities(&wanted(Role::ConnectOffsets, 25), &found(25, 3, "compact,delete")), [Error]);
        assert_eq!(
            severities(&wanted(Role::ConnectOffsets, 25), &found(5, 1, "compact")),
            [Warning, Warning]
        );
        assert_eq!(severities(&wanted(Role::Application, 3), &found(3, 3, "delete")), [Warning]);
    }

    #[test]
    fn a_topic_that_one_broker_can_stop_is_pointed_out() {
        let mut topic = found(25, 3, "compact");
        topic.config.insert("min.insync.replicas".to_owned(), "3".to_owned());
        assert_eq!(severities(&wanted(Role::ConnectStatus, 25), &topic), [Severity::Warning]);
    }
}
