//! Schemas as JSON: what stands under `schema` in the envelope.

use super::number::append_integer;
use super::parser::Json;
use super::reader::Reader;
use super::writer::{Writer, append_string};
use crate::{ByteString, BytesMut, ConnectError, Schema, SchemaType, Value};

/// Appends a schema's JSON. Members are in Kafka's order.
pub(super) fn write(writer: &Writer, schema: &Schema, out: &mut BytesMut) -> Result<(), ConnectError> {
    write_member(writer, schema, None, out)
}

/// A struct's members carry their name as the last member of their schema.
fn write_member(
    writer: &Writer,
    schema: &Schema,
    field: Option<&str>,
    out: &mut BytesMut,
) -> Result<(), ConnectError> {
    out.extend_from_slice(b"{\"type\":");
    append_string(out, schema.kind().json_name());
    match schema.kind() {
        SchemaType::Array => write_part(writer, "items", schema.value_schema(), out)?,
        SchemaType::Map => {
            write_part(writer, "keys", schema.key_schema(), out)?;
            write_part(writer, "values", schema.value_schema(), out)?;
        }
        SchemaType::Struct => {
            out.extend_from_slice(b",\"fields\":[");
            for field in schema.fields() {
                if field.index > 0 {
                    out.extend_from_slice(b",");
                }
                write_member(writer, &field.schema, Some(&field.name), out)?;
            }
            out.extend_from_slice(b"]");
        }
        _ => {}
    }
    out.extend_from_slice(if schema.is_optional() { b",\"optional\":true" } else { b",\"optional\":false" });
    if let Some(name) = schema.name() {
        out.extend_from_slice(b",\"name\":");
        append_string(out, name);
    }
    if let Some(version) = schema.version() {
        out.extend_from_slice(b",\"version\":");
        append_integer(out, i64::from(version));
    }
    if let Some(doc) = schema.doc() {
        out.extend_from_slice(b",\"doc\":");
        append_string(out, doc);
    }
    if !schema.parameters().is_empty() {
        out.extend_from_slice(b",\"parameters\":");
        for (index, (name, value)) in schema.parameters().iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"{" } else { b"," });
            append_string(out, name);
            out.extend_from_slice(b":");
            append_string(out, value);
        }
        out.extend_from_slice(b"}");
    }
    if let Some(default) = schema.default_value() {
        out.extend_from_slice(b",\"default\":");
        writer.write(Some(schema), default, out)?;
    }
    if let Some(field) = field {
        out.extend_from_slice(b",\"field\":");
        append_string(out, field);
    }
    out.extend_from_slice(b"}");
    Ok(())
}

fn write_part(
    writer: &Writer,
    name: &str,
    schema: Option<&Schema>,
    out: &mut BytesMut,
) -> Result<(), ConnectError> {
    out.extend_from_slice(b",");
    append_string(out, name);
    out.extend_from_slice(b":");
    match schema {
        Some(schema) => write(writer, schema, out),
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}

/// The schema that a JSON node describes; JSON's null is no schema.
pub(super) fn read(reader: &Reader<'_>, json: &Json<'_>) -> Result<Option<Schema>, ConnectError> {
    if *json == Json::Null {
        return Ok(None);
    }
    let Some(Json::String(kind)) = json.get("type") else {
        return Err(ConnectError::data("Schema must contain 'type' field"));
    };
    let mut builder = match &**kind {
        "boolean" => Schema::builder(SchemaType::Boolean),
        "int8" => Schema::builder(SchemaType::Int8),
        "int16" => Schema::builder(SchemaType::Int16),
        "int32" => Schema::builder(SchemaType::Int32),
        "int64" => Schema::builder(SchemaType::Int64),
        "float" => Schema::builder(SchemaType::Float32),
        "double" => Schema::builder(SchemaType::Float64),
        "bytes" => Schema::builder(SchemaType::Bytes),
        "string" => Schema::builder(SchemaType::String),
        "array" => Schema::array(read_part(
            reader,
            json.get("items"),
            "Array schema did not specify the element type",
        )?),
        "map" => Schema::map(
            read_part(reader, json.get("keys"), "Map schema did not specify the key type")?,
            read_part(reader, json.get("values"), "Map schema did not specify the value type")?,
        ),
        "struct" => {
            let Some(Json::Array(fields)) = json.get("fields") else {
                return Err(ConnectError::data("Struct schema's \"fields\" argument is not an array."));
            };
            let mut builder = Schema::structure();
            for field in fields {
                let Some(Json::String(name)) = field.get("field") else {
                    return Err(ConnectError::data("Struct schema's field name not specified properly"));
                };
                let schema = read_part(reader, Some(field), "Schema must contain 'type' field")?;
                builder = builder.field(owned(name), schema);
            }
            builder
        }
        other => return Err(ConnectError::data(format!("Unknown schema type: {other}"))),
    };
    if json.get("optional") == Some(&Json::Boolean(true)) {
        builder = builder.optional();
    }
    if let Some(Json::String(name)) = json.get("name") {
        builder = builder.name(owned(name));
    }
    if let Some(Json::Number(version)) = json.get("version")
        && version.is_integral()
    {
        builder = builder.version(version.to_i64() as i32);
    }
    if let Some(Json::String(doc)) = json.get("doc") {
        builder = builder.doc(owned(doc));
    }
    if let Some(Json::Object(parameters)) = json.get("parameters") {
        for (name, value) in parameters {
            let Json::String(value) = value else {
                return Err(ConnectError::data("Schema parameters must have string values."));
            };
            builder = builder.parameter(owned(name), owned(value));
        }
    }
    let Some(default) = json.get("default") else { return builder.try_build().map(Some) };
    let schema = builder.try_build()?;
    match reader.read(Some(&schema), Some(default))? {
        Value::Null => Ok(Some(schema)),
        default => schema.with_default(default).map(Some),
    }
}

fn read_part(reader: &Reader<'_>, json: Option<&Json<'_>>, missing: &str) -> Result<Schema, ConnectError> {
    let schema = json.map_or(Ok(None), |json| read(reader, json))?;
    schema.ok_or_else(|| ConnectError::data(missing))
}

/// A copy: the schema outlives the message.
fn owned(text: &str) -> ByteString {
    ByteString::from(text)
}
