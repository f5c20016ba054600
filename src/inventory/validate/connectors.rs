//! Connectors: the class exists, the names are names, and no sink takes the workers' own group.

use std::collections::BTreeMap;

use super::Validator;
use crate::inventory::model::{ClassName, Connect, Connector, ConnectorName, TopicName};
use crate::inventory::nearest::nearest;
use crate::inventory::plugins::{self, Plugin, PluginKind};
use crate::inventory::problem::Path;
use crate::inventory::raw;

/// Keys whose values are topics, one or a comma-separated list.
const TOPIC_KEYS: [&str; 3] = ["topics", "topic", "kafka.topic"];

/// Keys, or the beginnings of keys, that the worker refuses: `worker/runtime/src/plugins/validate.rs`.
const REFUSED: [&str; 5] = [
    "transforms",
    "predicates",
    "errors.deadletterqueue.topic.name",
    "offsets.storage.topic",
    "topic.creation.",
];

/// Whether the worker refuses a connector with such a setting.
fn is_refused(key: &str) -> bool {
    REFUSED.iter().any(|refused| key == *refused || refused.ends_with('.') && key.starts_with(refused))
}

impl Validator<'_, '_> {
    pub(super) fn connectors(
        &mut self,
        raw: &raw::Inventory,
        connect: Option<&Connect>,
    ) -> Option<BTreeMap<ConnectorName, Connector>> {
        let path = Path::root().key("connectors");
        let mut connectors = BTreeMap::new();
        for (name, typed) in raw.connectors.iter().flatten() {
            let here = path.key(name);
            let name: Option<ConnectorName> = self.name(Some(name), &here);
            let mut config = BTreeMap::new();
            for (key, value) in typed {
                match value {
                    Some(raw::Text(value)) => {
                        config.insert(key.clone(), value.clone());
                    }
                    None => self.report.problem(
                        &here.key(key),
                        "expected a value, found nothing",
                        "remove the key, or write '' for an empty text",
                    ),
                }
            }
            let plugin = self.class(&config, &here);
            self.values(&config, &here);
            let Some(name) = name else { continue };
            if let Some(given) = config.remove("name").filter(|given| given != name.as_str()) {
                let message = format!("the connector is called {name}, not {given:?}");
                self.report.problem(&here.key("name"), message, "remove this key");
            }
            let group = config
                .get("consumer.override.group.id")
                .cloned()
                .unwrap_or_else(|| format!("connect-{name}"));
            let is_sink = plugin.is_some_and(|plugin| plugin.kind == PluginKind::Sink);
            if is_sink && connect.is_some_and(|connect| connect.group.as_str() == group) {
                let message = format!("this sink's consumer group {group} is the workers' own group");
                self.report.problem(&here, message, "rename the connector, or set `connect.group`");
            }
            if let Some(class) = plugin.and_then(|plugin| ClassName::parse(plugin.class).ok()) {
                connectors.insert(name.clone(), Connector { name, class, config });
            }
        }
        Some(connectors)
    }

    fn class(&mut self, config: &BTreeMap<String, String>, path: &Path) -> Option<&'static Plugin> {
        let here = path.key("connector.class");
        let Some(class) = config.get("connector.class") else {
            let is_short = config.contains_key("class");
            let hint = if is_short {
                "`class` is spelled `connector.class`, as Connect does"
            } else {
                "such as DatagenConnector"
            };
            self.report.missing(&here, hint);
            return None;
        };
        let found = plugins::find(class, plugins::connectors());
        if found.is_none() {
            let hint = match nearest(class, plugins::connectors().flat_map(Plugin::names)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    let known: Vec<&str> = plugins::connectors().map(|plugin| plugin.class).collect();
                    format!("there are {}", known.join(", "))
                }
            };
            self.report.problem(&here, format!("no worker has a connector {class:?}"), hint);
        }
        found
    }

    fn values(&mut self, config: &BTreeMap<String, String>, path: &Path) {
        // Text such as ${file:…} is replaced by the worker, which then checks it.
        let is_reference = |value: &str| value.contains("${");
        for key in TOPIC_KEYS {
            let Some(value) = config.get(key).filter(|value| !is_reference(value)) else { continue };
            let names: Vec<&str> =
                if key == "topics" { value.split(',').map(str::trim).collect() } else { vec![value] };
            for name in names {
                let _: Option<TopicName> = self.name(Some(name), &path.key(key));
            }
        }
        for key in ["key.converter", "value.converter"] {
            if let Some(class) = config.get(key).filter(|value| !is_reference(value)) {
                self.converter(Some(class), &path.key(key));
            }
        }
        for (key, _) in config.iter().filter(|(key, value)| is_refused(key) && !value.trim().is_empty()) {
            let message = format!("the worker does not support {key} yet");
            self.report.problem(&path.key(key), message, "remove it");
        }
        let tasks = config.get("tasks.max").filter(|value| !is_reference(value));
        if let Some(tasks) = tasks.filter(|tasks| tasks.parse::<i32>().ok().is_none_or(|tasks| tasks < 1)) {
            let hint = "the most tasks that the connector may be split into, such as 4";
            self.report.problem(&path.key("tasks.max"), format!("expected 1 or more, found {tasks:?}"), hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_what_the_worker_refuses() {
        let worker = include_str!("../../../worker/runtime/src/plugins/validate.rs");
        let (_, body) = worker.split_once("fn refuse_what_is_not_there(").unwrap();
        let (body, _) = body.split_once("\n}\n").unwrap();
        let words = body.split('"').skip(1).step_by(2).filter(|word| !word.contains(' '));
        assert_eq!(words.collect::<Vec<_>>(), REFUSED);
    }
}
