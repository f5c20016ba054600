//! The types of settings and their parsed values.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::validator::invalid_value;

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are Kafka's `ConfigDef.Type` and say what they are")]
pub enum Type {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    /// A class name; whether the class exists is the business of a validator.
    Class,
    Password,
}

/// `BOOLEAN`, `STRING`, ….
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        })
    }
}

/// A setting's value, typed.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the variants mirror `Type`")]
pub enum ParsedValue {
    Null,
    Boolean(bool),
    String(String),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    List(Vec<String>),
    Class(String),
    Password(SecretString),
}

impl ParsedValue {
    /// The text in REST answers: null for null, lists joined with commas, passwords hidden.
    pub fn to_config_string(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::List(items) => Some(items.join(",")),
            other => Some(other.to_string()),
        }
    }
}

/// Java's `toString()`, as error texts show the value. Passwords are `[hidden]`.
impl fmt::Display for ParsedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::String(value) | Self::Class(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Short(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::Double(value) => f.write_str(&crate::java_text::double(*value)),
            Self::List(items) => write!(f, "[{}]", items.join(", ")),
            Self::Password(_) => f.write_str("[hidden]"),
        }
    }
}

impl PartialEq for ParsedValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::String(a), Self::String(b)) | (Self::Class(a), Self::Class(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Short(a), Self::Short(b)) => a == b,
            (Self::Long(a), Self::Long(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Password(a), Self::Password(b)) => a.expose_secret() == b.expose_secret(),
            _ => false,
        }
    }
}

impl From<bool> for ParsedValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for ParsedValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<i32> for ParsedValue {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl From<i16> for ParsedValue {
    fn from(value: i16) -> Self {
        Self::Short(value)
    }
}

impl From<i64> for ParsedValue {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}

/// Kafka's `ConfigDef.parseType`. The error is the whole text of the `ConfigException`; a password's never
/// holds it.
pub(super) fn parse_type(name: &str, text: &str, kind: Type) -> Result<ParsedValue, String> {
    let trimmed = java_trim(text);
    let not_a_number = || invalid_value(name, &text, &format!("Not a number of type {kind}"));
    Ok(match kind {
        Type::Boolean if trimmed.eq_ignore_ascii_case("true") => ParsedValue::Boolean(true),
        Type::Boolean if trimmed.eq_ignore_ascii_case("false") => ParsedValue::Boolean(false),
        Type::Boolean => return Err(invalid_value(name, &text, "Expected value to be either true or false")),
        Type::String => ParsedValue::String(trimmed.to_owned()),
        Type::Class => ParsedValue::Class(trimmed.to_owned()),
        Type::Password => ParsedValue::Password(trimmed.into()),
        Type::Int => ParsedValue::Int(trimmed.parse().map_err(|_| not_a_number())?),
        Type::Short => ParsedValue::Short(trimmed.parse().map_err(|_| not_a_number())?),
        Type::Long => ParsedValue::Long(trimmed.parse().map_err(|_| not_a_number())?),
        Type::Double => ParsedValue::Double(parse_double(trimmed).ok_or_else(not_a_number)?),
        Type::List if trimmed.is_empty() => ParsedValue::List(Vec::new()),
        Type::List => ParsedValue::List(
            trimmed.split(',').map(|item| item.trim_matches(is_regex_space).to_owned()).collect(),
        ),
    })
}

/// `String.trim()`: everything up to the space goes.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// `\s` of Java's regular expressions.
fn is_regex_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// `Double.parseDouble` on trimmed text: Rust's syntax, but with Java's spellings of the special values and an
/// optional type suffix.
fn parse_double(text: &str) -> Option<f64> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match magnitude {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = magnitude.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(magnitude);
    let first = digits.bytes().next()?;
    if !first.is_ascii_digit() && first != b'.' {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}
