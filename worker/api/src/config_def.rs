//! Settings as rows: Kafka's `ConfigDef`.
//!
//! A row says everything about one key; parsing, `config/validate` and the documentation read the rows. Error
//! texts are Kafka's, character by character, because users and tools search for them.

mod parsed;
mod validator;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use parsed::parse_type;
pub use parsed::{ParsedValue, Type};
pub use validator::Validator;

use crate::{ConnectError, Props};

/// How likely it is that a user has to set the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Nearly everybody.
    High,
    /// Some.
    Medium,
    /// Few.
    Low,
}

/// How wide a field for the value should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are Kafka's and say what they are")]
pub enum Width {
    None,
    Short,
    Medium,
    Long,
}

/// `HIGH`, `MEDIUM`, `LOW`.
impl fmt::Display for Importance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        })
    }
}

/// `NONE`, `SHORT`, `MEDIUM`, `LONG`.
impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "NONE",
            Self::Short => "SHORT",
            Self::Medium => "MEDIUM",
            Self::Long => "LONG",
        })
    }
}

/// Proposes values for a key, given the others.
pub trait Recommender: Send + Sync {
    /// The values that make sense now.
    fn valid_values(&self, name: &str, parsed: &ParsedConfig) -> Vec<ParsedValue>;

    /// Whether the key matters now.
    fn is_visible(&self, name: &str, parsed: &ParsedConfig) -> bool;
}

/// One row. Made with [`ConfigKey::new`] and the methods named after its parts.
#[derive(Clone)]
pub struct ConfigKey {
    /// The key.
    pub name: String,
    /// What its value is.
    pub kind: Type,
    /// The default; `None` makes the key required, [`ParsedValue::Null`] is a default of null.
    pub default: Option<ParsedValue>,
    /// Further conditions.
    pub validator: Option<Validator>,
    /// How likely it is to be set.
    pub importance: Importance,
    /// What it does.
    pub doc: String,
    /// Where forms show it; `None` for keys without a group.
    pub group: Option<String>,
    /// Its place in the group; -1 without a group.
    pub order: i32,
    /// How wide forms show it.
    pub width: Width,
    /// What forms call it.
    pub display_name: String,
    /// Keys whose recommendations depend on this one.
    pub dependents: Vec<String>,
    /// Proposes values.
    pub recommender: Option<Arc<dyn Recommender>>,
}

impl ConfigKey {
    /// A required key without group.
    pub fn new(name: impl Into<String>, kind: Type, importance: Importance, doc: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            display_name: name.clone(),
            name,
            kind,
            default: None,
            validator: None,
            importance,
            doc: doc.into(),
            group: None,
            order: -1,
            width: Width::None,
            dependents: Vec::new(),
            recommender: None,
        }
    }

    /// Gives the key a default, which makes it optional.
    #[must_use]
    pub fn default_value(self, value: impl Into<ParsedValue>) -> Self {
        Self { default: Some(value.into()), ..self }
    }

    /// Adds a condition.
    #[must_use]
    pub fn validator(self, validator: Validator) -> Self {
        Self { validator: Some(validator), ..self }
    }

    /// Says where and how forms show the key.
    #[must_use]
    pub fn shown(self, group: &str, order: i32, width: Width, display_name: &str) -> Self {
        Self { group: Some(group.into()), order, width, display_name: display_name.into(), ..self }
    }

    /// Names the keys whose recommendations depend on this one.
    #[must_use]
    pub fn dependents(self, names: &[&str]) -> Self {
        Self { dependents: names.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }

    /// Adds a recommender.
    #[must_use]
    pub fn recommender(self, recommender: Arc<dyn Recommender>) -> Self {
        Self { recommender: Some(recommender), ..self }
    }

    /// Whether the key must be set.
    pub fn is_required(&self) -> bool {
        self.default.is_none()
    }

    fn missing(&self) -> String {
        format!("Missing required configuration \"{}\" which has no default value.", self.name)
    }
}

impl fmt::Debug for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigKey")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What validation found out about one key.
#[derive(Clone, Debug)]
pub struct ConfigValue {
    /// The key.
    pub name: String,
    /// Its value, or default; null when it cannot be parsed.
    pub value: ParsedValue,
    /// Values that a recommender proposes.
    pub recommended: Vec<ParsedValue>,
    /// Everything that is wrong.
    pub errors: Vec<String>,
    /// Whether the key matters now.
    pub is_visible: bool,
}

impl ConfigValue {
    /// A value without findings.
    pub fn new(name: impl Into<String>, value: ParsedValue) -> Self {
        Self { name: name.into(), value, recommended: Vec::new(), errors: Vec::new(), is_visible: true }
    }
}

/// Typed settings. Shape: key -> value, with defaults filled in; keys without a row are absent.
#[derive(Clone, Debug, Default)]
pub struct ParsedConfig(BTreeMap<String, ParsedValue>);

