//! [`Worker`]: the connectors and tasks that run in this process.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use connect_api::{ConnectError, Props};
use futures::FutureExt;
use futures::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::membership::session::Session;
use crate::metrics::registry::{ConnectorFacts, Registry};
use crate::metrics::task::{TaskKind, TaskMetrics};
use crate::names::{ConnectorName, RawConfig, State, TargetState, TaskId};
use crate::plugins::connector_config::ConnectorSettings;
use crate::plugins::converters::Converters;
use crate::plugins::registry::{self, Connector, Plugin};
use crate::plugins::topic_pattern;
use crate::storage::offset_store::OffsetStore;
use crate::storage::status_store::StatusStore;
use crate::worker::connector_runner::{ConnectorCommand, ConnectorRunner};
use crate::worker::controls::{Controls, Identity, Reporter};
use crate::worker::outbox::{self, Outbox};
use crate::worker::pipeline::Pipeline;
use crate::worker::sink_consumer::SinkConsumer;
use crate::worker::sink_runner::SinkRunner;
use crate::worker::source_runner::SourceRunner;
use crate::worker::{WorkerEvent, client_settings, sink_runner, source_runner};

/// How long a connector may take to stop; it has nothing to write.
const CONNECTOR_STOP: Duration = Duration::from_secs(5);

/// Everything a runner needs of its surroundings.
pub(crate) struct Surroundings {
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) status: StatusStore,
    pub(crate) offsets: OffsetStore,
    pub(crate) registry: Registry,
    pub(crate) identity: Identity,
    pub(crate) session: Session,
    pub(crate) events: mpsc::UnboundedSender<WorkerEvent>,
    /// Where connectors and tasks run, apart from the worker's own work.
    pub(crate) runtime: Handle,
}

pub(crate) struct Worker {
    around: Surroundings,
    connectors: BTreeMap<ConnectorName, RunningConnector>,
    tasks: BTreeMap<TaskId, RunningTask>,
}

struct RunningConnector {
    stop: CancellationToken,
    target: watch::Sender<TargetState>,
    commands: mpsc::Sender<ConnectorCommand>,
    reporter: Reporter<ConnectorName>,
    runner: JoinHandle<()>,
}

impl RunningConnector {
    /// One that could not be started.
    fn ended(reporter: Reporter<ConnectorName>, target: TargetState, runtime: &Handle) -> Self {
        let (commands, _) = mpsc::channel(1);
        let (target, _) = watch::channel(target);
        Self { stop: CancellationToken::new(), target, commands, reporter, runner: runtime.spawn(async {}) }
    }
}

struct RunningTask {
    stop: CancellationToken,
    target: watch::Sender<TargetState>,
    reporter: Reporter<TaskId>,
    metrics: Arc<TaskMetrics>,
    runner: JoinHandle<()>,
}

/// What a task is started from.
pub(crate) struct TaskOrder {
    pub(crate) id: TaskId,
    /// Raw, of the connector.
    pub(crate) connector: Arc<RawConfig>,
    /// Raw, of the task.
    pub(crate) task: Arc<RawConfig>,
    pub(crate) target: TargetState,
}

impl Worker {
    pub(crate) fn new(around: Surroundings) -> Self {
        Self { around, connectors: BTreeMap::new(), tasks: BTreeMap::new() }
    }

    pub(crate) fn has_connector(&self, name: &ConnectorName) -> bool {
        self.connectors.contains_key(name)
    }

    pub(crate) fn has_task(&self, id: &TaskId) -> bool {
        self.tasks.contains_key(id)
    }

    pub(crate) fn connectors(&self) -> Vec<ConnectorName> {
        self.connectors.keys().cloned().collect()
    }

    pub(crate) fn tasks(&self) -> Vec<TaskId> {
        self.tasks.keys().cloned().collect()
    }

