//! Records as they are read, and a small consumer for checks and for people who want to see records: one partition, one
//! request at a time.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{ApiKey, FetchRequest, TopicName};

use crate::admin::{text, verdict};
use crate::client::{Client, call_on};
use crate::endpoint::TopicPartition;
use crate::error::Error;
use crate::fetch::RecordSet;
use crate::retry::Retry;
use crate::route::Route;
use crate::wire::AnyRequest;

/// The last version of Fetch and Produce that names topics; later ones want their ids.
pub(crate) const LAST_WITH_NAMES: i16 = 12;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub timestamp_type: TimestampType,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// In their order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Who has set a record's timestamp: `message.timestamp.type` of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// Its producer.
    CreateTime,
    /// The broker.
    LogAppendTime,
}

/// Who must have a record before it counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    Leader,
    /// Every in-sync replica.
    All,
}

impl Acks {
    /// As requests say it.
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

impl Client {
    /// Reads records from `offset` on, transactions that were aborted included. Returns what there is as soon as there
    /// is something, nothing after `max_wait`. Other requests to the same broker wait meanwhile.
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
                Err(error) => self.recover(&mut retry, error).await?,
            }
        };
        let mut set = RecordSet::new(encoded, offset, true, Vec::new());
        let mut records = Vec::new();
        while let Some(record) = set.next_record().map_err(|error| Error::Records(error.into()))? {
            records.push(record);
        }
        Ok(records)
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
