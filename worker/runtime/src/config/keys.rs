//! THE TABLE of worker properties: name, type, default. Parsing, the warning about unknown names and the
//! list of what is accepted but has no effect here are all read from it.
//!
//! Names and defaults are those of `WorkerConfig` and `DistributedConfig` of Kafka, with the exceptions
//! marked "ours".

/// How the text of a property is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    List,
    /// A whole number, both ends included.
    Number {
        least: i64,
        most: i64,
    },
    /// At least 1, or -1 for what the brokers have as their default.
    BrokersChoice {
        most: i64,
    },
    Boolean,
}

/// Java's `int`.
const fn int(least: i64) -> Kind {
    Kind::Number { least, most: i32::MAX as i64 }
}

/// Java's `long`.
const fn long(least: i64) -> Kind {
    Kind::Number { least, most: i64::MAX }
}

const PARTITIONS: Kind = Kind::BrokersChoice { most: i32::MAX as i64 };
const REPLICAS: Kind = Kind::BrokersChoice { most: i16::MAX as i64 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    Required,
    /// Unset: the property has no value at all.
    Null,
    Value(&'static str),
}

/// What becomes of a property that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Used,
    /// Has no meaning outside the JVM or nothing to act on here; taken in silence.
    Ignored,
}

pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Preset,
    pub(crate) effect: Effect,
}

const fn used(name: &'static str, kind: Kind, default: Preset) -> Key {
    Key { name, kind, default, effect: Effect::Used }
}

const fn ignored(name: &'static str) -> Key {
    Key { name, kind: Kind::Text, default: Preset::Null, effect: Effect::Ignored }
}

use Kind::{Boolean, List, Text};
use Preset::{Null, Required, Value};

