use super::*;

fn props(entries: &[(&str, &str)]) -> Props {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn check(key: ConfigKey, text: Option<&str>, expected: &[&str]) {
    let props = text.map(|text| props(&[(key.name.as_str(), text)])).unwrap_or_default();
    let def = ConfigDef::default().define(key);
    let [value] = &def.validate(&props)[..] else { panic!("one row gives one value") };
    assert_eq!(value.errors, expected);
    match (def.parse(&props), expected.first()) {
        (Ok(_), None) => {}
        (Err(error), Some(first)) => assert_eq!(error.to_string(), *first),
        (result, _) => panic!("parse and validate disagree: {result:?}"),
    }
}

fn key(kind: Type) -> ConfigKey {
    ConfigKey::new("k", kind, Importance::High, "")
}

#[test]
fn errors_are_kafkas_words() {
    check(key(Type::Int), None, &["Missing required configuration \"k\" which has no default value."]);
    check(key(Type::Int), Some(" x "), &["Invalid value  x  for configuration k: Not a number of type INT"]);
    check(
        key(Type::Long),
        Some("1.5"),
        &["Invalid value 1.5 for configuration k: Not a number of type LONG"],
    );
    check(
        key(Type::Double),
        Some("inf"),
        &["Invalid value inf for configuration k: Not a number of type DOUBLE"],
    );
    check(
        key(Type::Boolean),
        Some("yes"),
        &["Invalid value yes for configuration k: Expected value to be either true or false"],
    );
    check(
        key(Type::Int).validator(Validator::at_least(1)),
        Some("0"),
        &["Invalid value 0 for configuration k: Value must be at least 1"],
    );
    check(
        key(Type::String).validator(Validator::one_of(&["none", "all"])),
        Some("some"),
        &["Invalid value some for configuration k: String must be one of: none, all"],
    );
    check(
        key(Type::String).validator(Validator::NonEmptyString),
        Some(" "),
        &["Invalid value  for configuration k: String must be non-empty"],
    );
    check(
        key(Type::String).validator(Validator::NonEmptyStringWithoutControlChars),
        Some("a\u{7}b"),
        &["Invalid value a\u{7}b for configuration k: String may not contain control sequences but had the \
           following ASCII chars: 7"],
    );
}

#[test]
fn validator_is_asked_about_null_after_a_parse_error() {
    check(
        key(Type::Int).validator(Validator::at_least(1)),
        Some("many"),
        &[
            "Invalid value many for configuration k: Not a number of type INT",
            "Invalid value null for configuration k: Value must be non-null",
        ],
    );
}

#[test]
fn values_are_parsed_as_kafka_parses_them() {
    let parse = |kind, text: &str| parse_type("k", text, kind).expect(text);
    assert_eq!(parse(Type::Int, " +7 "), ParsedValue::Int(7));
    assert_eq!(parse(Type::Boolean, "TRUE"), ParsedValue::Boolean(true));
    assert_eq!(parse(Type::Double, "1e3f"), ParsedValue::Double(1000.0));
    assert_eq!(
        parse(Type::List, " a , b,,"),
        ParsedValue::List(vec!["a".into(), "b".into(), "".into(), "".into()])
    );
    assert_eq!(parse(Type::List, "  "), ParsedValue::List(Vec::new()));
    assert_eq!(parse(Type::Password, "hunter2").to_config_string().as_deref(), Some("[hidden]"));
    assert!(!format!("{:?}", parse(Type::Password, "hunter2")).contains("hunter2"));
}

#[test]
fn all_problems_are_reported_in_row_order() {
    let def = ConfigDef::default()
        .define(ConfigKey::new("b", Type::Int, Importance::High, "").dependents(&["ghost"]))
        .define(ConfigKey::new("a", Type::String, Importance::Low, "").default_value(ParsedValue::Null));
    let values = def.validate(&Props::new());
    let errors: Vec<_> = values.iter().map(|value| (value.name.as_str(), value.errors.len())).collect();
    assert_eq!(errors, [("b", 1), ("a", 0), ("ghost", 1)]);
}
