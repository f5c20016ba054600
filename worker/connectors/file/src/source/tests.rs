use std::fs;
use std::io::Write as _;
use std::path::Path;

use connect_testkit::context::MemoryContext;
use connect_testkit::source::{self, Case};

use super::*;

fn props(file: &Path, batch_size: &str) -> Props {
    let file = file.to_str().expect("a path of ours is UTF-8");
    [("file", file), ("topic", "t"), ("batch.size", batch_size)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn file(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(content.as_ref()).expect("a writable temporary file");
    file
}

async fn start(props: &Props, context: &Arc<MemoryContext>) -> Box<dyn SourceTask> {
    let mut task = FileStreamSourceConnector::default().task();
    task.start(context.clone(), props).await.expect("good settings");
    task
}

/// The next lines and the positions behind them.
async fn lines(task: &mut dyn SourceTask, count: usize) -> Vec<(String, i64)> {
    let mut lines = Vec::new();
    while lines.len() < count {
        let batch = task.poll().await.expect("lines").expect("a batch");
        for (index, entry) in batch.entries.iter().enumerate() {
            let offset = batch.offset(index).render().expect("an offset");
            let position = offset.get(POSITION).and_then(Value::as_i64).expect("a position");
            lines.push((entry.value.to_string(), position));
        }
    }
    assert_eq!(lines.len(), count);
    lines
}

#[tokio::test]
async fn connector_complies() {
    let text: String = (0..40).map(|line| format!("line {line} é€😀\r\n")).collect();
    let file = file(text + "the last line is not complete");
    for batch_size in ["7", "2000"] {
        source::complies(&Case {
            connector: || Box::new(FileStreamSourceConnector::default()),
            props: props(file.path(), batch_size),
            records: 40,
        })
        .await;
    }
}

#[tokio::test]
async fn positions_are_bytes() {
    let file = file("é\n\r\n€x\rrest");
    let mut task = start(&props(file.path(), "10"), &Arc::default()).await;
    assert_eq!(lines(&mut *task, 3).await, [("é".into(), 3), (String::new(), 5), ("€x".into(), 10)]);
}

#[tokio::test]
async fn lines_may_be_longer_than_a_block_and_come_later() {
    let long = "x".repeat(3 << 20);
    let mut file = file(format!("{long}\nhalf"));
    let mut task = start(&props(file.path(), "10"), &Arc::default()).await;
    assert_eq!(lines(&mut *task, 1).await, [(long, (3 << 20) + 1)]);
    file.write_all(b" and half\n").expect("a writable temporary file");
    assert_eq!(lines(&mut *task, 1).await, [("half and half".into(), (3 << 20) + 15)]);
}

#[tokio::test]
async fn file_may_come_later() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("late");
    let mut task = start(&props(&path, "10"), &Arc::default()).await;
    let reading = tokio::spawn(async move { lines(&mut *task, 1).await });
    fs::write(&path, "here\n").expect("a writable temporary directory");
    assert_eq!(reading.await.expect("no panic"), [("here".into(), 5)]);
}

#[tokio::test]
async fn what_is_not_a_position_is_refused() {
    let file = file("a\n");
    let context = Arc::new(MemoryContext::default());
    let props = props(file.path(), "10");
    let partition = OffsetMap::from([(FILENAME, Value::string(props["file"].as_str()))]);
    context.offsets.store(&partition, Some(OffsetMap::from([(POSITION, Value::string("2"))])));
    let mut task = FileStreamSourceConnector::default().task();
    let error = task.start(context, &props).await.expect_err("a position of the wrong type");
    assert_eq!(error.to_string(), "Offset position is the incorrect type");
}

#[test]
fn altered_offsets_are_checked_in_javas_words() {
    let connector = FileStreamSourceConnector::default();
    let props = props(Path::new("/f"), "10");
    let partition = || OffsetMap::from([(FILENAME, Value::string("/f"))]);
    let alter = |partition: OffsetMap, offset: Option<OffsetMap>| {
        connector.alter_offsets(&props, &[(partition, offset)]).map_err(|error| error.to_string())
    };
    let position = |value| Some(OffsetMap::from([(POSITION, value)]));
    assert_eq!(alter(partition(), position(Value::Int64(0))), Ok(true));
    assert_eq!(alter(OffsetMap::default(), None), Ok(true));
    for (partition, offset, message) in [
        (
            partition(),
            Some(OffsetMap::default()),
            "Offset objects should either be null or contain the key 'position'",
        ),
        (
            partition(),
            position(Value::string("1")),
            "The value for the 'position' key in the offset is expected to be a Long value",
        ),
        (
            partition(),
            position(Value::Int64(-1)),
            "The value for the 'position' key in the offset should be a non-negative value",
        ),
        (
            OffsetMap::default(),
            position(Value::Int64(1)),
            "Partition objects should contain the key 'filename'",
        ),
    ] {
        assert_eq!(alter(partition, offset), Err(message.to_owned()));
    }
}
