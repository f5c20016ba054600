//! JSON to values, with Jackson's and `JsonConverter`'s leniency.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::NullHandling;
use super::parser::Json;
use super::writer::decimal_scale;
use crate::schema::logical;
use crate::{ByteString, Bytes, ConnectError, Decimal, MapValue, Schema, SchemaType, Struct, Value};

pub(super) struct Reader<'a> {
    /// The document: strings without escapes become slices of it.
    pub(super) text: &'a ByteString,
    pub(super) nulls: NullHandling,
}

impl Reader<'_> {
    /// The value of a JSON node; `None` is an absent one.
    pub(super) fn read(
        &self,
        schema: Option<&Schema>,
        json: Option<&Json<'_>>,
    ) -> Result<Value, ConnectError> {
        let Some(schema) = schema else { return Ok(self.read_schemaless(json.unwrap_or(&Json::Null))) };
        let json = match json {
            None | Some(Json::Null) => return self.read_null(schema),
            Some(json) => json,
        };
        match schema.name().map(|name| &**name) {
            Some(logical::DECIMAL) => return read_decimal(schema, json),
            Some(logical::DATE) => return read_day_or_time(json, "Date", Value::Date),
            Some(logical::TIME) => return read_day_or_time(json, "Time", Value::Time),
            Some(logical::TIMESTAMP) => return read_timestamp(json),
            _ => {}
        }
        Ok(match schema.kind() {
            SchemaType::Boolean => Value::Boolean(*json == Json::Boolean(true)),
            // Narrowing takes the low bits, as Java's casts do.
            SchemaType::Int8 => Value::Int8(integer(json) as i8),
            SchemaType::Int16 => Value::Int16(integer(json) as i16),
            SchemaType::Int32 => Value::Int32(integer(json) as i32),
            SchemaType::Int64 => Value::Int64(integer(json)),
            SchemaType::Float32 => {
                Value::Float32(if let Json::Number(number) = json { number.to_f32() } else { 0.0 })
            }
            SchemaType::Float64 => {
                Value::Float64(if let Json::Number(number) = json { number.to_f64() } else { 0.0 })
            }
            SchemaType::String => match json {
                Json::String(text) => self.string(text),
                _ => Value::Null,
            },
            SchemaType::Bytes => match json {
                Json::String(text) => Value::Bytes(
                    base64(text)
                        .map_err(|error| ConnectError::data("Invalid bytes field").with_source(error))?,
                ),
                _ => Value::Null,
            },
            SchemaType::Array => {
                let item = |json| self.read(schema.value_schema(), Some(json));
                let items: Result<Vec<_>, _> = match json {
                    Json::Array(items) => items.iter().map(item).collect(),
                    Json::Object(members) => members.iter().map(|(_, json)| item(json)).collect(),
                    _ => Ok(Vec::new()),
                };
                Value::Array(items?.into())
            }
            SchemaType::Map => self.read_map(schema, json)?,
            SchemaType::Struct => self.read_struct(schema, json)?,
        })
    }

    fn read_null(&self, schema: &Schema) -> Result<Value, ConnectError> {
        match schema.default_value() {
            Some(default) if self.nulls == NullHandling::ReplaceWithDefault => Ok(default.clone()),
            _ if schema.is_optional() => Ok(Value::Null),
            _ => Err(ConnectError::data(format!("Invalid null value for required {} field", schema.kind()))),
        }
    }

    fn read_map(&self, schema: &Schema, json: &Json<'_>) -> Result<Value, ConnectError> {
        let (keys, values) = (schema.key_schema(), schema.value_schema());
        let has_string_keys = keys.is_none_or(|keys| keys.kind() == SchemaType::String);
        let entries: Result<MapValue, ConnectError> = match json {
            Json::Object(members) if has_string_keys => members
                .iter()
                .map(|(key, value)| Ok((self.string(key), self.read(values, Some(value))?)))
                .collect(),
            _ if has_string_keys => Err(ConnectError::data(format!(
                "Maps with string fields should be encoded as JSON objects, but found {}",
                json.node_type()
            ))),
            Json::Array(entries) => entries
                .iter()
                .map(|entry| match entry {
                    Json::Array(pair) if pair.len() == 2 => {
                        Ok((self.read(keys, Some(&pair[0]))?, self.read(values, Some(&pair[1]))?))
                    }
                    Json::Array(pair) => Err(ConnectError::data(format!(
                        "Found invalid map entry, expected length 2 but found :{}",
                        pair.len()
                    ))),
                    other => Err(ConnectError::data(format!(
                        "Found invalid map entry instead of array tuple: {}",
                        other.node_type()
                    ))),
                })
                .collect(),
            _ => Err(ConnectError::data(format!(
                "Maps with non-string fields should be encoded as JSON array of tuples, but found {}",
                json.node_type()
            ))),
        };
        entries.map(Value::Map)
    }

    fn read_struct(&self, schema: &Schema, json: &Json<'_>) -> Result<Value, ConnectError> {
        let Json::Object(members) = json else {
            return Err(ConnectError::data(format!(
                "Structs should be encoded as JSON objects, but found {}",
                json.node_type()
            )));
        };
        let mut values = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            // Members mostly come in the schema's order.
            let member = match members.get(index) {
                Some((name, value)) if **name == *field.name && members.len() == schema.fields().len() => {
                    Some(value)
                }
                _ => json.get(&field.name),
            };
            let value = self.read(Some(&field.schema), member)?;
            if value.is_null() && !field.schema.is_optional() {
                return Err(ConnectError::data(format!(
                    "Invalid value: null used for required field: \"{}\", schema type: {}",
                    field.name,
                    field.schema.kind()
                )));
            }
            values.push(value);
        }
        Ok(Value::Struct(Struct::new(schema.clone(), values.into())))
    }

    fn read_schemaless(&self, json: &Json<'_>) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Boolean(value) => Value::Boolean(*value),
            Json::Number(number) if number.is_integral() => Value::Int64(number.to_i64()),
            Json::Number(number) => Value::Float64(number.to_f64()),
            Json::String(text) => self.string(text),
            Json::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.read_schemaless(item)).collect();
                Value::Array(items.into())
            }
            Json::Object(members) => {
                let entries =
                    members.iter().map(|(key, value)| (self.string(key), self.read_schemaless(value)));
                Value::Map(entries.collect())
            }
        }
    }

    #[expect(clippy::ptr_arg, reason = "a borrowed text is a slice of the document, an owned one is not")]
    fn string(&self, text: &Cow<'_, str>) -> Value {
        Value::String(match text {
            Cow::Borrowed(slice) => self.text.slice_ref(slice),
            Cow::Owned(text) => ByteString::from(text.as_str()),
        })
    }
}

