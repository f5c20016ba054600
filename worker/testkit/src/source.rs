//! What every source connector has to get right.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use connect_api::{OffsetMap, Props, SourceConnector, SourceRecord, SourceTask, Value};

use crate::context::MemoryContext;
use crate::{in_time, settings};

/// A connector with something to read.
pub struct Case {
    /// Makes a connector.
    pub connector: fn() -> Box<dyn SourceConnector>,
    /// Settings with which every start reads the same records in the same order.
    pub props: Props,
    /// How many records of the first task are compared; the source has at least these. At least 3.
    pub records: usize,
}

/// Runs everything.
///
/// # Panics
/// With what is wrong.
pub async fn complies(case: &Case) {
    check_settings(case).await;
    check_refused_start(case).await;
    let (props, reference) = reference(case).await;
    check_records(&reference);
    check_cancelled_polls(case, &props, &reference).await;
    check_restarts(case, &props, &reference).await;
}

async fn check_settings(case: &Case) {
    let connector = (case.connector)();
    settings::check_rows(connector.config_def(), &case.props);
    settings::check_accepted(&connector.validate(&case.props).await);
    settings::check_missing(connector.config_def(), &connector.validate(&Props::new()).await);
    assert!(connector.task_class().contains('.'), "the task class is not a Java class name");
}

/// A task that refuses its settings can still be stopped.
async fn check_refused_start(case: &Case) {
    let mut task = (case.connector)().task();
    let started = task.start(Arc::new(MemoryContext::default()), &Props::new()).await;
    assert!(started.is_err(), "a task starts without any settings");
    in_time("stop after a refused start", task.stop()).await.expect("stop after a refused start");
}

/// The settings of the first task, and what it reads when nobody disturbs it.
async fn reference(case: &Case) -> (Props, Vec<SourceRecord>) {
    let context = Arc::new(MemoryContext::default());
    let mut connector = (case.connector)();
    connector.start(context.clone(), &case.props).await.expect("the connector starts");
    for max_tasks in [3, 1] {
        let configs = connector.task_configs(max_tasks).await.expect("task configurations");
        assert!(!configs.is_empty() && configs.len() <= max_tasks, "{} of {max_tasks} tasks", configs.len());
    }
    let props = connector.task_configs(1).await.expect("task configurations").remove(0);
    connector.stop().await.expect("the connector stops");
    assert!(context.take_errors().is_empty(), "the connector has raised errors");

    let mut task = start(case, &props, context).await;
    let records = read(&mut *task, case.records).await;
    in_time("stop", task.stop()).await.expect("the task stops");
    (props, records)
}

/// Records keep to their schemas, and an offset always belongs to a partition with the same names.
fn check_records(records: &[SourceRecord]) {
    for record in records {
        for (schema, value) in [
            (&record.record.key_schema, &record.record.key),
            (&record.record.value_schema, &record.record.value),
        ] {
            if let Some(schema) = schema {
                value.conforms_to(schema).expect("the value has its schema");
            }
        }
        let offset = record.source_offset.render();
        for (name, value) in record.source_partition.iter().chain(offset.iter().flat_map(OffsetMap::iter)) {
            let is_primitive = !matches!(value, Value::Array(_) | Value::Map(_) | Value::Struct(_));
            assert!(is_primitive, "{name} is not primitive: it cannot be stored");
        }
    }
}

/// A poll may be dropped at any time without losing or repeating a record.
async fn check_cancelled_polls(case: &Case, props: &Props, reference: &[SourceRecord]) {
    let mut task = start(case, props, Arc::new(MemoryContext::default())).await;
    let mut records = Vec::new();
    while records.len() < reference.len() {
        // First only until it waits for something, then dropped; then to its end.
        match poll_once(&mut *task) {
            Some(batch) => records.extend(batch),
            None => records.extend(poll(&mut *task).await),
        }
    }
    assert_same(&records[..reference.len()], reference, "after cancelled polls");
    let _ = poll_once(&mut *task);
    in_time("stop after a cancelled poll", task.stop()).await.expect("stop after a cancelled poll");
}

/// A new task continues behind any record whose offset was stored.
async fn check_restarts(case: &Case, props: &Props, reference: &[SourceRecord]) {
    for last in [0, reference.len() / 2, reference.len() - 2] {
        let context = Arc::new(MemoryContext::default());
        let record = &reference[last];
        context.offsets.store(&record.source_partition, record.source_offset.render());
        let mut task = start(case, props, context).await;
        let rest = &reference[last + 1..];
        let records = read(&mut *task, rest.len()).await;
        assert_same(&records, rest, &format!("after a restart behind record {last}"));
        // This one crashes too: it is dropped without a stop.
    }
}

async fn start(case: &Case, props: &Props, context: Arc<MemoryContext>) -> Box<dyn SourceTask> {
    let mut task = (case.connector)().task();
    in_time("start", task.start(context, props)).await.expect("the task starts");
    task
}

async fn read(task: &mut dyn SourceTask, count: usize) -> Vec<SourceRecord> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(poll(task).await);
    }
    records.truncate(count);
    task.commit().await.expect("the task commits");
    records
}

async fn poll(task: &mut dyn SourceTask) -> Vec<SourceRecord> {
    let batch = in_time("poll", task.poll()).await.expect("the task polls");
    batch.map(|batch| batch.into_records().collect()).unwrap_or_default()
}

/// Polls until the task waits for something; `None` if it had to.
fn poll_once(task: &mut dyn SourceTask) -> Option<Vec<SourceRecord>> {
    let poll = pin!(task.poll());
    match poll.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => None,
        Poll::Ready(batch) => Some(
            batch.expect("the task polls").map(|batch| batch.into_records().collect()).unwrap_or_default(),
        ),
    }
}

/// Timestamps and headers may tell lives of a task apart; what is read may not.
fn assert_same(records: &[SourceRecord], expected: &[SourceRecord], when: &str) {
    for (index, (record, expected)) in records.iter().zip(expected).enumerate() {
        assert_eq!(record.record.key, expected.record.key, "key of record {index} {when}");
        assert_eq!(record.record.value, expected.record.value, "value of record {index} {when}");
        assert_eq!(record.record.topic, expected.record.topic, "topic of record {index} {when}");
        assert_eq!(record.source_partition, expected.source_partition, "partition of record {index} {when}");
    }
    assert_eq!(records.len(), expected.len(), "records {when}");
}

#[cfg(test)]
mod tests;
