//! [`WorkerConfig`]: what the properties of a distributed worker mean.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::listener::Listener;
use crate::config::properties::Properties;
use crate::config::providers::ConfigProviders;
use crate::config::security::ClientSecurity;

/// A distributed worker's configuration, valid by construction.
#[derive(Clone, Debug)]
pub(crate) struct WorkerConfig {
    pub(crate) group_id: String,
    pub(crate) client_id: String,
    pub(crate) bootstrap: Vec<kafka_control::Endpoint>,
    pub(crate) security: ClientSecurity,
    pub(crate) config_topic: InternalTopic,
    pub(crate) offset_topic: InternalTopic,
    pub(crate) status_topic: InternalTopic,
    pub(crate) create_internal_topics: bool,
    pub(crate) membership: MembershipConfig,
    pub(crate) rest: RestConfig,
    /// Where metrics are served; none when turned off.
    pub(crate) metrics_listener: Option<Listener>,
    pub(crate) tasks: TaskDefaults,
    pub(crate) overrides: OverridePolicy,
    pub(crate) topic_tracking: bool,
    pub(crate) topic_tracking_reset: bool,
    pub(crate) request_timeout: Duration,
    pub(crate) providers: ConfigProviders,
    /// Everything as read and substituted, for the settings of clients and converters.
    pub(crate) properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternalTopic {
    pub(crate) name: String,
    /// -1 leaves it to the broker.
    pub(crate) partitions: i32,
    pub(crate) replication: i16,
    /// Topic settings for its creation, without `cleanup.policy`.
    pub(crate) settings: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct MembershipConfig {
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) sync_timeout: Duration,
    pub(crate) unsync_backoff: UnsyncBackoff,
}

/// How long a worker stays out of its group that could not read the config topic in time. The JVM's choice depends on
/// the protocol that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsyncBackoff {
    Fixed(Duration),
    /// Fractions of a rebalance's longest delay.
    Growing {
        longest: Duration,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct RestConfig {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) advertised_host: Option<String>,
    pub(crate) advertised_port: Option<u16>,
}

/// What a connector gets unless it says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct TaskDefaults {
    pub(crate) shutdown_timeout: Duration,
    pub(crate) offset_flush_interval: Duration,
    pub(crate) offset_flush_timeout: Duration,
}

/// Which `producer.override.*` and its like a connector may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OverridePolicy {
    All,
    None,
    Principal,
    Allowlist(Vec<String>),
}

impl OverridePolicy {
    /// Whether `key`, without its prefix, may be overridden; else the JVM's message.
    pub(crate) fn check(&self, key: &str) -> Result<(), String> {
        let (allowed, name) = match self {
            Self::All => return Ok(()),
            Self::None => (false, "None"),
            Self::Principal => {
                (["sasl.jaas.config", "sasl.mechanism", "security.protocol"].contains(&key), "Principal")
            }
            Self::Allowlist(keys) => (keys.iter().any(|k| k == key), "Allowlist"),
        };
        if allowed {
            return Ok(());
        }
        Err(format!(
            "The '{name}' policy does not allow '{key}' to be overridden in the connector configuration."
        ))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::ConfigErrors;

    pub(crate) const MINIMAL: &str = "bootstrap.servers=localhost:9092\ngroup.id=g\nconfig.storage.topic=c\n\
        offset.storage.topic=o\nstatus.storage.topic=s\nkey.converter=StringConverter\n\
        value.converter=JsonConverter\n";

    fn read(extra: &str) -> Result<WorkerConfig, ConfigErrors> {
        let text = format!("{MINIMAL}{extra}");
        WorkerConfig::read(Properties::parse(&text).unwrap(), &BTreeMap::new())
    }

    #[test]
    fn minimal_file_gets_kafka_s_defaults() {
        let config = read("").unwrap();
        assert_eq!(config.rest.listeners, [Listener { host: String::new(), port: 8083 }]);
        assert_eq!(config.metrics_listener.unwrap().port, 8079);
        assert_eq!(config.config_topic.partitions, 1);
        assert_eq!((config.offset_topic.partitions, config.offset_topic.replication), (25, 3));
        assert_eq!(config.status_topic.partitions, 5);
        assert_eq!(config.overrides, OverridePolicy::All);
        assert_eq!(config.tasks.offset_flush_interval, Duration::from_secs(60));
    }

    #[test]
    fn backoff_is_that_of_the_protocol_asked_for() {
        let check = |lines: &str, expected: UnsyncBackoff| {
            assert_eq!(read(lines).unwrap().membership.unsync_backoff, expected, "{lines}");
        };
        let growing = |ms| UnsyncBackoff::Growing { longest: Duration::from_millis(ms) };
        let lines = "worker.unsync.backoff.ms=7\nscheduled.rebalance.max.delay.ms=8\n";
        check("", growing(300_000));
        check(lines, growing(8));
        check(&format!("{lines}connect.protocol=EAGER\n"), UnsyncBackoff::Fixed(Duration::from_millis(7)));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = "bootstrap.servers=nope\nconfig.storage.topic=c\noffset.storage.topic=o\n\
            status.storage.topic=s\nkey.converter=S\nvalue.converter=S\nsession.timeout.ms=soon\n\
            listeners=https://:8443\nexactly.once.source.support=enabled\n";
        let ConfigErrors(problems) =
            WorkerConfig::read(Properties::parse(text).unwrap(), &BTreeMap::new()).unwrap_err();
        let named: Vec<_> = problems.iter().map(|p| p.property.as_str()).collect();
        for expected in [
            "group.id",
            "bootstrap.servers",
            "session.timeout.ms",
            "listeners",
            "exactly.once.source.support",
        ] {
            assert!(named.contains(&expected), "{expected} in {named:?}");
        }
    }

    #[test]
    fn topic_settings_reach_the_internal_topics() {
        let config =
            read("offset.storage.min.insync.replicas=2\nconfig.storage.cleanup.policy=delete\n").unwrap();
        let settings = BTreeMap::from([("min.insync.replicas".to_owned(), "2".to_owned())]);
        assert_eq!(config.offset_topic.settings, settings);
        assert!(config.config_topic.settings.is_empty());
    }

    #[test]
    fn override_policies_answer_as_the_jvm_does() {
        assert_eq!(
            OverridePolicy::None.check("acks").unwrap_err(),
            "The 'None' policy does not allow 'acks' to be overridden in the connector configuration."
        );
        assert!(OverridePolicy::Principal.check("sasl.mechanism").is_ok());
        assert!(OverridePolicy::Allowlist(vec!["acks".into()]).check("acks").is_ok());
        assert!(OverridePolicy::Allowlist(vec!["acks".into()]).check("linger.ms").is_err());
    }
}
