//! Kafka's parser of literals (`Values.parseString`): what a header's text means when nothing says its type.
//!
//! It follows Kafka's token by token, oddities included: `123,abc` is the number 123, `[1,null]` is a string.

mod temporal;
mod tokens;

use std::sync::Arc;

use num_bigint::BigInt;

use self::temporal::parse_temporal;
use self::tokens::Tokens;
use crate::schema::{Presence, logical};
use crate::{ByteString, Decimal, MapValue, Schema, SchemaAndValue, SchemaType, Value};

/// Deeper text is a string; it bounds the recursion.
const DEEPEST: usize = 500;
/// Longer numbers are strings: their conversion takes quadratic time.
const LONGEST_NUMBER: usize = 1000;

/// Not a value in this place: an enclosing array or map becomes a string.
struct NotAValue;

/// The schema and value of a text.
pub(super) fn parse(text: &ByteString) -> SchemaAndValue {
    let string = || SchemaAndValue { schema: Some(Schema::string()), value: Value::String(text.clone()) };
    if text.is_empty() {
        return string();
    }
    let mut parser = Parser { tokens: Tokens::new(text), depth: 0 };
    match parser.value(Place::Top) {
        Ok(Parsed::Value(parsed)) => parsed,
        Ok(Parsed::Null) => SchemaAndValue::default(),
        Ok(Parsed::Text) | Err(NotAValue) => string(),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Top,
    Embedded,
}

enum Parsed {
    Value(SchemaAndValue),
    Null,
    /// The whole text is a string.
    Text,
}

fn value(schema: Schema, value: Value) -> Parsed {
    Parsed::Value(SchemaAndValue { schema: Some(schema), value })
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    depth: usize,
}

impl Parser<'_> {
    fn value(&mut self, place: Place) -> Result<Parsed, NotAValue> {
        if !self.tokens.has_next() {
            return Ok(Parsed::Null);
        }
        if place == Place::Embedded && self.tokens.can_consume("\"") {
            return Ok(self.quoted());
        }
        if self.is_literal(place, "null") {
            return Ok(Parsed::Null);
        }
        for (word, truth) in [("true", true), ("false", false)] {
            if self.is_literal(place, word) {
                return Ok(value(
                    Schema::plain(SchemaType::Boolean, Presence::Required),
                    Value::Boolean(truth),
                ));
            }
        }
        let start = self.tokens.mark();
        self.depth += 1;
        let nested = match self.depth {
            DEEPEST.. => Some(Err(NotAValue)),
            _ if self.tokens.can_consume("[") => Some(self.array()),
            _ if self.tokens.can_consume("{") => Some(self.map()),
            _ => None,
        };
        self.depth -= 1;
        match nested {
            Some(Ok(nested)) => return Ok(nested),
            Some(Err(NotAValue)) => self.tokens.rewind(start),
            None => {}
        }
        let token = self.tokens.next();
        if java_trim(token).is_empty() {
            return Ok(value(Schema::string(), Value::string(token)));
        }
        self.simple(place, java_trim(token))
    }

    /// At the top a word counts only when nothing follows it.
    fn is_literal(&mut self, place: Place, word: &str) -> bool {
        let start = self.tokens.mark();
        if self.tokens.can_consume(word) && (place == Place::Embedded || !self.tokens.has_next()) {
            return true;
        }
        self.tokens.rewind(start);
        false
    }

    fn simple(&mut self, place: Place, token: &str) -> Result<Parsed, NotAValue> {
        let starts_with_digit = token.starts_with(|c: char| c.is_ascii_digit());
        if starts_with_digit && let Some((schema, temporal)) = self.temporal(token) {
            return Ok(value(schema, temporal));
        }
        if (starts_with_digit || token.starts_with(['+', '-']))
            && let Some((schema, number)) = number(token)
        {
            return Ok(value(schema, number));
        }
        if place == Place::Embedded { Err(NotAValue) } else { Ok(Parsed::Text) }
    }

    /// Times have colons, which are delimiters: such a literal is five tokens.
    fn temporal(&mut self, token: &str) -> Option<(Schema, Value)> {
        let start = self.tokens.mark();
        if let Some(rest) = self.tokens.next_four()
            && let Some(temporal) = parse_temporal(&format!("{token}{rest}"))
        {
            return Some(temporal);
        }
        self.tokens.rewind(start);
        parse_temporal(token)
    }

    fn quoted(&mut self) -> Parsed {
        let mut content = String::new();
        while self.tokens.has_next() {
            if self.tokens.can_consume("\"") {
                break;
            }
            content.push_str(self.tokens.next());
        }
        match parse_temporal(&content) {
            Some((schema, temporal)) => value(schema, temporal),
            None => value(Schema::string(), Value::string(content)),
        }
    }

    fn array(&mut self) -> Result<Parsed, NotAValue> {
        let (mut items, mut common) = (Vec::new(), Merger::default());
        while self.tokens.has_next() {
            if self.tokens.can_consume("]") {
                return Ok(match common.schema() {
                    Some(schema) => {
                        let items: Result<Vec<_>, _> =
                            items.into_iter().map(|item| align(schema, item)).collect();
                        value(Schema::array(schema.clone()).build(), Value::Array(items?.into()))
                    }
                    None => value(Schema::builder(SchemaType::Array).build(), Value::Array(items.into())),
                });
            }
            if self.tokens.can_consume(",") {
                return Err(NotAValue);
            }
            items.push(self.member(&mut common)?);
            let at = self.tokens.mark();
            if self.tokens.can_consume("]") {
                self.tokens.rewind(at);
            } else if !self.tokens.can_consume(",") {
                return Err(NotAValue);
            }
        }
        Err(NotAValue)
    }

    fn map(&mut self) -> Result<Parsed, NotAValue> {
        let (mut entries, mut keys, mut values) = (Vec::new(), Merger::default(), Merger::default());
        while self.tokens.has_next() {
            if self.tokens.can_consume("}") {
                let key_schema = keys.schema();
                let value_schema = key_schema.and_then(|_| values.schema());
                let entries: Result<MapValue, NotAValue> = entries
                    .into_iter()
                    .map(|(key, value)| {
                        Ok((
                            key_schema.map_or_else(
                                || Ok(Value::clone(&key)),
                                |schema| align(schema, key.clone()),
                            )?,
                            value_schema.map_or_else(
                                || Ok(Value::clone(&value)),
                                |schema| align(schema, value.clone()),
                            )?,
                        ))
                    })
                    .collect();
                let schema = Schema::partial_map(key_schema.cloned(), value_schema.cloned());
                return Ok(value(schema, Value::Map(entries?)));
            }
            if self.tokens.can_consume(",") {
                return Err(NotAValue);
            }
            let key = self.member(&mut keys)?;
            if key.is_null() || !self.tokens.can_consume(":") {
                return Err(NotAValue);
            }
            let value = self.member(&mut values)?;
            entries.push((key, value));
            self.tokens.can_consume(",");
        }
        Err(NotAValue)
    }

    fn member(&mut self, common: &mut Merger) -> Result<Value, NotAValue> {
        match self.value(Place::Embedded)? {
            Parsed::Value(parsed) => {
                common.merge(parsed.schema);
                Ok(parsed.value)
            }
            Parsed::Null => Ok(Value::Null),
            Parsed::Text => Err(NotAValue),
        }
    }
}

