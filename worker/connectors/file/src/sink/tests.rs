use std::fs;

use connect_api::{ConnectRecord, Headers, Schema, Struct, TimestampType};
use connect_testkit::context::MemorySinkContext;
use connect_testkit::sink::{self, Case};

use super::*;

fn props(file: &str) -> Props {
    Props::from([("file".to_owned(), file.to_owned())])
}

fn record(offset: i64, value: Value) -> SinkRecord {
    SinkRecord {
        record: ConnectRecord {
            topic: "t".into(),
            partition: Some(0),
            key_schema: None,
            key: Value::Null,
            value_schema: None,
            value,
            timestamp: None,
            headers: Headers::none(),
        },
        original: None,
        offset,
        timestamp_type: TimestampType::NoTimestampType,
    }
}

#[tokio::test]
async fn connector_complies() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("out");
    sink::complies(&Case {
        connector: || Box::new(FileStreamSinkConnector::default()),
        props: props(path.to_str().expect("a path of ours is UTF-8")),
        value: |text| (None, Value::string(text)),
        written: &|| {
            let text = fs::read_to_string(&path).expect("the file is there");
            text.lines().map(str::to_owned).collect()
        },
    })
    .await;
}

#[tokio::test]
async fn lines_are_javas_text_of_the_values() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut task = FileStreamSinkTask::default();
    let props = props(file.path().to_str().expect("a path of ours is UTF-8"));
    task.start(Arc::new(MemorySinkContext::default()), &props).await.expect("good settings");
    let schema = Schema::structure().field("a", Schema::int64()).field("b", Schema::string()).build();
    let structure = Struct::new(schema, vec![Value::Int64(1), Value::string("x")].into());
    let values = [Value::string("é"), Value::Null, Value::Float64(1e7), Value::Struct(structure)];
    let records: Vec<_> = (0..).zip(values).map(|(offset, value)| record(offset, value)).collect();
    task.put(&records).await.expect("a writable file");
    assert_eq!(fs::read_to_string(file.path()).expect("the file"), "é\nnull\n1.0E7\nStruct{a=1,b=x}\n");
}

#[tokio::test]
async fn full_disk_is_retried_from_where_it_was_full() {
    let mut task = FileStreamSinkTask::default();
    task.start(Arc::new(MemorySinkContext::default()), &props("/dev/full")).await.expect("a device of Linux");
    let records = [record(0, Value::string("a")), record(1, Value::string("b"))];
    for _ in 0..2 {
        let error = task.put(&records).await.expect_err("it is full");
        assert!(error.is_retriable());
        assert_eq!(task.lines, b"a\nb\n", "a batch that is delivered again is not written twice");
    }
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    task.output = Some(Output::File(file.reopen().expect("the temporary file")));
    task.put(&records).await.expect("there is room again");
    assert_eq!(fs::read(file.path()).expect("the file"), b"a\nb\n");
    assert!(task.lines.is_empty());
}

#[tokio::test]
async fn directory_is_refused_in_javas_words() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().to_str().expect("a path of ours is UTF-8");
    let mut task = FileStreamSinkTask::default();
    let error =
        task.start(Arc::new(MemorySinkContext::default()), &props(path)).await.expect_err("a directory");
    assert_eq!(error.to_string(), format!("Couldn't find or create file '{path}' for FileStreamSinkTask"));
}
