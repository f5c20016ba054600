//! `org.apache.kafka.connect.json.JsonConverter`: JSON, with the schema in an envelope or without.
//!
//! What is written is byte for byte what Jackson writes: order of members, number texts, escapes, base64. The
//! envelope's text is rendered once per schema and then copied; reading looks a schema up by its raw text before
//! parsing it. Values that are read are slices of the message where JSON has no escapes in them.

mod number;
mod parser;
mod reader;
mod schema_text;
mod writer;

use std::collections::HashMap;
use std::sync::LazyLock;

use self::parser::{Json, Parser};
use self::reader::Reader;
use self::writer::{DecimalFormat, Writer};
use super::{configuration, parse_configuration};
use crate::{
    ByteString, Bytes, BytesMut, ConfigDef, ConfigKey, ConnectError, Converter, ConverterKind, Encoded,
    HeaderConverter, Importance, ParsedConfig, ParsedValue, Props, Schema, SchemaAndValue, Type, Validator,
    Value, Width,
};

static CONFIG: LazyLock<ConfigDef> = LazyLock::new(|| {
    configuration()
        .define(
            ConfigKey::new(
                "schemas.enable",
                Type::Boolean,
                Importance::High,
                "Include schemas within each of the serialized values and keys.",
            )
            .default_value(true)
            .shown("Schemas", 0, Width::Medium, "Enable Schemas"),
        )
        .define(
            ConfigKey::new(
                "schemas.cache.size",
                Type::Int,
                Importance::High,
                "The maximum number of schemas that can be cached in this converter instance.",
            )
            .default_value(1000)
            .shown("Schemas", 1, Width::Medium, "Schema Cache Size"),
        )
        .define(
            ConfigKey::new(
                "schema.content",
                Type::String,
                Importance::High,
                "When set, this is used as the schema for all messages, and the schemas within each of the message \
                 will be ignored.Otherwise, the schema will be included in the content of each message. This \
                 configuration applies only 'schemas.enable' is true, and it exclusively affects the sink connector.",
            )
            .default_value(ParsedValue::Null)
            .shown("Schemas", 2, Width::Medium, "Schema Content"),
        )
        .define(
            ConfigKey::new(
                "decimal.format",
                Type::String,
                Importance::Low,
                "Controls which format this converter will serialize decimals in. This value is case insensitive \
                 and can be either 'BASE64' (default) or 'NUMERIC'",
            )
            .default_value("BASE64")
            .validator(Validator::OneOfIgnoringCase(vec!["NUMERIC".into(), "BASE64".into()]))
            .shown("Serialization", 0, Width::Medium, "Decimal Format"),
        )
        .define(
            ConfigKey::new(
                "replace.null.with.default",
                Type::Boolean,
                Importance::Low,
                "Whether to replace fields that have a default value and that are null to the default value. When \
                 set to true, the default value is used, otherwise null is used.",
            )
            .default_value(true)
            .shown("Serialization", 1, Width::Medium, "Replace null with default"),
        )
});

/// What to do with a null where the schema has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NullHandling {
    ReplaceWithDefault,
    Keep,
}

/// Whether the schema travels with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Envelope {
    Enabled,
    Disabled,
}

/// JSON for keys, values and headers. Before it is configured it behaves as with its defaults.
#[derive(Debug)]
pub struct JsonConverter {
    envelope: Envelope,
    writer: Writer,
    nulls: NullHandling,
    /// The schema of everything that is read, when the settings give one.
    content: Option<Schema>,
    cache_size: usize,
    /// Schema identity -> the schema (kept, so that the identity stays its own) and `{"schema":…,"payload":`.
    envelopes: HashMap<usize, (Schema, Bytes)>,
    /// Raw text of a schema -> the schema.
    schemas: HashMap<ByteString, Option<Schema>>,
}

impl Default for JsonConverter {
    fn default() -> Self {
        Self {
            envelope: Envelope::Enabled,
            writer: Writer { decimals: DecimalFormat::Base64, nulls: NullHandling::ReplaceWithDefault },
            nulls: NullHandling::ReplaceWithDefault,
            content: None,
            cache_size: 1000,
            envelopes: HashMap::new(),
            schemas: HashMap::new(),
        }
    }
}

impl JsonConverter {
    /// JSON without schemas, as the worker's internal topics use it.
    pub fn schemaless() -> Self {
        Self { envelope: Envelope::Disabled, ..Self::default() }
    }

