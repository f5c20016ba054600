//! One source task: poll, convert, send, and commit offsets of what Kafka has acknowledged.
//!
//! Source: `AbstractWorkerSourceTask` and `WorkerSourceTask` of Kafka.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connect_api::{
    ConnectError, OffsetStorageReader, Props, SourceBatch, SourceTask, SourceTaskContext, Topic,
};
use kafka_control::{ProduceError, Producer, RecordToSend};
use tokio::time::{Instant, MissedTickBehavior};

use crate::config::worker::TaskDefaults;
use crate::membership::session::Session;
use crate::metrics::task::TaskMetrics;
use crate::names::{State, TargetState, TaskId};
use crate::storage::offset_store::OffsetStore;
use crate::worker::controls::{Controls, Reporter};
use crate::worker::outbox::{self, MAX_BATCH, Outbox};
use crate::worker::pipeline::Pipeline;
use crate::worker::source_offsets::{self, StoredOffsets};
use crate::worker::submitted_offsets::{BatchId, Committable};

/// How long to wait after a poll that may succeed the next time.
const RETRY: Duration = Duration::from_millis(100);
/// How often numbers are brought up to date while `poll` waits.
const BEAT: Duration = Duration::from_secs(1);

pub(crate) struct SourceRunner {
    pub(crate) task: Box<dyn SourceTask>,
    pub(crate) props: Props,
    pub(crate) pipeline: Pipeline,
    pub(crate) producer: Producer,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) offsets: OffsetStore,
    pub(crate) session: Session,
    pub(crate) defaults: TaskDefaults,
    pub(crate) tracks_topics: bool,
    pub(crate) controls: Controls,
    pub(crate) reporter: Reporter<TaskId>,
    pub(crate) metrics: Arc<TaskMetrics>,
    pub(crate) progress: Progress,
}

/// What the runner remembers between batches.
#[derive(Default)]
pub(crate) struct Progress {
    acked: u64,
    topics: HashSet<Topic>,
    /// Batches whose records `commit_record` has yet to see, with how many are missing.
    uncommitted: HashMap<u32, (SourceBatch, usize)>,
    wants_commit_record: bool,
}

struct Context(Arc<dyn OffsetStorageReader>);

impl SourceTaskContext for Context {
    fn offset_storage_reader(&self) -> Arc<dyn OffsetStorageReader> {
        self.0.clone()
    }
}

/// What interrupted a task.
enum Next {
    Stop,
    Again,
    Commit,
    Polled(Result<Option<SourceBatch>, ConnectError>),
}