#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    used("bootstrap.servers", List, Required),
    used("group.id", Text, Required),
    used("client.id", Text, Value("")),
    used("connect.protocol", Text, Value("sessioned")),
    used("session.timeout.ms", int(1), Value("10000")),
    // Ours: 500 instead of 3000, so that a worker that leaves is replaced within two seconds.
    used("heartbeat.interval.ms", int(1), Value("500")),
    used("rebalance.timeout.ms", int(1), Value("60000")),
    used("worker.sync.timeout.ms", int(0), Value("3000")),
    used("worker.unsync.backoff.ms", int(0), Value("300000")),
    used("scheduled.rebalance.max.delay.ms", int(0), Value("300000")),
    used("exactly.once.source.support", Text, Value("disabled")),

    used("config.storage.topic", Text, Required),
    used("config.storage.replication.factor", REPLICAS, Value("3")),
    used("offset.storage.topic", Text, Required),
    used("offset.storage.replication.factor", REPLICAS, Value("3")),
    used("offset.storage.partitions", PARTITIONS, Value("25")),
    used("status.storage.topic", Text, Required),
    used("status.storage.replication.factor", REPLICAS, Value("3")),
    used("status.storage.partitions", PARTITIONS, Value("5")),
    used("internal.topics.automatic.creation.enable", Boolean, Value("true")),

    used("key.converter", Text, Required),
    used("value.converter", Text, Required),
    used("header.converter", Text, Value("org.apache.kafka.connect.storage.SimpleHeaderConverter")),
    used("config.providers", List, Value("")),
    used("connector.client.config.override.policy", Text, Value("All")),
    used("connector.client.config.override.allowlist", List, Value("")),
    used("task.shutdown.graceful.timeout.ms", long(0), Value("5000")),
    used("offset.flush.interval.ms", long(0), Value("60000")),
    used("offset.flush.timeout.ms", long(0), Value("5000")),
    used("topic.tracking.enable", Boolean, Value("true")),
    used("topic.tracking.allow.reset", Boolean, Value("true")),

    used("listeners", List, Value("http://:8083")),
    used("rest.advertised.host.name", Text, Null),
    used("rest.advertised.port", Kind::Number { least: 0, most: u16::MAX as i64 }, Null),
    used("rest.advertised.listener", Text, Null),
    used("admin.listeners", List, Null),
    used("rest.extension.classes", List, Value("")),
    used("access.control.allow.origin", Text, Value("")),
    used("access.control.allow.methods", Text, Value("")),
    used("response.http.headers.config", Text, Value("")),
    // Ours: where Prometheus finds the metrics; the empty string turns them off.
    used("metrics.listener", Text, Value("http://0.0.0.0:8079")),

    used("security.protocol", Text, Value("PLAINTEXT")),
    used("sasl.mechanism", Text, Value("GSSAPI")),
    used("sasl.jaas.config", Text, Null),
    used("ssl.truststore.type", Text, Value("JKS")),
    used("ssl.truststore.location", Text, Null),
    used("ssl.truststore.password", Text, Null),
    used("ssl.truststore.certificates", Text, Null),
    used("ssl.keystore.type", Text, Value("JKS")),
    used("ssl.keystore.location", Text, Null),
    used("ssl.keystore.password", Text, Null),
    used("ssl.keystore.key", Text, Null),
    used("ssl.keystore.certificate.chain", Text, Null),
    used("ssl.key.password", Text, Null),
    used("ssl.endpoint.identification.algorithm", Text, Value("https")),
    used("request.timeout.ms", int(0), Value("40000")),
    used("metadata.max.age.ms", long(0), Value("300000")),
    used("reconnect.backoff.ms", long(0), Value("50")),
    used("reconnect.backoff.max.ms", long(0), Value("1000")),
    used("retry.backoff.ms", long(0), Value("100")),
    used("retry.backoff.max.ms", long(0), Value("1000")),
    used("connections.max.idle.ms", long(0), Value("540000")),
    used("socket.connection.setup.timeout.ms", long(0), Value("10000")),

    // Belong to parts of the JVM worker that this one does not have yet.
    ignored("topic.creation.enable"),
    ignored("socket.connection.setup.timeout.max.ms"),
    ignored("client.dns.lookup"),
    ignored("send.buffer.bytes"),
    ignored("receive.buffer.bytes"),
    ignored("metadata.recovery.strategy"),
    ignored("metadata.recovery.rebootstrap.trigger.ms"),
    ignored("metadata.cluster.check.enable"),
    ignored("bootstrap.resolve.timeout.ms"),
    ignored("internal.key.converter"),
    ignored("internal.value.converter"),
    ignored("key.converter.plugin.version"),
    ignored("value.converter.plugin.version"),
    ignored("header.converter.plugin.version"),
    ignored("plugin.path"),
    ignored("plugin.discovery"),
    ignored("metric.reporters"),
    ignored("auto.include.jmx.reporter"),
    ignored("metrics.sample.window.ms"),
    ignored("metrics.num.samples"),
    ignored("metrics.recording.level"),
    ignored("inter.worker.key.generation.algorithm"),
    ignored("inter.worker.key.size"),
    ignored("inter.worker.key.ttl.ms"),
    ignored("inter.worker.signature.algorithm"),
    ignored("inter.worker.verification.algorithms"),
    ignored("ssl.client.auth"),
    ignored("ssl.protocol"),
    ignored("ssl.enabled.protocols"),
    ignored("ssl.cipher.suites"),
    ignored("ssl.provider"),
    ignored("ssl.keymanager.algorithm"),
    ignored("ssl.trustmanager.algorithm"),
    ignored("ssl.secure.random.implementation"),
    ignored("ssl.engine.factory.class"),
    ignored("sasl.client.callback.handler.class"),
    ignored("sasl.login.callback.handler.class"),
    ignored("sasl.login.class"),
    ignored("sasl.login.connect.timeout.ms"),
    ignored("sasl.login.read.timeout.ms"),
    ignored("sasl.login.refresh.buffer.seconds"),
    ignored("sasl.login.refresh.min.period.seconds"),
    ignored("sasl.login.refresh.window.factor"),
    ignored("sasl.login.refresh.window.jitter"),
    ignored("sasl.login.retry.backoff.max.ms"),
    ignored("sasl.login.retry.backoff.ms"),
    ignored("sasl.kerberos.kinit.cmd"),
    ignored("sasl.kerberos.min.time.before.relogin"),
    ignored("sasl.kerberos.service.name"),
    ignored("sasl.kerberos.ticket.renew.jitter"),
    ignored("sasl.kerberos.ticket.renew.window.factor"),
];

/// Names below these belong to somebody else: a client, a converter, a provider, an internal topic.
pub(crate) const PREFIXES: &[&str] = &[
    "producer.",
    "consumer.",
    "admin.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "config.providers.",
    "config.storage.",
    "offset.storage.",
    "status.storage.",
    "metrics.context.",
    "listeners.https.",
    "admin.listeners.https.",
    "sasl.oauthbearer.",
];

pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[at + 1..].iter().all(|other| other.name != key.name), "{}", key.name);
        }
    }

    #[test]
    fn defaults_can_be_read() {
        for key in KEYS {
            let range = match key.kind {
                Kind::Number { least, most } => least..=most,
                Kind::BrokersChoice { most } => 1..=most,
                _ => continue,
            };
            if let Value(text) = key.default {
                assert!(range.contains(&text.parse().unwrap()), "{}", key.name);
            }
        }
    }
}
