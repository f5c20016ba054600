//! One Fetch request: what is wanted of one broker, and what came of each partition.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId as WireBrokerId, FetchRequest, FetchResponse, TopicName};

use super::record_set::AbortedTransaction;
use super::{FetchConfig, Isolation};
use crate::admin::text;
use crate::endpoint::{BrokerId, TopicPartition};
use crate::records::LAST_WITH_NAMES;
use crate::wire::{AnyRequest, MAX_FRAME};

/// More than this is not asked for at once, whatever `fetch.max.bytes` says: an answer has to fit into a frame, with a
/// whole batch at its end.
const LARGEST_ANSWER: i32 = (MAX_FRAME / 2) as i32;

/// What is wanted of a partition: everything from an offset on.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    /// Tells the answer to this question from one to an earlier question.
    pub(super) generation: u64,
}

/// What a broker has for a partition.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) batches: Bytes,
    pub(super) aborted: Vec<AbortedTransaction>,
    /// A replica that is nearer and should be asked instead (KIP-392).
    pub(super) preferred: Option<BrokerId>,
}

#[derive(Debug)]
pub(super) struct Answer {
    /// For how long the broker wants to be left alone.
    pub(super) throttle: Duration,
    /// Of each wanted partition, in their order.
    pub(super) found: Vec<(Wanted, Result<Found, ResponseError>)>,
}

/// Partitions are served in the order of `wanted` until `max_bytes` are reached.
pub(super) fn build(config: &FetchConfig, max_wait: Duration, wanted: &[Wanted]) -> AnyRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for want in wanted {
        let partition = FetchPartition::default()
            .with_partition(want.partition.partition)
            .with_fetch_offset(want.offset)
            .with_partition_max_bytes(config.partition_max_bytes);
        match topics.last_mut() {
            Some(topic) if **topic.topic == *want.partition.topic => topic.partitions.push(partition),
            _ => topics.push(
                FetchTopic::default()
                    .with_topic(TopicName(text(&want.partition.topic)))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    let request = FetchRequest::default()
        .with_replica_id(WireBrokerId(-1))
        .with_max_wait_ms(i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(config.min_bytes)
        .with_max_bytes(config.max_bytes.min(LARGEST_ANSWER))
        .with_isolation_level(match config.isolation {
            Isolation::ReadUncommitted => 0,
            Isolation::ReadCommitted => 1,
        })
        .with_topics(topics);
    let rack = text(&config.rack);
    // Without a session: every request names all that it wants.
    AnyRequest::new(move |version| {
        let request = request.clone();
        let request = if version >= 7 { request.with_session_epoch(-1) } else { request };
        if version >= 11 { request.with_rack_id(rack.clone()) } else { request }
    })
    .at_most(LAST_WITH_NAMES)
}

/// The bytes of one partition, copied where they are the lesser part of an answer: they would keep all of it in memory.
fn apart(records: Bytes, total: usize) -> Bytes {
    if records.len() < total / 2 { Bytes::copy_from_slice(&records) } else { records }
}

/// Sorts the answer by what was wanted.
pub(super) fn read(response: FetchResponse, wanted: Vec<Wanted>) -> Answer {
    let throttle = Duration::from_millis(u64::try_from(response.throttle_time_ms).unwrap_or(0));
    let refused = ResponseError::try_from_code(response.error_code);
    let mut answered = BTreeMap::new();
    for topic in response.responses {
        for partition in topic.partitions {
            answered.insert((topic.topic.to_string(), partition.partition_index), partition);
        }
    }
    let total: usize = answered.values().map(|data| data.records.as_ref().map_or(0, Bytes::len)).sum();
    let mut found = |want: &Wanted| {
        if let Some(code) = refused {
            return Err(code);
        }
        let key = (want.partition.topic.clone(), want.partition.partition);
        let Some(data) = answered.remove(&key) else { return Err(ResponseError::UnknownTopicOrPartition) };
        if let Some(code) = ResponseError::try_from_code(data.error_code) {
            return Err(code);
        }
        let aborted = data.aborted_transactions.unwrap_or_default();
        Ok(Found {
            batches: data.records.map(|records| apart(records, total)).unwrap_or_default(),
            aborted: aborted
                .into_iter()
                .map(|a| AbortedTransaction { producer: a.producer_id.0, first_offset: a.first_offset })
                .collect(),
            preferred: Some(BrokerId(data.preferred_read_replica.0)).filter(|id| id.0 >= 0),
        })
    };
    let found = wanted.into_iter().map(|want| {
        let result = found(&want);
        (want, result)
    });
    Answer { throttle, found: found.collect() }
}
