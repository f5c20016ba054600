//! What all workers share, and the topics of the application.

use std::collections::{BTreeMap, HashMap};
use std::num::{NonZeroU16, NonZeroU32};

use super::worker::is_property_name;
use super::{Validator, count, replication};
use crate::inventory::model::{
    ClassName, ClusterName, Connect, GroupId, InternalTopic, InternalTopics, Topic, TopicName,
};
use crate::inventory::nearest::nearest;
use crate::inventory::plugins;
use crate::inventory::problem::Path;
use crate::inventory::raw;

const CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";
const OFFSET_PARTITIONS: NonZeroU32 = NonZeroU32::new(25).expect("not 0");
const STATUS_PARTITIONS: NonZeroU32 = NonZeroU32::new(5).expect("not 0");
const REPLICATION: NonZeroU16 = NonZeroU16::new(3).expect("not 0");

/// One of the three internal topics, as typed.
struct RawInternal<'a> {
    key: &'static str,
    suffix: &'static str,
    name: Option<&'a str>,
    partitions: NonZeroU32,
    replication: Option<i64>,
}

impl Validator<'_, '_> {
    pub(super) fn connect(&mut self, raw: &raw::Inventory, cluster: Option<&ClusterName>) -> Option<Connect> {
        let path = Path::root().key("connect");
        let default = raw::Connect::default();
        let section = raw.connect.as_ref().unwrap_or(&default);
        let group: Option<GroupId> = match section.group.as_deref() {
            None => cluster.and_then(|cluster| GroupId::parse(&format!("connect-{cluster}")).ok()),
            group => self.name(group, &path.key("group")),
        };
        let topics = self.internal_topics(raw, section.topics.as_ref(), group.as_ref(), &path.key("topics"));
        let converters = section.converters.as_ref();
        let path = path.key("converters");
        let key = self.converter(converters.and_then(|both| both.key.as_deref()), &path.key("key"));
        let value = self.converter(converters.and_then(|both| both.value.as_deref()), &path.key("value"));
        Some(Connect { group: group?, topics: topics?, key_converter: key?, value_converter: value? })
    }

    pub(super) fn converter(&mut self, raw: Option<&str>, path: &Path) -> Option<ClassName> {
        let name = raw.unwrap_or(CONVERTER);
        match plugins::find(name, plugins::converters()) {
            Some(plugin) => ClassName::parse(plugin.class).ok(),
            None => {
                let known: Vec<&str> = plugins::converters().map(plugins::Plugin::simple_name).collect();
                let hint = match nearest(name, plugins::converters().flat_map(plugins::Plugin::names)) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}", known.join(", ")),
                };
                self.report.problem(path, format!("the worker has no converter {name:?}"), hint);
                None
            }
        }
    }

    fn internal_topics(
        &mut self,
        raw: &raw::Inventory,
        topics: Option<&raw::InternalTopics>,
        group: Option<&GroupId>,
        path: &Path,
    ) -> Option<InternalTopics> {
        let config = topics.and_then(|topics| topics.config.as_ref());
        let offset = topics.and_then(|topics| topics.offset.as_ref());
        let status = topics.and_then(|topics| topics.status.as_ref());
        let [config, offset, status] = [
            RawInternal {
                key: "config",
                suffix: "configs",
                name: config.and_then(|topic| topic.name.as_deref()),
                partitions: NonZeroU32::MIN,
                replication: config.and_then(|topic| topic.replication),
            },
            RawInternal {
                key: "offset",
                suffix: "offsets",
                name: offset.and_then(|topic| topic.name.as_deref()),
                partitions: count(offset.and_then(|topic| topic.partitions)).unwrap_or(OFFSET_PARTITIONS),
                replication: offset.and_then(|topic| topic.replication),
            },
            RawInternal {
                key: "status",
                suffix: "status",
                name: status.and_then(|topic| topic.name.as_deref()),
                partitions: count(status.and_then(|topic| topic.partitions)).unwrap_or(STATUS_PARTITIONS),
                replication: status.and_then(|topic| topic.replication),
            },
        ]
        .map(|internal| {
            let here = path.key(internal.key);
            let name: Option<TopicName> = match internal.name {
                None => {
                    group.and_then(|group| TopicName::parse(&format!("{group}-{}", internal.suffix)).ok())
                }
                name => self.name(name, &here.key("name")),
            };
            let replication = self.replication(raw, internal.replication, &here.key("replication"));
            name.map(|name| InternalTopic { name, partitions: internal.partitions, replication })
        });
        Some(InternalTopics { config: config?, offset: offset?, status: status? })
    }

    fn replication(&mut self, raw: &raw::Inventory, typed: Option<i64>, path: &Path) -> NonZeroU16 {
        let is_managed = raw.kafka.as_ref().is_some_and(|kafka| kafka.managed.is_some());
        let default = if is_managed { NonZeroU16::MIN } else { REPLICATION };
        let factor = replication(typed).unwrap_or(default);
        if is_managed && factor > NonZeroU16::MIN {
            let message = format!("{factor} replicas need {factor} brokers, and `kafka.managed` has one");
            self.report.problem(path, message, "remove this key, or set it to 1");
        }
        factor
    }

    /// The declared topics, checked against each other and against the internal ones.
    pub(super) fn topics(
        &mut self,
        raw: &raw::Inventory,
        connect: Option<&Connect>,
    ) -> Option<BTreeMap<TopicName, Topic>> {
        let path = Path::root().key("topics");
        let internal_path = Path::root().keys("connect.topics");
        // Kafka's metrics turn `.` into `_`, so two topics that differ in nothing else are refused.
        let mut taken: HashMap<String, TopicName> = HashMap::new();
        let mut collide = |validator: &mut Self, name: &TopicName, here: &Path| {
            if let Some(other) = taken.insert(name.as_str().replace('.', "_"), name.clone()) {
                let message = if other == *name {
                    format!("{name} is already one of the topics that Connect keeps for itself")
                } else {
                    format!("{name} and {other} differ only in `.` and `_`, and Kafka takes only one of them")
                };
                validator.report.problem(here, message, "choose another name");
            }
        };
        if let Some(connect) = connect {
            let internal = [
                ("config", &connect.topics.config),
                ("offset", &connect.topics.offset),
                ("status", &connect.topics.status),
            ];
            for (key, topic) in internal {
                collide(self, &topic.name, &internal_path.key(key).key("name"));
            }
        }
        let mut topics = BTreeMap::new();
        let default = raw::Topic::default();
        for (name, topic) in raw.topics.iter().flatten() {
            let here = path.key(name);
            let topic = topic.as_ref().unwrap_or(&default);
            let replication = self.replication(raw, topic.replication, &here.key("replication"));
            let mut config = BTreeMap::new();
            for (key, raw::Text(value)) in topic.config.iter().flatten() {
                if is_property_name(key) {
                    config.insert(key.clone(), value.clone());
                } else {
                    self.report.problem(
                        &here.key("config").key(key),
                        "expected the name of a topic config",
                        "letters, digits, `.`, `_` and `-`, such as `retention.ms`",
                    );
                }
            }
            let name: Option<TopicName> = self.name(Some(name), &here);
            let Some(name) = name else {
                continue;
            };
            collide(self, &name, &here);
            let partitions = count(topic.partitions).unwrap_or(NonZeroU32::MIN);
            topics.insert(name.clone(), Topic { name, partitions, replication, config });
        }
        Some(topics)
    }
}