/// `String.trim()`.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// The smallest type that holds the number exactly, else a float, else a decimal.
fn number(token: &str) -> Option<(Schema, Value)> {
    if token.len() > LONGEST_NUMBER {
        return None;
    }
    let decimal = Decimal::parse(token)?;
    if let Some(whole) = whole_number(&decimal) {
        let plain = |kind| Schema::plain(kind, Presence::Required);
        return Some(if let Ok(number) = i8::try_from(whole) {
            (plain(SchemaType::Int8), Value::Int8(number))
        } else if let Ok(number) = i16::try_from(whole) {
            (plain(SchemaType::Int16), Value::Int16(number))
        } else if let Ok(number) = i32::try_from(whole) {
            (plain(SchemaType::Int32), Value::Int32(number))
        } else {
            (plain(SchemaType::Int64), Value::Int64(whole))
        });
    }
    if decimal.scale != 0 {
        let single = token.parse::<f32>().ok().filter(|number| number.is_finite());
        if let Some(number) = single {
            return Some((Schema::plain(SchemaType::Float32, Presence::Required), Value::Float32(number)));
        }
        let double = token.parse::<f64>().ok().filter(|number| number.is_finite());
        if let Some(number) = double {
            return Some((Schema::plain(SchemaType::Float64, Presence::Required), Value::Float64(number)));
        }
    }
    Some((Schema::decimal(decimal.scale).build(), Value::Decimal(Arc::new(decimal))))
}

