//! Judging a connector's configuration, for `config/validate` and before it is stored.

use connect_api::{ConfigKey, ConfigValue, ConverterKind, ParsedValue};

use crate::config::WorkerConfig;
use crate::config::providers::ConfigProviders;
use crate::names::{ConnectorName, RawConfig};
use crate::plugins::builtin::PLUGINS;
use crate::plugins::registry::{self, Connector, Make, Plugin, PluginError};
use crate::plugins::{connector_config, converters, topic_pattern};

/// What there is to say about every key.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// `connector.class` as submitted.
    pub(crate) class: String,
    pub(crate) groups: Vec<String>,
    pub(crate) configs: Vec<Judged>,
}

/// A key with its value; no definition for a key that nobody defined.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) definition: Option<ConfigKey>,
    pub(crate) value: ConfigValue,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum JudgeError {
    #[error("Connector config contains no connector type")]
    NoClass,
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("could not replace the variables in the configuration")]
    Provider(#[from] crate::config::providers::ProviderError),
}

impl Judgement {
    pub(crate) fn error_count(&self) -> usize {
        self.configs.iter().map(|c| c.value.errors.len()).sum()
    }

    pub(crate) fn errors(&self) -> impl Iterator<Item = &str> {
        self.configs.iter().flat_map(|c| &c.value.errors).map(String::as_str)
    }

    fn find_mut(&mut self, name: &str) -> Option<&mut Judged> {
        self.configs.iter_mut().find(|c| c.value.name == name)
    }

    fn value_mut(&mut self, name: &str) -> &mut ConfigValue {
        let at = match self.configs.iter().position(|c| c.value.name == name) {
            Some(at) => at,
            None => {
                let value = ConfigValue::new(name, ParsedValue::Null);
                self.configs.push(Judged { definition: None, value });
                self.configs.len() - 1
            }
        };
        &mut self.configs[at].value
    }

    fn blame(&mut self, name: &str, error: impl Into<String>) {
        self.value_mut(name).errors.push(error.into());
    }
}

/// Judges a raw config. Errors: there is no such connector at all.
pub(crate) async fn judge(raw: &RawConfig, worker: &WorkerConfig) -> Result<Judgement, JudgeError> {
    let class = raw.get("connector.class").map(|c| c.trim()).filter(|c| !c.is_empty());
    let class = class.ok_or(JudgeError::NoClass)?;
    let plugin = registry::find_connector(class)?;
    let Some(connector) = plugin.connector() else { return Err(JudgeError::NoClass) };
    let config = worker.providers.resolve_map(raw)?;

    let (framework, own) = match &connector {
        Connector::Source(source) => (&*connector_config::SOURCE, source.validate(&config).await),
        Connector::Sink(sink) => (&*connector_config::SINK, sink.validate(&config).await),
    };
    let mut judgement = Judgement { class: class.to_owned(), groups: Vec::new(), configs: Vec::new() };
    for group in framework.groups().iter().chain(connector.config_def().groups()) {
        if !judgement.groups.contains(group) {
            judgement.groups.push(group.clone());
        }
    }
    for value in framework.validate(&config) {
        let definition = framework.key(&value.name).cloned();
        judgement.configs.push(Judged { definition, value });
    }
    for value in own {
        let definition = connector.config_def().key(&value.name).cloned();
        // What a connector says about a key of the framework counts in its place.
        match judgement.configs.iter_mut().find(|c| c.value.name == value.name) {
            Some(judged) => *judged = Judged { definition, value },
            None => judgement.configs.push(Judged { definition, value }),
        }
    }
    check_converters(&mut judgement, &config, worker);
    describe_versions(&mut judgement, plugin, &config, worker);
    check_overrides(&mut judgement, &config, worker);
    match connector {
        Connector::Source(_) => check_source(&mut judgement, &config),
        Connector::Sink(_) => check_sink(&mut judgement, &config, worker),
    }
    refuse_what_is_not_there(&mut judgement, &config);
    hide_secrets(&mut judgement, raw);
    Ok(judgement)
}

const CONVERTERS: [&str; 3] = ["key.converter", "value.converter", "header.converter"];

/// The defaults of converters are the worker's, and what is recommended is what there is.
fn check_converters(judgement: &mut Judgement, config: &RawConfig, worker: &WorkerConfig) {
    for property in CONVERTERS {
        let is_header = property == "header.converter";
        let is_wanted = |p: &&Plugin| match p.make {
            Make::Converter(_) => !is_header,
            Make::HeaderConverter(_) => is_header,
            Make::Source(_) | Make::Sink(_) => false,
        };
        let default = converters::worker_s(property, &worker.properties);
        let chosen = match config.get(property) {
            Some(class) => converters::find(property, class.trim()),
            None => default,
        };
        let made = match property {
            "key.converter" => {
                made(converters::converter(property, ConverterKind::Key, config, &worker.properties))
            }
            "value.converter" => {
                made(converters::converter(property, ConverterKind::Value, config, &worker.properties))
            }
            _ => made(converters::header_converter(config, &worker.properties)),
        };
        let Some(judged) = judgement.find_mut(property) else { continue };
        let class = |plugin: Option<&Plugin>| {
            plugin.map_or(ParsedValue::Null, |p| ParsedValue::Class(p.class.to_owned()))
        };
        if let Some(definition) = &mut judged.definition {
            definition.default = Some(class(default));
        }
        judged.value.value = class(chosen);
        judged.value.recommended =
            PLUGINS.iter().filter(is_wanted).map(|p| ParsedValue::Class(p.class.to_owned())).collect();
        judged.value.errors.extend(made.err());
    }
}

