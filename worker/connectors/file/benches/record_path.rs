//! `cargo bench -p connector-file`: lines per second from the file to the converter's bytes, and from records to
//! the file. A million lines of 98 bytes.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use connect_api::converters::StringConverter;
use connect_api::{
    BytesMut, ConnectRecord, Converter, Headers, Props, SinkConnector, SinkRecord, SourceConnector,
    TimestampType, Value,
};
use connect_testkit::context::{MemoryContext, MemorySinkContext};
use connector_file::{FileStreamSinkConnector, FileStreamSourceConnector};

const LINES: usize = 1_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    for line in 0..LINES {
        writeln!(file, "{line:08} {}", "x".repeat(89)).expect("a writable temporary file");
    }
    runtime.block_on(async {
        let path = file.path().to_str().expect("a path of ours is UTF-8");
        let source = source(path).await;
        println!("source: {:.0} lines/s", LINES as f64 / source);
        let target = tempfile::NamedTempFile::new().expect("a temporary file");
        let sink = sink(target.path().to_str().expect("a path of ours is UTF-8")).await;
        println!("sink: {:.0} lines/s", LINES as f64 / sink);
    });
}

async fn source(path: &str) -> f64 {
    let props: Props =
        [("file", path), ("topic", "t")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut task = FileStreamSourceConnector::default().task();
    task.start(Arc::new(MemoryContext::default()), &props).await.expect("good settings");
    let (mut converter, mut out) = (StringConverter, BytesMut::new());
    let start = Instant::now();
    let mut lines = 0;
    while lines < LINES {
        let batch = task.poll().await.expect("lines").expect("a batch");
        out.clear();
        for entry in &batch.entries {
            let _ = converter
                .from_connect_data("t", batch.value_schema.as_ref(), &entry.value, &mut out)
                .expect("a string");
        }
        lines += batch.entries.len();
    }
    start.elapsed().as_secs_f64()
}

async fn sink(path: &str) -> f64 {
    let props: Props = [("file".to_owned(), path.to_owned())].into();
    let mut task = FileStreamSinkConnector::default().task();
    task.start(Arc::new(MemorySinkContext::default()), &props).await.expect("good settings");
    let record = SinkRecord {
        record: ConnectRecord {
            topic: "t".into(),
            partition: Some(0),
            key_schema: None,
            key: Value::Null,
            value_schema: None,
            value: Value::string("y".repeat(98)),
            timestamp: None,
            headers: Headers::none(),
        },
        original: None,
        offset: 0,
        timestamp_type: TimestampType::CreateTime,
    };
    let records = vec![record; 500];
    let start = Instant::now();
    for _ in 0..LINES / records.len() {
        task.put(&records).await.expect("a writable file");
    }
    start.elapsed().as_secs_f64()
}
