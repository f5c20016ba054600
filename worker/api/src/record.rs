//! Records, alone and in batches, their headers and their source offsets.
//!
//! A [`SourceBatch`] is what travels: what its records share is said once, and an offset is a number until
//! somebody has to store it. [`SourceRecord`] is the same record on its own, for transforms and error reports.

use std::fmt;
use std::sync::Arc;

use crate::{ByteString, Schema, TopicPartition, Value};

/// A topic name, shared by the records of a batch.
pub type Topic = Arc<str>;

/// A source partition or a source offset: names and primitive values. The order of insertion is the order of
/// the bytes in the offsets topic. Equality ignores it, and the width of integers, because both are lost there.
#[derive(Clone, Debug, Default)]
pub struct OffsetMap(Vec<(ByteString, Value)>);

impl OffsetMap {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    /// Sets a name, in its old place if it has one.
    pub fn insert(&mut self, name: impl Into<ByteString>, value: Value) {
        let name = name.into();
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// The entries in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, (ByteString, Value)> {
        self.0.iter()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for OffsetMap {
    fn eq(&self, other: &Self) -> bool {
        let is_equal = |value: &Value, other: &Value| match (value.as_i64(), other.as_i64()) {
            (None, None) => value == other,
            (value, other) => value == other,
        };
        self.len() == other.len()
            && self.iter().all(|(name, value)| other.get(name).is_some_and(|other| is_equal(value, other)))
    }
}

impl<N: Into<ByteString>> FromIterator<(N, Value)> for OffsetMap {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (name, value) in entries {
            map.insert(name, value);
        }
        map
    }
}

impl<N: Into<ByteString>, const COUNT: usize> From<[(N, Value); COUNT]> for OffsetMap {
    fn from(entries: [(N, Value); COUNT]) -> Self {
        entries.into_iter().collect()
    }
}

/// The offsets of a batch's records, rendered on demand: only the last acknowledged record of a commit interval
/// is ever asked.
pub trait BatchOffsets: Send + Sync + fmt::Debug {
    /// The offset of the record at `index` in the batch; `None` is stored as null.
    fn render(&self, index: usize) -> Option<OffsetMap>;
}

/// Offsets that are ready as maps, one per record.
impl BatchOffsets for Vec<Option<OffsetMap>> {
    fn render(&self, index: usize) -> Option<OffsetMap> {
        self[index].clone()
    }
}

/// The offset of one record: its batch's offsets and its place in them.
#[derive(Clone, Debug)]
pub struct SourceOffset {
    batch: Arc<dyn BatchOffsets>,
    index: u32,
}

impl SourceOffset {
    /// The offset of record `index` of a batch.
    pub fn new(batch: Arc<dyn BatchOffsets>, index: usize) -> Self {
        Self { batch, index: u32::try_from(index).expect("a batch has less than four billion records") }
    }

    /// The map to store; `None` is stored as null.
    pub fn render(&self) -> Option<OffsetMap> {
        self.batch.render(self.index as usize)
    }
}

/// One header.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The name; not unique.
    pub key: ByteString,
    /// The schema, if there is one.
    pub schema: Option<Schema>,
    /// The value.
    pub value: Value,
}

/// A record's headers in order. Clones share; most records have none, which costs nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(Option<Arc<[Header]>>);

impl Headers {
    /// No headers.
    pub const fn none() -> Self {
        Self(None)
    }
}

impl From<Vec<Header>> for Headers {
    fn from(headers: Vec<Header>) -> Self {
        if headers.is_empty() { Self(None) } else { Self(Some(headers.into())) }
    }
}

impl<const COUNT: usize> From<[Header; COUNT]> for Headers {
    fn from(headers: [Header; COUNT]) -> Self {
        if COUNT == 0 { Self(None) } else { Self(Some(Arc::from(headers))) }
    }
}

impl std::ops::Deref for Headers {
    type Target = [Header];

