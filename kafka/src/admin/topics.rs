//! Topics and their partitions.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{
    ApiKey, BrokerId as WireBrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    MetadataResponse, TopicName,
};

use crate::admin::operations::AuthorizedOperations;
use crate::admin::{ItemResults, left_out, repeat_if_moved, text, verdict};
use crate::client::Client;
use crate::endpoint::BrokerId;
use crate::error::{ApiRefusal, Error};
use crate::route::{Route, metadata_request};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub is_internal: bool,
    /// In the order of their numbers.
    pub partitions: Vec<Partition>,
    /// What our principal may do to the topic.
    pub authorized: AuthorizedOperations,
}

impl Topic {
    /// The number of replicas that every partition has at least.
    pub fn replication_factor(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub index: i32,
    pub leader: Option<BrokerId>,
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    pub offline: Vec<BrokerId>,
    pub error: Option<ResponseError>,
}

/// A topic to create. `None` leaves the number to the broker's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
    pub configs: BTreeMap<String, String>,
}

/// How many partitions a topic shall have in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    pub topic: String,
    pub total: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMode {
    Create,
    /// Everything is checked, nothing is made.
    ValidateOnly,
}

impl Client {
    /// Describes topics by name. A topic that does not exist is a refusal with `UnknownTopicOrPartition`.
    pub async fn topics(&self, names: &[&str]) -> Result<BTreeMap<String, Result<Topic, ApiRefusal>>, Error> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let build = move |version| metadata_request(version, Some(&names));
        self.send(Route::Any, build, |response| Ok(read_topics(response))).await
    }

    /// Describes one topic; `None` when it does not exist.
    pub async fn topic(&self, name: &str) -> Result<Option<Topic>, Error> {
        let names = [name.to_owned()];
        self.send(
            Route::Any,
            move |version| metadata_request(version, Some(&names)),
            |response| match read_topics(response).into_values().next() {
                Some(Ok(topic)) => Ok(Some(topic)),
                Some(Err(refusal)) if refusal.code == ResponseError::UnknownTopicOrPartition => Ok(None),
                Some(Err(refusal)) => Err(refusal),
                None => Err(left_out(ApiKey::Metadata, format!("topic `{name}`"))),
            },
        )
        .await
    }

    /// Describes every topic that our principal may see.
    pub async fn all_topics(&self) -> Result<Vec<Topic>, Error> {
        let build = |version| metadata_request(version, None);
        let topics = self.send(Route::Any, build, |response| Ok(read_topics(response))).await?;
        Ok(topics.into_values().flatten().collect())
    }

    /// Creates topics. One that exists already is a refusal with `TopicAlreadyExists`.
    pub async fn create_topics(&self, topics: &[NewTopic], mode: CreateMode) -> Result<ItemResults, Error> {
        if topics.is_empty() {
            return Ok(ItemResults::new());
        }
        let creatable: Vec<CreatableTopic> = topics.iter().map(creatable).collect();
        let timeout_ms = self.timeout_ms();
        self.send(
            Route::Controller,
            move |_version| {
                CreateTopicsRequest::default()
                    .with_topics(creatable.clone())
                    .with_timeout_ms(timeout_ms)
                    .with_validate_only(mode == CreateMode::ValidateOnly)
            },
            |response| {
                let result =
                    |topic: &kafka_protocol::messages::create_topics_response::CreatableTopicResult| {
                        let name = topic.name.to_string();
                        let subject = format!("topic `{name}`");
                        (
                            name,
                            verdict(
                                ApiKey::CreateTopics,
                                subject,
                                topic.error_code,
                                topic.error_message.as_ref(),
                            ),
                        )
                    };
                let results: ItemResults = response.topics.iter().map(result).collect();
                repeat_if_moved(&results).map(|()| results)
            },
        )
        .await
    }

    pub async fn delete_topics(&self, names: &[&str]) -> Result<ItemResults, Error> {
        if names.is_empty() {
            return Ok(ItemResults::new());
        }
        let names: Vec<TopicName> = names.iter().map(|name| TopicName(text(name))).collect();
        let timeout_ms = self.timeout_ms();
        self.send(
            Route::Controller,
            move |version| {
                let request = DeleteTopicsRequest::default().with_timeout_ms(timeout_ms);
                match version {
                    ..6 => request.with_topic_names(names.clone()),
                    6.. => {
                        let state =
                            |name: &TopicName| DeleteTopicState::default().with_name(Some(name.clone()));
                        request.with_topics(names.iter().map(state).collect())
                    }
                }
            },
            |response| {
                let mut results = ItemResults::new();
                for topic in response.responses {
                    let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
                    let subject = format!("topic `{name}`");
                    let result = verdict(
                        ApiKey::DeleteTopics,
                        subject,
                        topic.error_code,
                        topic.error_message.as_ref(),
                    );
                    results.insert(name, result);
                }
                repeat_if_moved(&results).map(|()| results)
            },
        )
        .await
    }

    /// Adds partitions to topics; there is no way to take some away.
    pub async fn create_partitions(
        &self,
        topics: &[NewPartitions],
        mode: CreateMode,
    ) -> Result<ItemResults, Error> {
        if topics.is_empty() {
            return Ok(ItemResults::new());
        }
        let wanted = |topic: &NewPartitions| {
            CreatePartitionsTopic::default()
                .with_name(TopicName(text(&topic.topic)))
                .with_count(topic.total)
                .with_assignments(None)
        };
        let wanted: Vec<CreatePartitionsTopic> = topics.iter().map(wanted).collect();
        let timeout_ms = self.timeout_ms();
        self.send(
            Route::Controller,
            move |_version| {
                CreatePartitionsRequest::default()
                    .with_topics(wanted.clone())
                    .with_timeout_ms(timeout_ms)
                    .with_validate_only(mode == CreateMode::ValidateOnly)
            },
            |response| {
                let mut results = ItemResults::new();
                for topic in response.results {
                    let name = topic.name.to_string();
                    let subject = format!("topic `{name}`");
                    let result = verdict(
                        ApiKey::CreatePartitions,
                        subject,
                        topic.error_code,
                        topic.error_message.as_ref(),
                    );
                    results.insert(name, result);
                }
                repeat_if_moved(&results).map(|()| results)
            },
        )
        .await
    }

    /// How long brokers may take over a request that waits for something; less than we wait for their answer.
    pub(crate) fn timeout_ms(&self) -> i32 {
        let timeout = self.inner.config.request_timeout.mul_f64(0.8);
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

fn read_topics(response: MetadataResponse) -> BTreeMap<String, Result<Topic, ApiRefusal>> {
    let mut topics = BTreeMap::new();
    for topic in response.topics {
        let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        let checked = verdict(ApiKey::Metadata, format!("topic `{name}`"), topic.error_code, None);
        topics.insert(name.clone(), checked.map(|()| described(name, topic)));
    }
    topics
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): (&String, &String)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(TopicName(text(&topic.name)))
        .with_num_partitions(topic.partitions.unwrap_or(-1))
        .with_replication_factor(topic.replication_factor.unwrap_or(-1))
        .with_configs(topic.configs.iter().map(config).collect())
}

fn described(name: String, topic: MetadataResponseTopic) -> Topic {
    let mut partitions: Vec<Partition> = topic.partitions.iter().map(partition).collect();
    partitions.sort_by_key(|partition| partition.index);
    let authorized = AuthorizedOperations::from_bits(topic.topic_authorized_operations);
    Topic { name, is_internal: topic.is_internal, partitions, authorized }
}

fn partition(partition: &MetadataResponsePartition) -> Partition {
    let ids = |ids: &[WireBrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect();
    Partition {
        index: partition.partition_index,
        leader: Some(BrokerId(partition.leader_id.0)).filter(|id| id.0 >= 0),
        replicas: ids(&partition.replica_nodes),
        isr: ids(&partition.isr_nodes),
        offline: ids(&partition.offline_replicas),
        error: ResponseError::try_from_code(partition.error_code),
    }
}
