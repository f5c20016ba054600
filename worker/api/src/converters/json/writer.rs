//! Values to JSON, in Jackson's bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::NullHandling;
use super::number::append_integer;
use crate::schema::logical;
use crate::{BytesMut, ConnectError, Decimal, MapValue, Schema, SchemaType, Struct, Value, java_text};

/// How decimals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecimalFormat {
    Base64,
    Numeric,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    pub(super) decimals: DecimalFormat,
    pub(super) nulls: NullHandling,
}

impl Writer {
    pub(super) fn write(
        &self,
        schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<(), ConnectError> {
        let Some(schema) = schema else { return self.write_schemaless(value, out) };
        if value.is_null() {
            return self.write_null(schema, out);
        }
        if let Some(name) = schema.name()
            && let Some(result) = self.write_logical(schema, name, value, out)
        {
            return result;
        }
        match (schema.kind(), value) {
            (SchemaType::Struct, Value::Struct(structure)) => self.write_struct(schema, structure, out),
            (SchemaType::Array, Value::Array(items)) => self.write_array(schema.value_schema(), items, out),
            (SchemaType::Map, Value::Map(map)) => {
                let keys = schema.key_schema();
                let as_object = keys.is_some_and(|schema| schema.kind() == SchemaType::String);
                self.write_map(keys, schema.value_schema(), map, as_object, out)
            }
            (SchemaType::Int8, Value::Int8(_))
            | (SchemaType::Int16, Value::Int16(_))
            | (SchemaType::Int32, Value::Int32(_))
            | (SchemaType::Int64, Value::Int64(_))
            | (SchemaType::Float32, Value::Float32(_))
            | (SchemaType::Float64, Value::Float64(_))
            | (SchemaType::Boolean, Value::Boolean(_))
            | (SchemaType::String, Value::String(_))
            | (SchemaType::Bytes, Value::Bytes(_)) => self.write_schemaless(value, out),
            (kind, value) => {
                Err(ConnectError::data(format!("Invalid type for {kind}: class {}", value.java_class())))
            }
        }
    }

    fn write_null(&self, schema: &Schema, out: &mut BytesMut) -> Result<(), ConnectError> {
        match schema.default_value() {
            Some(default) if self.nulls == NullHandling::ReplaceWithDefault => {
                self.write(Some(schema), default, out)
            }
            _ if schema.is_optional() => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            _ => Err(ConnectError::data(
                "Conversion error: null value for field that is required and has no default value",
            )),
        }
    }

    /// `None` when the name is not that of a logical type.
    fn write_logical(
        &self,
        schema: &Schema,
        name: &str,
        value: &Value,
        out: &mut BytesMut,
    ) -> Option<Result<(), ConnectError>> {
        let mismatch = |logical: &str, expected: &str| {
            Err(ConnectError::data(format!(
                "Invalid type for {logical}, expected {expected} but was class {}",
                value.java_class()
            )))
        };
        Some(match (name, value) {
            (logical::DECIMAL, Value::Decimal(decimal)) => self.write_decimal(schema, decimal, out),
            (logical::DECIMAL, _) => mismatch("Decimal", "BigDecimal"),
            (logical::DATE, Value::Date(number)) | (logical::TIME, Value::Time(number)) => {
                append_integer(out, i64::from(*number));
                Ok(())
            }
            (logical::TIMESTAMP, Value::Timestamp(number)) => {
                append_integer(out, *number);
                Ok(())
            }
            (logical::DATE, _) => mismatch("Date", "Date"),
            (logical::TIME, _) => mismatch("Time", "Date"),
            (logical::TIMESTAMP, _) => mismatch("Timestamp", "Date"),
            _ => return None,
        })
    }

    fn write_decimal(
        &self,
        schema: &Schema,
        decimal: &Decimal,
        out: &mut BytesMut,
    ) -> Result<(), ConnectError> {
        if self.decimals == DecimalFormat::Numeric {
            out.extend_from_slice(decimal.to_string().as_bytes());
            return Ok(());
        }
        let scale = decimal_scale(schema)?;
        if decimal.scale != scale {
            return Err(ConnectError::data(format!(
                "Decimal value has mismatching scale for given Decimal schema. Schema has scale {scale}, value has \
                 scale {}.",
                decimal.scale
            )));
        }
        append_base64(out, &decimal.to_be_bytes());
        Ok(())
    }

    fn write_struct(
        &self,
        schema: &Schema,
        structure: &Struct,
        out: &mut BytesMut,
    ) -> Result<(), ConnectError> {
        if structure.schema() != schema {
            return Err(ConnectError::data("Mismatching schema."));
        }
        let mut separator: &[u8] = b"{";
        for (field, value) in schema.fields().iter().zip(structure.values()) {
            out.extend_from_slice(separator);
            append_string(out, &field.name);
            out.extend_from_slice(b":");
            self.write(Some(&field.schema), value, out)?;
            separator = b",";
        }
        out.extend_from_slice(if schema.fields().is_empty() { b"{}" } else { b"}" });
        Ok(())
    }

    fn write_array(
        &self,
        schema: Option<&Schema>,
        items: &[Value],
        out: &mut BytesMut,
    ) -> Result<(), ConnectError> {
        out.extend_from_slice(b"[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b",");
            }
            self.write(schema, item, out)?;
        }
        out.extend_from_slice(b"]");
        Ok(())
    }