/// The number, if it is whole and has 64 bits. Never expands an exponent that is out of reach anyway.
fn whole_number(decimal: &Decimal) -> Option<i64> {
    if decimal.unscaled == BigInt::ZERO {
        return Some(0);
    }
    let digits = decimal.unscaled.magnitude().to_string().len() as i64;
    if digits - i64::from(decimal.scale) > 19 || i64::from(decimal.scale) >= digits {
        return None;
    }
    let power = BigInt::from(10).pow(decimal.scale.unsigned_abs());
    if decimal.scale <= 0 {
        return i64::try_from(&decimal.unscaled * power).ok();
    }
    if &decimal.unscaled % &power == BigInt::ZERO {
        i64::try_from(&decimal.unscaled / power).ok()
    } else {
        None
    }
}

/// The schema that the values so far have in common.
#[derive(Default)]
struct Merger {
    common: Option<Schema>,
    is_hopeless: bool,
}

impl Merger {
    fn merge(&mut self, latest: Option<Schema>) {
        let Some(latest) = latest.filter(|_| !self.is_hopeless) else { return };
        self.common = match self.common.take() {
            None => Some(latest),
            Some(previous) => merged(previous, latest),
        };
        self.is_hopeless = self.common.is_none();
    }

    fn schema(&self) -> Option<&Schema> {
        self.common.as_ref()
    }
}

/// Of one type the later one; of two number types the wider one.
fn merged(previous: Schema, latest: Schema) -> Option<Schema> {
    let width = |schema: &Schema| {
        use SchemaType::{Float32, Float64, Int8, Int16, Int32, Int64};
        [Int8, Int16, Int32, Int64, Float32, Float64].iter().position(|kind| *kind == schema.kind())
    };
    if previous.kind() == latest.kind() {
        return Some(latest);
    }
    Some(if width(&previous)? > width(&latest)? { previous } else { latest })
}

/// A value in the common schema of its array or map.
fn align(schema: &Schema, value: Value) -> Result<Value, NotAValue> {
    let name = schema.name().map(|name| &**name);
    let number = match value {
        Value::Float32(number) => Some(f64::from(number)),
        Value::Float64(number) => Some(number),
        _ => value.as_i64().map(|number| number as f64),
    };
    match (schema.kind(), value.as_i64()) {
        _ if value.conforms_to(schema).is_ok() => Ok(value),
        (SchemaType::Int16, Some(whole)) => Ok(Value::Int16(whole as i16)),
        (SchemaType::Int32, Some(whole)) if name == Some(logical::DATE) => Ok(Value::Date(whole as i32)),
        (SchemaType::Int32, Some(whole)) if name == Some(logical::TIME) => Ok(Value::Time(whole as i32)),
        (SchemaType::Int64, Some(whole)) if name == Some(logical::TIMESTAMP) => Ok(Value::Timestamp(whole)),
        (SchemaType::Int32, Some(whole)) => Ok(Value::Int32(whole as i32)),
        (SchemaType::Int64, Some(whole)) => Ok(Value::Int64(whole)),
        (SchemaType::Float32, _) => number.map(|number| Value::Float32(number as f32)).ok_or(NotAValue),
        (SchemaType::Float64, _) => number.map(Value::Float64).ok_or(NotAValue),
        // Arrays and maps in arrays keep their own schemas' values.
        (SchemaType::Array, _) if matches!(value, Value::Array(_)) => Ok(value),
        (SchemaType::Map, _) if matches!(value, Value::Map(_)) => Ok(value),
        _ => Err(NotAValue),
    }
}

#[cfg(test)]
mod tests;
