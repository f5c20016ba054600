//! [`TopicLog`]: a compacted topic that is read from its beginning, followed, and appended to.

use async_trait::async_trait;
use futures::future::BoxFuture;

/// Done when the record is acknowledged by all in-sync replicas.
pub(crate) type Ack = BoxFuture<'static, Result<(), LogError>>;

/// One record as it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogRecord<'a> {
    pub(crate) offset: i64,
    pub(crate) key: &'a [u8],
    /// None is a tombstone.
    pub(crate) value: Option<&'a [u8]>,
}

/// Who takes in what a log holds. Called in the order of the log, never by two threads at once; must not block.
pub(crate) trait Fold: Send + Sync + 'static {
    fn apply(&self, record: LogRecord<'_>);
}

/// The log itself. Its fold is given when it is opened.
#[async_trait]
pub(crate) trait TopicLog: Send + Sync {
    /// Returns when everything that was in the topic at the time of the call has been folded in.
    /// Cancel-safe.
    async fn read_to_end(&self) -> Result<(), LogError>;

    /// Queues a record now, in the order of calls; the answer tells when it is written.
    fn append(&self, key: &[u8], value: Option<&[u8]>) -> Result<Ack, LogError>;

    /// Why this log is of no use any more; it stays so. The other operations then fail with the same.
    fn fault(&self) -> Option<LogError>;
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("could not write to {topic}")]
    Write {
        topic: String,
        #[source]
        source: kafka_control::ProduceError,
    },
    #[error("could not find the end of {topic}")]
    EndOffsets {
        topic: String,
        #[source]
        source: Box<kafka_control::Error>,
    },
    #[error(
        "topic {topic} {what} while this worker ran: restore it, then restart the workers; until then they still know \
         the connectors (GET /connectors?expand=info)"
    )]
    Gone {
        topic: String,
        /// What became of it.
        what: &'static str,
    },
    #[error("{topic} is closed")]
    Closed { topic: String },
}
