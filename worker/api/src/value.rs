//! Values: what a record's key, value or header holds. Clones are cheap: text and bytes are shared slices.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::java_text;
use crate::schema::logical;
use crate::{ByteString, Bytes, ConnectError, Decimal, Schema, SchemaType};

/// A value of any Connect type. The logical types have variants of their own, as they have Java classes of
/// their own; `Date`, `Time` and `Timestamp` are all `java.util.Date` there.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the variants are Kafka's schema types and say what they are")]
pub enum Value {
    #[default]
    Null,
    Boolean(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(ByteString),
    Bytes(Bytes),
    Decimal(Arc<Decimal>),
    /// Days since the epoch.
    Date(i32),
    /// Milliseconds of the day.
    Time(i32),
    /// Milliseconds since the epoch.
    Timestamp(i64),
    Array(Values),
    Map(MapValue),
    Struct(Struct),
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<ByteString>) -> Self {
        Self::String(text.into())
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an integer value of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Int8(number) => Some(i64::from(number)),
            Self::Int16(number) => Some(i64::from(number)),
            Self::Int32(number) => Some(i64::from(number)),
            Self::Int64(number) => Some(number),
            _ => None,
        }
    }

    /// The value's Java class, as error texts name it.
    pub fn java_class(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "java.lang.Boolean",
            Self::Int8(_) => "java.lang.Byte",
            Self::Int16(_) => "java.lang.Short",
            Self::Int32(_) => "java.lang.Integer",
            Self::Int64(_) => "java.lang.Long",
            Self::Float32(_) => "java.lang.Float",
            Self::Float64(_) => "java.lang.Double",
            Self::String(_) => "java.lang.String",
            Self::Bytes(_) => "java.nio.HeapByteBuffer",
            Self::Decimal(_) => "java.math.BigDecimal",
            Self::Date(_) | Self::Time(_) | Self::Timestamp(_) => "java.util.Date",
            Self::Array(_) => "java.util.ArrayList",
            Self::Map(_) => "java.util.HashMap",
            Self::Struct(_) => "org.apache.kafka.connect.data.Struct",
        }
    }

    /// Checks the value against a schema, deeply.
    ///
    /// # Errors
    /// Data, with the text of Kafka's `ConnectSchema.validateValue`.
    pub fn conforms_to(&self, schema: &Schema) -> Result<(), ConnectError> {
        if self.is_null() {
            if schema.is_optional() {
                return Ok(());
            }
            return Err(ConnectError::data(format!(
                "Invalid value: null used for required field: \"null\", schema type: {}",
                schema.kind()
            )));
        }
        match (self, schema.kind()) {
            (Self::Array(items), SchemaType::Array) => match schema.value_schema() {
                Some(item) => items.iter().try_for_each(|value| value.conforms_to(item)),
                None => Ok(()),
            },
            (Self::Map(map), SchemaType::Map) => map.iter().try_for_each(|(key, value)| {
                schema.key_schema().map_or(Ok(()), |schema| key.conforms_to(schema))?;
                schema.value_schema().map_or(Ok(()), |schema| value.conforms_to(schema))
            }),
            (Self::Struct(structure), SchemaType::Struct) if structure.schema() == schema => Ok(()),
            (Self::Struct(_), SchemaType::Struct) => Err(ConnectError::data("Struct schemas do not match.")),
            _ if self.has_base_type(schema) => Ok(()),
            _ => Err(ConnectError::data(format!(
                "Invalid Java object for schema with type {}: class {} for field: \"null\"",
                schema.kind(),
                self.java_class()
            ))),
        }
    }

    fn has_base_type(&self, schema: &Schema) -> bool {
        let name = schema.name().map(|name| &**name);
        match (self, schema.kind()) {
            (Self::Decimal(_), SchemaType::Bytes) => name == Some(logical::DECIMAL),
            (Self::Date(_), SchemaType::Int32) => name == Some(logical::DATE),
            (Self::Time(_), SchemaType::Int32) => name == Some(logical::TIME),
            (Self::Timestamp(_), SchemaType::Int64) => name == Some(logical::TIMESTAMP),
            (Self::Int32(_), SchemaType::Int32) => !matches!(name, Some(logical::DATE | logical::TIME)),
            (Self::Int64(_), SchemaType::Int64) => name != Some(logical::TIMESTAMP),
            (Self::Bytes(_), SchemaType::Bytes) => name != Some(logical::DECIMAL),
            (Self::Boolean(_), SchemaType::Boolean)
            | (Self::Int8(_), SchemaType::Int8)
            | (Self::Int16(_), SchemaType::Int16)
            | (Self::Float32(_), SchemaType::Float32)
            | (Self::Float64(_), SchemaType::Float64)
            | (Self::String(_), SchemaType::String) => true,
            _ => false,
        }
    }
}

/// Java's `toString()` of the same value, as the file sink and the string converter write it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        java_text::write_value(f, self)
    }
}

