//! Between a connector's values and the bytes of Kafka records.
//!
//! Which errors a task survives is decided here once: `errors.tolerance` for conversions.

use std::ops::Range;

use connect_api::{
    BytesMut, ConnectError, ConnectRecord, Encoded, Header, Headers, SinkRecord, SourceBatch, SourceEntry,
    TimestampType, TopicPartition,
};
use kafka_control::Record;

use crate::metrics::task::TaskMetrics;
use crate::names::TaskId;
use crate::plugins::connector_config::ConnectorSettings;
use crate::plugins::converters::Converters;

/// Where an operation failed, as logs name it.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Header,
    Key,
    Value,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "HEADER_CONVERTER",
            Self::Key => "KEY_CONVERTER",
            Self::Value => "VALUE_CONVERTER",
        }
    }
}

struct Failure {
    stage: Stage,
    error: ConnectError,
}

/// A task's converters and what it does with bad records.
pub(crate) struct Pipeline {
    id: TaskId,
    converters: Converters,
    settings: ConnectorSettings,
    buffer: BytesMut,
}

/// One record as the producer wants it: ranges of the pipeline's buffer.
pub(crate) struct EncodedRecord {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Vec<Option<Range<usize>>>,
}

impl Pipeline {
    pub(crate) fn new(id: TaskId, converters: Converters, settings: ConnectorSettings) -> Self {
        Self { id, converters, settings, buffer: BytesMut::new() }
    }

    pub(crate) fn tolerates_errors(&self) -> bool {
        self.settings.tolerate_errors
    }

    /// Encodes one record; the result is valid until the next call. `None` drops the record. Errors fail the
    /// task.
    pub(crate) fn encode(
        &mut self,
        batch: &SourceBatch,
        entry: &SourceEntry,
        metrics: &TaskMetrics,
    ) -> Result<Option<EncodedRecord>, ConnectError> {
        self.buffer.clear();
        match self.try_encode(batch, entry) {
            Ok(encoded) => Ok(Some(encoded)),
            Err(failure) => {
                let record = || format!(", where source record is = SourceRecord{{topic='{}'}}", batch.topic);
                self.judge(failure, record, metrics)?;
                Ok(None)
            }
        }
    }

    pub(crate) fn key(&self, record: &EncodedRecord) -> Option<&[u8]> {
        self.part(&record.key)
    }

    pub(crate) fn value(&self, record: &EncodedRecord) -> Option<&[u8]> {
        self.part(&record.value)
    }

