//! What properties must be to each other, as far as each of them can be read by itself.

use std::time::Duration;

use crate::config::Problem;
use crate::config::client;
use crate::config::listener::{Listener, authority};
use crate::config::produce;
use crate::config::properties::Properties;

/// Kafka's limit for the name of a topic.
const LONGEST_TOPIC: usize = 249;

/// What could be read.
pub(crate) struct Facts<'a> {
    /// Heartbeat interval and session timeout.
    pub(crate) timeouts: Option<(Duration, Duration)>,
    /// Properties and the topics they name.
    pub(crate) internal_topics: &'a [(&'static str, String)],
    pub(crate) listeners: &'a [Listener],
    pub(crate) metrics_listener: Option<&'a Listener>,
    pub(crate) properties: &'a Properties,
}

pub(crate) fn problems(facts: &Facts<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some((heartbeat, session)) = facts.timeouts
        && heartbeat >= session
    {
        let message = format!(
            "{} must be lower than session.timeout.ms, which is {}",
            heartbeat.as_millis(),
            session.as_millis()
        );
        problems.push(Problem::new("heartbeat.interval.ms", message));
    }
    problems.extend(internal_topics(facts.internal_topics));
    problems.extend(listeners(facts));
    // Each of these settings means the same to producers and consumers.
    let own = client::librdkafka(&client::own_settings(facts.properties));
    problems.extend(own.err().into_iter().flatten());
    let producers = produce::from_java(&facts.properties.with_prefix("producer.")).err();
    problems.extend(producers.into_iter().flatten().map(|problem| problem.below("producer.")));
    let consumers = client::librdkafka(&facts.properties.with_prefix("consumer."));
    problems.extend(consumers.err().into_iter().flatten().map(|problem| problem.below("consumer.")));
    problems
}

fn internal_topics(topics: &[(&'static str, String)]) -> Vec<Problem> {
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
fn listeners(facts: &Facts<'_>) -> Vec<Problem> {
    let of_rest = facts.listeners.iter().map(|listener| ("listeners", listener));
    let of_metrics = facts.metrics_listener.iter().map(|listener| ("metrics.listener", *listener));
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
        check(
            "group.id=\nsession.timeout.ms=soon\nclient.id=${file:/none:k}\nstatus.storage.topic=c\nproducer.acks=maybe",
            &["group.id", "session.timeout.ms", "status.storage.topic", "producer.acks"],
        );
        check("consumer.security.protocol=SASL_SSL", &["consumer.sasl.jaas.config"]);
        check(
            "metadata.max.age.ms=172800000\nretry.backoff.ms=0\nsocket.connection.setup.timeout.ms=500",
            &["metadata.max.age.ms", "retry.backoff.ms", "socket.connection.setup.timeout.ms"],
        );
    }
}
