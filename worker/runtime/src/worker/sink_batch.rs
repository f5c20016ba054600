//! Records as a sink's consumer gives them, batch by batch, before conversion.

use std::sync::Arc;

use connect_api::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp};

use crate::worker::pipeline::RawRecord;
use crate::worker::sink_consumer::SinkConsumer;

/// A batch gets room for this many records and bytes at once, and grows if it has more.
const USUAL_BATCH: usize = 500;
const USUAL_BYTES: usize = 1 << 20;

/// Records as they are consumed: their bytes lie one after the other in one buffer.
pub(crate) struct RawBatch {
    pub(crate) records: Vec<RawRecord>,
    pub(crate) bytes: BytesMut,
    /// What came behind the records.
    pub(crate) failure: Option<KafkaError>,
    topic: Option<Arc<str>>,
}

/// Waits for records and takes those that are there, up to `max`. Cancel-safe: nothing is lost, because what
/// was taken is returned without waiting again.
pub(crate) async fn consume(consumer: &SinkConsumer, max: usize) -> Result<RawBatch, KafkaError> {
    let mut messages = consumer.inner().stream();
    let mut raw = match messages.next().await {
        Some(message) => RawBatch::beginning_with(&message?, max),
        None => return Err(KafkaError::Canceled),
    };
    while raw.records.len() < max {
        match messages.next().now_or_never() {
            Some(Some(Ok(message))) => raw.add(&message),
            Some(Some(Err(error))) => {
                raw.failure = Some(error);
                break;
            }
            Some(None) | None => break,
        }
    }
    Ok(raw)
}

impl RawBatch {
    /// With room for a batch of records that are as large as the first one.
    fn beginning_with(message: &BorrowedMessage<'_>, max: usize) -> Self {
        let size = message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len);
        let mut raw = Self {
            records: Vec::with_capacity(max.min(USUAL_BATCH)),
            bytes: BytesMut::with_capacity(size.saturating_mul(max).min(USUAL_BYTES)),
            failure: None,
            topic: None,
        };
        raw.add(message);
        raw
    }

    fn add(&mut self, message: &BorrowedMessage<'_>) {
        let topic = match &self.topic {
            Some(topic) if **topic == *message.topic() => topic.clone(),
            _ => self.topic.insert(Arc::from(message.topic())).clone(),
        };
        let (timestamp, timestamp_type) = match message.timestamp() {
            Timestamp::NotAvailable => (None, connect_api::TimestampType::NoTimestampType),
            Timestamp::CreateTime(ms) => (Some(ms), connect_api::TimestampType::CreateTime),
            Timestamp::LogAppendTime(ms) => (Some(ms), connect_api::TimestampType::LogAppendTime),
        };
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.map(Bytes::copy_from_slice))).collect()
        });
        let mut append = |part: Option<&[u8]>| {
            part.map(|part| {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(part);
                start..self.bytes.len()
            })
        };
        let (key, value) = (append(message.key()), append(message.payload()));
        self.records.push(RawRecord {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: timestamp.filter(|t| *t >= 0),
            timestamp_type,
            key,
            value,
            headers,
        });
    }
}
