//! `records`: the newest records of a topic, as they stand in Kafka.

use std::time::Duration;

use kafka_control::{OffsetSpec, Record, TopicPartition};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::open::{Intent, Run};
use super::refusal::Refusal;
use crate::causes::chain;
use crate::cli::RecordsArgs;
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;
use crate::kafka_access::KafkaAccessError;
use crate::report;

/// How much of one partition is read for its newest records.
const FETCH_BYTES: i32 = 4 << 20;
const FETCH_WAIT: Duration = Duration::from_secs(2);

/// Prints the newest records, oldest first: time, partition, offset, key, value.
pub(crate) async fn records(args: RecordsArgs, interrupt: &Interrupt) -> Exit {
    let run = match Run::open("records", &args.run, Intent::Look, interrupt).await {
        Ok(run) => run,
        Err(exit) => return exit,
    };
    let found = match interrupt.unless(newest(&run, &args.topic, args.max)).await {
        Ok(found) => found,
        Err(signal) => return run.abandon(signal).await,
    };
    let exit = match found {
        Ok(records) => {
            let text: String = records.iter().map(|(partition, record)| line(*partition, record)).collect();
            report::stdout(&text);
            Exit::Done
        }
        Err(error) => {
            let refusal = Refusal::new("records", &args.run.inventory);
            refusal.tell(Exit::CheckFailed, &chain(&error), error.hint().as_deref())
        }
    };
    run.close().await;
    exit
}

async fn newest(run: &Run, topic: &str, max: usize) -> Result<Vec<(i32, Record)>, KafkaAccessError> {
    let admin = run.ctx.kafka.admin(&run.ctx).await?;
    let partitions: Vec<TopicPartition> = match admin.topic(topic).await? {
        None => Vec::new(),
        Some(found) => {
            found.partitions.iter().map(|partition| TopicPartition::new(topic, partition.index)).collect()
        }
    };
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
    Ok(records.split_off(surplus))
}

fn line(partition: i32, record: &Record) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(record.timestamp) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| record.timestamp.to_string());
    let text = |bytes: &Option<bytes::Bytes>| match bytes {
        None => "null".to_owned(),
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    format!("{time}\t{partition}:{}\t{}\t{}\n", record.offset, text(&record.key), text(&record.value))
}