impl SourceRunner {
    /// Runs until told to stop or until it fails; in both cases the task is stopped and what was acknowledged
    /// is committed.
    pub(crate) async fn run(mut self) -> Result<(), ConnectError> {
        let result = match self.start().await {
            Ok(()) => self.work().await,
            Err(error) => Err(error),
        };
        // What is still under way gets its chance; the rest is read again by the next owner.
        if tokio::time::timeout(self.defaults.offset_flush_timeout, self.outbox.drained()).await.is_err() {
            let records = self.outbox.in_flight();
            tracing::warn!(task = %self.reporter.id, records, "not all records were acknowledged in time");
        }
        self.acknowledge().await;
        self.commit().await;
        if let Err(error) = self.task.stop().await {
            tracing::warn!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "task did not stop cleanly");
        }
        result
    }

    async fn start(&mut self) -> Result<(), ConnectError> {
        let reader = StoredOffsets::reader(&self.reporter.id.connector, &self.offsets);
        self.task.start(Arc::new(Context(reader)), &self.props).await?;
        self.progress.wants_commit_record = self.task.wants_commit_record();
        if self.progress.wants_commit_record {
            self.outbox.keep_acknowledgements();
        }
        Ok(())
    }

    async fn work(&mut self) -> Result<(), ConnectError> {
        let mut flush =
            tokio::time::interval(self.defaults.offset_flush_interval.max(Duration::from_millis(1)));
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        flush.reset();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reported = None;
        loop {
            if let Some(error) = self.outbox.failure() {
                return Err(not_delivered(error));
            }
            let is_running = *self.controls.target.borrow_and_update() == TargetState::Started;
            let state = if is_running { State::Running } else { State::Paused };
            if reported != Some(state) {
                self.reporter.report(state, None, &self.metrics).await;
                reported = Some(state);
            }
            let began = Instant::now();
            let next = tokio::select! {
                biased;
                () = self.controls.stop.cancelled() => Next::Stop,
                changed = self.controls.target.changed() => match changed {
                    Ok(()) => Next::Again,
                    Err(_) => Next::Stop,
                },
                _ = flush.tick() => Next::Commit,
                _ = beat.tick() => Next::Again,
                () = self.outbox.progress.notified() => Next::Again,
                polled = self.task.poll(), if is_running => Next::Polled(polled),
            };
            match next {
                Next::Stop => return Ok(()),
                Next::Again => {}
                Next::Commit => self.commit().await,
                Next::Polled(Ok(Some(batch))) if !batch.entries.is_empty() => {
                    self.metrics.batch_time.record_time(began.elapsed());
                    self.send(batch).await?;
                    // A task that always has records must let others run.
                    tokio::task::yield_now().await;
                }
                Next::Polled(Ok(_)) => tokio::task::yield_now().await,
                Next::Polled(Err(error)) if error.is_retriable() => {
                    tracing::warn!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "poll failed, trying again");
                    self.pause(RETRY).await;
                }
                Next::Polled(Err(error)) => return Err(error),
            }
            self.acknowledge().await;
        }
    }

    async fn send(&mut self, batch: SourceBatch) -> Result<(), ConnectError> {
        let count = batch.entries.len();
        if count > MAX_BATCH {
            return Err(ConnectError::connect(format!("a batch of {count} records is too large")));
        }
        self.metrics.taken.add(count as u64);
        self.metrics.batch_size.record(count as f64);
        let id = self.outbox.submit(&batch.source_partition, &batch.offsets, count);
        for index in 0..count {
            match self.send_one(&batch, id, index).await {
                Ok(true) => {}
                Ok(false) => {
                    self.outbox.abandon(count - index);
                    return Ok(());
                }
                Err(error) => {
                    self.outbox.abandon(count - index);
                    return Err(error);
                }
            }
        }
        if self.tracks_topics && !self.progress.topics.contains(&batch.topic) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.reporter.uses_topic(&batch.topic, now.as_millis() as i64).await;
            self.progress.topics.insert(batch.topic.clone());
        }
        if self.progress.wants_commit_record {
            self.progress.uncommitted.insert(id.0, (batch, count));
        }
        Ok(())
    }

    /// Hands one record to the producer, or drops it; false when told to stop before there was room for it.
    async fn send_one(
        &mut self,
        batch: &SourceBatch,
        id: BatchId,
        index: usize,
    ) -> Result<bool, ConnectError> {
        let entry = &batch.entries[index];
        loop {
            let Some(encoded) = self.pipeline.encode(batch, entry, &self.metrics)? else {
                self.outbox.drop_record(id, index);
                return Ok(true);
            };
            let headers = self.pipeline.headers(entry, &encoded);
            let record = RecordToSend {
                partition: entry.partition,
                // Java's "no timestamp".
                timestamp: entry.timestamp.filter(|timestamp| *timestamp != -1),
                key: self.pipeline.key(&encoded),
                value: self.pipeline.value(&encoded),
                headers: &headers,
            };
            let mark = outbox::mark(id, index);
            let sent = match self.producer.try_send(&batch.topic, &record, mark) {
                Ok(true) => return Ok(true),
                Ok(false) => tokio::select! {
                    () = self.controls.stop.cancelled() => return Ok(false),
                    sent = self.producer.send(&batch.topic, &record, mark) => Some(sent),
                    () = self.outbox.progress.notified() => None,
                    () = tokio::time::sleep(self.defaults.offset_flush_interval.max(RETRY)) => None,
                },
                Err(refused) => Some(Err(refused)),
            };
            match sent {
                Some(Ok(())) => return Ok(true),
                Some(Err(error)) if self.pipeline.tolerates_errors() => {
                    tracing::debug!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "record is skipped");
                    self.metrics.errors.failed();
                    self.metrics.errors.skipped.fetch_add(1, Ordering::Relaxed);
                    self.outbox.drop_record(id, index);
                    return Ok(true);
                }
                Some(Err(error)) => {
                    let message = "Unrecoverable exception trying to send";
                    return Err(ConnectError::connect(message).with_source(error));
                }
                // However long there is no room, what was sent before goes on.
                None => {
                    self.outbox.failure().map_or(Ok(()), |error| Err(not_delivered(error)))?;
                    self.count();
                    self.commit().await;
                }
            }
        }
    }

    /// Brings numbers up to date.
    fn count(&mut self) {
        let acked = self.outbox.acked();
        if acked > self.progress.acked {
            self.metrics.given.add(acked - self.progress.acked);
            self.progress.acked = acked;
        }
        let skipped = self.outbox.take_skipped();
        self.metrics.errors.skipped.fetch_add(skipped, Ordering::Relaxed);
        let in_flight = self.outbox.in_flight() as i64;
        self.metrics.add_active(in_flight - self.metrics.active.load(Ordering::Relaxed));
    }

    /// Brings numbers up to date and tells the task what was stored, if it wants to know.
    async fn acknowledge(&mut self) {
        self.count();
        if !self.progress.wants_commit_record {
            return;
        }
        for acknowledged in self.outbox.take_acknowledged() {
            let Some((batch, missing)) = self.progress.uncommitted.get_mut(&acknowledged.batch.0) else {
                continue;
            };
            *missing -= 1;
            let is_last = *missing == 0;
            let record = batch.record(acknowledged.index);
            if let Err(error) = self.task.commit_record(&record, acknowledged.metadata).await {
                tracing::error!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "commit_record failed");
            }
            if is_last {
                self.progress.uncommitted.remove(&acknowledged.batch.0);
            }
        }
    }

    /// Stores the offsets of what was acknowledged. A failure is logged, and tried again the next time.
    async fn commit(&mut self) {
        let began = Instant::now();
        let ready = self.outbox.take_committable();
        if !ready.is_empty() {
            let stored = self.store(&ready).await;
            self.metrics.committed(began.elapsed(), stored.is_ok());
            if let Err(error) = stored {
                tracing::error!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "failed to commit offsets");
                self.outbox.put_back(ready);
                return;
            }
        }
        if let Err(error) = self.task.commit().await {
            tracing::error!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "task's commit failed");
        }
    }

    async fn store(&mut self, ready: &[Committable]) -> Result<(), ConnectError> {
        if !self.session.is_alive() {
            return Err(ConnectError::retriable("the task may run elsewhere: this worker's session is over"));
        }
        let mut offsets = Vec::with_capacity(ready.len());
        for Committable { partition, offset } in ready {
            let offset = offset.render().as_ref().map(source_offsets::to_json).transpose()?;
            offsets.push((source_offsets::to_json(partition)?, offset));
        }
        let put = self.offsets.put(&self.reporter.id.connector, &offsets);
        match tokio::time::timeout(self.defaults.offset_flush_timeout, put).await {
            Ok(result) => result.map_err(|e| ConnectError::connect("offsets were not stored").with_source(e)),
            Err(_) => Err(ConnectError::retriable("offsets were not stored in time")),
        }
    }

    async fn pause(&mut self, time: Duration) {
        tokio::select! {
            () = self.controls.stop.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}

fn not_delivered(error: ProduceError) -> ConnectError {
    ConnectError::connect("Unrecoverable exception from producer send callback").with_source(error)
}
