//! Making sure that the three internal topics exist and are what they have to be.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_control::{Client, ConfigResource, CreateMode, Error, NewTopic, ResponseError};

use tokio::time::Instant;

use crate::config::worker::{InternalTopic, WorkerConfig};

/// How long brokers may take to hear of a topic; the JVM worker waits as long for metadata of a new one.
const APPEARANCE_LIMIT: Duration = Duration::from_secs(30);
const APPEARANCE_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    #[error("could not describe topic {topic}")]
    Describe {
        topic: String,
        #[source]
        source: Box<Error>,
    },
    #[error("could not create topic {topic}")]
    Create {
        topic: String,
        #[source]
        source: Box<Error>,
    },
    #[error("topic {topic} was not created: {code}{}", message.as_ref().map(|m| format!(": {m}")).unwrap_or_default())]
    Refused { topic: String, code: ResponseError, message: Option<String> },
    #[error(
        "topic {topic} of {property} does not exist\nhint: create it, or set internal.topics.automatic.creation.enable=true"
    )]
    Missing { topic: String, property: &'static str },
    #[error(
        "topic {topic} of {property} must have a single partition, but has {partitions}: it is the log that all \
         workers agree on\nhint: name another topic or make this one again with one partition"
    )]
    Partitions { topic: String, property: &'static str, partitions: usize },
    #[error(
        "topic {topic} of {property} must have cleanup.policy=compact, but has {found}: connector configurations, \
         offsets or statuses would be lost\nhint: kafka-configs.sh --alter --entity-type topics --entity-name {topic} \
         --add-config cleanup.policy=compact"
    )]
    CleanupPolicy { topic: String, property: &'static str, found: String },
}

impl TopicError {
    /// Whether Kafka could not be asked.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        match self {
            Self::Describe { source, .. } | Self::Create { source, .. } => source.is_out_of_reach(),
            Self::Refused { .. }
            | Self::Missing { .. }
            | Self::Partitions { .. }
            | Self::CleanupPolicy { .. } => false,
        }
    }
}

/// Partitions of each internal topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partitions {
    pub(crate) config: i32,
    pub(crate) offset: i32,
    pub(crate) status: i32,
}

/// Creates what is missing and checks what is there.
pub(crate) async fn prepare(client: &Client, config: &WorkerConfig) -> Result<Partitions, TopicError> {
    let may_create = config.create_internal_topics;
    let (configs, offsets, statuses) = tokio::try_join!(
        prepare_one(client, &config.config_topic, "config.storage.topic", may_create),
        prepare_one(client, &config.offset_topic, "offset.storage.topic", may_create),
        prepare_one(client, &config.status_topic, "status.storage.topic", may_create),
    )?;
    if configs != 1 {
        return Err(TopicError::Partitions {
            topic: config.config_topic.name.clone(),
            property: "config.storage.topic",
            partitions: configs as usize,
        });
    }
    Ok(Partitions { config: configs, offset: offsets, status: statuses })
}

async fn prepare_one(
    client: &Client,
    wanted: &InternalTopic,
    property: &'static str,
    may_create: bool,
) -> Result<i32, TopicError> {
    let topic = || wanted.name.clone();
    let describe = |source| TopicError::Describe { topic: topic(), source: Box::new(source) };
    if let Some(found) = client.topic(&wanted.name).await.map_err(describe)? {
        check_policy(client, wanted, property).await?;
        return Ok(found.partitions.len() as i32);
    }
    if !may_create {
        return Err(TopicError::Missing { topic: topic(), property });
    }
    let mut settings: BTreeMap<String, String> = wanted.settings.clone();
    settings.insert("cleanup.policy".to_owned(), "compact".to_owned());
    let new = NewTopic {
        name: topic(),
        partitions: (wanted.partitions > 0).then_some(wanted.partitions),
        replication_factor: (wanted.replication > 0).then_some(wanted.replication),
        configs: settings,
    };
    let created = client.create_topics(&[new], CreateMode::Create).await;
    let mut created =
        created.map_err(|source| TopicError::Create { topic: topic(), source: Box::new(source) })?;
    match created.remove(&wanted.name) {
        // As the JVM worker (`TopicAdmin`): who may not create believes that others did, and that this broker has not
        // heard of it yet.
        Some(Err(refusal)) if is_forbidden(refusal.code) => {
            tracing::info!(topic = wanted.name, "may not create internal topic, waiting for it to appear");
        }
        // What another one made is judged like any other topic that is there.
        Some(Err(refusal)) if refusal.code == ResponseError::TopicAlreadyExists => {}
        Some(Err(refusal)) => {
            return Err(TopicError::Refused { topic: topic(), code: refusal.code, message: refusal.message });
        }
        _ => {
            tracing::info!(topic = wanted.name, "created internal topic");
            // Brokers learn of it a little later, and without a set number only they know how many it has.
            if wanted.partitions > 0 {
                return Ok(wanted.partitions);
            }
        }
    }
    appeared(client, wanted, property).await
}

fn is_forbidden(code: ResponseError) -> bool {
    matches!(code, ResponseError::TopicAuthorizationFailed | ResponseError::ClusterAuthorizationFailed)
}

/// Waits for a topic that was created.
async fn appeared(
    client: &Client,
    wanted: &InternalTopic,
    property: &'static str,
) -> Result<i32, TopicError> {
    let topic = || wanted.name.clone();
    let deadline = Instant::now() + APPEARANCE_LIMIT;
    loop {
        let described = client.topic(&wanted.name).await;
        let found =
            described.map_err(|source| TopicError::Describe { topic: topic(), source: Box::new(source) })?;
        if let Some(found) = found {
            check_policy(client, wanted, property).await?;
            return Ok(found.partitions.len() as i32);
        }
        if Instant::now() >= deadline {
            return Err(TopicError::Missing { topic: topic(), property });
        }
        tokio::time::sleep(APPEARANCE_PAUSE).await;
    }
}

/// A policy that may not be read is not judged, as in the JVM worker.
async fn check_policy(
    client: &Client,
    wanted: &InternalTopic,
    property: &'static str,
) -> Result<(), TopicError> {
    let entries = match client.describe_configs(&ConfigResource::Topic(wanted.name.clone())).await {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(
                topic = wanted.name,
                error = &error as &dyn std::error::Error,
                "cleanup.policy could not be checked"
            );
            return Ok(());
        }
    };
    let policy = entries.into_iter().find(|e| e.name == "cleanup.policy").and_then(|e| e.value);
    match policy {
        Some(found) if found.trim() != "compact" => {
            Err(TopicError::CleanupPolicy { topic: wanted.name.clone(), property, found })
        }
        _ => Ok(()),
    }
}
