//! What the author of a connector, converter or transform sees.
//!
//! The traits are Kafka Connect's, in Kafka's words, with one difference: the record path works in batches.
//! [`SourceTask::poll`] hands over a [`SourceBatch`], whose records share topic, schemas and source partition
//! and render their offsets only when asked; [`SinkTask::put`] receives a slice; converters append to a buffer.
//!
//! Nothing here knows the worker, HTTP or the Kafka client. Start with [`SourceTask`] or [`SinkTask`].
#![deny(missing_docs)]

mod calendar;
mod config_def;
mod connector;
mod converter;
pub mod converters;
mod decimal;
mod error;
pub mod java_text;
mod record;
pub mod schema;
mod sink;
mod source;
mod transform;
mod value;

pub use bytes::{Bytes, BytesMut};
pub use bytestring::ByteString;
pub use config_def::{
    ConfigDef, ConfigKey, ConfigValue, Importance, ParsedConfig, ParsedValue, Recommender, Type, Validator,
    Width,
};
pub use connector::{ConnectorContext, OffsetStorageReader, Props, TopicPartition};
pub use converter::{Converter, ConverterKind, Encoded, HeaderConverter, SchemaAndValue};
pub use decimal::Decimal;
pub use error::{ConnectError, ErrorKind};
pub use record::{
    BatchOffsets, ConnectRecord, Header, Headers, OffsetMap, SinkRecord, SourceBatch, SourceEntry,
    SourceOffset, SourceRecord, TimestampType, Topic,
};
pub use schema::{Field, Presence, Schema, SchemaBuilder, SchemaType};
pub use sink::{ErrantRecordReporter, SinkConnector, SinkTask, SinkTaskContext, TopicOffsets};
pub use source::{ExactlyOnceSupport, RecordMetadata, SourceConnector, SourceTask, SourceTaskContext};
pub use transform::{Predicate, Transform};
pub use value::{MapValue, Struct, Value, Values};
