//! The settings of a Java client -> those of librdkafka.
//!
//! `RENAMED` is the table of what is called otherwise there, `WITHOUT_MEANING` of what a JVM client needs and
//! librdkafka does not. Everything else is passed on under its own name, and refused by librdkafka if it
//! does not know it.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use crate::config::Problem;
use crate::config::fetch::{self, FetchSettings};
use crate::config::properties::Properties;
use crate::config::security::ClientSecurity;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ClientKind {
    Producer,
    Consumer,
}

const RENAMED: &[(&str, &str)] = &[
    ("max.request.size", "message.max.bytes"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("compression.gzip.level", "compression.level"),
    ("compression.lz4.level", "compression.level"),
    ("compression.zstd.level", "compression.level"),
];

const WITHOUT_MEANING: &[&str] = &[
    "key.serializer",
    "value.serializer",
    "key.deserializer",
    "value.deserializer",
    "max.block.ms",
    "client.dns.lookup",
    "enable.auto.commit",
    "default.api.timeout.ms",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "auto.include.jmx.reporter",
    "enable.metrics.push",
    "socket.connection.setup.timeout.max.ms",
    "metadata.recovery.strategy",
    "metadata.recovery.rebootstrap.trigger.ms",
    "exclude.internal.topics",
    "partitioner.availability.timeout.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.ignore.keys",
    "metadata.max.idle.ms",
    "security.providers",
    // Read by `ClientSecurity`.
    "security.protocol",
    "sasl.mechanism",
    "sasl.jaas.config",
];

/// The worker's own client settings: those of the file that bear no prefix.
pub(crate) fn own_settings(worker: &Properties) -> BTreeMap<String, String> {
    const PASSED_ON: &[&str] = &[
        "bootstrap.servers",
        "metadata.max.age.ms",
        "reconnect.backoff.ms",
        "reconnect.backoff.max.ms",
        "retry.backoff.ms",
        "retry.backoff.max.ms",
        "connections.max.idle.ms",
        "socket.connection.setup.timeout.ms",
    ];
    let is_passed_on = |key: &str| {
        PASSED_ON.contains(&key)
            || key.starts_with("ssl.")
            || key.starts_with("sasl.")
            || key == "security.protocol"
    };
    let passed = worker.iter().filter(|(key, _)| is_passed_on(key));
    passed.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// librdkafka's settings for one client, which it takes. Problems bear the Java name of the property.
pub(crate) fn librdkafka(
    kind: ClientKind,
    java: &BTreeMap<String, String>,
) -> Result<ClientConfig, Vec<Problem>> {
    let security = ClientSecurity::from_java(java)?;
    let mut config = ClientConfig::new();
    // What a JVM client would do that librdkafka does not by default.
    match kind {
        ClientKind::Producer => {
            config.set("partitioner", "murmur2_random");
            // The JVM's buffer.memory; a full buffer makes the task wait. Of small records, as many as fill some
            // requests: more would cost memory (300 bytes each) and no request would leave sooner.
            config.set("queue.buffering.max.kbytes", "32768");
            config.set("queue.buffering.max.messages", "50000");
            config.set("linger.ms", "5");
            config.set("batch.num.messages", "100000");
        }
        ClientKind::Consumer => {
            config.set("enable.auto.commit", "false");
            // Nothing is read through librdkafka; see `config::fetch`.
            config.set("isolation.level", "read_uncommitted");
            config.set("enable.auto.offset.store", "false");
            config.set("partition.assignment.strategy", "range");
            // Room for some batches, not the 64 MiB per partition of librdkafka's default.
            config.set("queued.max.messages.kbytes", "16384");
            config.set("queued.min.messages", "20000");
            // A task that has caught up with so little must not wait a second, the default, for more.
            config.set("fetch.queue.backoff.ms", "5");
            // When the broker dies that a joining consumer has asked about its topics, librdkafka asks that one again
            // a few times and then waits for the next periodic refresh, which by default is five minutes away.
            config.set("topic.metadata.refresh.interval.ms", "10000");
            // By default three times that.
            config.set("metadata.max.age.ms", "900000");
        }
    }
    config.set("log.connection.close", "false");
    config.set("allow.auto.create.topics", if kind == ClientKind::Producer { "true" } else { "false" });
    let mut problems = Vec::new();
    for (key, value) in java {
        let value = value.trim();
        if WITHOUT_MEANING.contains(&key.as_str()) || key.starts_with("ssl.") || key.starts_with("sasl.") {
            continue;
        }
        if key.starts_with("metrics.context.") || value.is_empty() {
            continue;
        }
        match (kind, key.as_str()) {
            (_, "send.buffer.bytes" | "receive.buffer.bytes") if value == "-1" => {}
            (ClientKind::Producer, "buffer.memory") => match value.parse::<u64>() {
                Ok(bytes) => {
                    config.set("queue.buffering.max.kbytes", (bytes / 1024).max(1).to_string());
                }
                Err(_) => problems.push(Problem::new(key, "not a number")),
            },
            // librdkafka lingers and sends full batches of this many bytes at most, as the JVM does.
            (ClientKind::Producer, "batch.size") => {
                config.set("batch.size", value);
            }
            (ClientKind::Producer, "acks") => {
                config.set("acks", if value.eq_ignore_ascii_case("all") { "-1" } else { value });
            }
            (ClientKind::Consumer, "partition.assignment.strategy") => match strategies(value) {
                Ok(names) => {
                    config.set("partition.assignment.strategy", names);
                }
                Err(unknown) => problems.push(Problem::new(key, format!("{unknown} is not supported"))),
            },
            (_, "interceptor.classes" | "partitioner.class") => {
                problems.push(Problem::new(key, "not supported: it names a Java class"));
            }
            (ClientKind::Consumer, key) if fetch::SETTINGS.contains(&key) => {}
            // A consumer's request timeout follows socket.timeout.ms in librdkafka.
            (ClientKind::Consumer, "request.timeout.ms") => {
                config.set("socket.timeout.ms", value);
            }
            _ => {
                let name =
                    RENAMED.iter().find(|(java, _)| java == key).map_or(key.as_str(), |(_, ours)| ours);
                config.set(name, value);
            }
        }
    }
    if kind == ClientKind::Consumer {
        problems.extend(FetchSettings::from_java(java).err().unwrap_or_default());
    }
    security.apply_to(&mut config);
    if problems.is_empty() {
        problems = refused(&config);
    }
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// Everything that is wrong with the settings of a kind of clients. `prefix`: of these settings in the worker's
/// properties; a problem bears the whole name.
pub(crate) fn problems(kind: ClientKind, prefix: &str, java: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = librdkafka(kind, java).err().unwrap_or_default();
    for problem in &mut problems {
        problem.property.insert_str(0, prefix);
    }
    problems
}

/// What librdkafka itself refuses, which it says one at a time. A value is shown only where librdkafka knows the
/// setting and it is no secret: who mistypes the name of a password has a password behind it all the same.
fn refused(config: &ClientConfig) -> Vec<Problem> {
    let mut config = config.clone();
    let mut problems = Vec::new();
    while let Err(KafkaError::ClientConfig(reason, description, key, value)) = config.create_native_config() {
        config.remove(&key);
        let java = RENAMED.iter().find(|(_, ours)| *ours == key).map_or(key.as_str(), |(java, _)| java);
        let is_shown = reason == RDKafkaConfRes::RD_KAFKA_CONF_INVALID
            && !key.starts_with("sasl.")
            && !key.starts_with("ssl.");
        let found = if is_shown { format!(", found {value:?}") } else { String::new() };
        problems.push(Problem::new(java, format!("the Kafka client refuses it: {description}{found}")));
    }
    // `ClientConfig` has no order of its own.
    problems.sort_by(|one, other| one.property.cmp(&other.property));
    problems
}

fn strategies(value: &str) -> Result<String, String> {
    let mut names = Vec::new();
    for class in value.split(',').map(str::trim) {
        names.push(match class.rsplit('.').next().unwrap_or(class) {
            "RangeAssignor" | "range" => "range",
            "RoundRobinAssignor" | "roundrobin" => "roundrobin",
            "CooperativeStickyAssignor" | "cooperative-sticky" => "cooperative-sticky",
            _ => return Err(class.to_owned()),
        });
    }
    // Eager and cooperative strategies cannot stand together in librdkafka; the JVM's list of both means
    // "eager for now".
    if names.len() > 1 {
        names.retain(|name| *name != "cooperative-sticky");
    }
    Ok(names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ClientKind, key: &str, value: &str, theirs: &str, expected: &str) {
        let java = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let config = librdkafka(kind, &java).unwrap();
        assert_eq!(config.get(theirs), Some(expected), "{key}");
    }

    #[test]
    fn java_names_are_translated() {
        use ClientKind::{Consumer, Producer};
        check(Producer, "linger.ms", "20", "linger.ms", "20");
        check(Producer, "acks", "all", "acks", "-1");
        check(Producer, "buffer.memory", "33554432", "queue.buffering.max.kbytes", "32768");
        check(Producer, "max.request.size", "2000000", "message.max.bytes", "2000000");
        check(Producer, "delivery.timeout.ms", "2147483647", "message.timeout.ms", "2147483647");
        check(Producer, "compression.type", "zstd", "compression.type", "zstd");
        check(
            Consumer,
            "partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
            "partition.assignment.strategy",
            "range",
        );
    }

    #[test]
    fn what_cannot_be_honored_is_a_problem() {
        let java = BTreeMap::from([("interceptor.classes".to_owned(), "com.example.X".to_owned())]);
        let problems = librdkafka(ClientKind::Producer, &java).unwrap_err();
        assert_eq!(problems[0].property, "interceptor.classes");
        let java = [("max.request.size", "much"), ("no.such.setting", "1"), ("linger.ms", "5")];
        let java = java.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let named: Vec<_> = super::problems(ClientKind::Producer, "producer.", &java)
            .into_iter()
            .map(|problem| problem.property)
            .collect();
        assert_eq!(named.len(), 2, "{named:?}");
        for expected in ["producer.max.request.size", "producer.no.such.setting"] {
            assert!(named.iter().any(|name| name == expected), "{expected} in {named:?}");
        }
    }
    #[test]
    fn value_of_an_unknown_setting_is_not_shown() {
        let check = |key: &str, is_shown: bool| {
            let java = BTreeMap::from([(key.to_owned(), "hunter2".to_owned())]);
            let problems = librdkafka(ClientKind::Producer, &java).unwrap_err();
            assert_eq!(problems[0].property, key);
            assert_eq!(problems[0].message.contains("hunter2"), is_shown, "{problems:?}");
        };
        check("acks", true);
        check("sasl_jaas_config", false);
        check("confluent.monitoring.interceptor.sasl.jaas.config", false);
    }
}
