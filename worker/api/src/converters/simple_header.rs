//! `org.apache.kafka.connect.storage.SimpleHeaderConverter`: text whose type is guessed when it is read.
//!
//! Dates are read and written in UTC; Java's converter takes the time zone of its process.

use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::literal;
use crate::calendar::{MILLIS_PER_DAY, date_of_day, time_of_day};
use crate::schema::Presence;
use crate::{
    ByteString, Bytes, BytesMut, ConfigDef, ConnectError, Encoded, HeaderConverter, Props, Schema,
    SchemaAndValue, SchemaType, Value,
};

static CONFIG: LazyLock<ConfigDef> = LazyLock::new(ConfigDef::default);

/// The default header converter of every worker.
#[derive(Debug, Default)]
pub struct SimpleHeaderConverter;

impl HeaderConverter for SimpleHeaderConverter {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    fn configure(&mut self, _props: &Props) -> Result<(), ConnectError> {
        Ok(())
    }

    fn from_connect_header(
        &mut self,
        _topic: &str,
        _key: &ByteString,
        _schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError> {
        match value {
            Value::Null => return Ok(Encoded::Null),
            Value::String(text) => out.extend_from_slice(text.as_bytes()),
            Value::Bytes(bytes) => out.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
            other => write_embedded(out, other).expect("a growing buffer takes everything"),
        }
        Ok(Encoded::Appended)
    }

    fn to_connect_header(
        &mut self,
        _topic: &str,
        _key: &ByteString,
        data: Option<&Bytes>,
    ) -> Result<SchemaAndValue, ConnectError> {
        let Some(data) = data else { return Ok(SchemaAndValue::default()) };
        Ok(match ByteString::try_from(data.clone()) {
            Ok(text) => literal::parse(&text),
            Err(_) => SchemaAndValue {
                schema: Some(Schema::plain(SchemaType::Bytes, Presence::Required)),
                value: Value::Bytes(data.clone()),
            },
        })
    }
}

/// Kafka's `Values.append` for a value inside another; numbers and the like look the same outside.
fn write_embedded(out: &mut dyn fmt::Write, value: &Value) -> fmt::Result {
    match value {
        Value::String(text) => write!(out, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::Bytes(bytes) => write!(out, "\"{}\"", STANDARD.encode(bytes)),
        Value::Date(days) => write_date(out, i64::from(*days) * MILLIS_PER_DAY),
        Value::Time(millis) => write_date(out, i64::from(*millis)),
        Value::Timestamp(millis) => write_date(out, *millis),
        Value::Array(items) => {
            out.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                out.write_str(if index == 0 { "" } else { "," })?;
                write_embedded(out, item)?;
            }
            out.write_char(']')
        }
        Value::Map(map) => {
            out.write_char('{')?;
            for (index, (key, value)) in map.iter().enumerate() {
                out.write_str(if index == 0 { "" } else { "," })?;
                write_embedded(out, key)?;
                out.write_char(':')?;
                write_embedded(out, value)?;
            }
            out.write_char('}')
        }
        Value::Struct(structure) => {
            out.write_char('{')?;
            for (field, value) in structure.schema().fields().iter().zip(structure.values()) {
                let value = match field.schema.default_value() {
                    Some(default) if value.is_null() => default,
                    _ => value,
                };
                out.write_str(if field.index == 0 { "" } else { "," })?;
                write_embedded(out, &Value::String(field.name.clone()))?;
                out.write_char(':')?;
                write_embedded(out, value)?;
            }
            out.write_char('}')
        }
        Value::Null
        | Value::Boolean(_)
        | Value::Int8(_)
        | Value::Int16(_)
        | Value::Int32(_)
        | Value::Int64(_)
        | Value::Float32(_)
        | Value::Float64(_)
        | Value::Decimal(_) => write!(out, "{value}"),
    }
}

/// The form follows the value, not the schema, because all dates have one class in Java.
fn write_date(out: &mut dyn fmt::Write, millis: i64) -> fmt::Result {
    let (year, month, day) = date_of_day(millis.div_euclid(MILLIS_PER_DAY));
    let (hour, minute, second, milli) = time_of_day(millis);
    if millis >= MILLIS_PER_DAY {
        write!(out, "{year:04}-{month:02}-{day:02}")?;
        if millis % MILLIS_PER_DAY == 0 {
            return Ok(());
        }
        out.write_char('T')?;
    }
    write!(out, "{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Decimal, MapValue, Struct};

    fn check(value: Value, text: &str) {
        let mut out = BytesMut::new();
        let key = ByteString::from_static("k");
        let encoded = SimpleHeaderConverter.from_connect_header("t", &key, None, &value, &mut out);
        assert_eq!(encoded.expect("every value has a text"), Encoded::Appended);
        assert_eq!(out, text);
    }

    #[test]
    fn values_are_written_as_javas() {
        check(Value::string("a \"b\" \\"), "a \"b\" \\");
        check(Value::Int64(-7), "-7");
        check(Value::Float64(1e7), "1.0E7");
        check(Value::Boolean(true), "true");
        check(Value::Decimal(Arc::new(Decimal::new(150, 2))), "1.50");
        check(Value::Bytes(Bytes::from_static(&[1, 2])), "AQI=");
        let list = vec![Value::string("a \"b\" \\"), Value::Null, Value::Bytes(Bytes::from_static(&[1, 2]))];
        check(Value::Array(list.into()), r#"["a \"b\" \\",null,"AQI="]"#);
        let map: MapValue =
            [(Value::string("k"), Value::Int8(1)), (Value::Int8(2), Value::Null)].into_iter().collect();
        check(Value::Map(map), r#"{"k":1,2:null}"#);
        let defaulted = Schema::builder(SchemaType::Int8).optional().default_value(Value::Int8(5)).build();
        let schema = Schema::structure().field("a", defaulted).field("b", Schema::string()).build();
        check(
            Value::Struct(Struct::new(schema, vec![Value::Null, Value::string("x")].into())),
            r#"{"a":5,"b":"x"}"#,
        );
    }

    #[test]
    fn dates_are_written_by_their_size() {
        check(Value::Date(0), "00:00:00.000Z");
        check(Value::Date(1), "1970-01-02");
        check(Value::Time(3_723_004), "01:02:03.004Z");
        check(Value::Timestamp(-1), "23:59:59.999Z");
        check(Value::Timestamp(1_555_200_000_000), "2019-04-14");
        check(Value::Timestamp(1_555_200_000_001), "2019-04-14T00:00:00.001Z");
    }

    #[test]
    fn null_and_what_is_no_text_stay_what_they_are() {
        let key = ByteString::from_static("k");
        let mut converter = SimpleHeaderConverter;
        let encoded = converter.from_connect_header("t", &key, None, &Value::Null, &mut BytesMut::new());
        assert_eq!(encoded.expect("null"), Encoded::Null);
        let read = converter.to_connect_header("t", &key, None).expect("null");
        assert_eq!(read, SchemaAndValue::default());
        let bytes = Bytes::from_static(&[0xff]);
        let read = converter.to_connect_header("t", &key, Some(&bytes)).expect("bytes");
        assert_eq!(read.value, Value::Bytes(bytes));
    }
}