    fn write_map(
        &self,
        keys: Option<&Schema>,
        values: Option<&Schema>,
        map: &MapValue,
        as_object: bool,
        out: &mut BytesMut,
    ) -> Result<(), ConnectError> {
        out.extend_from_slice(if as_object { b"{" } else { b"[" });
        for (index, (key, value)) in map.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b",");
            }
            if as_object {
                match key {
                    Value::String(text) => append_string(out, text),
                    Value::Null if keys.is_some_and(Schema::is_optional) => append_string(out, "null"),
                    _ => {
                        return Err(ConnectError::data(format!(
                            "Invalid type for STRING: {}",
                            key.java_class()
                        )));
                    }
                }
                out.extend_from_slice(b":");
                self.write(values, value, out)?;
            } else {
                out.extend_from_slice(b"[");
                self.write(keys, key, out)?;
                out.extend_from_slice(b",");
                self.write(values, value, out)?;
                out.extend_from_slice(b"]");
            }
        }
        out.extend_from_slice(if as_object { b"}" } else { b"]" });
        Ok(())
    }

    fn write_schemaless(&self, value: &Value, out: &mut BytesMut) -> Result<(), ConnectError> {
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::Int8(number) => append_integer(out, i64::from(*number)),
            Value::Int16(number) => append_integer(out, i64::from(*number)),
            Value::Int32(number) => append_integer(out, i64::from(*number)),
            Value::Int64(number) => append_integer(out, *number),
            Value::Float32(number) => append_float(out, number.is_finite(), &java_text::float(*number)),
            Value::Float64(number) => append_float(out, number.is_finite(), &java_text::double(*number)),
            Value::String(text) => append_string(out, text),
            Value::Bytes(bytes) => append_base64(out, bytes),
            Value::Array(items) => return self.write_array(None, items, out),
            Value::Map(map) => {
                let as_object = map.iter().all(|(key, _)| matches!(key, Value::String(_)));
                return self.write_map(None, None, map, as_object, out);
            }
            Value::Struct(structure) => return self.write_struct(structure.schema(), structure, out),
            Value::Decimal(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
                return Err(ConnectError::data(format!(
                    "Java class class {} does not have corresponding schema type.",
                    value.java_class()
                )));
            }
        }
        Ok(())
    }
}

/// The scale of Connect's decimal schema.
pub(super) fn decimal_scale(schema: &Schema) -> Result<i32, ConnectError> {
    let text = schema
        .parameter(logical::SCALE)
        .ok_or_else(|| ConnectError::data("Invalid Decimal schema: scale parameter not found."))?;
    text.parse().map_err(|error| {
        ConnectError::data("Invalid scale parameter found in Decimal schema: ").with_source(error)
    })
}

fn append_float(out: &mut BytesMut, is_finite: bool, text: &str) {
    // JSON has no NaN and no infinity: Jackson writes them as strings.
    let quote: &[u8] = if is_finite { b"" } else { b"\"" };
    out.extend_from_slice(quote);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(quote);
}

fn append_base64(out: &mut BytesMut, bytes: &[u8]) {
    out.extend_from_slice(b"\"");
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("the buffer has base64's exact length");
    out.extend_from_slice(b"\"");
}

/// A JSON string with Jackson's escapes: quote, backslash, control characters, and the two halves of what lies
/// beyond 16 bits.
pub(super) fn append_string(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.extend_from_slice(b"\"");
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        // From 0xf0 on a character has four bytes, and two units in UTF-16.
        if (0x20..0xf0).contains(&byte) && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[start..at]);
        start = at + 1;
        if byte >= 0xf0 {
            start = at + 4;
            for unit in text[at..start].encode_utf16() {
                out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
            }
            continue;
        }
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04X}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.extend_from_slice(b"\"");
}
