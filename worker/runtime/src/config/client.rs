//! The settings of a Java client -> those of librdkafka, for the groups of sinks.
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

const RENAMED: &[(&str, &str)] = &[
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
];

const WITHOUT_MEANING: &[&str] = &[
    "key.deserializer",
    "value.deserializer",
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
    "security.providers",
    // Read by `ClientSecurity`.
    "security.protocol",
    "sasl.mechanism",
    "sasl.jaas.config",
];

/// Whether our clients do without a setting, or read it elsewhere.
pub(crate) fn has_no_meaning(key: &str) -> bool {
    WITHOUT_MEANING.contains(&key)
        || key.starts_with("ssl.")
        || key.starts_with("sasl.")
        || key.starts_with("metrics.context.")
}

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

/// librdkafka's settings for one consumer, which it takes. Problems bear the Java name of the property.
pub(crate) fn librdkafka(java: &BTreeMap<String, String>) -> Result<ClientConfig, Vec<Problem>> {
    let security = ClientSecurity::from_java(java)?;
    let mut config = ClientConfig::new();
    // What a JVM client would do that librdkafka does not by default.
    config.set("enable.auto.commit", "false");
    // Nothing is read through librdkafka; see `config::fetch`.
    config.set("isolation.level", "read_uncommitted");
    config.set("enable.auto.offset.store", "false");
    config.set("partition.assignment.strategy", "range");
    // When the broker dies that a joining consumer has asked about its topics, librdkafka asks that one again
    // a few times and then waits for the next periodic refresh, which by default is five minutes away.
    config.set("topic.metadata.refresh.interval.ms", "10000");
    // By default three times that.
    config.set("metadata.max.age.ms", "900000");
    config.set("log.connection.close", "false");
    config.set("allow.auto.create.topics", "false");
    let mut problems = Vec::new();
    for (key, value) in java {
        let value = value.trim();
        if has_no_meaning(key) || value.is_empty() {
            continue;
        }
        match key.as_str() {
            "send.buffer.bytes" | "receive.buffer.bytes" if value == "-1" => {}
            "partition.assignment.strategy" => match strategies(value) {
                Ok(names) => {
                    config.set("partition.assignment.strategy", names);
                }
                Err(unknown) => problems.push(Problem::new(key, format!("{unknown} is not supported"))),
            },
            "interceptor.classes" => {
                problems.push(Problem::new(key, "not supported: it names a Java class"));
            }
            key if fetch::SETTINGS.contains(&key) => {}
            // A consumer's request timeout follows socket.timeout.ms in librdkafka.
            "request.timeout.ms" => {
                config.set("socket.timeout.ms", value);
            }
            _ => {
                let name =
                    RENAMED.iter().find(|(java, _)| java == key).map_or(key.as_str(), |(_, ours)| ours);
                config.set(name, value);
            }
        }
    }
    problems.extend(FetchSettings::from_java(java).err().unwrap_or_default());
    security.apply_to(&mut config);
    if problems.is_empty() {
        problems = refused(&config);
    }
    if problems.is_empty() { Ok(config) } else { Err(problems) }
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

    fn check(key: &str, value: &str, theirs: &str, expected: &str) {
        let java = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let config = librdkafka(&java).unwrap();
        assert_eq!(config.get(theirs), Some(expected), "{key}");
    }

    #[test]
    fn java_names_are_translated() {
        check("session.timeout.ms", "20000", "session.timeout.ms", "20000");
        check("receive.buffer.bytes", "65536", "socket.receive.buffer.bytes", "65536");
        check("request.timeout.ms", "40000", "socket.timeout.ms", "40000");
        check(
            "partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
            "partition.assignment.strategy",
            "range",
        );
    }

    #[test]
    fn what_cannot_be_honored_is_a_problem() {
        let java = BTreeMap::from([("interceptor.classes".to_owned(), "com.example.X".to_owned())]);
        let problems = librdkafka(&java).unwrap_err();
        assert_eq!(problems[0].property, "interceptor.classes");
        let java = [("session.timeout.ms", "much"), ("no.such.setting", "1"), ("heartbeat.interval.ms", "5")];
        let java = java.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let problems = librdkafka(&java).unwrap_err();
        let named: Vec<_> = problems.into_iter().map(|problem| problem.property).collect();
        assert_eq!(named, ["no.such.setting", "session.timeout.ms"]);
    }

    #[test]
    fn value_of_an_unknown_setting_is_not_shown() {
        let check = |key: &str, is_shown: bool| {
            let java = BTreeMap::from([(key.to_owned(), "hunter2".to_owned())]);
            let problems = librdkafka(&java).unwrap_err();
            assert_eq!(problems[0].property, key);
            assert_eq!(problems[0].message.contains("hunter2"), is_shown, "{problems:?}");
        };
        check("session.timeout.ms", true);
        check("sasl_jaas_config", false);
        check("confluent.monitoring.interceptor.sasl.jaas.config", false);
    }
}
