//! A small producer and a small consumer, for checks and for people who want to see records: one partition, one request
//! at a time, no transactions, no idempotence.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiKey, FetchRequest, ProduceRequest, TopicName};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record as WireRecord,
    RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::admin::{left_out, text, verdict};
use crate::client::{Client, call_on};
use crate::endpoint::TopicPartition;
use crate::error::Error;
use crate::retry::Retry;
use crate::route::Route;
use crate::wire::AnyRequest;

/// The last version of Fetch and Produce that names topics; later ones want their ids.
const LAST_WITH_NAMES: i16 = 12;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// In their order; of several headers with one name only the last is kept.
    pub headers: Vec<(String, Option<Bytes>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// Names must differ.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Who must have a record before it counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    Leader,
    /// Every in-sync replica.
    All,
}

impl Client {
    /// Reads records from `offset` on, transactions that were aborted included. Returns what there is as soon as there
    /// is something, nothing after `max_wait`. Other requests to the same broker wait meanwhile. Understands batches
    /// that are not compressed, or with gzip or snappy.
    pub async fn fetch(
        &self,
        partition: &TopicPartition,
        offset: i64,
        max_bytes: i32,
        max_wait: Duration,
    ) -> Result<Vec<Record>, Error> {
        let mut retry = Retry::new(ApiKey::Fetch, self.inner.config.api_timeout);
        let encoded = loop {
            match self.fetch_once(partition, offset, max_bytes, max_wait).await {
                Ok(encoded) => break encoded,
                Err(error) => {
                    self.state().view.forget();
                    retry.pause(error).await?;
                }
            }
        };
        decode(encoded, offset)
    }

    /// Writes records as one batch, and returns the offset of the first.
    pub async fn produce(
        &self,
        partition: &TopicPartition,
        records: &[NewRecord],
        acks: Acks,
    ) -> Result<i64, Error> {
        let batch = encode(records)?;
        let data = PartitionProduceData::default().with_index(partition.partition).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(TopicName(text(&partition.topic)))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(match acks {
                Acks::Leader => 1,
                Acks::All => -1,
            })
            .with_timeout_ms(self.timeout_ms())
            .with_topic_data(vec![topic]);
        self.send_at_most(
            LAST_WITH_NAMES,
            Route::Leader(partition),
            move |_version| request.clone(),
            |response| {
                let subject = partition.to_string();
                let answered = response.responses.iter().flat_map(|topic| &topic.partition_responses).next();
                match answered {
                    None => Err(left_out(ApiKey::Produce, subject)),
                    Some(answered) => {
                        let message = answered.error_message.as_ref();
                        verdict(ApiKey::Produce, subject, answered.error_code, message)?;
                        Ok(answered.base_offset)
                    }
                }
            },
        )
        .await
    }

    async fn fetch_once(
        &self,
        partition: &TopicPartition,
        offset: i64,
        max_bytes: i32,
        max_wait: Duration,
    ) -> Result<Bytes, Error> {
        let leader = self.resolve(Route::Leader(partition)).await?;
        let wanted = FetchPartition::default()
            .with_partition(partition.partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(max_bytes);
        let topic =
            FetchTopic::default().with_topic(TopicName(text(&partition.topic))).with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_max_wait_ms(i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            .with_max_bytes(max_bytes)
            .with_topics(vec![topic]);
        let request = AnyRequest::new(move |_version| request.clone()).at_most(LAST_WITH_NAMES);
        let limit = max_wait + self.inner.config.request_timeout;
        let response = call_on::<FetchRequest>(&self.link(&leader), request, limit).await?;
        let refused = |refusal| Error::Refused { broker: leader.clone(), refusal };
        verdict(ApiKey::Fetch, partition.to_string(), response.error_code, None).map_err(refused)?;
        let answered = response.responses.into_iter().flat_map(|topic| topic.partitions).next();
        let Some(answered) = answered else {
            let what = partition.to_string();
            return Err(Error::Incomplete { broker: leader, api: ApiKey::Fetch, what });
        };
        verdict(ApiKey::Fetch, partition.to_string(), answered.error_code, None).map_err(refused)?;
        Ok(answered.records.unwrap_or_default())
    }
}

fn encode(records: &[NewRecord]) -> Result<Bytes, Error> {
    let wire_record = |(index, record): (i64, &NewRecord)| WireRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: index,
        // Counted so that the batch starts with "no sequence"; the encoder splits batches where it is not consecutive.
        sequence: (index as i32).wrapping_sub(1),
        timestamp: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.iter().map(|(name, value)| (text(name), value.clone())).collect(),
    };
    let records: Vec<WireRecord> = (0..).zip(records).map(wire_record).collect();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, &records, &options)
        .map_err(|error| Error::Records(error.into()))?;
    Ok(batch.freeze())
}

/// Where the length of a batch stands, and what comes before the part that it counts.
const BATCH_LENGTH_AT: usize = 8;
const BATCH_PREFIX: usize = 12;

fn decode(mut batches: Bytes, from: i64) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    // The broker cuts the last batch where max_bytes is reached.
    while let Some(length) = batches.get(BATCH_LENGTH_AT..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if batches.len() - BATCH_PREFIX < length {
            break;
        }
        let batch = RecordBatchDecoder::decode(&mut batches).map_err(|error| Error::Records(error.into()))?;
        let wanted = batch.records.into_iter().filter(|record| !record.control && record.offset >= from);
        records.extend(wanted.map(|record| Record {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
        }));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(timestamp: i64, key: Option<&'static str>, value: Option<&'static str>) -> NewRecord {
        NewRecord {
            timestamp,
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers: vec![("h".to_owned(), Some(Bytes::from("x"))), ("null".to_owned(), None)],
        }
    }

    #[test]
    fn records_come_back_from_one_batch() {
        let new = [record(5, Some("a"), Some("1")), record(7, None, None), record(3, Some("b"), Some(""))];
        let batch = encode(&new).unwrap();
        let mut one = batch.clone();
        RecordBatchDecoder::decode(&mut one).unwrap();
        assert!(one.is_empty(), "all records are in one batch");
        let records = decode(batch, 0).unwrap();
        assert_eq!(records.len(), new.len());
        for ((offset, record), new) in (0..).zip(records).zip(new) {
            assert_eq!(record.offset, offset);
            assert_eq!(
                (record.timestamp, record.key, record.value, record.headers),
                (new.timestamp, new.key, new.value, new.headers)
            );
        }
    }

    #[test]
    fn what_lies_before_the_offset_and_a_cut_batch_are_left_out() {
        let whole = encode(&[record(1, None, Some("1")), record(2, None, Some("2"))]).unwrap();
        assert_eq!(decode(whole.clone(), 1).unwrap().len(), 1);
        for cut in 1..whole.len() {
            let mut twice = whole.to_vec();
            twice.extend_from_slice(&whole[..cut]);
            assert_eq!(decode(twice.into(), 0).unwrap().len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_batch_is_an_error() {
        let mut damaged = encode(&[record(1, None, Some("1"))]).unwrap().to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(matches!(decode(damaged.into(), 0), Err(Error::Records(_))));
    }
}
