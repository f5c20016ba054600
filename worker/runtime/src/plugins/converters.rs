//! The converters of one connector: its own, or the worker's.
//!
//! Settings come from the level that names the class: a connector that names a converter configures it alone.

use std::collections::BTreeMap;

use connect_api::{ConnectError, Converter, ConverterKind, HeaderConverter};

use crate::config::Problem;
use crate::config::keys::{self, Preset};
use crate::config::properties::Properties;
use crate::config::providers::ConfigProviders;
use crate::names::RawConfig;
use crate::plugins::builtin::PLUGINS;
use crate::plugins::registry::{self, Make, Plugin};

pub(crate) struct Converters {
    pub(crate) key: Box<dyn Converter>,
    pub(crate) value: Box<dyn Converter>,
    pub(crate) header: Box<dyn HeaderConverter>,
}

/// A class with its settings, without their prefix.
struct Choice {
    class: String,
    settings: RawConfig,
}

impl Converters {
    /// `config` is the connector's, with variables replaced.
    pub(crate) fn make(config: &RawConfig, worker: &Properties) -> Result<Self, ConnectError> {
        Ok(Self {
            key: converter("key.converter", ConverterKind::Key, config, worker)?,
            value: converter("value.converter", ConverterKind::Value, config, worker)?,
            header: header_converter(config, worker)?,
        })
    }
}

/// What is wrong with the converters that the worker's own properties name. Classes and settings that variables stand
/// for are judged when they are used.
pub(crate) fn problems(worker: &Properties) -> Vec<Problem> {
    let none = RawConfig::new();
    let results = [
        ("key.converter", converter("key.converter", ConverterKind::Key, &none, worker).err()),
        ("value.converter", converter("value.converter", ConverterKind::Value, &none, worker).err()),
        (HEADER, header_converter(&none, worker).err()),
    ];
    let is_known = |property: &str| {
        let choice = choose(property, &none, worker);
        let is_open = find(property, &choice.class).is_some()
            && choice.settings.values().any(|value| ConfigProviders::has_variable(value));
        !choice.class.is_empty() && !ConfigProviders::has_variable(&choice.class) && !is_open
    };
    let wrong = results.into_iter().filter_map(|(property, error)| error.map(|error| (property, error)));
    wrong
        .filter(|(property, _)| is_known(property))
        .map(|(property, error)| match find(property, &worker_class(property, worker)) {
            Some(_) => Problem::new(property, error.to_string()),
            None => Problem::new(property, error.to_string()).with_hint(there_are(property)),
        })
        .collect()
}

/// The classes that a property can name.
fn there_are(property: &str) -> String {
    let fits = |plugin: &&Plugin| match plugin.make {
        Make::Converter(_) => property != HEADER,
        Make::HeaderConverter(_) => property == HEADER,
        _ => false,
    };
    let classes: Vec<&str> = PLUGINS.iter().filter(fits).map(|plugin| plugin.class).collect();
    format!("one of {}", classes.join(", "))
}

pub(crate) fn converter(
    property: &'static str,
    kind: ConverterKind,
    config: &RawConfig,
    worker: &Properties,
) -> Result<Box<dyn Converter>, ConnectError> {
    let choice = choose(property, config, worker);
    let plugin = registry::find_converter(&choice.class);
    let plugin = plugin.map_err(|_| not_found(property, &choice.class))?;
    let Make::Converter(make) = plugin.make else { return Err(not_found(property, &choice.class)) };
    let mut converter = make();
    converter.configure(&choice.settings, kind)?;
    Ok(converter)
}

pub(crate) fn header_converter(
    config: &RawConfig,
    worker: &Properties,
) -> Result<Box<dyn HeaderConverter>, ConnectError> {
    let choice = choose(HEADER, config, worker);
    let plugin = registry::find_header_converter(&choice.class);
    let plugin = plugin.map_err(|_| not_found(HEADER, &choice.class))?;
    let Make::HeaderConverter(make) = plugin.make else { return Err(not_found(HEADER, &choice.class)) };
    let mut converter = make();
    converter.configure(&choice.settings)?;
    Ok(converter)
}

const HEADER: &str = "header.converter";

fn not_found(property: &str, class: &str) -> ConnectError {
    let message =
        format!("Invalid value {class} for configuration {property}: Class {class} could not be found.");
    ConnectError::config(message)
}

/// The converter that the worker's own properties name, or its default.
pub(crate) fn worker_s(property: &str, worker: &Properties) -> Option<&'static Plugin> {
    find(property, &worker_class(property, worker))
}

/// The converter of a name, as a property of this kind means it.
pub(crate) fn find(property: &str, class: &str) -> Option<&'static Plugin> {
    if property == HEADER {
        registry::find_header_converter(class).ok()
    } else {
        registry::find_converter(class).ok()
    }
}

fn worker_class(property: &str, worker: &Properties) -> String {
    let default = match keys::find(property).map(|key| key.default) {
        Some(Preset::Value(text)) => text,
        _ => "",
    };
    worker.get(property).unwrap_or(default).trim().to_owned()
}

fn choose(property: &str, config: &RawConfig, worker: &Properties) -> Choice {
    let prefix = format!("{property}.");
    let own = config.get(property).map(|c| c.trim()).filter(|c| !c.is_empty());
    let mut choice = match own {
        Some(class) => Choice { class: class.to_owned(), settings: with_prefix(config, &prefix) },
        None => Choice { class: worker_class(property, worker), settings: worker.with_prefix(&prefix) },
    };
    choice.settings.remove("plugin.version");
    choice
}

fn with_prefix(config: &RawConfig, prefix: &str) -> BTreeMap<String, String> {
    let stripped = config.iter().filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.clone())));
    stripped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_variable_stands_for_is_not_judged_before_it_is_replaced() {
        let check = |lines: &str, expected: &[&str]| {
            let text = format!("key.converter=StringConverter\nvalue.converter=JsonConverter\n{lines}");
            let problems = problems(&Properties::parse(&text).unwrap());
            let named: Vec<_> = problems.iter().map(|problem| problem.property.as_str()).collect();
            assert_eq!(named, expected, "{lines}");
        };
        check("value.converter.schemas.enable=maybe", &["value.converter"]);
        check("value.converter.schemas.enable=${env:SCHEMAS}", &[]);
        check("value.converter=${env:CONVERTER}", &[]);
        check("value.converter=Avro\nvalue.converter.schemas.enable=${env:SCHEMAS}", &["value.converter"]);
    }
}