fn made<T>(result: Result<T, connect_api::ConnectError>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

/// There is one version of each plugin, and it is the default.
fn describe_versions(
    judgement: &mut Judgement,
    connector: &'static Plugin,
    config: &RawConfig,
    worker: &WorkerConfig,
) {
    let converter = |property: &str| match config.get(property) {
        Some(class) => converters::find(property, class.trim()),
        None => converters::worker_s(property, &worker.properties),
    };
    let plugins = CONVERTERS.map(|property| (format!("{property}.plugin.version"), converter(property)));
    let connector = ("connector.plugin.version".to_owned(), Some(connector));
    for (key, plugin) in plugins.into_iter().chain([connector]) {
        let Some(judged) = judgement.find_mut(&key) else { continue };
        let version = plugin.map(|p| ParsedValue::String(p.version.to_owned()));
        if let Some(definition) = &mut judged.definition {
            definition.default = Some(version.clone().unwrap_or(ParsedValue::Null));
        }
        if !config.contains_key(&key) {
            judged.value.value = version.clone().unwrap_or(ParsedValue::Null);
        }
        judged.value.is_visible = version.is_some();
        judged.value.recommended = version.into_iter().collect();
    }
}

fn check_overrides(judgement: &mut Judgement, config: &RawConfig, worker: &WorkerConfig) {
    for (name, text) in config {
        for prefix in ["producer.override.", "consumer.override.", "admin.override."] {
            let Some(key) = name.strip_prefix(prefix) else { continue };
            judgement.value_mut(name).value = ParsedValue::String(text.clone());
            if let Err(error) = worker.overrides.check(key) {
                judgement.blame(name, error);
            }
        }
    }
}

fn check_source(judgement: &mut Judgement, config: &RawConfig) {
    if config.get("exactly.once.support").is_some_and(|v| v.eq_ignore_ascii_case("required")) {
        judgement
            .blame("exactly.once.support", "This worker does not have exactly-once source support enabled.");
    }
}

fn check_sink(judgement: &mut Judgement, config: &RawConfig, worker: &WorkerConfig) {
    let is_set = |key: &str| config.get(key).is_some_and(|v| !v.trim().is_empty());
    match (is_set("topics"), is_set("topics.regex")) {
        (true, true) => {
            let error = "topics and topics.regex are mutually exclusive options, but both are set.";
            judgement.blame("topics", error);
            judgement.blame("topics.regex", error);
        }
        (false, false) => {
            let error = "Must configure one of topics or topics.regex";
            judgement.blame("topics", error);
            judgement.blame("topics.regex", error);
        }
        _ => {}
    }
    if let Some(pattern) = config.get("topics.regex").filter(|p| !p.trim().is_empty())
        && let Err(error) = topic_pattern::extended(pattern)
    {
        judgement.blame(
            "topics.regex",
            format!("Invalid value {pattern} for configuration topics.regex: {error}"),
        );
    }
    let group = config.get("consumer.override.group.id");
    if group.is_some_and(|group| *group == worker.group_id) {
        let error = format!(
            "Consumer group {} conflicts with Connect worker group {}",
            worker.group_id, worker.group_id
        );
        judgement.blame("consumer.override.group.id", error);
    }
    let name = config.get("name").map(|name| ConnectorName::from(name.trim()));
    if let Some(name) = name.filter(|name| group.is_none() && name.consumer_group() == worker.group_id) {
        let error = format!(
            "Consumer group for sink connector named {name} conflicts with Connect worker group {}",
            worker.group_id
        );
        judgement.blame("name", error);
    }
}

/// Settings that would change what happens to records and that this worker cannot follow.
fn refuse_what_is_not_there(judgement: &mut Judgement, config: &RawConfig) {
    for key in ["transforms", "predicates", "errors.deadletterqueue.topic.name", "offsets.storage.topic"] {
        if config.get(key).is_some_and(|v| !v.trim().is_empty()) {
            judgement.blame(key, format!("Configuration {key} is not supported by this worker yet."));
        }
    }
    let unsupported: Vec<_> =
        config.keys().filter(|k| k.starts_with("topic.creation.") && !config[*k].trim().is_empty()).collect();
    for key in unsupported {
        judgement.blame(key, format!("Configuration {key} is not supported by this worker yet."));
    }
}

/// What a provider put in is not shown, nor is an error text that may quote it.
fn hide_secrets(judgement: &mut Judgement, raw: &RawConfig) {
    for Judged { value, .. } in &mut judgement.configs {
        let Some(text) = raw.get(&value.name).filter(|t| ConfigProviders::has_variable(t)) else { continue };
        value.value = ParsedValue::String(text.clone());
        value.recommended.clear();
        for error in &mut value.errors {
            *error = format!(
                "Invalid value for configuration {}: hidden, it comes from a config provider",
                value.name
            );
        }
    }
}
