//! Reading partitions without end: what a consumer does once it knows which partitions are its own.
//!
//! A [`Fetcher`] asks the brokers that lead its partitions, one request to each at a time, and keeps asking while what
//! it has is worked on: of each partition at most two answers wait. It finds out by itself where a partition has moved.
//! Groups, assignments and commits are not its business. Source: `Fetcher` and `FetchCollector` of Kafka.

mod answers;
mod asking;
mod fetcher;
mod record_set;
mod request;

use std::time::Duration;

use thiserror::Error;

pub use self::fetcher::Fetcher;
pub use self::record_set::{RecordSet, RecordsError};
use crate::endpoint::TopicPartition;
use crate::error::ApiRefusal;

/// The consumer's settings that are about fetching, with Kafka's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchConfig {
    /// `fetch.max.wait.ms`: how long a broker waits for `min_bytes`.
    pub max_wait: Duration,
    /// `fetch.min.bytes`
    pub min_bytes: i32,
    /// `fetch.max.bytes`: of one answer.
    pub max_bytes: i32,
    /// `max.partition.fetch.bytes`: of one partition in an answer.
    pub partition_max_bytes: i32,
    /// `isolation.level`
    pub isolation: Isolation,
    /// `auto.offset.reset`
    pub reset: OffsetReset,
    /// `check.crcs`
    pub checks_crc: bool,
    /// `client.rack`; empty for none.
    pub rack: String,
    /// `metadata.max.age.ms`: after this it is asked again who leads what, and whether a replica is nearer.
    pub metadata_max_age: Duration,
    /// A topic that brokers do not know is an error, in the place of being waited for.
    pub tells_unknown: bool,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 * 1024 * 1024,
            partition_max_bytes: 1024 * 1024,
            isolation: Isolation::ReadUncommitted,
            reset: OffsetReset::Latest,
            checks_crc: true,
            rack: String::new(),
            metadata_max_age: Duration::from_secs(300),
            tells_unknown: false,
        }
    }
}

/// `isolation.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted,
    /// Nothing of transactions that are under way or were aborted.
    ReadCommitted,
}

/// `auto.offset.reset`: where to read a partition that has no offset, or one that the log has no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    Earliest,
    Latest,
    /// Nowhere: it is an error.
    None,
}

/// Why a fetcher cannot go on by itself.
#[derive(Debug, Error)]
pub enum FetchError {
    #[error("{0} has no committed offset, and auto.offset.reset is none")]
    NoOffset(TopicPartition),
    #[error("offset {offset} of {partition} is not in the log, and auto.offset.reset is none")]
    OffsetOutOfRange { partition: TopicPartition, offset: i64 },
    #[error("{partition} cannot be read")]
    Partition {
        partition: TopicPartition,
        #[source]
        source: ApiRefusal,
    },
    #[error("records of {partition} cannot be read; seek past them to go on")]
    Records {
        partition: TopicPartition,
        #[source]
        source: RecordsError,
    },
}