/// `longValue()` of any node: what is no number is 0.
fn integer(json: &Json<'_>) -> i64 {
    if let Json::Number(number) = json { number.to_i64() } else { 0 }
}

fn base64(text: &str) -> Result<Bytes, base64::DecodeError> {
    STANDARD.decode(text).map(Bytes::from)
}

fn read_decimal(schema: &Schema, json: &Json<'_>) -> Result<Value, ConnectError> {
    let invalid = || ConnectError::data("Invalid bytes for Decimal field");
    let decimal = match json {
        Json::Number(number) => number.to_decimal().ok_or_else(invalid)?,
        Json::String(text) => {
            let bytes = base64(text).map_err(|error| invalid().with_source(error))?;
            Decimal::from_be_bytes(&bytes, decimal_scale(schema)?)
        }
        other => {
            return Err(ConnectError::data(format!(
                "Invalid type for Decimal, underlying representation should be numeric or bytes but was {}",
                other.node_type()
            )));
        }
    };
    Ok(Value::Decimal(Arc::new(decimal)))
}

fn read_day_or_time(json: &Json<'_>, name: &str, value: fn(i32) -> Value) -> Result<Value, ConnectError> {
    if let Json::Number(number) = json
        && let Some(number) = number.as_int()
    {
        return Ok(value(number));
    }
    Err(ConnectError::data(format!(
        "Invalid type for {name}, underlying representation should be integer but was {}",
        json.node_type()
    )))
}

fn read_timestamp(json: &Json<'_>) -> Result<Value, ConnectError> {
    match json {
        Json::Number(number) if number.is_integral() => Ok(Value::Timestamp(number.to_i64())),
        other => Err(ConnectError::data(format!(
            "Invalid type for Timestamp, underlying representation should be integral but was {}",
            other.node_type()
        ))),
    }
}
