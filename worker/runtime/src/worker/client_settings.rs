//! The settings of a task's own Kafka clients, in Java's names: built in, then the worker's, then the connector's.

use std::collections::BTreeMap;

use crate::config::WorkerConfig;
use crate::names::{RawConfig, TaskId};

pub(crate) fn producer(
    config: &WorkerConfig,
    connector: &RawConfig,
    id: &TaskId,
) -> BTreeMap<String, String> {
    let client_id = format!("connector-producer-{id}");
    let built_in = [
        ("client.id", client_id.as_str()),
        ("acks", "all"),
        ("enable.idempotence", "false"),
        ("max.in.flight.requests.per.connection", "1"),
        ("delivery.timeout.ms", "2147483647"),
    ];
    merge(config, &built_in, "producer.", connector, "producer.override.")
}

pub(crate) fn consumer(
    config: &WorkerConfig,
    connector: &RawConfig,
    id: &TaskId,
) -> BTreeMap<String, String> {
    let (client_id, group) = (format!("connector-consumer-{id}"), id.connector.consumer_group());
    let built_in =
        [("client.id", client_id.as_str()), ("group.id", group.as_str()), ("auto.offset.reset", "earliest")];
    merge(config, &built_in, "consumer.", connector, "consumer.override.")
}

fn merge(
    config: &WorkerConfig,
    built_in: &[(&str, &str)],
    worker_prefix: &str,
    connector: &RawConfig,
    connector_prefix: &str,
) -> BTreeMap<String, String> {
    let mut merged = BTreeMap::new();
    if let Some(bootstrap) = config.properties.get("bootstrap.servers") {
        merged.insert("bootstrap.servers".to_owned(), bootstrap.to_owned());
    }
    merged.extend(built_in.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    merged.extend(config.properties.with_prefix(worker_prefix));
    let overrides = connector.iter().filter_map(|(k, v)| {
        let key = k.strip_prefix(connector_prefix)?;
        config.overrides.check(key).is_ok().then(|| (key.to_owned(), v.clone()))
    });
    merged.extend(overrides);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::properties::Properties;

    #[test]
    fn the_connector_has_the_last_word() {
        let text = format!(
            "{}producer.linger.ms=7\nproducer.acks=1\nconnector.client.config.override.policy=All\n",
            crate::config::worker::tests::MINIMAL
        );
        let worker = WorkerConfig::read(Properties::parse(&text).unwrap(), &BTreeMap::new()).unwrap();
        let connector = RawConfig::from([("producer.override.acks".to_owned(), "all".to_owned())]);
        let id = TaskId::new("x", 3);
        let settings = producer(&worker, &connector, &id);
        for (key, expected) in [("linger.ms", "7"), ("acks", "all"), ("enable.idempotence", "false")] {
            assert_eq!(settings[key], expected, "{key}");
        }
        let settings = consumer(&worker, &connector, &id);
        assert_eq!(
            (settings["group.id"].as_str(), settings["client.id"].as_str()),
            ("connect-x", "connector-consumer-x-3")
        );
    }
}
