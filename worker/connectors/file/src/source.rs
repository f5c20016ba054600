//! `FileStreamSource`: one record per line.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use connect_api::{
    BatchOffsets, ConfigDef, ConfigKey, ConnectError, ConnectorContext, ExactlyOnceSupport, Importance,
    OffsetMap, ParsedValue, Props, Schema, SourceBatch, SourceConnector, SourceEntry, SourceTask,
    SourceTaskContext, Topic, Type, Validator, Value,
};

use crate::blocks::{Block, Blocks, Input};
use crate::lines::Lines;

const FILENAME: &str = "filename";
const POSITION: &str = "position";

/// How long to wait before looking again for the file, as Java does.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);
/// How long to wait before looking again for new lines.
const END_PAUSE: Duration = Duration::from_millis(200);

static CONFIG: LazyLock<ConfigDef> = LazyLock::new(|| {
    ConfigDef::default()
        .define(
            ConfigKey::new(
                "file",
                Type::String,
                Importance::High,
                "Source filename. If not specified, the standard input will be used",
            )
            .default_value(ParsedValue::Null),
        )
        .define(
            ConfigKey::new("topic", Type::String, Importance::High, "The topic to publish data to")
                .validator(Validator::NonEmptyString),
        )
        .define(
            ConfigKey::new(
                "batch.size",
                Type::Int,
                Importance::Low,
                "The maximum number of records the source task can read from the file each time it is polled",
            )
            .default_value(2000),
        )
});

/// `org.apache.kafka.connect.file.FileStreamSourceConnector`.
#[derive(Debug, Default)]
pub struct FileStreamSourceConnector {
    props: Props,
}

/// The file of some settings; `None` is standard input.
fn file(props: &Props) -> Option<String> {
    let config = CONFIG.parse(props).ok()?;
    config.string("file").filter(|file| !file.is_empty()).map(str::to_owned)
}

#[async_trait]
impl SourceConnector for FileStreamSourceConnector {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    async fn start(&mut self, _ctx: Arc<dyn ConnectorContext>, props: &Props) -> Result<(), ConnectError> {
        CONFIG.parse(props)?;
        self.props = props.clone();
        Ok(())
    }

    /// One task at most: a file is read by one.
    async fn task_configs(&self, _max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        Ok(vec![self.props.clone()])
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    fn task_class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSourceTask"
    }

    fn task(&self) -> Box<dyn SourceTask> {
        Box::new(FileStreamSourceTask::default())
    }

    fn exactly_once_support(&self, props: &Props) -> Option<ExactlyOnceSupport> {
        Some(match file(props) {
            Some(_) => ExactlyOnceSupport::Supported,
            None => ExactlyOnceSupport::Unsupported,
        })
    }

    fn alter_offsets(
        &self,
        props: &Props,
        offsets: &[(OffsetMap, Option<OffsetMap>)],
    ) -> Result<bool, ConnectError> {
        if file(props).is_none() {
            return Err(ConnectError::connect(
                "Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is \
                 used for input and offsets are not tracked.",
            ));
        }
        for (partition, offset) in offsets {
            // Whatever the partition is, it may be forgotten: that is how garbage is cleaned up.
            let Some(offset) = offset else { continue };
            match offset.get(POSITION) {
                None => Err("Offset objects should either be null or contain the key 'position'"),
                Some(Value::Int64(..0)) => {
                    Err("The value for the 'position' key in the offset should be a non-negative value")
                }
                Some(Value::Int64(_)) if partition.get(FILENAME).is_none() => {
                    Err("Partition objects should contain the key 'filename'")
                }
                Some(Value::Int64(_)) => Ok(()),
                Some(_) => {
                    Err("The value for the 'position' key in the offset is expected to be a Long value")
                }
            }
            .map_err(ConnectError::connect)?;
        }
        Ok(true)
    }
}

#[derive(Default)]
struct FileStreamSourceTask {
    running: Option<Running>,
}

struct Running {
    /// `None` is standard input.
    file: Option<String>,
    topic: Topic,
    batch_size: usize,
    source_partition: Arc<OffsetMap>,
    /// The byte behind the last line that was handed out.
    position: u64,
    /// `None` until the file exists.
    blocks: Option<Blocks>,
    lines: Lines,
}

