use std::sync::Arc;

use super::*;
use crate::{Decimal, MapValue, Presence, SchemaType, Struct};

fn converter(settings: &[(&str, &str)]) -> JsonConverter {
    let props = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut converter = JsonConverter::default();
    Converter::configure(&mut converter, &props, ConverterKind::Value).expect("good settings");
    converter
}

fn write(
    converter: &mut JsonConverter,
    schema: Option<&Schema>,
    value: &Value,
) -> Result<Option<String>, String> {
    let mut out = BytesMut::new();
    match converter.from_connect_data("t", schema, value, &mut out).map_err(|error| error.to_string())? {
        Encoded::Null => Ok(None),
        Encoded::Appended => Ok(Some(String::from_utf8(out.to_vec()).expect("JSON is UTF-8"))),
    }
}

fn read(converter: &mut JsonConverter, text: &str) -> Result<SchemaAndValue, String> {
    let data = Bytes::copy_from_slice(text.as_bytes());
    converter.to_connect_data("t", Some(&data)).map_err(|error| error.to_string())
}

fn plain(kind: SchemaType) -> Schema {
    Schema::plain(kind, Presence::Required)
}

fn decimal(unscaled: i64, scale: i32) -> Value {
    Value::Decimal(Arc::new(Decimal::new(unscaled, scale)))
}

fn order() -> (Schema, Value) {
    let schema = Schema::structure()
        .name("order")
        .field("id", plain(SchemaType::Int64))
        .field("price", Schema::decimal(4).optional().build())
        .build();
    let value = Struct::new(schema.clone(), vec![Value::Int64(1), decimal(104_393, 4)].into());
    (schema, Value::Struct(value))
}

const ORDER: &str = r#"{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"},{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"4"},"field":"price"}],"optional":false,"name":"order"},"payload":{"id":1,"price":"AZfJ"}}"#;

#[test]
fn envelope_is_javas_and_reads_back() {
    let (schema, value) = order();
    let mut converter = converter(&[]);
    for _ in 0..2 {
        assert_eq!(write(&mut converter, Some(&schema), &value), Ok(Some(ORDER.to_owned())));
        let read = read(&mut converter, ORDER).expect("what was written");
        assert_eq!((read.schema, read.value), (Some(schema.clone()), value.clone()));
    }
}

