//! What every sink connector has to get right.

use std::sync::Arc;

use connect_api::{
    ConnectRecord, Headers, Props, Schema, SinkConnector, SinkRecord, SinkTask, TimestampType, TopicOffsets,
    TopicPartition, Value,
};

use crate::context::{MemoryContext, MemorySinkContext};
use crate::{in_time, settings};

/// A connector with somewhere to write to.
pub struct Case<'a> {
    /// Makes a connector.
    pub connector: fn() -> Box<dyn SinkConnector>,
    /// Its settings.
    pub props: Props,
    /// A value that the connector writes, given a text that it has to contain.
    pub value: fn(&str) -> (Option<Schema>, Value),
    /// The texts that have been written so far, in order.
    pub written: &'a dyn Fn() -> Vec<String>,
}

/// Runs everything. The place to write to is empty before.
///
/// # Panics
/// With what is wrong.
pub async fn complies(case: &Case<'_>) {
    check_settings(case).await;
    let props = task_props(case).await;
    check_delivery(case, &props).await;
    check_redelivery(case, &props).await;
}

async fn check_settings(case: &Case<'_>) {
    let connector = (case.connector)();
    settings::check_rows(connector.config_def(), &case.props);
    settings::check_accepted(&connector.validate(&case.props).await);
    settings::check_missing(connector.config_def(), &connector.validate(&Props::new()).await);
    assert!(connector.task_class().contains('.'), "the task class is not a Java class name");
}

async fn task_props(case: &Case<'_>) -> Props {
    let context = Arc::new(MemoryContext::default());
    let mut connector = (case.connector)();
    connector.start(context.clone(), &case.props).await.expect("the connector starts");
    let mut configs = connector.task_configs(1).await.expect("task configurations");
    assert_eq!(configs.len(), 1, "a sink has work for one task");
    connector.stop().await.expect("the connector stops");
    assert!(context.take_errors().is_empty(), "the connector has raised errors");
    configs.remove(0)
}

/// What `pre_commit` lets the worker commit has been written, in the order of each partition.
async fn check_delivery(case: &Case<'_>, props: &Props) {
    let partitions = [partition(0), partition(1)];
    let mut task = start(case, props, &partitions).await;
    let mut current: TopicOffsets = partitions.iter().map(|partition| (partition.clone(), 0)).collect();
    put(&mut *task, &[]).await;
    for batch in 0..3 {
        let records: Vec<_> = (0..10_i64)
            .map(|index| record(case, (index % 2) as i32, batch * 5 + index / 2, "first"))
            .collect();
        put(&mut *task, &records).await;
        current.values_mut().for_each(|offset| *offset += 5);
    }
    commit(&mut *task, &current).await;
    let written = (case.written)();
    for number in 0..2 {
        let expected: Vec<_> = (0..15).map(|offset| text(number, offset, "first")).collect();
        let ours: Vec<_> = written.iter().filter(|text| expected.contains(text)).cloned().collect();
        assert_eq!(ours, expected, "what was written of partition {number}");
    }
    task.close(&partitions).await.expect("the task closes its partitions");
    in_time("stop", task.stop()).await.expect("the task stops");
}

/// A task that dies after `put` and before the commit loses nothing: its successor gets the records again.
async fn check_redelivery(case: &Case<'_>, props: &Props) {
    let partitions = [partition(0)];
    let records: Vec<_> = (0..20).map(|offset| record(case, 0, offset, "again")).collect();
    let mut crashing = start(case, props, &partitions).await;
    put(&mut *crashing, &records[..10]).await;
    drop(crashing);
    let mut task = start(case, props, &partitions).await;
    put(&mut *task, &records).await;
    commit(&mut *task, &TopicOffsets::from([(partition(0), 20)])).await;
    in_time("stop", task.stop()).await.expect("the task stops");
    let written = (case.written)();
    for offset in 0..20 {
        let text = text(0, offset, "again");
        assert!(written.contains(&text), "{text} is lost");
    }
}

async fn start(case: &Case<'_>, props: &Props, partitions: &[TopicPartition]) -> Box<dyn SinkTask> {
    let mut task = (case.connector)().task();
    let context = MemorySinkContext::new(partitions);
    in_time("start", task.start(Arc::new(context), props)).await.expect("the task starts");
    task.open(partitions).await.expect("the task opens its partitions");
    task
}

async fn put(task: &mut dyn SinkTask, records: &[SinkRecord]) {
    in_time("put", task.put(records)).await.expect("the task takes records");
}

/// A sink without a queue of its own commits everything that it was given.
async fn commit(task: &mut dyn SinkTask, current: &TopicOffsets) {
    let committed = in_time("pre_commit", task.pre_commit(current)).await.expect("the task commits");
    for (partition, offset) in &committed {
        let delivered = current.get(partition).expect("only partitions of the task are committed");
        assert!(offset <= delivered, "{partition}: {offset} is committed, {delivered} was delivered");
    }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: "topic".into(), partition: number }
}

fn text(partition: i32, offset: i64, mark: &str) -> String {
    format!("{mark}-{partition}-{offset}")
}

fn record(case: &Case<'_>, number: i32, offset: i64, mark: &str) -> SinkRecord {
    let TopicPartition { topic, partition } = partition(number);
    let (value_schema, value) = (case.value)(&text(number, offset, mark));
    SinkRecord {
        record: ConnectRecord {
            topic,
            partition: Some(partition),
            key_schema: None,
            key: Value::Null,
            value_schema,
            value,
            timestamp: Some(1_700_000_000_000),
            headers: Headers::none(),
        },
        original: None,
        offset,
        timestamp_type: TimestampType::CreateTime,
    }
}