#[async_trait]
impl SourceTask for FileStreamSourceTask {
    async fn start(&mut self, ctx: Arc<dyn SourceTaskContext>, props: &Props) -> Result<(), ConnectError> {
        let config = CONFIG.parse(props)?;
        let file = file(props);
        let name = file.as_deref().map_or(Value::Null, Value::string);
        let source_partition = OffsetMap::from([(FILENAME, name)]);
        let position = match &file {
            Some(_) => stored_position(&*ctx, &source_partition).await?,
            None => 0,
        };
        self.running = Some(Running {
            blocks: file.is_none().then(|| Blocks::new(Input::Stdin)),
            file,
            topic: config.string("topic").unwrap_or_default().into(),
            // Java returns a record at a time when the size is 0 or less.
            batch_size: usize::try_from(config.long("batch.size").unwrap_or_default()).unwrap_or(0).max(1),
            source_partition: Arc::new(source_partition),
            position,
            lines: Lines::default(),
        });
        Ok(())
    }

    async fn poll(&mut self) -> Result<Option<SourceBatch>, ConnectError> {
        let Some(running) = &mut self.running else { return Ok(None) };
        while running.lines.is_empty() {
            running.read().await?;
        }
        Ok(Some(running.batch()))
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        self.running = None;
        Ok(())
    }
}

async fn stored_position(ctx: &dyn SourceTaskContext, partition: &OffsetMap) -> Result<u64, ConnectError> {
    let stored = ctx.offset_storage_reader().offsets(std::slice::from_ref(partition)).await?;
    let Some(offset) = stored.into_iter().next().flatten() else { return Ok(0) };
    match offset.get(POSITION) {
        None | Some(Value::Null) => Ok(0),
        Some(Value::Int64(position)) => Ok(u64::try_from(*position).unwrap_or(0)),
        Some(_) => Err(ConnectError::connect("Offset position is the incorrect type")),
    }
}

impl Running {
    /// Waits for the next block. Cancel-safe: what is read stays with the blocks until it is taken.
    async fn read(&mut self) -> Result<(), ConnectError> {
        let blocks = match (&mut self.blocks, &self.file) {
            (Some(blocks), _) => blocks,
            (none, Some(file)) => none.insert(Blocks::new(wait_for(file, self.position).await?)),
            (None, None) => return Err(ConnectError::connect("standard input is closed")),
        };
        let block = blocks.next().await.map_err(|error| {
            let name = self.file.as_deref().unwrap_or("stdin");
            ConnectError::connect(format!("Error while reading {name}")).with_source(error)
        })?;
        match block {
            Block::Lines(data) => self.lines = Lines::new(data),
            Block::Part => {}
            Block::End => tokio::time::sleep(END_PAUSE).await,
        }
        Ok(())
    }

    fn batch(&mut self) -> SourceBatch {
        // Before the epoch there is no file to read.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = i64::try_from(now.as_millis()).ok();
        let mut entries = Vec::with_capacity(self.batch_size.min(BATCH_HINT));
        let mut ends = Vec::with_capacity(self.batch_size.min(BATCH_HINT));
        while entries.len() < self.batch_size
            && let Some((line, length)) = self.lines.next_line()
        {
            self.position += length as u64;
            ends.push(self.position);
            entries.push(SourceEntry { value: Value::String(line), timestamp, ..SourceEntry::default() });
        }
        let ends = if self.file.is_some() { LineOffsets::File(ends) } else { LineOffsets::Stdin };
        SourceBatch {
            topic: self.topic.clone(),
            source_partition: self.source_partition.clone(),
            key_schema: None,
            value_schema: Some(Schema::string()),
            entries,
            offsets: Arc::new(ends),
        }
    }
}

/// Room for the usual batch; a huge `batch.size` reserves nothing.
const BATCH_HINT: usize = 2000;

async fn wait_for(file: &str, position: u64) -> Result<Input, ConnectError> {
    let mut is_reported = false;
    loop {
        let path = file.to_owned();
        let opened = tokio::task::spawn_blocking(move || Input::open(&path, position)).await;
        match opened.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(input) => return Ok(input),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !is_reported {
                    tracing::warn!(file, "the source file does not exist yet, looking again every second");
                    is_reported = true;
                }
                tokio::time::sleep(ABSENT_PAUSE).await;
            }
            Err(error) => {
                return Err(ConnectError::connect(format!("Error while trying to open file {file}"))
                    .with_source(error));
            }
        }
    }
}

/// Where each line of a batch ends.
#[derive(Debug)]
enum LineOffsets {
    /// Bytes from the start of the file, per line.
    File(Vec<u64>),
    /// Standard input has no positions.
    Stdin,
}

impl BatchOffsets for LineOffsets {
    fn render(&self, index: usize) -> Option<OffsetMap> {
        let position = match self {
            Self::File(ends) => Value::Int64(ends[index] as i64),
            Self::Stdin => Value::Null,
        };
        Some(OffsetMap::from([(POSITION, position)]))
    }
}

#[cfg(test)]
mod tests;
