//! Every topic that should exist. Pure.

use std::collections::BTreeMap;

use crate::inventory::model::{InternalTopic, Inventory};

/// What a topic is for, which decides how strictly an existing one is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    ConnectConfigs,
    ConnectOffsets,
    ConnectStatus,
    Application,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DesiredTopic {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) partitions: i32,
    pub(crate) replication: i16,
    pub(crate) config: BTreeMap<String, String>,
}

/// The internal topics first, then the application's by name.
pub(crate) fn desired(inventory: &Inventory) -> Vec<DesiredTopic> {
    let internal = &inventory.connect.topics;
    let mut topics = vec![
        internal_topic(&internal.config, Role::ConnectConfigs),
        internal_topic(&internal.offset, Role::ConnectOffsets),
        internal_topic(&internal.status, Role::ConnectStatus),
    ];
    topics.extend(inventory.topics.values().map(|topic| DesiredTopic {
        name: topic.name.to_string(),
        role: Role::Application,
        partitions: bounded(topic.partitions.get()),
        replication: replicas(topic.replication.get()),
        config: topic.config.clone(),
    }));
    topics
}

fn internal_topic(topic: &InternalTopic, role: Role) -> DesiredTopic {
    DesiredTopic {
        name: topic.name.to_string(),
        role,
        partitions: bounded(topic.partitions.get()),
        replication: replicas(topic.replication.get()),
        config: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
    }
}

fn bounded(partitions: u32) -> i32 {
    i32::try_from(partitions).unwrap_or(i32::MAX)
}

fn replicas(count: u16) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}