    /// Starts a connector; what goes wrong is in its status. One that runs already is left alone.
    pub(crate) async fn start_connector(
        &mut self,
        name: &ConnectorName,
        raw: &RawConfig,
        target: TargetState,
    ) {
        if self.connectors.contains_key(name) {
            return;
        }
        let class = raw.get("connector.class").map(|c| c.trim()).unwrap_or_default();
        let found = registry::find_connector(class);
        let version = found.as_ref().ok().map(|p| p.version.to_owned());
        let prepared = found.map_err(|e| ConnectError::connect(e.to_string())).and_then(|plugin| {
            let props = self.around.config.providers.resolve_map(raw).map_err(unresolved)?;
            Ok((plugin, props))
        });
        match prepared {
            Ok((plugin, props)) => self.run_connector(name, plugin, props, target),
            Err(error) => {
                tracing::error!(connector = %name, error = &error as &dyn std::error::Error, "connector failed to start");
                self.around.registry.numbers().connector_startups.record(false);
                let reporter = self.connector_reporter(name, version);
                reporter.report(State::Failed, Some(error.java_trace())).await;
                // It is here all the same: a restart and a better configuration are for whoever has it. Until then it
                // has failed, whoever is told to stop it.
                reporter.mute();
                self.connectors
                    .insert(name.clone(), RunningConnector::ended(reporter, target, &self.around.runtime));
            }
        }
    }

    fn connector_reporter(&self, name: &ConnectorName, version: Option<String>) -> Reporter<ConnectorName> {
        let around = &self.around;
        let (status, identity, session) = (&around.status, &around.identity, &around.session);
        Reporter::new(name.clone(), status.clone(), identity.clone(), session.clone(), version)
    }

    /// `props` are those of the connector, with variables replaced.
    fn run_connector(
        &mut self,
        name: &ConnectorName,
        plugin: &'static Plugin,
        props: Props,
        target: TargetState,
    ) {
        let reporter = self.connector_reporter(name, Some(plugin.version.to_owned()));
        tracing::info!(connector = %name, class = plugin.class, "starting connector");
        let facts = ConnectorFacts {
            state: State::Unassigned,
            kind: plugin.kind(),
            class: plugin.class.to_owned(),
            version: plugin.version.to_owned(),
        };
        self.around.registry.set_connector(name, facts);
        let (target, watched) = watch::channel(target);
        let stop = CancellationToken::new();
        let runner = ConnectorRunner {
            plugin,
            props,
            controls: Controls { stop: stop.clone(), target: watched },
            reporter: reporter.clone(),
            registry: self.around.registry.clone(),
            offsets: self.around.offsets.clone(),
            events: self.around.events.clone(),
        };
        let (commands, inbox) = mpsc::channel(16);
        let after_panic = reporter.clone();
        let runner = self.around.runtime.spawn(async move {
            if AssertUnwindSafe(runner.run(inbox)).catch_unwind().await.is_err() {
                after_panic.report(State::Failed, Some("connector panicked".to_owned())).await;
            }
        });
        self.connectors.insert(name.clone(), RunningConnector { stop, target, commands, reporter, runner });
    }

    /// From now on nothing that runs here reports anything: it may run elsewhere already.
    pub(crate) fn mute(&self) {
        self.connectors.values().for_each(|running| running.reporter.mute());
        self.tasks.values().for_each(|running| running.reporter.mute());
    }

    /// Stops connectors, all at once, and reports them as unassigned if `is_reported` and nobody can have them yet.
    pub(crate) async fn stop_connectors(&mut self, names: &[ConnectorName], is_reported: bool) {
        let stopping: Vec<_> =
            names.iter().filter_map(|name| Some((name, self.connectors.remove(name)?))).collect();
        let session = &self.around.session;
        let stops = stopping.into_iter().map(|(name, running)| async move {
            running.stop.cancel();
            let mut runner = running.runner;
            if tokio::time::timeout(CONNECTOR_STOP, &mut runner).await.is_err() {
                tracing::error!(connector = %name, "connector did not stop in time and is abandoned");
                running.reporter.mute();
                runner.abort();
            } else if is_reported && session.is_alive() {
                running.reporter.report(State::Unassigned, None).await;
            }
        });
        join_all(stops).await;
        for name in names {
            self.around.registry.remove_connector(name);
        }
    }

    /// Asks a connector for its tasks. The answer is an event, unless the connector is not running here.
    pub(crate) fn ask_for_tasks(&self, name: &ConnectorName, max: usize) {
        let Some(running) = self.connectors.get(name) else { return };
        let (commands, events, name) = (running.commands.clone(), self.around.events.clone(), name.clone());
        let stop = running.stop.clone();
        self.around.runtime.spawn(async move {
            let (answer, plan) = oneshot::channel();
            let is_asked = commands.send(ConnectorCommand::TaskConfigs(max, answer)).await.is_ok();
            if let (true, Ok(Some(plan))) = (is_asked, plan.await) {
                // A herder that is gone needs no tasks.
                let _ = events.send(WorkerEvent::TasksPlanned(name, plan, stop));
            }
        });
    }