impl ParsedConfig {
    /// The value of a key that has a row. Panics when it has none: that is a slip in the caller.
    pub fn get(&self, name: &str) -> &ParsedValue {
        self.0.get(name).unwrap_or_else(|| panic!("Unknown configuration '{name}'"))
    }

    /// A value, or `None` when it is null.
    pub fn string(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            ParsedValue::String(text) | ParsedValue::Class(text) => Some(text),
            _ => None,
        }
    }

    /// A number of any integer type, or `None` when it is null.
    pub fn long(&self, name: &str) -> Option<i64> {
        match *self.get(name) {
            ParsedValue::Short(number) => Some(i64::from(number)),
            ParsedValue::Int(number) => Some(i64::from(number)),
            ParsedValue::Long(number) => Some(number),
            _ => None,
        }
    }

    /// A switch; null is off.
    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.get(name), ParsedValue::Boolean(true))
    }

    /// A list; null is empty.
    pub fn list(&self, name: &str) -> &[String] {
        match self.get(name) {
            ParsedValue::List(items) => items,
            _ => &[],
        }
    }
}

/// Rows in the order in which they were defined.
#[derive(Clone, Debug, Default)]
pub struct ConfigDef {
    keys: Vec<ConfigKey>,
    groups: Vec<String>,
}

impl ConfigDef {
    /// Adds a row. Panics when the key has one already: that is a slip in the caller.
    #[must_use]
    pub fn define(mut self, key: ConfigKey) -> Self {
        assert!(self.key(&key.name).is_none(), "Configuration {} is defined twice.", key.name);
        if let Some(group) = &key.group
            && !self.groups.contains(group)
        {
            self.groups.push(group.clone());
        }
        self.keys.push(key);
        self
    }

    /// Adds the rows of another definition, without those that are here already.
    #[must_use]
    pub fn include(self, other: &ConfigDef) -> Self {
        other.keys.iter().fold(self, |def, key| match def.key(&key.name) {
            Some(_) => def,
            None => def.define(key.clone()),
        })
    }

    /// The rows, in order.
    pub fn keys(&self) -> &[ConfigKey] {
        &self.keys
    }

    /// The groups, in the order in which rows first named them.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The row of a key.
    pub fn key(&self, name: &str) -> Option<&ConfigKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Typed settings.
    ///
    /// # Errors
    /// Config, for the first row, in order, that is not satisfied.
    pub fn parse(&self, props: &Props) -> Result<ParsedConfig, ConnectError> {
        let mut parsed = ParsedConfig::default();
        for key in &self.keys {
            let value = match (props.get(&key.name), &key.default) {
                (Some(text), _) => parse_type(&key.name, text, key.kind),
                (None, Some(default)) => Ok(default.clone()),
                (None, None) => Err(key.missing()),
            };
            let value = value.and_then(|value| {
                key.validator
                    .as_ref()
                    .map_or(Ok(()), |validator| validator.ensure_valid(&key.name, &value))?;
                Ok(value)
            });
            parsed.0.insert(key.name.clone(), value.map_err(ConnectError::config)?);
        }
        Ok(parsed)
    }

    /// Every row's value and everything that is wrong with it, in the order of the rows. As in Kafka, a value
    /// that cannot be parsed is null from there on, and its validator is asked about null.
    pub fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        let mut parsed = ParsedConfig::default();
        let mut values = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let mut value = ConfigValue::new(&key.name, ParsedValue::Null);
            match (props.get(&key.name), &key.default) {
                (Some(text), _) => match parse_type(&key.name, text, key.kind) {
                    Ok(parsed) => value.value = parsed,
                    Err(error) => value.errors.push(error),
                },
                (None, Some(default)) => value.value = default.clone(),
                (None, None) => value.errors.push(key.missing()),
            }
            if let Some(validator) = &key.validator
                && let Err(error) = validator.ensure_valid(&key.name, &value.value)
            {
                value.errors.push(error);
            }
            parsed.0.insert(key.name.clone(), value.value.clone());
            values.push(value);
        }
        for (key, value) in self.keys.iter().zip(&mut values) {
            if let Some(recommender) = &key.recommender {
                value.recommended = recommender.valid_values(&key.name, &parsed);
                value.is_visible = recommender.is_visible(&key.name, &parsed);
            }
        }
        for name in self.undefined_dependents() {
            let mut value = ConfigValue::new(&name, ParsedValue::Null);
            value.errors.push(format!("{name} is referred in the dependents, but not defined."));
            value.is_visible = false;
            values.push(value);
        }
        values
    }

    fn undefined_dependents(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let dependents = self.keys.iter().flat_map(|key| &key.dependents);
        dependents.filter(|name| self.key(name).is_none() && seen.insert(*name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
