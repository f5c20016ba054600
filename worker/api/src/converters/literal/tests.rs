use super::*;

fn check(text: &str, kind: &str, shown: &str) {
    let parsed = parse(&ByteString::from(text));
    let schema = parsed.schema.as_ref().map_or("none".to_owned(), |schema| match schema.name() {
        Some(name) => name.rsplit('.').next().unwrap_or_default().to_owned(),
        None => schema.kind().to_string(),
    });
    assert_eq!((schema.as_str(), parsed.value.to_string().as_str()), (kind, shown), "{text}");
}

#[test]
fn words_and_strings() {
    check("", "STRING", "");
    check(" ", "STRING", " ");
    check("null", "none", "null");
    check(" null ", "none", "null");
    check("true", "BOOLEAN", "true");
    check("false", "BOOLEAN", "false");
    check("true}", "STRING", "true}");
    check("hello, [world]", "STRING", "hello, [world]");
    check("NaN", "STRING", "NaN");
    check("-5x", "STRING", "-5x");
    check("\"abc\"", "STRING", "\"abc\"");
    check("naïve €", "STRING", "naïve €");
}

#[test]
fn numbers_take_the_smallest_type() {
    check("123", "INT8", "123");
    check("128", "INT16", "128");
    check("-32769", "INT32", "-32769");
    check("9223372036854775807", "INT64", "9223372036854775807");
    check("9223372036854775808", "Decimal", "9223372036854775808");
    check("1.0", "INT8", "1");
    check("0.0", "INT8", "0");
    check("00123", "INT8", "123");
    check("+5", "INT8", "5");
    check("1e2", "INT8", "100");
    check("0.5", "FLOAT32", "0.5");
    check("3.4e39", "FLOAT64", "3.4E39");
    check("1e400", "Decimal", "1E+400");
    check("1e999999999", "Decimal", "1E+999999999");
    check("1.", "INT8", "1");
    check("-.5", "FLOAT32", "-0.5");
    check(".5", "STRING", ".5");
    check("--1", "STRING", "--1");
    check("1e-400", "FLOAT32", "0.0");
    check("123456789012345678901.5", "FLOAT32", "1.2345679E20");
    check("123,abc", "INT8", "123");
    check("1:2", "INT8", "1");
}

#[test]
fn arrays_and_maps_have_common_schemas() {
    check("[1,2] tail", "ARRAY", "[1, 2]");
    check("[]", "ARRAY", "[]");
    check("[ 1 , 2.5 ]", "ARRAY", "[1.0, 2.5]");
    check("[1,true]", "ARRAY", "[1, true]");
    check("[1,null]", "STRING", "[1,null]");
    check("[null]", "ARRAY", "[null]");
    check("[a]", "STRING", "[a]");
    check("[1,]", "ARRAY", "[1]");
    check("[,1]", "STRING", "[,1]");
    check("[1", "STRING", "[1");
    check("[[1],[200]]", "ARRAY", "[[1], [200]]");
    check(r#"["a","b,c"]"#, "ARRAY", "[a, b,c]");
    check(r#"["a\"b"]"#, "ARRAY", r#"[a\"b]"#);
    check(r#"{"a":1,"b":2.5}"#, "MAP", "{a=1.0, b=2.5}");
    check(r#"{"a":null}"#, "MAP", "{a=null}");
    check("{}", "MAP", "{}");
    check("{null:1}", "STRING", "{null:1}");
    check("[1 2]", "STRING", "[1 2]");
    check("[ ]", "ARRAY", "[]");
    check("[1.5,300]", "ARRAY", "[1.5, 300.0]");
    check(r#"["a",1]"#, "ARRAY", "[a, 1]");
    check("[[1],null]", "STRING", "[[1],null]");
    check(r"[\]]", "STRING", r"[\]]");
    check("{a:1}", "STRING", "{a:1}");
    check("{1:2,3:4}", "MAP", "{1=2, 3=4}");
    check(r#"{"a":1 "b":2}"#, "MAP", "{a=1, b=2}");
    check(r#"{"a":1,"a":300}"#, "MAP", "{a=300}");
    check(r#"{"a":[1,2.5],"b":[]}"#, "MAP", "{a=[1.0, 2.5], b=[]}");
    check(&"[".repeat(100_000), "STRING", &"[".repeat(100_000));
}

#[test]
fn dates_are_recognized_by_length_and_pattern() {
    check("2019-04-14", "Date", "Sun Apr 14 00:00:00 UTC 2019");
    check("01:02:03.004Z", "Time", "Thu Jan 01 01:02:03 UTC 1970");
    check("2019-04-14T01:02:03.004Z", "Timestamp", "Sun Apr 14 01:02:03 UTC 2019");
    check(r#"["2020-01-01"]"#, "ARRAY", "[Wed Jan 01 00:00:00 UTC 2020]");
    check("2020-1-1xx", "Date", "Wed Jan 01 00:00:00 UTC 2020");
    check("2019-13-01", "Date", "Wed Jan 01 00:00:00 UTC 2020");
    check("25:00:00.000Z", "Time", "Fri Jan 02 01:00:00 UTC 1970");
    check("[2019-04-14]", "ARRAY", "[Sun Apr 14 00:00:00 UTC 2019]");
    check(r#"["2019-04-14",1]"#, "ARRAY", "[Sun Apr 14 00:00:00 UTC 2019, Fri Jan 02 00:00:00 UTC 1970]");
    check("2019-04-1", "STRING", "2019-04-1");
}

proptest::proptest! {
    #[test]
    fn any_text_is_no_panic(text in "[-+0-9a-z\\[\\]{}:,.\"\\\\TZ €]{0,30}|\\PC*") {
        let _ = parse(&ByteString::from(text));
    }
}