    fn apply(&mut self, config: &ParsedConfig) -> Result<(), ConnectError> {
        let numeric =
            config.string("decimal.format").is_some_and(|format| format.eq_ignore_ascii_case("NUMERIC"));
        self.envelope = if config.boolean("schemas.enable") { Envelope::Enabled } else { Envelope::Disabled };
        self.nulls = if config.boolean("replace.null.with.default") {
            NullHandling::ReplaceWithDefault
        } else {
            NullHandling::Keep
        };
        self.writer = Writer {
            decimals: if numeric { DecimalFormat::Numeric } else { DecimalFormat::Base64 },
            nulls: self.nulls,
        };
        self.cache_size = usize::try_from(config.long("schemas.cache.size").unwrap_or(0)).unwrap_or(0).max(1);
        self.envelopes.clear();
        self.schemas.clear();
        self.content = match config.string("schema.content").filter(|text| !text.is_empty()) {
            Some(text) => self.parse_schema(text)?,
            None => None,
        };
        Ok(())
    }

    fn write(
        &mut self,
        schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError> {
        match (self.envelope, schema) {
            (_, None) if value.is_null() => return Ok(Encoded::Null),
            (Envelope::Disabled, _) => self.writer.write(schema, value, out)?,
            (Envelope::Enabled, None) => {
                out.extend_from_slice(b"{\"schema\":null,\"payload\":");
                self.writer.write(None, value, out)?;
                out.extend_from_slice(b"}");
            }
            (Envelope::Enabled, Some(schema)) => {
                if let Some((_, prefix)) = self.envelopes.get(&schema.identity()) {
                    out.extend_from_slice(prefix);
                } else {
                    out.extend_from_slice(&self.render_envelope(schema)?);
                }
                self.writer.write(Some(schema), value, out)?;
                out.extend_from_slice(b"}");
            }
        }
        Ok(Encoded::Appended)
    }

    fn render_envelope(&mut self, schema: &Schema) -> Result<Bytes, ConnectError> {
        let mut prefix = BytesMut::from(&b"{\"schema\":"[..]);
        schema_text::write(&self.writer, schema, &mut prefix)?;
        prefix.extend_from_slice(b",\"payload\":");
        let prefix = prefix.freeze();
        if self.envelopes.len() >= self.cache_size {
            self.envelopes.clear();
        }
        self.envelopes.insert(schema.identity(), (schema.clone(), prefix.clone()));
        Ok(prefix)
    }

    fn read(&mut self, data: Option<&Bytes>) -> Result<SchemaAndValue, ConnectError> {
        let Some(data) = data else { return Ok(SchemaAndValue::default()) };
        let text = ByteString::try_from(data.clone())
            .map_err(|error| failed_to_parse(ConnectError::data("Invalid UTF-8").with_source(error)))?;
        let reader = Reader { text: &text, nulls: self.nulls };
        match self.envelope {
            Envelope::Disabled => {
                let json = Parser::new(&text).document().map_err(failed_to_parse)?;
                let value = json.map_or(Ok(Value::Null), |json| reader.read(None, Some(&json)))?;
                Ok(SchemaAndValue { schema: None, value })
            }
            Envelope::Enabled if self.content.is_some() => {
                let json = Parser::new(&text).document().map_err(failed_to_parse)?;
                let value = reader.read(self.content.as_ref(), json.as_ref())?;
                Ok(SchemaAndValue { schema: self.content.clone(), value })
            }
            Envelope::Enabled => {
                let envelope = Parser::new(&text).envelope().map_err(failed_to_parse)?;
                let (schema_text, payload) = envelope.ok_or_else(|| {
                    ConnectError::data(
                        "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not \
                         contain additional fields. If you are trying to deserialize plain JSON data, set \
                         schemas.enable=false in your converter configuration.",
                    )
                })?;
                let schema = match self.schemas.get(schema_text) {
                    Some(schema) => schema.clone(),
                    None => self.parse_schema(schema_text)?,
                };
                let value = reader.read(schema.as_ref(), Some(&payload))?;
                Ok(SchemaAndValue { schema, value })
            }
        }
    }

    fn parse_schema(&mut self, text: &str) -> Result<Option<Schema>, ConnectError> {
        // A copy: the cache must not keep the whole message alive.
        let text = ByteString::from(text);
        let json = Parser::new(&text).document().map_err(failed_to_parse)?.unwrap_or(Json::Null);
        let schema = schema_text::read(&Reader { text: &text, nulls: self.nulls }, &json)?;
        if self.schemas.len() >= self.cache_size {
            self.schemas.clear();
        }
        self.schemas.insert(text, schema.clone());
        Ok(schema)
    }
}

fn failed_to_parse(cause: ConnectError) -> ConnectError {
    ConnectError::data("Converting byte[] to Kafka Connect data failed due to serialization error: ")
        .with_source(cause)
}

impl Converter for JsonConverter {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    fn configure(&mut self, props: &Props, kind: ConverterKind) -> Result<(), ConnectError> {
        let config = parse_configuration(&CONFIG, props, kind)?;
        self.apply(&config)
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

impl HeaderConverter for JsonConverter {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    fn configure(&mut self, props: &Props) -> Result<(), ConnectError> {
        let config = parse_configuration(&CONFIG, props, ConverterKind::Header)?;
        self.apply(&config)
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
mod tests;
