//! Where the fields of a batch of message format 2 stand. Source: `DefaultRecordBatch` of Kafka.

pub(crate) const BATCH_LENGTH: usize = 8;
pub(crate) const LEADER_EPOCH: usize = 12;
pub(crate) const MAGIC: usize = 16;
pub(crate) const CHECKSUM: usize = 17;
pub(crate) const ATTRIBUTES: usize = 21;
pub(crate) const LAST_OFFSET_DELTA: usize = 23;
pub(crate) const BASE_TIMESTAMP: usize = 27;
pub(crate) const MAX_TIMESTAMP: usize = 35;
pub(crate) const PRODUCER_ID: usize = 43;
pub(crate) const PRODUCER_EPOCH: usize = 51;
pub(crate) const SEQUENCE: usize = 53;
pub(crate) const RECORD_COUNT: usize = 57;
/// Behind the header.
pub(crate) const RECORDS: usize = 61;

/// What the length of a batch does not count: the offset and itself.
pub(crate) const PREFIX: usize = 12;
