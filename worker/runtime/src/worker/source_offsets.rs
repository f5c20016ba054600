//! Source partitions and offsets between the values that connectors see and the JSON that is stored.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect_api::{ConnectError, OffsetMap, OffsetStorageReader, Value};
use serde_json::{Number, Value as Json};

use crate::names::ConnectorName;
use crate::storage::offset_store::{OffsetStore, SourceMap};

/// The stored offsets of one connector.
pub(crate) struct StoredOffsets {
    pub(crate) connector: ConnectorName,
    pub(crate) store: OffsetStore,
}

#[async_trait]
impl OffsetStorageReader for StoredOffsets {
    async fn offsets(&self, partitions: &[OffsetMap]) -> Result<Vec<Option<OffsetMap>>, ConnectError> {
        let partitions = partitions.iter().map(to_json).collect::<Result<Vec<_>, _>>()?;
        let stored = self.store.get(&self.connector, &partitions).await;
        let stored = stored.map_err(|e| ConnectError::connect("Failed to fetch offsets.").with_source(e))?;
        Ok(stored.into_iter().map(|map| map.as_ref().map(from_json)).collect())
    }
}

impl StoredOffsets {
    pub(crate) fn reader(connector: &ConnectorName, store: &OffsetStore) -> Arc<dyn OffsetStorageReader> {
        Arc::new(Self { connector: connector.clone(), store: store.clone() })
    }
}

/// Errors: a value that is not primitive.
pub(crate) fn to_json(map: &OffsetMap) -> Result<SourceMap, ConnectError> {
    map.iter().map(|(name, value)| Ok((name.to_string(), primitive(value)?))).collect()
}

fn primitive(value: &Value) -> Result<Json, ConnectError> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::String(text) => Json::String(text.to_string()),
        Value::Bytes(bytes) => Json::String(STANDARD.encode(bytes)),
        Value::Float32(number) => Number::from_f64(f64::from(*number)).map_or(Json::Null, Json::Number),
        Value::Float64(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        other => match other.as_i64() {
            Some(number) => Json::Number(number.into()),
            None => {
                return Err(ConnectError::data(
                    "Invalid type for partition or offset: only primitive values are supported",
                ));
            }
        },
    })
}

fn from_json(map: &SourceMap) -> OffsetMap {
    map.iter().map(|(name, value)| (name.clone(), from_primitive(value))).collect()
}

/// As the JVM reads them back: whole numbers are 64 bits wide, others doubles.
fn from_primitive(json: &Json) -> Value {
    match json {
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::String(text) => Value::string(text.clone()),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int64(whole),
            None => number.as_f64().map_or(Value::Null, Value::Float64),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back_as_64_bits() {
        let map =
            OffsetMap::from([("a", Value::Int32(1)), ("b", Value::string("x")), ("c", Value::Float32(0.5))]);
        let json = to_json(&map).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), r#"{"a":1,"b":"x","c":0.5}"#);
        let back = from_json(&json);
        assert_eq!(back.get("a"), Some(&Value::Int64(1)));
        assert_eq!(back.get("c"), Some(&Value::Float64(0.5)));
    }
}