/// Values in a row, shared: an array's items or a struct's members. Many structs of one batch can be slices of
/// one allocation ([`Values::slice`]).
#[derive(Clone)]
pub struct Values {
    items: Arc<[Value]>,
    start: u32,
    end: u32,
}

impl Values {
    /// A part of these values, sharing the allocation. Panics when the range is out of bounds, as slices do.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "slice of values out of bounds");
        let start = self.start + range.start as u32;
        Self { items: self.items.clone(), start, end: start + range.len() as u32 }
    }
}

impl From<Vec<Value>> for Values {
    fn from(items: Vec<Value>) -> Self {
        let end = u32::try_from(items.len()).expect("a value has less than four billion members");
        Self { items: items.into(), start: 0, end }
    }
}

impl std::ops::Deref for Values {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items[self.start as usize..self.end as usize]
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A map with keys of any type, in the order in which it was filled. Equality ignores the order.
#[derive(Clone, Debug, Default)]
pub struct MapValue(Arc<[(Value, Value)]>);

impl MapValue {
    /// The value of a key.
    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.0.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| value)
    }

    /// The value of a string key.
    pub fn get_str(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(candidate, _)| candidate.as_str() == Some(key)).map(|(_, value)| value)
    }
}

impl std::ops::Deref for MapValue {
    type Target = [(Value, Value)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Later entries of the same key win, in the place of the first.
impl FromIterator<(Value, Value)> for MapValue {
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> Self {
        let mut unique: Vec<(Value, Value)> = Vec::new();
        // Text -> its place: documents with many thousands of members stay quick.
        let mut texts: HashMap<ByteString, usize> = HashMap::new();
        for (key, value) in entries {
            let known = match &key {
                Value::String(text) if unique.len() >= FEW => {
                    if texts.is_empty() {
                        texts.extend(unique.iter().enumerate().filter_map(|(place, (key, _))| match key {
                            Value::String(text) => Some((text.clone(), place)),
                            _ => None,
                        }));
                    }
                    let place = texts.get(text).copied();
                    if place.is_none() {
                        texts.insert(text.clone(), unique.len());
                    }
                    place
                }
                key => unique.iter().position(|(known, _)| known == key),
            };
            match known {
                Some(place) => unique[place].1 = value,
                None => unique.push((key, value)),
            }
        }
        Self(unique.into())
    }
}

/// Up to here a list is searched faster than a hash table.
const FEW: usize = 16;

impl PartialEq for MapValue {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

/// A struct: one value per field of its schema, null for what is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    schema: Schema,
    values: Values,
}

impl Struct {
    /// A struct of values in the order of the schema's fields. Panics when the counts differ; the values
    /// themselves are checked by the converter that writes them.
    pub fn new(schema: Schema, values: Values) -> Self {
        assert_eq!(schema.fields().len(), values.len(), "a struct has one value per field");
        Self { schema, values }
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The values, in the order of the schema's fields.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.schema.field(field).map(|field| &self.values[field.index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_keep_the_last_value_in_the_first_place() {
        for count in [3, 15, 16, 17, 100] {
            let entries = (0..count).chain(0..count).enumerate();
            let map: MapValue =
                entries.map(|(at, key)| (Value::string(key.to_string()), Value::Int64(at as i64))).collect();
            let expected: Vec<_> =
                (0..count).map(|key| (Value::string(key.to_string()), Value::Int64(count + key))).collect();
            assert_eq!(*map, expected[..]);
        }
    }

    #[test]
    fn slices_share_and_keep_their_bounds() {
        let all = Values::from((0..6).map(Value::Int8).collect::<Vec<_>>());
        let part = all.slice(2..5).slice(1..3);
        assert_eq!(*part, [Value::Int8(3), Value::Int8(4)]);
        assert!(std::panic::catch_unwind(|| part.slice(0..3)).is_err());
    }

    #[test]
    fn values_are_checked_against_their_schema() {
        let check = |value: Value, schema: Schema, expected: Result<(), &str>| {
            let result = value.conforms_to(&schema).map_err(|error| error.to_string());
            assert_eq!(result, expected.map_err(str::to_owned));
        };
        let strings = Schema::array(Schema::string()).build();
        check(Value::Array(vec![Value::string("a")].into()), strings.clone(), Ok(()));
        check(
            Value::Array(vec![Value::Int8(1)].into()),
            strings,
            Err("Invalid Java object for schema with type STRING: class java.lang.Byte for field: \"null\""),
        );
        check(Value::Null, Schema::optional_string(), Ok(()));
        check(
            Value::Null,
            Schema::string(),
            Err("Invalid value: null used for required field: \"null\", schema type: STRING"),
        );
        check(Value::Date(1), Schema::date().build(), Ok(()));
        let message =
            "Invalid Java object for schema with type INT32: class java.lang.Integer for field: \"null\"";
        check(Value::Int32(1), Schema::date().build(), Err(message));
    }
}
