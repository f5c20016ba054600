//! `records`: the newest records of a topic, as they stand in Kafka.

use std::time::Duration;

use bytes::Bytes;
use kafka_control::{OffsetSpec, Record, TopicPartition};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::open::{Intent, Run};
use super::refusal::Refusal;
use crate::causes::chain;
use crate::cli::{RecordsArgs, RunArgs};
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;
use crate::kafka_access::KafkaAccessError;
use crate::report;

/// How much of one partition is read for its newest records.
const FETCH_BYTES: i32 = 4 << 20;
const FETCH_WAIT: Duration = Duration::from_secs(2);

/// Prints the newest records, oldest first: time, partition, offset, key, value.
pub(crate) async fn records(args: RecordsArgs, interrupt: &Interrupt) -> Exit {
    let is_json = args.hosts.inventory.json;
    let refusal = Refusal::new("records", &args.hosts.inventory);
    let run = match Run::open("records", &RunArgs::of(args.hosts, &[]), Intent::Look, interrupt).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let found = match interrupt.unless(newest(&run, &args.topic, args.max)).await {
        Ok(found) => found,
        Err(signal) => return run.abandon(signal).await,
    };
    let exit = match found {
        Ok(Some(records)) => {
            report::stdout(&if is_json { document(&run, &args.topic, &records) } else { lines(&records) });
            Exit::Done
        }
        Ok(None) => {
            let message = format!("there is no topic {} in Kafka", args.topic);
            let hint =
                "check the name; a topic that the inventory's administrator may not see is not there for it";
            refusal.tell(Exit::CheckFailed, &message, Some(hint))
        }
        Err(error) => refusal.tell(Exit::CheckFailed, &chain(&error), error.hint().as_deref()),
    };
    run.close().await;
    exit
}

/// `None`: there is no such topic.
async fn newest(run: &Run, topic: &str, max: usize) -> Result<Option<Vec<(i32, Record)>>, KafkaAccessError> {
    let admin = run.ctx.kafka.admin(&run.ctx).await?;
    let Some(found) = admin.topic(topic).await? else { return Ok(None) };
    let partitions: Vec<TopicPartition> =
        found.partitions.iter().map(|partition| TopicPartition::new(topic, partition.index)).collect();
    let earliest = admin.list_offsets(&partitions, OffsetSpec::Earliest).await?;
    let latest = admin.list_offsets(&partitions, OffsetSpec::Latest).await?;
    let mut records = Vec::new();
    for (partition, end) in &latest {
        let start = earliest.get(partition).copied().unwrap_or(0);
        let back = i64::try_from(max).unwrap_or(i64::MAX);
        let mut offset = end.saturating_sub(back).max(start);
        while offset < *end {
            let batch = admin.fetch(partition, offset, FETCH_BYTES, FETCH_WAIT).await?;
            let Some(last) = batch.last() else { break };
            offset = last.offset + 1;
            records.extend(batch.into_iter().map(|record| (partition.partition, record)));
        }
    }
    records.sort_by_key(|(partition, record)| (record.timestamp, *partition, record.offset));
    let surplus = records.len().saturating_sub(max);
    Ok(Some(records.split_off(surplus)))
}

fn lines(records: &[(i32, Record)]) -> String {
    let text = |bytes: &Option<Bytes>| text(bytes).unwrap_or_else(|| "null".to_owned());
    let line = |(partition, record): &(i32, Record)| {
        let Record { offset, key, value, .. } = record;
        format!("{}\t{partition}:{offset}\t{}\t{}\n", time(record), text(key), text(value))
    };
    records.iter().map(line).collect()
}

/// The same as one JSON document. Bytes that are no UTF-8 are replaced, as in the lines.
fn document(run: &Run, topic: &str, records: &[(i32, Record)]) -> String {
    let record = |(partition, record): &(i32, Record)| {
        json!({
            "time": time(record),
            "partition": partition,
            "offset": record.offset,
            "key": text(&record.key),
            "value": text(&record.value),
        })
    };
    let document = json!({
        "command": "records",
        "cluster": run.ctx.inventory.cluster.as_str(),
        "exit": Exit::Done as u8,
        "topic": topic,
        "records": records.iter().map(record).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn time(record: &Record) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(record.timestamp) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| record.timestamp.to_string())
}

fn text(bytes: &Option<Bytes>) -> Option<String> {
    bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}
