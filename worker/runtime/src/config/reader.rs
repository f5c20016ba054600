//! How the properties of a distributed worker are read: every problem at once, each with its property.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::causes::chain;
use crate::config::keys::{self, Effect, KEYS, Kind, PREFIXES, Preset};
use crate::config::listener::Listener;
use crate::config::properties::Properties;
use crate::config::providers::ConfigProviders;
use crate::config::security::ClientSecurity;
use crate::config::worker::{
    InternalTopic, MembershipConfig, OverridePolicy, RestConfig, TaskDefaults, UnsyncBackoff, WorkerConfig,
};
use crate::config::{ConfigErrors, Problem, consistency};

impl WorkerConfig {
    /// Reads the properties of a distributed worker and the stores they name. Logs what it takes with a
    /// warning; returns all problems at once.
    pub(crate) fn read(
        properties: Properties,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigErrors> {
        let one = |property: &str, message: String| ConfigErrors(vec![Problem::new(property, message)]);
        let providers = ConfigProviders::from_properties(&properties, environment)
            .map_err(|e| one("config.providers", chain(&e)))?;
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (key, raw) in properties.iter() {
            match providers.resolve(raw) {
                Ok(value) => {
                    values.insert(key.to_owned(), value);
                }
                Err(e) => problems.push(Problem::new(key, chain(&e))),
            }
        }
        let mut reader = Reader { properties: Properties::from(values), problems };
        match reader.read(providers) {
            Some(config) if reader.problems.is_empty() => {
                warn_about(&config.properties);
                Ok(config)
            }
            _ => Err(ConfigErrors(reader.problems)),
        }
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
                self.add(problem);
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
        if self.list("listeners").is_empty() {
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
        self.hold_together(&internal_topics, &listeners, metrics_listener.as_ref());
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
                unsync_backoff: match self.text("connect.protocol").eq_ignore_ascii_case("eager") {
                    true => UnsyncBackoff::Fixed(self.millis("worker.unsync.backoff.ms")),
                    false => {
                        UnsyncBackoff::Growing { longest: self.millis("scheduled.rebalance.max.delay.ms") }
                    }
                },
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

    /// A property that is wrong already needs no second problem.
    fn add(&mut self, problem: Problem) {
        if !self.is_wrong(&problem.property) {
            self.problems.push(problem);
        }
    }

    fn is_wrong(&self, property: &str) -> bool {
        self.problems.iter().any(|problem| problem.property == property)
    }

    /// Adds what is wrong between properties, also when some cannot be read.
    fn hold_together(
        &mut self,
        internal_topics: &[InternalTopic; 3],
        listeners: &[Listener],
        metrics_listener: Option<&Listener>,
    ) {
        let [heartbeat, session] = ["heartbeat.interval.ms", "session.timeout.ms"]
            .map(|property| (!self.is_wrong(property)).then(|| self.millis(property)));
        let properties = ["config.storage.topic", "offset.storage.topic", "status.storage.topic"];
        let topics = properties.into_iter().zip(internal_topics.iter().map(|topic| topic.name.clone()));
        let topics: Vec<_> = topics.filter(|(property, _)| !self.is_wrong(property)).collect();
        let found = consistency::problems(&consistency::Facts {
            timeouts: heartbeat.zip(session),
            internal_topics: &topics,
            listeners,
            metrics_listener,
            properties: &self.properties,
        });
        // One property may bear several of these.
        let known: Vec<_> = self.problems.iter().map(|problem| problem.property.clone()).collect();
        self.problems.extend(found.into_iter().filter(|problem| !known.contains(&problem.property)));
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