    /// Has a connector say after a while that it needs its tasks planned, as if by itself.
    pub(crate) fn ask_again_later(&self, name: &ConnectorName, delay: Duration) {
        let (events, name) = (self.around.events.clone(), name.clone());
        self.around.runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            // A herder that is gone needs no tasks.
            let _ = events.send(WorkerEvent::TasksNeeded(name));
        });
    }

    pub(crate) fn fail_connector(&self, name: &ConnectorName, error: ConnectError) {
        let Some(running) = self.connectors.get(name) else { return };
        let commands = running.commands.clone();
        self.around.runtime.spawn(async move {
            // A runner that has ended has reported why.
            let _ = commands.send(ConnectorCommand::Fail(error)).await;
        });
    }

    /// Tells a connector and its tasks here what they shall be.
    pub(crate) fn set_target(&self, name: &ConnectorName, target: TargetState) {
        if let Some(running) = self.connectors.get(name) {
            running.target.send_replace(target);
        }
        for (_, task) in self.tasks.iter().filter(|(id, _)| id.connector == *name) {
            task.target.send_replace(target);
        }
    }

    /// Starts a task; what goes wrong is in its status. One that runs already is left alone.
    pub(crate) fn start_task(&mut self, order: TaskOrder) {
        if self.tasks.contains_key(&order.id) {
            return;
        }
        let id = order.id.clone();
        let class = order.connector.get("connector.class").map(|c| c.trim()).unwrap_or_default();
        let found = registry::find_connector(class);
        let kind = match found.as_ref().map(|p| p.kind()) {
            Ok("sink") => TaskKind::Sink,
            _ => TaskKind::Source,
        };
        let metrics = self.around.registry.add_task(&id, kind);
        let reporter = Reporter::new(
            id.clone(),
            self.around.status.clone(),
            self.around.identity.clone(),
            self.around.session.clone(),
            found.as_ref().ok().map(|p| p.version.to_owned()),
        );
        let (target, watched) = watch::channel(order.target);
        let stop = CancellationToken::new();
        let controls = Controls { stop: stop.clone(), target: watched };
        let prepared = found
            .map_err(|e| ConnectError::connect(e.to_string()))
            .and_then(|plugin| self.prepare(plugin, &order, controls, &reporter, &metrics));
        self.around.registry.numbers().task_startups.record(prepared.is_ok());
        let runner = match prepared {
            Ok(prepared) => {
                tracing::info!(task = %id, "starting task");
                let (reporter, metrics) = (reporter.clone(), metrics.clone());
                self.around.runtime.spawn(async move {
                    let result = AssertUnwindSafe(prepared.run()).catch_unwind().await;
                    let trace = match result {
                        Ok(Ok(())) => return,
                        Ok(Err(error)) => {
                            tracing::error!(task = %reporter.id, error = &error as &dyn std::error::Error, "task failed");
                            error.java_trace()
                        }
                        Err(_) => {
                            tracing::error!(task = %reporter.id, "task panicked");
                            ConnectError::connect("task panicked").java_trace()
                        }
                    };
                    reporter.report(State::Failed, Some(trace), &metrics).await;
                })
            }
            Err(error) => {
                tracing::error!(task = %id, error = &error as &dyn std::error::Error, "task failed to start");
                let (reporter, metrics) = (reporter.clone(), metrics.clone());
                self.around.runtime.spawn(async move {
                    reporter.report(State::Failed, Some(error.java_trace()), &metrics).await;
                })
            }
        };
        self.tasks.insert(id, RunningTask { stop, target, reporter, metrics, runner });
    }

    fn prepare(
        &self,
        plugin: &'static Plugin,
        order: &TaskOrder,
        controls: Controls,
        reporter: &Reporter<TaskId>,
        metrics: &Arc<TaskMetrics>,
    ) -> Result<Prepared, ConnectError> {
        let around = &self.around;
        let connector = around.config.providers.resolve_map(&order.connector).map_err(unresolved)?;
        let props = around.config.providers.resolve_map(&order.task).map_err(unresolved)?;
        let converters = Converters::make(&connector, &around.config.properties)?;
        let settings = ConnectorSettings::read(&connector);
        let tolerates = settings.tolerate_errors;
        let pipeline = Pipeline::new(order.id.clone(), converters, settings);
        match plugin.connector() {
            Some(Connector::Source(source)) => {
                let task = source.task();
                let outbox = Outbox::new(tolerates);
                let settings = client_settings::producer(&around.config, &connector, &order.id);
                let producer = outbox::producer(&settings, &outbox, &around.runtime)
                    .map_err(|e| ConnectError::connect("Failed to create a producer").with_source(e))?;
                Ok(Prepared::Source(Box::new(SourceRunner {
                    task,
                    props,
                    pipeline,
                    producer,
                    outbox,
                    offsets: around.offsets.clone(),
                    session: around.session.clone(),
                    defaults: around.config.tasks.clone(),
                    tracks_topics: around.config.topic_tracking,
                    controls,
                    reporter: reporter.clone(),
                    metrics: metrics.clone(),
                    progress: source_runner::Progress::default(),
                })))
            }
            Some(Connector::Sink(sink)) => {
                let settings = client_settings::consumer(&around.config, &connector, &order.id);
                let topics = topics(&connector)?;
                let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
                let consumer = SinkConsumer::open(&settings, &topics);
                let consumer = consumer
                    .map_err(|e| ConnectError::connect("Failed to create a consumer").with_source(e))?;
                Ok(Prepared::Sink(Box::new(SinkRunner {
                    task: sink.task(),
                    props,
                    pipeline,
                    consumer,
                    defaults: around.config.tasks.clone(),
                    tracks_topics: around.config.topic_tracking,
                    controls,
                    reporter: reporter.clone(),
                    metrics: metrics.clone(),
                    requests: Arc::default(),
                    progress: sink_runner::Progress::default(),
                })))
            }
            None => Err(ConnectError::connect(format!("{} is not a connector", plugin.class))),
        }
    }

    /// Asks tasks to stop, all at once, waits until the deadline they share, and gives up those that are late:
    /// they may run elsewhere already, so nothing they report counts any more.
    pub(crate) async fn stop_tasks(&mut self, ids: &[TaskId], is_reported: bool) {
        let stopping: Vec<_> = ids.iter().filter_map(|id| Some((id, self.tasks.remove(id)?))).collect();
        for (_, task) in &stopping {
            task.stop.cancel();
        }
        let deadline = Instant::now() + self.around.config.tasks.shutdown_timeout;
        let (registry, session) = (&self.around.registry, &self.around.session);
        let stops = stopping.into_iter().map(|(id, task)| async move {
            let mut runner = task.runner;
            if tokio::time::timeout_at(deadline, &mut runner).await.is_err() {
                tracing::error!(task = %id, "task did not stop in time and is abandoned");
                task.reporter.mute();
                runner.abort();
            } else if is_reported && session.is_alive() {
                task.reporter.report(State::Unassigned, None, &task.metrics).await;
            }
            registry.remove_task(id, &task.metrics);
        });
        join_all(stops).await;
    }
}

enum Prepared {
    Source(Box<SourceRunner>),
    Sink(Box<SinkRunner>),
}

impl Prepared {
    async fn run(self) -> Result<(), ConnectError> {
        match self {
            Self::Source(runner) => runner.run().await,
            Self::Sink(runner) => runner.run().await,
        }
    }
}

fn unresolved(error: crate::config::providers::ProviderError) -> ConnectError {
    ConnectError::config("could not replace the variables in the configuration").with_source(error)
}

/// What a sink subscribes to, in librdkafka's form: a pattern begins with `^`.
///
/// Errors: a pattern that cannot be said there, of a connector that another worker has taken.
fn topics(config: &RawConfig) -> Result<Vec<String>, ConnectError> {
    let Some(pattern) = config.get("topics.regex").map(|p| p.trim()).filter(|p| !p.is_empty()) else {
        let list = config.get("topics").map(String::as_str).unwrap_or_default();
        return Ok(list.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect());
    };
    let pattern = topic_pattern::extended(pattern).map_err(|e| {
        ConnectError::config(format!("topics.regex={pattern} cannot be followed")).with_source(e)
    })?;
    // Java matches the whole name.
    Ok(vec![format!("^({pattern})$")])
}

#[cfg(test)]
mod tests;
