//! JSON constants (options, defaults) as values of a schema.

use connect_api::schema::logical;
use connect_api::{Bytes, MapValue, Schema, SchemaType, Struct, Value};
use serde_json::Value as Json;

use super::Problem;

/// The value that a JSON constant means for a schema.
pub(super) fn read(schema: &Schema, json: &Json) -> Result<Value, Problem> {
    let mismatch = || format!("{json} is not a value of type {}", schema.kind());
    if json.is_null() && schema.is_optional() {
        return Ok(Value::Null);
    }
    let integer = || json.as_i64().ok_or_else(mismatch);
    Ok(match (schema.kind(), schema.name().map(|name| &**name)) {
        (SchemaType::Int32, name) => {
            let number = integer()?.try_into().map_err(|_| mismatch())?;
            match name {
                Some(logical::DATE) => Value::Date(number),
                Some(logical::TIME) => Value::Time(number),
                _ => Value::Int32(number),
            }
        }
        (SchemaType::Int64, Some(logical::TIMESTAMP)) => Value::Timestamp(integer()?),
        (SchemaType::Int64, _) => Value::Int64(integer()?),
        (SchemaType::Float32, _) => Value::Float32(json.as_f64().ok_or_else(mismatch)? as f32),
        (SchemaType::Float64, _) => Value::Float64(json.as_f64().ok_or_else(mismatch)?),
        (SchemaType::Boolean, _) => Value::Boolean(json.as_bool().ok_or_else(mismatch)?),
        (SchemaType::String, _) => Value::string(json.as_str().ok_or_else(mismatch)?),
        (SchemaType::Bytes, _) => {
            Value::Bytes(Bytes::copy_from_slice(json.as_str().ok_or_else(mismatch)?.as_bytes()))
        }
        (SchemaType::Array, _) => {
            let item = schema.value_schema().ok_or_else(mismatch)?;
            let items = json.as_array().ok_or_else(mismatch)?;
            let items: Result<Vec<_>, _> = items.iter().map(|json| read(item, json)).collect();
            Value::Array(items?.into())
        }
        (SchemaType::Map, _) => {
            let value = schema.value_schema().ok_or_else(mismatch)?;
            let members = json.as_object().ok_or_else(mismatch)?;
            let entries: Result<MapValue, Problem> = members
                .iter()
                .map(|(key, json)| Ok((Value::string(key.as_str()), read(value, json)?)))
                .collect();
            Value::Map(entries?)
        }
        (SchemaType::Struct, _) => {
            let members = json.as_object().ok_or_else(mismatch)?;
            let values: Result<Vec<_>, _> = schema
                .fields()
                .iter()
                .map(|field| match (members.get(&*field.name), field.schema.default_value()) {
                    (Some(json), _) => read(&field.schema, json),
                    (None, Some(default)) => Ok(default.clone()),
                    (None, None) => Err(format!("{json} has no {}, which has no default", field.name)),
                })
                .collect();
            Value::Struct(Struct::new(schema.clone(), values?.into()))
        }
        (SchemaType::Int8 | SchemaType::Int16, _) => return Err(mismatch()),
    })
}
