//! The task: generates records in batches and keeps its place.
//!
//! With `max.interval` of 0 or less a batch is as large as is useful; otherwise every record has a pause before
//! it and is a batch of its own. The offsets are the same either way: one per record, each with the seed from
//! which the next record is generated, so that a restart continues exactly.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connect_api::{
    BatchOffsets, ByteString, ConnectError, Header, Headers, OffsetMap, Props, Schema, SchemaType,
    SourceBatch, SourceEntry, SourceTask, SourceTaskContext, Struct, Topic, Value, Values,
};
use tokio::time::Instant;

use crate::connector::{CONFIG, TASK_ID, schema_and_key};
use crate::generator::Generator;
use crate::java_random::JavaRandom;

const GENERATION: &str = "task.generation";
const ITERATION: &str = "current.iteration";
const SEED: &str = "random.seed";

/// Records per batch when there is no pause between them.
const BATCH: u64 = 2000;

#[derive(Default)]
pub(crate) struct DatagenTask {
    running: Option<Running>,
}

struct Running {
    topic: Topic,
    source_partition: Arc<OffsetMap>,
    schema: Schema,
    generator: Generator,
    /// Index of the key field and its schema.
    key: Option<(usize, Schema)>,
    random: JavaRandom,
    /// Milliseconds; 0 or less is no pause.
    max_interval: i64,
    /// Less than 1 is unlimited.
    iterations: i64,
    generation: i64,
    task_id: i64,
    /// How many records have been made, in this life and in earlier ones.
    count: u64,
    /// When the pause before the next record ends: outlives a cancelled poll.
    pause_until: Option<Instant>,
}

#[async_trait]
impl SourceTask for DatagenTask {
    async fn start(&mut self, ctx: Arc<dyn SourceTaskContext>, props: &Props) -> Result<(), ConnectError> {
        let config = CONFIG.parse(props)?;
        let task_id: i32 = props
            .get(TASK_ID)
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| ConnectError::config("the task has no task.id"))?;
        let (node, key_field) = schema_and_key(&config)?;
        let schema = node.schema;
        if schema.kind() != SchemaType::Struct {
            return Err(not_a_record(&schema.kind()));
        }
        let key = match schema.field(&key_field) {
            Some(field) => Some((field.index, field.schema.clone())),
            None if key_field.is_empty() => None,
            None => {
                return Err(ConnectError::config(format!("the schema has no field {key_field} for the key")));
            }
        };
        let mut running = Running {
            topic: config.string("kafka.topic").unwrap_or_default().into(),
            source_partition: Arc::new(OffsetMap::from([(TASK_ID, Value::Int32(task_id))])),
            schema,
            generator: node.generator,
            key,
            random: JavaRandom::new(config.long(SEED).unwrap_or_else(rand::random)),
            max_interval: config.long("max.interval").unwrap_or_default(),
            iterations: config.long("iterations").unwrap_or_default(),
            generation: 0,
            task_id: i64::from(task_id),
            count: 0,
            pause_until: None,
        };
        // Each task advances the common seed a number of times of its own, so that tasks differ.
        for _ in 0..task_id {
            running.reseed();
        }
        let partition = std::slice::from_ref(&*running.source_partition);
        let offset = ctx.offset_storage_reader().offsets(partition).await?.into_iter().next().flatten();
        if let Some(offset) = offset {
            running.continue_from(&offset)?;
        }
        self.running = Some(running);
        Ok(())
    }

    async fn poll(&mut self) -> Result<Option<SourceBatch>, ConnectError> {
        let Some(running) = &mut self.running else { return Ok(None) };
        let size = if running.max_interval > 0 {
            running.pause().await;
            1
        } else {
            // There is nothing to wait for, so others get their turn here.
            tokio::task::yield_now().await;
            BATCH
        };
        running.batch(size).map(Some)
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        self.running = None;
        Ok(())
    }
}

impl Running {
    fn reseed(&mut self) -> i64 {
        let seed = self.random.next_long();
        self.random.set_seed(seed);
        seed
    }

