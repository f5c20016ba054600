//! One sink task: consume, convert, put, and commit offsets of what the task says is safe.
//!
//! Source: `WorkerSinkTask` of Kafka.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connect_api::{ConnectError, Props, SinkRecord, SinkTask, TopicOffsets, TopicPartition};
use kafka_control::FetchError;
use tokio::time::{Instant, MissedTickBehavior};

use crate::config::worker::TaskDefaults;
use crate::metrics::task::TaskMetrics;
use crate::names::{State, TargetState, TaskId};
use crate::worker::controls::{Controls, Reporter};
use crate::worker::pipeline::Pipeline;
use crate::worker::sink_consumer::{self, ConsumerError, News, Rebalance, SinkConsumer};
use crate::worker::sink_context::Requests;
use crate::worker::sink_offsets::SinkOffsets;

/// Before a batch is delivered again, unless the task asks for another time.
const REDELIVERY: Duration = Duration::from_secs(1);

pub(crate) struct SinkRunner {
    pub(crate) task: Box<dyn SinkTask>,
    pub(crate) props: Props,
    pub(crate) pipeline: Pipeline,
    pub(crate) consumer: SinkConsumer,
    pub(crate) defaults: TaskDefaults,
    pub(crate) tracks_topics: bool,
    pub(crate) controls: Controls,
    pub(crate) reporter: Reporter<TaskId>,
    pub(crate) metrics: Arc<TaskMetrics>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) progress: Progress,
}

/// What the runner remembers between batches.
#[derive(Default)]
pub(crate) struct Progress {
    offsets: SinkOffsets,
    /// What `put` could not take yet, and the offsets behind it.
    pending: Option<Batch>,
    /// Where the records of the last batch were.
    room: Vec<SinkRecord>,
    /// The consumer was paused because of `pending`.
    is_held: bool,
    is_paused: bool,
    topics: HashSet<Arc<str>>,
}

struct Batch {
    records: Vec<SinkRecord>,
    /// Next offset per partition after this batch, dropped records included.
    ends: TopicOffsets,
    due: Instant,
}

enum Next {
    Stop,
    Again,
    Commit,
    Deliver,
    Collect,
    Failed(ConsumerError),
}