#[test]
fn values_are_written_in_jacksons_bytes() {
    let mut schemaless = JsonConverter::schemaless();
    let mut check = |value: Value, text: &str| {
        assert_eq!(write(&mut schemaless, None, &value).as_ref().map(Option::as_deref), Ok(Some(text)));
    };
    check(Value::Int64(i64::MIN), "-9223372036854775808");
    check(Value::Int8(0), "0");
    check(Value::Float64(1e7), "1.0E7");
    check(Value::Float32(f32::NAN), "\"NaN\"");
    check(Value::Bytes(Bytes::from_static(&[0xfb, 0xff, 1, 2])), "\"+/8BAg==\"");
    check(Value::string("a\"\\/\u{1f}\u{7f}\n\té€😀"), "\"a\\\"\\\\/\\u001F\u{7f}\\n\\té€\\uD83D\\uDE00\"");
    check(Value::Array(vec![Value::Null, Value::Boolean(true)].into()), "[null,true]");
    let keys = |entries: Vec<(Value, Value)>| Value::Map(entries.into_iter().collect::<MapValue>());
    check(
        keys(vec![(Value::string("z"), Value::Int8(1)), (Value::string("a"), Value::Null)]),
        r#"{"z":1,"a":null}"#,
    );
    check(keys(vec![(Value::Int32(1), Value::string("x"))]), r#"[[1,"x"]]"#);
}

#[test]
fn nulls_follow_the_table() {
    let optional = Schema::optional_string();
    let with_default =
        Schema::builder(SchemaType::String).optional().default_value(Value::string("d")).build();
    let required = Schema::string();
    let mut enveloped = converter(&[]);
    let mut bare = converter(&[("schemas.enable", "false")]);
    let mut kept = converter(&[("schemas.enable", "false"), ("replace.null.with.default", "false")]);
    assert_eq!(write(&mut enveloped, None, &Value::Null), Ok(None));
    assert_eq!(write(&mut bare, None, &Value::Null), Ok(None));
    assert_eq!(
        write(&mut enveloped, Some(&optional), &Value::Null),
        Ok(Some(r#"{"schema":{"type":"string","optional":true},"payload":null}"#.into()))
    );
    assert_eq!(write(&mut bare, Some(&optional), &Value::Null), Ok(Some("null".into())));
    assert_eq!(write(&mut bare, Some(&with_default), &Value::Null), Ok(Some("\"d\"".into())));
    assert_eq!(write(&mut kept, Some(&with_default), &Value::Null), Ok(Some("null".into())));
    assert_eq!(
        write(&mut bare, Some(&required), &Value::Null),
        Err("Conversion error: null value for field that is required and has no default value".into())
    );
    assert_eq!(
        write(&mut enveloped, None, &Value::Int8(1)),
        Ok(Some(r#"{"schema":null,"payload":1}"#.into()))
    );
    assert_eq!(bare.to_connect_data("t", None).expect("a tombstone"), SchemaAndValue::default());
    assert_eq!(read(&mut bare, " ").expect("nothing"), SchemaAndValue::default());
}

#[test]
fn decimals_are_written_as_asked_and_read_either_way() {
    let schema = Schema::decimal(2).build();
    let mut numeric = converter(&[("schemas.enable", "false"), ("decimal.format", "numeric")]);
    assert_eq!(write(&mut numeric, Some(&schema), &decimal(-150, 2)), Ok(Some("-1.50".into())));
    let mut base64 = converter(&[("schemas.enable", "false")]);
    assert_eq!(write(&mut base64, Some(&schema), &decimal(-150, 2)), Ok(Some("\"/2o=\"".into())));
    assert_eq!(
        write(&mut base64, Some(&schema), &decimal(-150, 3)),
        Err("Decimal value has mismatching scale for given Decimal schema. Schema has scale 2, value has scale 3."
            .into())
    );
    let head = r#"{"schema":{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}},"payload":"#;
    for payload in ["-1.50", "\"/2o=\""] {
        let read = read(&mut base64_enveloped(), &format!("{head}{payload}}}")).expect(payload);
        assert_eq!(read.value, decimal(-150, 2));
    }
}

fn base64_enveloped() -> JsonConverter {
    converter(&[])
}

#[test]
fn schemaless_documents_are_read_as_jackson_reads_them() {
    let mut bare = JsonConverter::schemaless();
    let mut value = |text: &str| read(&mut bare, text).map(|read| read.value);
    assert_eq!(value("00123"), Ok(Value::Int64(123)));
    assert_eq!(value("1.0"), Ok(Value::Float64(1.0)));
    assert_eq!(value("18446744073709551617"), Ok(Value::Int64(1)));
    assert_eq!(value(r#""a\u0041\ud83d\ude00\n\\" trailing"#), Ok(Value::string("aA😀\n\\")));
    assert_eq!(value("[1, [], {}]").map(|value| value.to_string()), Ok("[1, [], {}]".into()));
    assert_eq!(value(r#"{"a":1,"a":2}"#).map(|value| value.to_string()), Ok("{a=2}".into()));
    assert_eq!(value("1 2"), Ok(Value::Int64(1)));
    for bad in [
        "12abc",
        "true_",
        "[1,]",
        "NaN",
        "{",
        "[1,",
        "\"a",
        "tru",
        "nulls",
        "{\"a\" 1}",
        "\"\\x\"",
        "-",
        "1.",
        "\"\u{1}\"",
        "+1",
    ] {
        assert_eq!(
            value(bad),
            Err("Converting byte[] to Kafka Connect data failed due to serialization error: ".into()),
            "{bad}"
        );
    }
    assert!(value(&"[".repeat(100_000)).is_err());
}

#[test]
fn envelope_must_have_exactly_two_members() {
    for bad in ["1", "{}", r#"{"schema":null}"#, r#"{"schema":null,"payload":1,"more":2}"#, ""] {
        let error = read(&mut converter(&[]), bad).expect_err(bad);
        assert!(error.starts_with("JsonConverter with schemas.enable requires \"schema\""), "{bad}: {error}");
    }
    let read = read(&mut converter(&[]), r#"{"payload":7,"schema":null}"#).expect("members in any order");
    assert_eq!(read, SchemaAndValue { schema: None, value: Value::Int64(7) });
}

#[test]
fn reading_is_lenient_where_java_is() {
    let read_as = |kind: &str, payload: &str| {
        read(&mut converter(&[]), &format!(r#"{{"schema":{{"type":"{kind}"}},"payload":{payload}}}"#))
            .map(|read| read.value)
    };
    assert_eq!(read_as("int8", "257"), Ok(Value::Int8(1)));
    assert_eq!(read_as("int64", "1.9e1"), Ok(Value::Int64(19)));
    assert_eq!(read_as("int32", "\"7\""), Ok(Value::Int32(0)));
    assert_eq!(read_as("string", "7"), Ok(Value::Null));
    assert_eq!(read_as("boolean", "1"), Ok(Value::Boolean(false)));
    let list = |payload: &str| {
        read_as(r#"array","items":{"type":"int8"},"x":""#, payload).map(|list| list.to_string())
    };
    assert_eq!(list("5"), Ok("[]".into()));
    assert_eq!(list(r#"{"a":1}"#), Ok("[1]".into()));
    assert_eq!(read_as("string", "null"), Err("Invalid null value for required STRING field".into()));
    assert_eq!(read_as("float", "0.1"), Ok(Value::Float32(0.1)));
    let dated = r#"{"schema":{"type":"int32","name":"org.apache.kafka.connect.data.Date"},"payload":18000}"#;
    assert_eq!(read(&mut converter(&[]), dated).map(|read| read.value), Ok(Value::Date(18_000)));
}

#[test]
fn struct_members_may_be_missing_or_extra() {
    let head = r#"{"schema":{"type":"struct","fields":[{"type":"string","optional":true,"field":"a"},{"type":"int32","default":5,"field":"b"}]},"payload":"#;
    let text = |payload: &str| {
        read(&mut converter(&[]), &format!("{head}{payload}}}")).map(|read| read.value.to_string())
    };
    assert_eq!(text(r#"{"b":1,"x":2}"#), Ok("Struct{b=1}".into()));
    assert_eq!(text(r#"{"a":"y"}"#), Ok("Struct{a=y,b=5}".into()));
    assert_eq!(text("[]"), Err("Structs should be encoded as JSON objects, but found ARRAY".into()));
}

#[test]
fn schema_may_be_a_setting() {
    let schema = r#"{"type":"struct","fields":[{"type":"int8","field":"a"}]}"#;
    let mut with_schema = converter(&[("schema.content", schema)]);
    let parsed = read(&mut with_schema, r#"{"a":7,"b":8}"#).expect("a plain payload");
    assert_eq!((parsed.value.to_string().as_str(), parsed.schema.is_some()), ("Struct{a=7}", true));
    assert_eq!(with_schema.to_connect_data("t", None).expect("a tombstone"), SchemaAndValue::default());
    let props = Props::from([("schema.content".to_owned(), "{".to_owned())]);
    assert!(Converter::configure(&mut JsonConverter::default(), &props, ConverterKind::Value).is_err());
}

#[test]
fn settings_are_checked() {
    let props = Props::from([("decimal.format".to_owned(), "HEX".to_owned())]);
    let error =
        Converter::configure(&mut JsonConverter::default(), &props, ConverterKind::Key).expect_err("bad");
    assert_eq!(
        error.to_string(),
        "Invalid value HEX for configuration decimal.format: String must be one of (case insensitive): NUMERIC, BASE64"
    );
}

proptest::proptest! {
    #[test]
    fn any_text_survives(text in "\\PC*|.*") {
        let mut converter = JsonConverter::schemaless();
        let value = Value::string(text);
        let json = write(&mut converter, None, &value).expect("a string").expect("not null");
        let judged = serde_json::from_str::<String>(&json).ok();
        proptest::prop_assert_eq!(judged.as_deref(), value.as_str());
        proptest::prop_assert_eq!(read(&mut converter, &json).map(|read| read.value), Ok(value));
    }

    #[test]
    fn any_bytes_are_no_panic(bytes: Vec<u8>) {
        let _ = JsonConverter::schemaless().to_connect_data("t", Some(&Bytes::from(bytes.clone())));
        let _ = JsonConverter::default().to_connect_data("t", Some(&Bytes::from(bytes)));
    }
}