    /// An offset holds the next state as it is.
    fn continue_from(&mut self, offset: &OffsetMap) -> Result<(), ConnectError> {
        let number = |name: &str| {
            offset.get(name).and_then(Value::as_i64).ok_or_else(|| {
                ConnectError::connect(format!("the stored offset has no whole number as {name}"))
            })
        };
        self.generation = number(GENERATION)?;
        self.count = u64::try_from(number(ITERATION)?).map_err(|error| {
            ConnectError::connect(format!("the stored {ITERATION} is negative")).with_source(error)
        })?;
        self.random.set_seed(number(SEED)?);
        self.generator.fast_forward(self.count);
        Ok(())
    }

    async fn pause(&mut self) {
        let until = match self.pause_until {
            Some(until) => until,
            None => {
                // Not from the seeded generator: the values must not depend on how long the pauses are.
                let millis = (self.max_interval as f64 * rand::random::<f64>()) as u64;
                *self.pause_until.insert(Instant::now() + Duration::from_millis(millis))
            }
        };
        tokio::time::sleep_until(until).await;
        self.pause_until = None;
    }

    fn batch(&mut self, size: u64) -> Result<SourceBatch, ConnectError> {
        let size = match u64::try_from(self.iterations) {
            Ok(limit) if limit > 0 && self.count >= limit => {
                return Err(ConnectError::connect(format!(
                    "Stopping connector: generated the configured {} number of messages",
                    self.count
                )));
            }
            Ok(limit) if limit > 0 => size.min(limit - self.count),
            _ => size,
        } as usize;
        let first = self.count;
        let mut structs = Vec::with_capacity(size);
        let mut values = Vec::new();
        let mut seeds = Vec::with_capacity(size);
        for _ in 0..size {
            match &mut self.generator {
                // The members of all structs share one allocation.
                Generator::Record { fields, .. } => {
                    values.extend(fields.iter_mut().map(|field| field.generate(&mut self.random)));
                }
                other => match other.generate(&mut self.random) {
                    Value::Struct(structure) => structs.push(structure),
                    value => return Err(not_a_record(&value.java_class())),
                },
            }
            seeds.push(self.reseed());
        }
        self.count += size as u64;
        if structs.is_empty() {
            let (values, width) = (Values::from(values), self.schema.fields().len());
            let parts = (0..size).map(|index| values.slice(index * width..(index + 1) * width));
            structs.extend(parts.map(|values| Struct::new(self.schema.clone(), values)));
        }
        let header_schema = Schema::int64();
        let entries = (first..).zip(structs).map(|(iteration, structure)| SourceEntry {
            key: self.key.as_ref().map_or(Value::Null, |(field, _)| structure.values()[*field].clone()),
            value: Value::Struct(structure),
            headers: self.headers(&header_schema, iteration),
            ..SourceEntry::default()
        });
        Ok(SourceBatch {
            topic: self.topic.clone(),
            source_partition: self.source_partition.clone(),
            key_schema: Some(
                self.key.as_ref().map_or_else(Schema::optional_string, |(_, schema)| schema.clone()),
            ),
            value_schema: Some(self.schema.clone()),
            entries: entries.collect(),
            offsets: Arc::new(DatagenOffsets { next_generation: self.generation + 1, first, seeds }),
        })
    }

    fn headers(&self, schema: &Schema, iteration: u64) -> Headers {
        let header = |key, value| Header {
            key: ByteString::from_static(key),
            schema: Some(schema.clone()),
            value: Value::Int64(value),
        };
        [
            header(GENERATION, self.generation),
            header(TASK_ID, self.task_id),
            header(ITERATION, iteration as i64),
        ]
        .into()
    }
}

fn not_a_record(found: &dyn fmt::Display) -> ConnectError {
    ConnectError::connect(format!(
        "Expected Avro Random Generator to return instance of GenericRecord, found {found} instead"
    ))
}

/// What the next life of the task starts from after each record of a batch.
#[derive(Debug)]
struct DatagenOffsets {
    next_generation: i64,
    /// Iteration of the batch's first record.
    first: u64,
    seeds: Vec<i64>,
}

impl BatchOffsets for DatagenOffsets {
    fn render(&self, index: usize) -> Option<OffsetMap> {
        Some(OffsetMap::from([
            (GENERATION, Value::Int64(self.next_generation)),
            (ITERATION, Value::Int64((self.first + index as u64 + 1) as i64)),
            (SEED, Value::Int64(self.seeds[index])),
        ]))
    }
}
