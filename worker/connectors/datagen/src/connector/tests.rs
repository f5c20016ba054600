use connect_api::{ByteString, OffsetMap, SourceBatch, Value};
use connect_testkit::context::MemoryContext;
use connect_testkit::source::{self, Case};

use super::*;

fn props(entries: &[(&str, &str)]) -> Props {
    let topic = [("kafka.topic", "t")];
    topic.iter().chain(entries).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn start(settings: &[(&str, &str)], context: &Arc<MemoryContext>) -> Box<dyn SourceTask> {
    let mut props = props(settings);
    props.insert(TASK_ID.to_owned(), "0".to_owned());
    let mut task = DatagenConnector::default().task();
    task.start(context.clone(), &props).await.expect("good settings");
    task
}

async fn poll(task: &mut dyn SourceTask) -> SourceBatch {
    task.poll().await.expect("records").expect("a batch")
}

#[tokio::test]
async fn connector_complies() {
    for settings in [
        &[("quickstart", "users"), ("max.interval", "0"), ("random.seed", "7")][..],
        &[("quickstart", "Pageviews"), ("max.interval", "1"), ("random.seed", "7")],
    ] {
        let case =
            Case { connector: || Box::new(DatagenConnector::default()), props: props(settings), records: 50 };
        source::complies(&case).await;
    }
}

#[tokio::test]
async fn records_have_javas_headers_offsets_and_keys() {
    let context = Arc::new(MemoryContext::default());
    let settings = [("quickstart", "pageviews"), ("max.interval", "0")];
    let mut task = start(&settings, &context).await;
    let batch = poll(&mut *task).await;
    assert!(batch.entries.len() > 1000, "a batch without pauses is large");
    let record = batch.record(2);
    assert_eq!(record.record.key, Value::Int64(21));
    assert_eq!(record.record.key_schema, Some(connect_api::Schema::int64()));
    let header = |record: &connect_api::SourceRecord, index: usize| {
        let header = &record.record.headers[index];
        (header.key.clone(), header.value.clone())
    };
    let expected = |key, value| (ByteString::from_static(key), Value::Int64(value));
    assert_eq!(header(&record, 0), expected("task.generation", 0));
    assert_eq!(header(&record, 1), expected("task.id", 0));
    assert_eq!(header(&record, 2), expected("current.iteration", 2));
    assert_eq!(*record.source_partition, OffsetMap::from([("task.id", Value::Int32(0))]));
    let offset = record.source_offset.render().expect("an offset");
    assert_eq!(offset.get("current.iteration"), Some(&Value::Int64(3)));
    assert_eq!(offset.get("task.generation"), Some(&Value::Int64(1)));
    assert!(matches!(offset.get("random.seed"), Some(Value::Int64(_))));

    context.offsets.store(&record.source_partition, Some(offset));
    let mut task = start(&settings, &context).await;
    let record = poll(&mut *task).await.record(0);
    assert_eq!(record.record.key, Value::Int64(31));
    assert_eq!(header(&record, 0), expected("task.generation", 1));
    assert_eq!(header(&record, 2), expected("current.iteration", 3));
}

#[tokio::test]
async fn tasks_with_one_seed_differ_and_repeat() {
    let mut connector = DatagenConnector::default();
    let context = Arc::new(MemoryContext::default());
    let settings = props(&[("quickstart", "users"), ("max.interval", "0"), ("random.seed", "1")]);
    connector.start(context.clone(), &settings).await.expect("good settings");
    let mut firsts = Vec::new();
    for props in connector.task_configs(3).await.expect("task configurations") {
        for _ in 0..2 {
            let mut task = connector.task();
            task.start(context.clone(), &props).await.expect("good settings");
            firsts.push(poll(&mut *task).await.entries[0].value.clone());
        }
    }
    assert_eq!((&firsts[0], &firsts[2], &firsts[4]), (&firsts[1], &firsts[3], &firsts[5]));
    assert!(firsts[0] != firsts[2] && firsts[2] != firsts[4] && firsts[0] != firsts[4]);
}

#[tokio::test]
async fn iterations_end_in_javas_error() {
    let context = Arc::new(MemoryContext::default());
    let mut task =
        start(&[("quickstart", "users"), ("max.interval", "0"), ("iterations", "5")], &context).await;
    let batch = poll(&mut *task).await;
    assert_eq!(batch.entries.len(), 5);
    for _ in 0..2 {
        let error = task.poll().await.expect_err("the end");
        assert_eq!(error.to_string(), "Stopping connector: generated the configured 5 number of messages");
        assert!(!error.is_retriable());
    }
    context.offsets.store(&batch.source_partition, batch.offset(4).render());
    let mut task =
        start(&[("quickstart", "users"), ("max.interval", "0"), ("iterations", "5")], &context).await;
    assert!(task.poll().await.is_err(), "a restart ends at once");
}

#[tokio::test]
async fn problems_are_put_on_their_keys() {
    let check = async |settings: &[(&str, &str)], expected: &[(&str, &str)]| {
        let values = DatagenConnector::default().validate(&props(settings)).await;
        let errors: Vec<_> = values
            .iter()
            .flat_map(|value| value.errors.iter().map(move |error| (value.name.as_str(), error.as_str())))
            .collect();
        assert_eq!(errors, expected);
    };
    let one = "Must set exactly one of schema.string, schema.filename, quickstart";
    check(&[], &[("schema.string", one), ("schema.filename", one), ("quickstart", one)]).await;
    check(
        &[("quickstart", "users"), ("schema.string", "\"int\"")],
        &[("schema.string", one), ("quickstart", one)],
    )
    .await;
    check(&[("quickstart", "nope")], &[("quickstart", "quickstart must be one out of users,pageviews")])
        .await;
    check(
        &[("schema.string", "{")],
        &[("schema.string", "Unable to parse the provided schema: the text is not JSON")],
    )
    .await;
    check(
        &[("schema.filename", "/nowhere/at/all.avro")],
        &[("schema.filename", "Unable to find the schema file")],
    )
    .await;
    check(
        &[("quickstart", "users"), ("schema.keyfield", "ghost")],
        &[("schema.keyfield", "The schema does not contain the field provided in 'schema.keyfield'")],
    )
    .await;
    check(&[("schema.filename", "pageviews_schema.avro"), ("schema.keyfield", "userid")], &[]).await;
}
