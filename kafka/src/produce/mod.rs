//! Writing without end: what a producer does between a record and its acknowledgement.
//!
//! A [`Producer`] copies records into batches, one that is being filled for each partition, and a task of its own sends
//! them to the brokers that lead the partitions: one request to each at a time, so that what has to be sent again stays
//! in its order. What passes by itself is waited for. What became of the records is told to [`Deliveries`], by the run.
//! Source: `KafkaProducer`, `RecordAccumulator` and `Sender` of Kafka.

mod answers;
mod identity;
mod leaders;
mod partitioner;
mod producer;
mod queue;
mod request;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use self::producer::Producer;
use crate::batch::Compression;
use crate::error::{ApiRefusal, Error};
use crate::records::Acks;

/// The producer's settings, with Kafka's defaults. How long an answer is waited for is the client's `request_timeout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerConfig {
    /// `acks`
    pub acks: Acks,
    /// `enable.idempotence`: the broker drops what it has already got.
    pub is_idempotent: bool,
    /// `batch.size`: bytes of a batch at most, unless one record is larger.
    pub batch_size: usize,
    /// `linger.ms`: how long a batch that is not full waits for more.
    pub linger: Duration,
    /// `buffer.memory`: bytes of records that are not acknowledged.
    pub buffer_memory: usize,
    /// `max.request.size`: of one record, and of one request unless one batch is larger.
    pub max_request_size: usize,
    /// `compression.type`
    pub compression: Compression,
    /// `retries`: of one batch.
    pub retries: u32,
    /// `retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the pause doubles up to this.
    pub retry_backoff_max: Duration,
    /// `delivery.timeout.ms`: from a record's batch's beginning to its acknowledgement.
    pub delivery_timeout: Duration,
    /// Whether brokers may make a topic that is not there, if they do so at all.
    pub may_create_topics: bool,
    /// `metadata.max.age.ms`: after this it is asked again who leads what.
    pub metadata_max_age: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            is_idempotent: true,
            batch_size: 16_384,
            linger: Duration::from_millis(5),
            buffer_memory: 32 * 1024 * 1024,
            max_request_size: 1024 * 1024,
            compression: Compression::None,
            retries: u32::MAX,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            delivery_timeout: Duration::from_secs(120),
            may_create_topics: true,
            metadata_max_age: Duration::from_secs(300),
        }
    }
}

/// Consecutive marks: those of records that were handed over one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub first: u64,
    pub count: u32,
}

/// Where a run of records stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub partition: i32,
    /// Offset of the first; the others follow it. `None` when the broker did not say.
    pub offset: Option<i64>,
}

/// Who hears what became of records. Called by the producer's own task: to be quick, and to wait for nothing.
pub trait Deliveries: Send + Sync + 'static {
    fn delivered(&self, run: Run, result: Result<Stored, &ProduceError>);
}

/// Why records were not written.
#[derive(Debug, Clone, Error)]
pub enum ProduceError {
    #[error("the broker refused them")]
    Refused(#[source] ApiRefusal),
    #[error("not acknowledged within {0:?} (delivery.timeout.ms)")]
    TimedOut(Duration),
    #[error("a record of {size} bytes, more than the {limit} that max.request.size and buffer.memory allow")]
    TooLarge { size: usize, limit: usize },
    #[error("there is no partition {0}")]
    NoPartition(i32),
    #[error("no id for an idempotent producer")]
    ProducerId(#[source] Arc<Error>),
}
