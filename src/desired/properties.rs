//! A worker's properties, under the names of Kafka Connect's JVM worker. Pure.
//!
//! Security settings stand four times: unprefixed for the group and the internal topics, and under `producer.`,
//! `consumer.` and `admin.` for the connectors' clients, which do not inherit the unprefixed ones.

use crate::inventory::model::{self, Inventory, NameCheck};
use crate::templates::{Property, WorkerProperties};

/// What depends on where the worker runs.
pub(crate) struct Wiring<'a> {
    /// The folder of truststore and secrets as the worker sees it.
    pub(crate) folder: &'a str,
    /// `http://0.0.0.0:8083`.
    pub(crate) rest_listener: String,
    pub(crate) metrics_listener: String,
    pub(crate) advertised_name: String,
}

/// All properties of one worker, ours first, then the inventory's own.
pub(crate) fn worker(inventory: &Inventory, spec: &model::Host, wiring: &Wiring<'_>) -> WorkerProperties {
    let mut list = List(Vec::new());
    let connect = &inventory.connect;
    list.add("bootstrap.servers", inventory.kafka.bootstrap_servers());
    list.add("group.id", connect.group.as_str());
    for (role, topic) in [
        ("config", &connect.topics.config),
        ("offset", &connect.topics.offset),
        ("status", &connect.topics.status),
    ] {
        list.add(&format!("{role}.storage.topic"), topic.name.as_str());
        list.add(&format!("{role}.storage.replication.factor"), topic.replication.to_string());
        if role != "config" {
            list.add(&format!("{role}.storage.partitions"), topic.partitions.to_string());
        }
    }
    list.add("key.converter", connect.key_converter.as_str());
    list.add("value.converter", connect.value_converter.as_str());
    list.add("listeners", wiring.rest_listener.as_str());
    list.add("rest.advertised.host.name", wiring.advertised_name.as_str());
    list.add("rest.advertised.port", spec.worker.rest.port.to_string());
    list.add("metrics.listener", wiring.metrics_listener.as_str());
    list.add("connect.protocol", "eager");
    // By default an eager worker that could not read the config topic in time stays away for five minutes, even if a
    // broker was silent for a moment only.
    list.add("worker.unsync.backoff.ms", "5000");
    list.add("config.providers", "secrets");
    list.add(
        "config.providers.secrets.class",
        "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
    );
    list.add("config.providers.secrets.param.allowed.paths", format!("{}/secrets", wiring.folder));
    let security = security(inventory, wiring);
    for prefix in ["", "producer.", "consumer.", "admin."] {
        for Property { key, value } in &security {
            list.add(&format!("{prefix}{key}"), value.as_str());
        }
    }
    for (key, value) in &spec.worker.properties {
        list.add(key, value.as_str());
    }
    WorkerProperties { cluster: inventory.cluster.to_string(), properties: list.0 }
}

fn security(inventory: &Inventory, wiring: &Wiring<'_>) -> Vec<Property> {
    let mut list = List(Vec::new());
    let kafka = &inventory.kafka;
    list.add("security.protocol", kafka.security.protocol());
    if let Some(user) = &kafka.user {
        list.add("sasl.mechanism", user.login.mechanism.name());
        list.add("sasl.jaas.config", format!("${{secrets:{}/secrets:sasl.jaas.config}}", wiring.folder));
    }
    if let Some(tls) = kafka.security.tls() {
        list.add("ssl.truststore.type", "PEM");
        list.add("ssl.truststore.location", format!("{}/truststore.pem", wiring.folder));
        if tls.names == NameCheck::Ignore {
            list.add("ssl.endpoint.identification.algorithm", "");
        }
    }
    list.0
}

struct List(Vec<Property>);

impl List {
    fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.push(Property { key: key.to_owned(), value: value.into() });
    }
}
