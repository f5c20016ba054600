//! `org.apache.kafka.connect.storage.StringConverter`: the text of a value.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::{configuration, parse_configuration};
use crate::{
    ByteString, Bytes, BytesMut, ConfigDef, ConfigKey, ConnectError, Converter, ConverterKind, Encoded,
    HeaderConverter, Importance, Props, Schema, SchemaAndValue, Type, Value, Width,
};

static CONFIG: LazyLock<ConfigDef> = LazyLock::new(|| {
    let key = ConfigKey::new(
        "converter.encoding",
        Type::String,
        Importance::High,
        "The name of the Java character set to use for encoding strings as byte arrays.",
    );
    configuration().define(ConfigKey {
        default: Some("UTF-8".into()),
        width: Width::Medium,
        display_name: "Encoding".into(),
        ..key
    })
});

/// Writes the text form of any value; reads text as an optional string. UTF-8 only: other encodings are
/// refused when the converter is configured.
#[derive(Debug, Default)]
pub struct StringConverter;

impl StringConverter {
    fn check(props: &Props, kind: ConverterKind) -> Result<(), ConnectError> {
        let config = parse_configuration(&CONFIG, props, kind)?;
        let encoding = config.string("converter.encoding").unwrap_or("UTF-8");
        if ["UTF-8", "UTF8"].iter().any(|name| name.eq_ignore_ascii_case(encoding)) {
            return Ok(());
        }
        Err(ConnectError::config(format!(
            "Invalid value {encoding} for configuration converter.encoding: only UTF-8 is supported"
        )))
    }

    fn write(value: &Value, out: &mut BytesMut) -> Encoded {
        match value {
            Value::Null => return Encoded::Null,
            Value::String(text) => out.extend_from_slice(text.as_bytes()),
            other => write!(out, "{other}").expect("a growing buffer takes everything"),
        }
        Encoded::Appended
    }

    fn read(data: Option<&Bytes>) -> SchemaAndValue {
        let value = match data {
            None => Value::Null,
            // Java replaces what is not UTF-8, too.
            Some(data) => Value::String(match ByteString::try_from(data.clone()) {
                Ok(text) => text,
                Err(_) => String::from_utf8_lossy(data).into_owned().into(),
            }),
        };
        SchemaAndValue { schema: Some(Schema::optional_string()), value }
    }
}

impl Converter for StringConverter {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    fn configure(&mut self, props: &Props, kind: ConverterKind) -> Result<(), ConnectError> {
        Self::check(props, kind)
    }

    fn from_connect_data(
        &mut self,
        _topic: &str,
        _schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError> {
        Ok(Self::write(value, out))
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        data: Option<&Bytes>,
    ) -> Result<SchemaAndValue, ConnectError> {
        Ok(Self::read(data))
    }
}

impl HeaderConverter for StringConverter {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    fn configure(&mut self, props: &Props) -> Result<(), ConnectError> {
        Self::check(props, ConverterKind::Header)
    }

    fn from_connect_header(
        &mut self,
        _topic: &str,
        _key: &ByteString,
        _schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError> {
        Ok(Self::write(value, out))
    }

    fn to_connect_header(
        &mut self,
        _topic: &str,
        _key: &ByteString,
        data: Option<&Bytes>,
    ) -> Result<SchemaAndValue, ConnectError> {
        Ok(Self::read(data))
    }
}
