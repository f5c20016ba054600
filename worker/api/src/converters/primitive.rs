//! `org.apache.kafka.connect.converters`: bytes as they are, booleans, and big-endian numbers.

use std::sync::LazyLock;

use super::{configuration, parse_configuration};
use crate::schema::Presence;
use crate::{
    ByteString, Bytes, BytesMut, ConfigDef, ConnectError, Converter, ConverterKind, Encoded, HeaderConverter,
    Props, Schema, SchemaAndValue, SchemaType, Value,
};

static CONFIG: LazyLock<ConfigDef> = LazyLock::new(configuration);

/// Converts values of exactly one primitive type.
#[derive(Debug)]
pub struct PrimitiveConverter {
    kind: SchemaType,
    /// Kafka's name of the type in error texts.
    name: &'static str,
    schema: Schema,
}

impl PrimitiveConverter {
    fn new(kind: SchemaType, name: &'static str) -> Self {
        Self { kind, name, schema: Schema::plain(kind, Presence::Optional) }
    }

    /// `ByteArrayConverter`.
    pub fn byte_array() -> Self {
        Self::new(SchemaType::Bytes, "ByteArrayConverter")
    }

    /// `BooleanConverter`: one byte, 0 or 1.
    pub fn boolean() -> Self {
        Self::new(SchemaType::Boolean, "BooleanConverter")
    }

    /// `ShortConverter`: 2 bytes.
    pub fn short() -> Self {
        Self::new(SchemaType::Int16, "short")
    }

    /// `IntegerConverter`: 4 bytes.
    pub fn integer() -> Self {
        Self::new(SchemaType::Int32, "integer")
    }

    /// `LongConverter`: 8 bytes.
    pub fn long() -> Self {
        Self::new(SchemaType::Int64, "long")
    }

    /// `FloatConverter`: 4 bytes.
    pub fn float() -> Self {
        Self::new(SchemaType::Float32, "float")
    }

    /// `DoubleConverter`: 8 bytes.
    pub fn double() -> Self {
        Self::new(SchemaType::Float64, "double")
    }

    fn is_number(&self) -> bool {
        !matches!(self.kind, SchemaType::Bytes | SchemaType::Boolean)
    }