    /// Names and values. Without headers nothing is allocated.
    pub(crate) fn headers<'a>(
        &'a self,
        entry: &'a SourceEntry,
        record: &EncodedRecord,
    ) -> Vec<(&'a str, Option<&'a [u8]>)> {
        let named = entry.headers.iter().zip(&record.headers);
        named.map(|(header, value)| (&*header.key, self.part(value))).collect()
    }

    fn part(&self, part: &Option<Range<usize>>) -> Option<&[u8]> {
        part.clone().map(|range| &self.buffer[range])
    }

    fn try_encode(&mut self, batch: &SourceBatch, entry: &SourceEntry) -> Result<EncodedRecord, Failure> {
        let Self { converters, buffer, .. } = self;
        let failed = |stage| move |error| Failure { stage, error };
        let mut headers = Vec::new();
        for header in entry.headers.iter() {
            let start = buffer.len();
            let encoded = converters
                .header
                .from_connect_header(&batch.topic, &header.key, header.schema.as_ref(), &header.value, buffer)
                .map_err(failed(Stage::Header))?;
            headers.push(appended(encoded, start, buffer));
        }
        let start = buffer.len();
        let encoded = converters
            .key
            .from_connect_data(&batch.topic, batch.key_schema.as_ref(), &entry.key, buffer)
            .map_err(failed(Stage::Key))?;
        let key = appended(encoded, start, buffer);
        let start = buffer.len();
        let encoded = converters
            .value
            .from_connect_data(&batch.topic, batch.value_schema.as_ref(), &entry.value, buffer)
            .map_err(failed(Stage::Value))?;
        Ok(EncodedRecord { key, value: appended(encoded, start, buffer), headers })
    }

    /// Decodes one record of a partition and adds it to `records`, or drops it. Errors fail the task.
    pub(crate) fn decode(
        &mut self,
        from: &TopicPartition,
        raw: &Record,
        metrics: &TaskMetrics,
        records: &mut Vec<SinkRecord>,
    ) -> Result<(), ConnectError> {
        let Err(failure) = self.try_decode(from, raw, records) else { return Ok(()) };
        let (TopicPartition { topic, partition }, offset) = (from, raw.offset);
        let time = timestamp(raw)
            .map(|t| format!(", timestamp={t}, timestampType={:?}", timestamp_type(raw)))
            .unwrap_or_default();
        let record = || {
            format!(
                ", where consumed record is {{topic='{topic}', partition={partition}, offset={offset}{time}}}"
            )
        };
        self.judge(failure, record, metrics)
    }

    fn try_decode(
        &mut self,
        from: &TopicPartition,
        raw: &Record,
        records: &mut Vec<SinkRecord>,
    ) -> Result<(), Failure> {
        let converters = &mut self.converters;
        let key = match converters.key.to_connect_data(&from.topic, raw.key.as_ref()) {
            Ok(key) => key,
            Err(error) => return Err(Failure { stage: Stage::Key, error }),
        };
        let value = match converters.value.to_connect_data(&from.topic, raw.value.as_ref()) {
            Ok(value) => value,
            Err(error) => return Err(Failure { stage: Stage::Value, error }),
        };
        let mut headers = Vec::with_capacity(raw.headers.len());
        for (name, data) in &raw.headers {
            let name = name.as_str().into();
            let header = converters
                .header
                .to_connect_header(&from.topic, &name, data.as_ref())
                .map_err(|error| Failure { stage: Stage::Header, error })?;
            headers.push(Header { key: name, schema: header.schema, value: header.value });
        }
        records.push(SinkRecord {
            record: ConnectRecord {
                topic: from.topic.clone(),
                partition: Some(from.partition),
                key_schema: key.schema,
                key: key.value,
                value_schema: value.schema,
                value: value.value,
                timestamp: timestamp(raw),
                headers: Headers::from(headers),
            },
            original: None,
            offset: raw.offset,
            timestamp_type: timestamp_type(raw),
        });
        Ok(())
    }

    /// Counts and logs a failure, and says whether the task goes on.
    fn judge(
        &self,
        failure: Failure,
        record: impl Fn() -> String,
        metrics: &TaskMetrics,
    ) -> Result<(), ConnectError> {
        use std::sync::atomic::Ordering::Relaxed;
        metrics.errors.failed();
        let stage = failure.stage.name();
        if self.settings.log_errors {
            metrics.errors.logged.fetch_add(1, Relaxed);
            let record = if self.settings.log_records { record() } else { String::new() };
            let error = &failure.error as &dyn std::error::Error;
            tracing::error!(
                error,
                "Error encountered in task {}. Executing stage '{stage}'{record}.",
                self.id
            );
        }
        if self.settings.tolerate_errors {
            metrics.errors.skipped.fetch_add(1, Relaxed);
            return Ok(());
        }
        Err(ConnectError::connect("Tolerance exceeded in error handler").with_source(failure.error))
    }
}

fn appended(encoded: Encoded, start: usize, buffer: &BytesMut) -> Option<Range<usize>> {
    match encoded {
        Encoded::Null => None,
        Encoded::Appended => Some(start..buffer.len()),
    }
}

/// Without one in the log it is -1.
fn timestamp(raw: &Record) -> Option<i64> {
    Some(raw.timestamp).filter(|timestamp| *timestamp >= 0)
}

fn timestamp_type(raw: &Record) -> TimestampType {
    match (timestamp(raw), raw.timestamp_type) {
        (None, _) => TimestampType::NoTimestampType,
        (Some(_), kafka_control::TimestampType::CreateTime) => TimestampType::CreateTime,
        (Some(_), kafka_control::TimestampType::LogAppendTime) => TimestampType::LogAppendTime,
    }
}
