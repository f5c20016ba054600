//! [`WorkerConfig`]: what the properties of a distributed worker mean.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::keys::{self, Effect, KEYS, Kind, PREFIXES, Preset};
use crate::config::listener::Listener;
use crate::config::properties::Properties;
use crate::config::providers::ConfigProviders;
use crate::config::security::ClientSecurity;
use crate::config::{ConfigErrors, Problem, consistency};

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

impl WorkerConfig {
    /// Reads the properties of a distributed worker and the stores they name. Logs what it takes with a
    /// warning; returns all problems at once.
    pub(crate) fn read(
        properties: Properties,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigErrors> {
        let one = |property: &str, message: String| ConfigErrors(vec![Problem::new(property, message)]);
        let providers = ConfigProviders::from_properties(&properties, environment)
            .map_err(|e| one("config.providers", with_cause(&e)))?;
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (key, raw) in properties.iter() {
            match providers.resolve(raw) {
                Ok(value) => {
                    values.insert(key.to_owned(), value);
                }
                Err(e) => problems.push(Problem::new(key, with_cause(&e))),
            }
        }
        let mut reader = Reader { properties: Properties::from(values), problems };
        let config = reader.read(providers);
        if let Some(config) = &config {
            reader.problems.extend(consistency::problems(config));
        }
        match config {
            Some(config) if reader.problems.is_empty() => {
                warn_about(&config.properties);
                Ok(config)
            }
            _ => Err(ConfigErrors(reader.problems)),
        }
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn warn_about(properties: &Properties) {
    for (name, _) in properties.iter() {
        let known = keys::find(name).is_some() || PREFIXES.iter().any(|p| name.starts_with(p));
        if !known {
            tracing::warn!(property = name, "these configurations were supplied but are not used yet");
        }
    }
    let protocol = properties.get("connect.protocol").unwrap_or("sessioned");
    if !protocol.eq_ignore_ascii_case("eager") {
        tracing::warn!(
            property = "connect.protocol",
            asked = protocol,
            "this worker takes part with protocol 'eager' (sub-protocol 'default') whatever is asked for"
        );
    }
    for key in ["access.control.allow.origin", "response.http.headers.config", "admin.listeners"] {
        if properties.get(key).is_some_and(|v| !v.is_empty()) {
            tracing::warn!(property = key, "has no effect in this worker");
        }
    }
}

struct Reader {
    properties: Properties,
    problems: Vec<Problem>,
}

impl Reader {
    fn read(&mut self, providers: ConfigProviders) -> Option<WorkerConfig> {
        for key in KEYS.iter().filter(|k| k.effect == Effect::Used) {
            if let Err(problem) = self.check(key) {
                self.problems.push(problem);
            }
        }
        let bootstrap = self.bootstrap();
        let security = match ClientSecurity::from_java(&self.properties.clone().into_map()) {
            Ok(security) => Some(security),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        };
        self.refuse_what_is_not_there();
        let listeners: Vec<Listener> =
            self.list("listeners").iter().filter_map(|text| self.listener("listeners", text)).collect();
        if listeners.is_empty() && self.problems.is_empty() {
            self.problems.push(Problem::new("listeners", "at least one listener is needed"));
        }
        let metrics_listener = match self.text("metrics.listener") {
            "" => None,
            text => {
                let text = text.to_owned();
                self.listener("metrics.listener", &text)
            }
        };
        let overrides = self.override_policy();
        let internal_topics = [
            self.internal_topic("config", Some(1)),
            self.internal_topic("offset", None),
            self.internal_topic("status", None),
        ];
        if !self.problems.is_empty() {
            return None;
        }
        let [config_topic, offset_topic, status_topic] = internal_topics;
        let optional = |key: &str| self.properties.get(key).map(str::trim).filter(|v| !v.is_empty());
        Some(WorkerConfig {
            group_id: self.text("group.id").to_owned(),
            client_id: self.text("client.id").to_owned(),
            bootstrap: bootstrap?,
            security: security?,
            config_topic,
            offset_topic,
            status_topic,
            create_internal_topics: self.boolean("internal.topics.automatic.creation.enable"),
            membership: MembershipConfig {
                session_timeout: self.millis("session.timeout.ms"),
                heartbeat_interval: self.millis("heartbeat.interval.ms"),
                rebalance_timeout: self.millis("rebalance.timeout.ms"),
                sync_timeout: self.millis("worker.sync.timeout.ms"),
            },
            rest: RestConfig {
                listeners,
                advertised_host: optional("rest.advertised.host.name").map(str::to_owned),
                advertised_port: optional("rest.advertised.port").and_then(|p| p.parse().ok()),
            },
            metrics_listener,
            tasks: TaskDefaults {
                shutdown_timeout: self.millis("task.shutdown.graceful.timeout.ms"),
                offset_flush_interval: self.millis("offset.flush.interval.ms"),
                offset_flush_timeout: self.millis("offset.flush.timeout.ms"),
            },
            overrides: overrides?,
            topic_tracking: self.boolean("topic.tracking.enable"),
            topic_tracking_reset: self.boolean("topic.tracking.allow.reset"),
            request_timeout: self.millis("request.timeout.ms"),
            providers,
            properties: self.properties.clone(),
        })
    }

    /// Whether the text of a property can be read as its kind says.
    fn check(&self, key: &keys::Key) -> Result<(), Problem> {
        let text = match (self.properties.get(key.name).map(str::trim), key.default) {
            (None, Preset::Required) => {
                return Err(Problem::new(
                    key.name,
                    format!("Missing required configuration \"{}\" which has no default value.", key.name),
                ));
            }
            (Some(""), Preset::Required) => return Err(Problem::new(key.name, "must not be empty")),
            (None, _) => return Ok(()),
            (Some(text), _) => text,
        };
        let wrong = |message: String| Err(Problem::new(key.name, message));
        match key.kind {
            Kind::Text | Kind::List => Ok(()),
            Kind::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "false" => Ok(()),
                _ => wrong(format!("expected true or false, found {text:?}")),
            },
            Kind::Number { least, most } => match text.parse::<i64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                Ok(number) if number < least => {
                    wrong(format!("Value must be at least {least}, found {number}"))
                }
                Ok(number) => wrong(format!("Value must be no more than {most}, found {number}")),
                Err(_) => wrong(format!("Not a number: {text:?}")),
            },
            Kind::BrokersChoice { most } => match text.parse::<i64>() {
                Ok(number) if number == -1 || (1..=most).contains(&number) => Ok(()),
                Ok(number) => wrong(format!(
                    "Value must lie between 1 and {most}, or be -1 for the brokers' default, found {number}"
                )),
                Err(_) => wrong(format!("Not a number: {text:?}")),
            },
        }
    }

    fn bootstrap(&mut self) -> Option<Vec<kafka_control::Endpoint>> {
        match kafka_control::Endpoint::parse_list(self.text("bootstrap.servers")) {
            Ok(endpoints) => Some(endpoints),
            Err(e) => {
                self.problems.push(Problem::new("bootstrap.servers", e.to_string()));
                None
            }
        }
    }

    /// Settings that would be dangerous to take and not to follow.
    fn refuse_what_is_not_there(&mut self) {
        if !self.list("rest.extension.classes").is_empty() {
            self.problems.push(
                Problem::new("rest.extension.classes", "REST extensions are not supported")
                    .with_hint("listen on loopback or a private address and authenticate in a proxy"),
            );
        }
        match self.text("exactly.once.source.support").to_ascii_lowercase().as_str() {
            "disabled" => {}
            "preparing" | "enabled" => self.problems.push(
                Problem::new("exactly.once.source.support", "exactly-once source is not supported yet")
                    .with_hint("use disabled"),
            ),
            _ => self.problems.push(Problem::new(
                "exactly.once.source.support",
                "expected one of disabled, preparing, enabled",
            )),
        }
        let protocol = self.text("connect.protocol").to_ascii_lowercase();
        if !["eager", "compatible", "sessioned"].contains(&protocol.as_str()) {
            let expected = "expected one of eager, compatible, sessioned";
            self.problems.push(Problem::new("connect.protocol", expected));
        }
        if self.properties.get("rest.advertised.listener").is_some_and(|l| !l.eq_ignore_ascii_case("http")) {
            self.problems.push(Problem::new("rest.advertised.listener", "only http is supported yet"));
        }
    }

    fn listener(&mut self, property: &str, text: &str) -> Option<Listener> {
        Listener::parse(property, text).map_err(|problem| self.problems.push(problem)).ok()
    }

    fn override_policy(&mut self) -> Option<OverridePolicy> {
        let key = "connector.client.config.override.policy";
        match self.text(key).rsplit('.').next().unwrap_or_default() {
            "All" | "AllConnectorClientConfigOverridePolicy" => Some(OverridePolicy::All),
            "None" | "NoneConnectorClientConfigOverridePolicy" => Some(OverridePolicy::None),
            "Principal" | "PrincipalConnectorClientConfigOverridePolicy" => Some(OverridePolicy::Principal),
            "Allowlist" | "AllowlistConnectorClientConfigOverridePolicy" => {
                Some(OverridePolicy::Allowlist(self.list("connector.client.config.override.allowlist")))
            }
            _ => {
                let expected = "expected one of All, None, Principal, Allowlist";
                self.problems.push(Problem::new(key, expected));
                None
            }
        }
    }

    fn internal_topic(&self, kind: &str, partitions: Option<i32>) -> InternalTopic {
        let prefix = format!("{kind}.storage.");
        let mut settings = self.properties.with_prefix(&prefix);
        for ours in ["topic", "replication.factor"] {
            settings.remove(ours);
        }
        for ignored in ["cleanup.policy", "partitions"] {
            let is_used = ignored == "partitions" && partitions.is_none();
            if settings.remove(ignored).is_some() && !is_used {
                tracing::warn!(property = format!("{prefix}{ignored}"), "ignored: the value is given");
            }
        }
        InternalTopic {
            name: self.text(&format!("{prefix}topic")).to_owned(),
            partitions: partitions.unwrap_or_else(|| self.number(&format!("{prefix}partitions")) as i32),
            replication: self.number(&format!("{prefix}replication.factor")) as i16,
            settings,
        }
    }

    fn text(&self, name: &str) -> &str {
        let default = match keys::find(name).map(|key| key.default) {
            Some(Preset::Value(text)) => text,
            _ => "",
        };
        self.properties.get(name).map_or(default, str::trim)
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.text(name).split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    }

    /// Only after `check` was content with every property.
    fn number(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(self.number(name).max(0) as u64)
    }

    fn boolean(&self, name: &str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

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
