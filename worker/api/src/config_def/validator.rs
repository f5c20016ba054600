//! Conditions on single settings, with Kafka's texts.

use std::fmt;
use std::sync::Arc;

use super::ParsedValue;

/// A check of one's own: the error is the whole text.
type Check = dyn Fn(&str, &ParsedValue) -> Result<(), String> + Send + Sync;

/// A condition on one setting.
#[derive(Clone)]
pub enum Validator {
    /// A number within bounds, both included. Null is refused.
    Range {
        /// Lower bound.
        min: Option<f64>,
        /// Upper bound.
        max: Option<f64>,
    },
    /// One of these strings. Null is refused.
    OneOf(Vec<String>),
    /// One of these strings, in any case; shown in upper case. Null is refused.
    OneOfIgnoringCase(Vec<String>),
    /// Not the empty string; null is fine.
    NonEmptyString,
    /// Not the empty string, no control characters; null is fine.
    NonEmptyStringWithoutControlChars,
    /// Not null.
    NonNull,
    /// All of these, in order; the first that fails counts.
    All(Vec<Validator>),
    /// A check of one's own.
    Check(Arc<Check>),
}

impl Validator {
    /// A number of at least this.
    pub fn at_least(min: impl Into<f64>) -> Self {
        Self::Range { min: Some(min.into()), max: None }
    }

    /// One of these strings.
    pub fn one_of(values: &[&str]) -> Self {
        Self::OneOf(values.iter().map(|value| (*value).to_owned()).collect())
    }

    /// A check of one's own. The error is the whole text; [`Validator::invalid_value`] makes Kafka's form.
    pub fn check(check: impl Fn(&str, &ParsedValue) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self::Check(Arc::new(check))
    }

    /// `Invalid value V for configuration K: M`.
    pub fn invalid_value(name: &str, value: &dyn fmt::Display, message: &str) -> String {
        invalid_value(name, value, message)
    }

    /// Checks a value. The error is the whole text of the `ConfigException`.
    pub fn ensure_valid(&self, name: &str, value: &ParsedValue) -> Result<(), String> {
        let fail = |message: &str| Err(invalid_value(name, value, message));
        let text = match value {
            ParsedValue::String(text) | ParsedValue::Class(text) => Some(text.as_str()),
            _ => None,
        };
        match self {
            Self::Range { min, max } => {
                let number = match *value {
                    ParsedValue::Null => return fail("Value must be non-null"),
                    ParsedValue::Int(number) => f64::from(number),
                    ParsedValue::Short(number) => f64::from(number),
                    ParsedValue::Long(number) => number as f64,
                    ParsedValue::Double(number) => number,
                    _ => return Ok(()),
                };
                match (min, max) {
                    (Some(min), _) if number < *min => fail(&format!("Value must be at least {min}")),
                    (_, Some(max)) if number > *max => fail(&format!("Value must be no more than {max}")),
                    _ => Ok(()),
                }
            }
            Self::OneOf(values) => match text {
                Some(text) if values.iter().any(|value| value == text) => Ok(()),
                _ => fail(&format!("String must be one of: {}", values.join(", "))),
            },
            Self::OneOfIgnoringCase(values) => match text {
                Some(text) if values.iter().any(|value| value.eq_ignore_ascii_case(text)) => Ok(()),
                _ => {
                    let shown: Vec<_> = values.iter().map(|value| value.to_uppercase()).collect();
                    fail(&format!("String must be one of (case insensitive): {}", shown.join(", ")))
                }
            },
            Self::NonEmptyString if text == Some("") => fail("String must be non-empty"),
            Self::NonEmptyString => Ok(()),
            Self::NonEmptyStringWithoutControlChars => {
                let Some(text) = text else { return Ok(()) };
                if text.is_empty() {
                    return fail("String may not be empty");
                }
                let controls: Vec<_> =
                    text.chars().filter(|c| c.is_control()).map(|c| (c as u32).to_string()).collect();
                if controls.is_empty() {
                    return Ok(());
                }
                fail(&format!(
                    "String may not contain control sequences but had the following ASCII chars: {}",
                    controls.join(", ")
                ))
            }
            Self::NonNull if *value == ParsedValue::Null => fail("entry must be non null"),
            Self::NonNull => Ok(()),
            Self::All(validators) => {
                validators.iter().try_for_each(|validator| validator.ensure_valid(name, value))
            }
            Self::Check(check) => check(name, value),
        }
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

pub(super) fn invalid_value(name: &str, value: &dyn fmt::Display, message: &str) -> String {
    format!("Invalid value {value} for configuration {name}: {message}")
}