    fn deref(&self) -> &[Header] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// What source and sink records have in common, and what transforms change.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectRecord {
    /// Where the record goes to, or comes from.
    pub topic: Topic,
    /// The Kafka partition; `None` on a source record lets the producer choose.
    pub partition: Option<i32>,
    /// Schema of the key.
    pub key_schema: Option<Schema>,
    /// The key.
    pub key: Value,
    /// Schema of the value.
    pub value_schema: Option<Schema>,
    /// The value.
    pub value: Value,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// The headers.
    pub headers: Headers,
}

/// A record on its way to Kafka.
#[derive(Clone, Debug)]
pub struct SourceRecord {
    /// Topic, key, value, timestamp, headers.
    pub record: ConnectRecord,
    /// Where in the source system it was read. Shape: connector-defined names -> primitive values.
    pub source_partition: Arc<OffsetMap>,
    /// How far that partition has been read once this record is stored.
    pub source_offset: SourceOffset,
}

/// What differs between the records of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceEntry {
    /// The key.
    pub key: Value,
    /// The value.
    pub value: Value,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// The Kafka partition; `None` lets the producer choose.
    pub partition: Option<i32>,
    /// The headers.
    pub headers: Headers,
}

/// Records of one topic, one pair of schemas and one source partition, in the order in which they were read. A
/// task that has records for several topics returns one batch after the other.
#[derive(Clone, Debug)]
pub struct SourceBatch {
    /// Where the records go to.
    pub topic: Topic,
    /// Where in the source system they were read.
    pub source_partition: Arc<OffsetMap>,
    /// Schema of all keys.
    pub key_schema: Option<Schema>,
    /// Schema of all values.
    pub value_schema: Option<Schema>,
    /// The records.
    pub entries: Vec<SourceEntry>,
    /// Their offsets, by index in `entries`.
    pub offsets: Arc<dyn BatchOffsets>,
}

impl SourceBatch {
    /// The offset of the record at `index`.
    pub fn offset(&self, index: usize) -> SourceOffset {
        SourceOffset::new(self.offsets.clone(), index)
    }

    /// The record at `index` on its own. Panics when there is none, as indexing does.
    pub fn record(&self, index: usize) -> SourceRecord {
        self.detach(self.entries[index].clone(), index)
    }

    /// All records on their own.
    pub fn into_records(mut self) -> impl Iterator<Item = SourceRecord> {
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().enumerate().map(move |(index, entry)| self.detach(entry, index))
    }

    fn detach(&self, entry: SourceEntry, index: usize) -> SourceRecord {
        SourceRecord {
            record: ConnectRecord {
                topic: self.topic.clone(),
                partition: entry.partition,
                key_schema: self.key_schema.clone(),
                key: entry.key,
                value_schema: self.value_schema.clone(),
                value: entry.value,
                timestamp: entry.timestamp,
                headers: entry.headers,
            },
            source_partition: self.source_partition.clone(),
            source_offset: self.offset(index),
        }
    }
}

/// How a consumed record got its timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// There is none.
    #[default]
    NoTimestampType,
    /// Set by the producer.
    CreateTime,
    /// Set by the broker.
    LogAppendTime,
}

/// A record that came from Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkRecord {
    /// Topic, key, value, timestamp, headers, after the transforms.
    pub record: ConnectRecord,
    /// Where it was consumed from, if transforms have changed `record.topic` or `record.partition`.
    pub original: Option<Arc<TopicPartition>>,
    /// Its offset there; transforms cannot change it.
    pub offset: i64,
    /// How its timestamp came about.
    pub timestamp_type: TimestampType,
}

impl SinkRecord {
    /// The topic it was consumed from, whatever the transforms made of it.
    pub fn original_topic(&self) -> &Topic {
        self.original.as_ref().map_or(&self.record.topic, |original| &original.topic)
    }

    /// The partition it was consumed from. Panics when a record that was not consumed is passed off as one.
    pub fn original_partition(&self) -> i32 {
        let partition =
            self.original.as_ref().map_or(self.record.partition, |original| Some(original.partition));
        partition.expect("what was consumed has a partition")
    }
}
