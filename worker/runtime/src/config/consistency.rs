//! What properties must be to each other, once each of them can be read by itself.

use crate::config::client::{self, ClientKind};
use crate::config::listener::{Listener, authority};
use crate::config::{Problem, WorkerConfig};

/// Kafka's limit for the name of a topic.
const LONGEST_TOPIC: usize = 249;

pub(crate) fn problems(config: &WorkerConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let membership = &config.membership;
    if membership.heartbeat_interval >= membership.session_timeout {
        problems.push(Problem::new(
            "heartbeat.interval.ms",
            format!(
                "{} must be lower than session.timeout.ms, which is {}",
                membership.heartbeat_interval.as_millis(),
                membership.session_timeout.as_millis()
            ),
        ));
    }
    problems.extend(internal_topics(config));
    problems.extend(listeners(config));
    // Each of these settings means the same to producers and consumers.
    problems.extend(client::problems(ClientKind::Producer, "", &client::own_settings(&config.properties)));
    for (kind, prefix) in [(ClientKind::Producer, "producer."), (ClientKind::Consumer, "consumer.")] {
        problems.extend(client::problems(kind, prefix, &config.properties.with_prefix(prefix)));
    }
    problems
}

fn internal_topics(config: &WorkerConfig) -> Vec<Problem> {
    let topics = [
        ("config.storage.topic", &config.config_topic.name),
        ("offset.storage.topic", &config.offset_topic.name),
        ("status.storage.topic", &config.status_topic.name),
    ];
    let mut problems = Vec::new();
    for (at, (property, name)) in topics.iter().enumerate() {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.len() > LONGEST_TOPIC || !name.chars().all(is_legal) || [".", ".."].contains(&name.as_str()) {
            problems.push(Problem::new(*property, format!("{name:?} is not the name of a topic")).with_hint(
                format!("up to {LONGEST_TOPIC} of the characters a-z, A-Z, 0-9, '.', '_' and '-'"),
            ));
        }
        if let Some((other, _)) = topics[..at].iter().find(|(_, other)| other == name) {
            let message = format!("{name:?} is the topic of {other} already");
            problems.push(
                Problem::new(*property, message).with_hint("each kind of state needs a topic of its own"),
            );
        }
    }
    problems
}

/// Sockets that cannot all be opened.
fn listeners(config: &WorkerConfig) -> Vec<Problem> {
    let of_rest = config.rest.listeners.iter().map(|listener| ("listeners", listener));
    let of_metrics = config.metrics_listener.iter().map(|listener| ("metrics.listener", listener));
    let all: Vec<(&str, &Listener)> = of_rest.chain(of_metrics).collect();
    let mut problems = Vec::new();
    for (at, (property, listener)) in all.iter().enumerate() {
        let is_taken = |(_, other): &&(&str, &Listener)| {
            let (host, port) = listener.address();
            let (other_host, other_port) = other.address();
            let is_any = host == "0.0.0.0" || other_host == "0.0.0.0";
            port != 0 && port == other_port && (is_any || host == other_host)
        };
        if let Some((other, taken)) = all[..at].iter().find(is_taken) {
            let (listener, taken) = [listener, taken].map(|l| authority(l.address().0, l.port)).into();
            problems.push(Problem::new(*property, format!("{listener} is taken by {taken} of {other}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::config::properties::Properties;
    use crate::config::worker::tests::MINIMAL;
    use crate::config::{ConfigErrors, WorkerConfig};

    #[test]
    fn what_does_not_fit_together_is_named() {
        let check = |lines: &str, expected: &[&str]| {
            let properties = Properties::parse(&format!("{MINIMAL}{lines}\n")).unwrap();
            let problems = match WorkerConfig::read(properties, &BTreeMap::new()) {
                Ok(_) => Vec::new(),
                Err(ConfigErrors(problems)) => problems,
            };
            let named: Vec<_> = problems.iter().map(|problem| problem.property.as_str()).collect();
            assert_eq!(named, expected, "{lines}");
        };
        check("session.timeout.ms=3000\nheartbeat.interval.ms=3000", &["heartbeat.interval.ms"]);
        check(
            "offset.storage.topic=c\nstatus.storage.topic=c",
            &["offset.storage.topic", "status.storage.topic"],
        );
        check("status.storage.topic=a b", &["status.storage.topic"]);
        check("listeners=http://:8083,http://127.0.0.1:8083", &["listeners"]);
        check("listeners=http://127.0.0.1:8079", &["metrics.listener"]);
        check("listeners=http://127.0.0.1:0,http://127.0.0.1:0", &[]);
        check(
            "producer.acks=maybe\nconsumer.interceptor.classes=X",
            &["producer.acks", "consumer.interceptor.classes"],
        );
        check("consumer.security.protocol=SASL_SSL", &["consumer.sasl.jaas.config"]);
        check(
            "metadata.max.age.ms=172800000\nretry.backoff.ms=0\nsocket.connection.setup.timeout.ms=500",
            &["metadata.max.age.ms", "retry.backoff.ms", "socket.connection.setup.timeout.ms"],
        );
    }
}
