//! `FileStreamSink`: one line per record.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use connect_api::{
    ConfigDef, ConfigKey, ConnectError, ConnectorContext, Importance, ParsedValue, Props, SinkConnector,
    SinkRecord, SinkTask, SinkTaskContext, TopicOffsets, TopicPartition, Type, Value,
};

static CONFIG: LazyLock<ConfigDef> = LazyLock::new(|| {
    ConfigDef::default().define(
        ConfigKey::new(
            "file",
            Type::String,
            Importance::High,
            "Destination filename. If not specified, the standard output will be used",
        )
        .default_value(ParsedValue::Null),
    )
});

/// `org.apache.kafka.connect.file.FileStreamSinkConnector`.
#[derive(Debug, Default)]
pub struct FileStreamSinkConnector {
    props: Props,
}

#[async_trait]
impl SinkConnector for FileStreamSinkConnector {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    async fn start(&mut self, _ctx: Arc<dyn ConnectorContext>, props: &Props) -> Result<(), ConnectError> {
        CONFIG.parse(props)?;
        self.props = props.clone();
        Ok(())
    }

    /// All tasks append to the same file.
    async fn task_configs(&self, max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        Ok(vec![self.props.clone(); max_tasks])
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    fn task_class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSinkTask"
    }

    fn task(&self) -> Box<dyn SinkTask> {
        Box::new(FileStreamSinkTask::default())
    }

    fn alter_offsets(
        &self,
        _props: &Props,
        _offsets: &std::collections::BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<bool, ConnectError> {
        // Nothing outside Kafka's consumer group has to follow.
        Ok(true)
    }
}

/// Where lines go to.
#[derive(Debug)]
enum Output {
    File(File),
    Stdout,
}

impl Output {
    /// Writes what it can and drops it from the front of `lines`, so that a second attempt goes on where the
    /// first one failed.
    fn write(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            if written == lines.len() {
                break Ok(());
            }
            let result = match self {
                Self::File(file) => file.write(&lines[written..]),
                Self::Stdout => io::stdout().lock().write(&lines[written..]),
            };
            match result {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        if let (Self::File(file), Err(_)) = (&*self, &result) {
            written -= take_back(file, &lines[..written])?;
        }
        lines.drain(..written);
        if let Self::Stdout = self {
            io::stdout().lock().flush()?;
        }
        result
    }
}

/// Cuts off the half line that a failed write has left at the end of a file, so that whoever writes next, this task or
/// its successor, begins a line. Returns the number of bytes that are gone from the end of `written`.
fn take_back(mut file: &File, written: &[u8]) -> io::Result<usize> {
    let torn = written.len() - written.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let metadata = file.metadata()?;
    // A pipe or a device gives nothing back, and what another task has appended meanwhile is not ours to cut off.
    if torn == 0 || !metadata.is_file() || file.stream_position()? != metadata.len() {
        return Ok(0);
    }
    file.set_len(metadata.len() - torn as u64)?;
    Ok(torn)
}

/// Writes each batch in one go. Nothing stays behind in a buffer after a successful `put`, as with Java's, whose
/// lines are visible at once too.
#[derive(Debug, Default)]
struct FileStreamSinkTask {
    file: Option<String>,
    output: Option<Output>,
    /// Lines that are not written yet: empty between calls, except after a failure.
    lines: Vec<u8>,
    /// The batch whose lines those are.
    unwritten: Option<BatchId>,
}

/// Tells a batch that is delivered again from a new one: its first record and its length.
#[derive(Debug, PartialEq)]
struct BatchId(TopicPartition, i64, usize);

impl BatchId {
    fn of(records: &[SinkRecord]) -> Option<Self> {
        let first = records.first()?;
        let partition =
            TopicPartition { topic: first.original_topic().clone(), partition: first.original_partition() };
        Some(Self(partition, first.offset, records.len()))
    }
}

#[async_trait]
impl SinkTask for FileStreamSinkTask {
    async fn start(&mut self, _ctx: Arc<dyn SinkTaskContext>, props: &Props) -> Result<(), ConnectError> {
        let config = CONFIG.parse(props)?;
        self.file = config.string("file").filter(|file| !file.is_empty()).map(str::to_owned);
        self.output = Some(match self.file.clone() {
            None => Output::Stdout,
            Some(file) => Output::File(open(file).await?),
        });
        Ok(())
    }

    async fn put(&mut self, records: &[SinkRecord]) -> Result<(), ConnectError> {
        let id = BatchId::of(records);
        if id.is_none() && self.lines.is_empty() {
            return Ok(());
        }
        let is_known = id.is_some() && self.unwritten == id;
        if !is_known {
            for record in records {
                match &record.record.value {
                    Value::String(text) => self.lines.extend_from_slice(text.as_bytes()),
                    other => write!(self.lines, "{other}").expect("a vector takes everything"),
                }
                self.lines.push(b'\n');
            }
            self.unwritten = id;
        }
        self.write().await?;
        self.unwritten = None;
        Ok(())
    }

    async fn pre_commit(&mut self, current: &TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        Ok(current.clone())
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        self.output = None;
        Ok(())
    }
}

impl FileStreamSinkTask {
    async fn write(&mut self) -> Result<(), ConnectError> {
        let mut output =
            self.output.take().ok_or_else(|| ConnectError::connect("the task is not started"))?;
        let mut lines = std::mem::take(&mut self.lines);
        let written = tokio::task::spawn_blocking(move || {
            let result = output.write(&mut lines);
            (output, lines, result)
        });
        let (output, lines, result) =
            written.await.map_err(|error| ConnectError::connect("the write was lost").with_source(error))?;
        self.output = Some(output);
        self.lines = lines;
        result.map_err(|error| {
            let name = self.file.as_deref().unwrap_or("stdout");
            let message = format!("Error while writing to {name}");
            match error.kind() {
                // Somebody may make room.
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WouldBlock => {
                    ConnectError::retriable(message)
                }
                _ => ConnectError::connect(message),
            }
            .with_source(error)
        })
    }
}

async fn open(file: String) -> Result<File, ConnectError> {
    let message = format!("Couldn't find or create file '{file}' for FileStreamSinkTask");
    let opened =
        tokio::task::spawn_blocking(move || OpenOptions::new().create(true).append(true).open(file)).await;
    opened
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| ConnectError::connect(message).with_source(error))
}

#[cfg(test)]
mod tests;