    fn write(
        &self,
        schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError> {
        // Java's number converters look at the value alone.
        if let Some(schema) = schema.filter(|schema| !self.is_number() && schema.kind() != self.kind) {
            return Err(ConnectError::data(format!(
                "Invalid schema type for {}: {}",
                self.name,
                schema.kind()
            )));
        }
        match (self.kind, value) {
            (_, Value::Null) => return Ok(Encoded::Null),
            (SchemaType::Bytes, Value::Bytes(bytes)) => out.extend_from_slice(bytes),
            (SchemaType::Boolean, Value::Boolean(value)) => out.extend_from_slice(&[u8::from(*value)]),
            (SchemaType::Int16, Value::Int16(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (SchemaType::Int32, Value::Int32(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (SchemaType::Int64, Value::Int64(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (SchemaType::Float32, Value::Float32(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (SchemaType::Float64, Value::Float64(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (_, value) => {
                let class = value.java_class();
                return Err(ConnectError::data(if self.is_number() {
                    format!("Failed to serialize to {} (was class {class}): ", self.name)
                } else {
                    format!("{} is not compatible with objects of type class {class}", self.name)
                }));
            }
        }
        Ok(Encoded::Appended)
    }

    fn read(&self, data: Option<&Bytes>) -> Result<SchemaAndValue, ConnectError> {
        let value = match data {
            None => Value::Null,
            Some(data) => self.read_bytes(data).ok_or_else(|| {
                let name = if self.kind == SchemaType::Boolean { "boolean" } else { self.name };
                let found = ConnectError::data(format!("{} bytes were received", data.len()));
                ConnectError::data(format!("Failed to deserialize {name}: ")).with_source(found)
            })?,
        };
        Ok(SchemaAndValue { schema: Some(self.schema.clone()), value })
    }

    fn read_bytes(&self, data: &Bytes) -> Option<Value> {
        let bytes: &[u8] = data;
        Some(match self.kind {
            SchemaType::Bytes => Value::Bytes(data.clone()),
            SchemaType::Boolean => match bytes {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                _ => return None,
            },
            SchemaType::Int16 => Value::Int16(i16::from_be_bytes(bytes.try_into().ok()?)),
            SchemaType::Int32 => Value::Int32(i32::from_be_bytes(bytes.try_into().ok()?)),
            SchemaType::Int64 => Value::Int64(i64::from_be_bytes(bytes.try_into().ok()?)),
            SchemaType::Float32 => Value::Float32(f32::from_be_bytes(bytes.try_into().ok()?)),
            SchemaType::Float64 => Value::Float64(f64::from_be_bytes(bytes.try_into().ok()?)),
            _ => return None,
        })
    }
}

impl Converter for PrimitiveConverter {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    fn configure(&mut self, props: &Props, kind: ConverterKind) -> Result<(), ConnectError> {
        parse_configuration(&CONFIG, props, kind).map(drop)
    }

    fn from_connect_data(
        &mut self,
        _topic: &str,
        schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError> {
        self.write(schema, value, out)
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        data: Option<&Bytes>,
    ) -> Result<SchemaAndValue, ConnectError> {
        self.read(data)
    }
}

impl HeaderConverter for PrimitiveConverter {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    fn configure(&mut self, props: &Props) -> Result<(), ConnectError> {
        parse_configuration(&CONFIG, props, ConverterKind::Header).map(drop)
    }

    fn from_connect_header(
        &mut self,
        _topic: &str,
        _key: &ByteString,
        schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError> {
        self.write(schema, value, out)
    }

    fn to_connect_header(
        &mut self,
        _topic: &str,
        _key: &ByteString,
        data: Option<&Bytes>,
    ) -> Result<SchemaAndValue, ConnectError> {
        self.read(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(
        converter: &PrimitiveConverter,
        schema: Option<&Schema>,
        value: &Value,
    ) -> Result<Vec<u8>, String> {
        let mut out = BytesMut::new();
        converter.write(schema, value, &mut out).map(|_| out.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn values_survive_in_their_bytes() {
        for (converter, value, bytes) in [
            (PrimitiveConverter::byte_array(), Value::Bytes(Bytes::from_static(b"\xff\0")), &b"\xff\0"[..]),
            (PrimitiveConverter::boolean(), Value::Boolean(true), &[1]),
            (PrimitiveConverter::short(), Value::Int16(-2), &[0xff, 0xfe]),
            (PrimitiveConverter::integer(), Value::Int32(258), &[0, 0, 1, 2]),
            (PrimitiveConverter::long(), Value::Int64(1), &[0, 0, 0, 0, 0, 0, 0, 1]),
            (PrimitiveConverter::float(), Value::Float32(1.0), &[0x3f, 0x80, 0, 0]),
            (PrimitiveConverter::double(), Value::Float64(-2.0), &[0xc0, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(write(&converter, None, &value), Ok(bytes.to_vec()));
            let read = converter.read(Some(&Bytes::copy_from_slice(bytes))).expect("what was written");
            assert_eq!((read.value, read.schema), (value, Some(converter.schema.clone())));
            assert_eq!(converter.read(None).expect("null").value, Value::Null);
            let long = converter.read(Some(&Bytes::from_static(&[7; 9])));
            assert_eq!(long.is_err(), converter.kind != SchemaType::Bytes);
        }
    }

    #[test]
    fn other_types_are_refused_in_kafkas_words() {
        let text = Value::string("x");
        assert_eq!(
            write(&PrimitiveConverter::long(), None, &text),
            Err("Failed to serialize to long (was class java.lang.String): ".to_owned())
        );
        assert_eq!(
            write(&PrimitiveConverter::byte_array(), Some(&Schema::string()), &text),
            Err("Invalid schema type for ByteArrayConverter: STRING".to_owned())
        );
        assert_eq!(
            write(&PrimitiveConverter::boolean(), None, &text),
            Err("BooleanConverter is not compatible with objects of type class java.lang.String".to_owned())
        );
    }
}