impl SinkRunner {
    /// Runs until told to stop or until it fails; in both cases partitions are closed and the task is stopped.
    pub(crate) async fn run(mut self) -> Result<(), ConnectError> {
        let mut result = self.task.start(self.requests.clone(), &self.props).await;
        if result.is_ok() {
            result = self.work().await;
            let partitions: Vec<_> = self.assigned().into_iter().collect();
            let closed = self.close(&partitions).await;
            result = result.and(closed);
        }
        if let Err(error) = self.task.stop().await {
            tracing::warn!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "task did not stop cleanly");
        }
        let message = "Exiting WorkerSinkTask due to unrecoverable exception.";
        result.map_err(|error| ConnectError::connect(message).with_source(error))
    }

    async fn work(&mut self) -> Result<(), ConnectError> {
        let interval = self.defaults.offset_flush_interval.max(Duration::from_millis(1));
        let mut flush = tokio::time::interval(interval);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        flush.reset();
        let mut reported = None;
        loop {
            let is_running = *self.controls.target.borrow_and_update() == TargetState::Started;
            let state = if is_running { State::Running } else { State::Paused };
            if reported != Some(state) {
                if reported.is_some() || !is_running {
                    self.set_paused(!is_running).await?;
                }
                self.reporter.report(state, None, &self.metrics).await;
                reported = Some(state);
            }
            while let Some(rebalance) = self.consumer.announced() {
                self.rebalance(rebalance).await?;
            }
            self.honor_requests().await?;
            self.note_commits();
            let due = self.progress.pending.as_ref().map(|batch| batch.due);
            let next = tokio::select! {
                biased;
                () = self.controls.stop.cancelled() => Next::Stop,
                changed = self.controls.target.changed() => match changed {
                    Ok(()) => Next::Again,
                    Err(_) => Next::Stop,
                },
                _ = flush.tick() => Next::Commit,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Next::Deliver,
                news = self.consumer.news() => match news {
                    Ok(News::Group) => Next::Again,
                    Ok(News::Records) => Next::Collect,
                    Err(error) => Next::Failed(error),
                },
            };
            match next {
                Next::Stop => return Ok(()),
                Next::Again => {}
                Next::Commit => {
                    if is_running && self.progress.pending.is_none() {
                        self.deliver(Batch {
                            records: Vec::new(),
                            ends: TopicOffsets::new(),
                            due: Instant::now(),
                        })
                        .await?;
                    }
                    self.commit_later().await?;
                }
                Next::Deliver => {
                    if let Some(batch) = self.progress.pending.take() {
                        self.deliver(batch).await?;
                    }
                }
                Next::Collect => {
                    let (batch, failure) = self.collect().await?;
                    self.deliver(batch).await?;
                    if let Some(error) = failure {
                        self.judge(ConsumerError::Fetch(error))?;
                    }
                    // A task that always has records must let others run.
                    tokio::task::yield_now().await;
                }
                Next::Failed(error) => self.judge(error)?,
            }
        }
    }

    /// Whether the consumer can go on.
    fn judge(&self, error: ConsumerError) -> Result<(), ConnectError> {
        if !sink_consumer::is_passing(&error) {
            return Err(failed(error));
        }
        tracing::warn!(
            task = %self.reporter.id, error = &error as &dyn std::error::Error, "consumer, still trying"
        );
        Ok(())
    }

    /// Converts the records that are here, up to a whole batch; with what came behind them.
    async fn collect(&mut self) -> Result<(Batch, Option<FetchError>), ConnectError> {
        let max = self.consumer.max_poll_records();
        let mut records = std::mem::take(&mut self.progress.room);
        let mut ends = TopicOffsets::new();
        let mut failure = None;
        let mut count = 0;
        while count < max
            && failure.is_none()
            && let Some((from, set)) = self.consumer.records()
        {
            let partition = TopicPartition { topic: from.topic.as_str().into(), partition: from.partition };
            let mut end = None;
            while count < max {
                let record = match set.next_record() {
                    Ok(Some(record)) => record,
                    Ok(None) => break,
                    Err(source) => {
                        failure = Some(FetchError::Records { partition: from.clone(), source });
                        break;
                    }
                };
                count += 1;
                if end.is_none() {
                    self.progress.offsets.read(&partition, record.offset);
                }
                end = Some(record.offset.saturating_add(1));
                self.pipeline.decode(&partition, &record, &self.metrics, &mut records)?;
            }
            ends.extend(end.map(|end| (partition, end)));
        }
        self.metrics.taken.add(count as u64);
        self.metrics.batch_size.record(count as f64);
        self.metrics.add_active(count as i64);
        if self.tracks_topics {
            for partition in ends.keys() {
                if self.progress.topics.insert(partition.topic.clone()) {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    self.reporter.uses_topic(&partition.topic, now.as_millis() as i64).await;
                }
            }
        }
        Ok((Batch { records, ends, due: Instant::now() }, failure))
    }

    /// Gives a batch to the task, or keeps it for later and stops the consumer meanwhile.
    async fn deliver(&mut self, mut batch: Batch) -> Result<(), ConnectError> {
        let began = Instant::now();
        match self.task.put(&batch.records).await {
            Ok(()) => {
                self.metrics.batch_time.record_time(began.elapsed());
                self.metrics.given.add(batch.records.len() as u64);
                batch.records.clear();
                self.progress.room = batch.records;
                self.progress.offsets.delivered(std::mem::take(&mut batch.ends));
                self.requests.noted().retry_after = None;
                if std::mem::take(&mut self.progress.is_held) {
                    self.resume_consumer();
                }
                Ok(())
            }
            Err(error) if error.is_retriable() => {
                let delay = self.requests.noted().retry_after.take().unwrap_or(REDELIVERY);
                tracing::warn!(
                    task = %self.reporter.id, error = &error as &dyn std::error::Error, ?delay,
                    "put failed, the same records will be delivered again"
                );
                self.metrics.errors.retries.fetch_add(1, Ordering::Relaxed);
                self.consumer.pause(&self.assigned());
                self.progress.is_held = true;
                batch.due = Instant::now() + delay;
                self.progress.pending = Some(batch);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn rebalance(&mut self, rebalance: Rebalance) -> Result<(), ConnectError> {
        match rebalance {
            Rebalance::Assign(partitions) => {
                let committed = self.consumer.take(&partitions).await.map_err(failed)?;
                self.progress.offsets.assigned(&committed);
                self.requests.noted().assignment.extend(partitions.iter().cloned());
                if self.progress.is_paused || self.progress.pending.is_some() {
                    self.consumer.pause(&partitions);
                }
                tracing::info!(task = %self.reporter.id, ?partitions, "partitions assigned");
                self.task.open(&partitions).await?;
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(task = %self.reporter.id, ?partitions, "partitions revoked");
                self.close(&partitions).await?;
                self.consumer.give_up(&partitions).map_err(failed)?;
            }
        }
        self.metrics.partitions.store(self.assigned().len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Commits and closes partitions that go away.
    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        if partitions.is_empty() {
            return Ok(());
        }
        if !self.consumer.is_assignment_lost() {
            self.commit_now(partitions).await;
        }
        self.task.close(partitions).await?;
        let mut noted = self.requests.noted();
        for partition in partitions {
            noted.assignment.remove(partition);
            noted.paused.remove(partition);
            noted.seek.remove(partition);
            self.progress.offsets.closed(partition);
        }
        drop(noted);
        if let Some(batch) = &mut self.progress.pending {
            let is_gone = |r: &SinkRecord| {
                partitions
                    .iter()
                    .any(|p| p.topic == *r.original_topic() && p.partition == r.original_partition())
            };
            batch.records.retain(|r| !is_gone(r));
            batch.ends.retain(|p, _| !partitions.contains(p));
        }
        Ok(())
    }

    /// What the task says may be committed of `partitions`; `None` when it failed, and then it is rewound.
    async fn pre_commit(&mut self, partitions: Option<&[TopicPartition]>) -> Option<TopicOffsets> {
        let current = self.progress.offsets.current(partitions);
        if current.is_empty() {
            return Some(TopicOffsets::new());
        }
        match self.task.pre_commit(&current).await {
            Ok(offsets) => {
                let mut safe = TopicOffsets::new();
                for (partition, offset) in offsets {
                    match current.get(&partition) {
                        Some(end) if offset <= *end => {
                            let is_new = self.progress.offsets.is_new(&partition, offset);
                            safe.extend(is_new.then_some((partition, offset)));
                        }
                        Some(_) => tracing::warn!(
                            task = %self.reporter.id, %partition, offset, "offset is ahead of what was delivered, ignored"
                        ),
                        None => {}
                    }
                }
                Some(safe)
            }
            Err(error) => {
                tracing::error!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "task failed to prepare a commit");
                None
            }
        }
    }

    async fn commit_later(&mut self) -> Result<(), ConnectError> {
        let began = Instant::now();
        match self.pre_commit(None).await {
            Some(offsets) if offsets.is_empty() => {}
            Some(offsets) => {
                self.metrics.commit_seq_no.fetch_add(1, Ordering::Relaxed);
                self.consumer.commit_later(&offsets).map_err(failed)?;
                self.progress.offsets.offered(offsets);
                self.metrics.add_active(-self.metrics.active.load(Ordering::Relaxed));
                self.metrics.commit_time.record_time(began.elapsed());
            }
            None => {
                self.metrics.committed(began.elapsed(), false);
                self.progress.pending = None;
                let beginnings = self.progress.offsets.rewind();
                self.consumer.seek(&beginnings);
                // Nothing waits to be delivered again any more.
                if std::mem::take(&mut self.progress.is_held) {
                    self.resume_consumer();
                }
            }
        }
        Ok(())
    }

    async fn commit_now(&mut self, partitions: &[TopicPartition]) {
        let began = Instant::now();
        // Of commits that are still under way nobody would hear that they failed.
        self.progress.offsets.offer_again();
        let Some(offsets) = self.pre_commit(Some(partitions)).await else { return };
        if offsets.is_empty() {
            return;
        }
        self.metrics.commit_seq_no.fetch_add(1, Ordering::Relaxed);
        let committed = self.consumer.commit_now(&offsets).await;
        self.metrics.committed(began.elapsed(), committed.is_ok());
        match committed {
            Ok(()) => self.metrics.commits_completed.add(1),
            Err(error) => {
                tracing::warn!(task = %self.reporter.id, error = &error as &dyn std::error::Error, "offsets were not committed");
            }
        }
    }

    fn note_commits(&mut self) {
        for result in self.consumer.commit_results() {
            match result {
                Ok(offsets) => {
                    self.metrics.commits_completed.add(1);
                    self.metrics.commit_success.record(1.0);
                    self.progress.offsets.committed(offsets);
                }
                Err(error) => {
                    tracing::warn!(task = %self.reporter.id, %error, "offsets were not committed");
                    self.metrics.commit_success.record(0.0);
                    self.progress.offsets.offer_again();
                }
            }
        }
    }

    async fn honor_requests(&mut self) -> Result<(), ConnectError> {
        let (seek, pauses, wants_commit) = {
            let mut noted = self.requests.noted();
            let seek = std::mem::take(&mut noted.seek);
            let has_new = std::mem::take(&mut noted.has_new_pauses);
            let pauses = has_new.then(|| noted.paused.clone());
            (seek, pauses, std::mem::take(&mut noted.wants_commit))
        };
        if !seek.is_empty() {
            self.consumer.seek(&seek);
            self.progress.offsets.sought(seek);
        }
        if let Some(paused) = pauses {
            self.consumer.pause(&paused);
            self.resume_consumer();
        }
        if wants_commit {
            self.commit_later().await?;
        }
        Ok(())
    }

    async fn set_paused(&mut self, is_paused: bool) -> Result<(), ConnectError> {
        self.progress.is_paused = is_paused;
        if is_paused {
            self.consumer.pause(&self.assigned());
            self.commit_later().await
        } else {
            self.resume_consumer();
            Ok(())
        }
    }

    /// Resumes what neither the user, nor the task, nor a batch that waits holds back.
    fn resume_consumer(&mut self) {
        if self.progress.is_paused || self.progress.pending.is_some() {
            return;
        }
        let paused = self.requests.noted().paused.clone();
        self.consumer.resume(self.assigned().difference(&paused));
    }

    fn assigned(&self) -> BTreeSet<TopicPartition> {
        self.requests.noted().assignment.clone()
    }
}

fn failed(error: ConsumerError) -> ConnectError {
    ConnectError::connect("consumer failed").with_source(error)
}
