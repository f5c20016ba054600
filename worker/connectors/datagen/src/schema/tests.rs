use connect_api::Value;

use super::*;
use crate::java_random::JavaRandom;
use crate::quickstart::QUICKSTARTS;

fn values(document: &str, count: usize) -> Vec<String> {
    let mut node = compile(document).expect(document);
    let mut random = JavaRandom::new(3);
    (0..count)
        .map(|_| {
            let value = node.generator.generate(&mut random);
            value.conforms_to(&node.schema).expect("a generator keeps to its schema");
            value.to_string()
        })
        .collect()
}

fn problem(document: &str) -> String {
    compile(document).expect_err(document).to_string()
}

#[test]
fn quickstarts_compile_and_have_their_key_field() {
    for quickstart in &QUICKSTARTS {
        let node = compile(quickstart.schema).expect(quickstart.name);
        assert!(node.schema.field(quickstart.key_field).is_some(), "{}", quickstart.name);
        assert_eq!(values(quickstart.schema, 100).len(), 100);
    }
}

#[test]
fn annotations_are_followed() {
    let typed = |kind: &str, annotation: &str| {
        values(&format!(r#"{{"type":"{kind}","arg.properties":{{{annotation}}}}}"#), 4)
    };
    assert_eq!(typed("long", r#""iteration":{"start":1,"step":10}"#), ["1", "11", "21", "31"]);
    assert_eq!(
        typed("string", r#""iteration":{"start":0},"prefix":"a","suffix":"z""#),
        ["a0z", "a1z", "a2z", "a3z"]
    );
    assert_eq!(
        typed("double", r#""iteration":{"start":0,"restart":1,"step":0.5}"#),
        ["0.0", "0.5", "0.0", "0.5"]
    );
    assert_eq!(typed("boolean", r#""iteration":{"start":true}"#), ["true", "false", "true", "false"]);
    assert_eq!(typed("boolean", r#""odds":1.0"#), ["true"; 4]);
    assert_eq!(typed("int", r#""range":{"min":5,"max":6}"#), ["5"; 4]);
    assert_eq!(typed("float", r#""options":[0.1]"#), ["0.1"; 4]);
    assert_eq!(typed("string", r#""regex":"x{3}","prefix":"-""#), ["-xxx"; 4]);
    assert_eq!(typed("string", r#""length":0"#), [""; 4]);
}

#[test]
fn documents_have_comments_and_named_types() {
    let document = r#"{ // the whole
        "type": "record", "name": "a.B", "doc": "x // y", "fields": [
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["ONE"]}},
            {"name": "again", "type": "E"},
            {"name": "list", "type": {"type": "array", "items": "a.E", "arg.properties": {"length": 2}}},
            {"name": "map", "type": {"type": "map", "values": {"type": "int", "arg.properties": {"options": [7]}},
                "arg.properties": {"length": 1, "keys": {"options": ["k"]}}}},
            {"name": "day", "type": {"type": "int", "logicalType": "date", "arg.properties": {"options": [0]}}},
            {"name": "n", "type": ["null", "string"], "default": null} /* last */
        ]}"#;
    let node = compile(document).expect("a good document");
    assert_eq!(
        node.schema.parameter("io.confluent.connect.avro.record.doc").map(|doc| &**doc),
        Some("x // y")
    );
    assert!(node.schema.field("n").is_some_and(|field| field.schema.is_optional()));
    let text = &values(document, 1)[0];
    assert!(
        text.starts_with("Struct{e=ONE,again=ONE,list=[ONE, ONE],map={k=7},day=Thu Jan 01 00:00:00 UTC 1970"),
        "{text}"
    );
}

#[test]
fn records_may_be_picked_as_a_whole() {
    let document = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"int"},{"name":"s","type":"string","default":"d"}],
        "arg.properties":{"options":[{"id":1}]}}"#;
    assert_eq!(values(document, 2), ["Struct{id=1,s=d}"; 2]);
}

#[test]
fn annotations_on_fields_are_ignored() {
    let document = r#"{"type":"record","name":"r","fields":[
        {"name":"d","type":"double","arg.properties":{"options":[5.0]}}]}"#;
    let mut node = compile(document).expect("a good document");
    let Value::Struct(value) = node.generator.generate(&mut JavaRandom::new(1)) else { panic!("a record") };
    assert!(matches!(value.get("d"), Some(Value::Float64(number)) if *number < 1.0));
}

#[test]
fn problems_name_their_place() {
    assert_eq!(problem("{"), "the text is not JSON");
    assert_eq!(
        problem(
            r#"{"type":"record","name":"r","fields":[{"name":"f","type":{"type":"int","arg.properties":{"range":{"min":2,"max":2}}}}]}"#
        ),
        "f: range from 2 to 2: the end is excluded, nothing is left"
    );
    for (document, expected) in [
        (r#""nonsense""#, ": the type nonsense is not defined"),
        (r#"{"type":"fixed","name":"f","size":3}"#, ": the type fixed is not supported"),
        (r#"["int","string"]"#, ": only unions of null and one other type are supported"),
        (
            r#"{"type":"record","name":"r","fields":[{"name":"me","type":["null","r"]}]}"#,
            "me: the type r contains itself, which is not supported",
        ),
        (
            r#"{"type":"int","arg.properties":{"options":[1],"range":{}}}"#,
            ": options and range exclude each other",
        ),
        (r#"{"type":"int","arg.properties":{"iteration":{"start":1,"step":0}}}"#, ": iteration: step is 0"),
    ] {
        assert_eq!(problem(document), expected);
    }
}
