//! One connector instance: it plans tasks and has no records of its own.
//!
//! Source: `WorkerConnector` of Kafka. The instance is made anew whenever it is started.

use std::sync::Arc;

use connect_api::{ConnectError, ConnectorContext, OffsetStorageReader, Props};
use tokio::sync::{mpsc, oneshot};

use crate::metrics::registry::Registry;
use crate::names::{ConnectorName, State, TargetState};
use crate::plugins::registry::{Connector, Plugin};
use crate::storage::offset_store::OffsetStore;
use crate::worker::WorkerEvent;
use crate::worker::controls::{Controls, Reporter};
use crate::worker::source_offsets::StoredOffsets;

pub(crate) enum ConnectorCommand {
    /// At most so many task configs; nothing when the connector is not running.
    TaskConfigs(usize, oneshot::Sender<Option<Result<TaskPlan, ConnectError>>>),
    /// The plan was no good.
    Fail(ConnectError),
}

/// What a connector wants its tasks to be.
#[derive(Debug)]
pub(crate) struct TaskPlan {
    pub(crate) task_class: &'static str,
    pub(crate) configs: Vec<Props>,
}

pub(crate) struct ConnectorRunner {
    pub(crate) plugin: &'static Plugin,
    /// With variables replaced.
    pub(crate) props: Props,
    pub(crate) controls: Controls,
    pub(crate) reporter: Reporter<ConnectorName>,
    pub(crate) registry: Registry,
    pub(crate) offsets: OffsetStore,
    /// Bounded by the connectors of a worker: each has at most one request waiting.
    pub(crate) events: mpsc::UnboundedSender<WorkerEvent>,
}

/// What a running connector can reach of its runner.
struct Context {
    name: ConnectorName,
    events: mpsc::UnboundedSender<WorkerEvent>,
    errors: mpsc::Sender<ConnectError>,
    reader: Option<Arc<dyn OffsetStorageReader>>,
}

impl ConnectorContext for Context {
    fn request_task_reconfiguration(&self) {
        // A herder that is gone needs no tasks.
        let _ = self.events.send(WorkerEvent::TasksNeeded(self.name.clone()));
    }

    fn raise_error(&self, error: ConnectError) {
        // The first error decides; the runner may have ended.
        let _ = self.errors.try_send(error);
    }

    fn offset_storage_reader(&self) -> Option<Arc<dyn OffsetStorageReader>> {
        self.reader.clone()
    }
}

impl ConnectorRunner {
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<ConnectorCommand>) {
        let (errors, mut raised) = mpsc::channel(1);
        let mut instance = None;
        let mut has_failed = false;
        self.transition(&mut instance, &mut has_failed, &errors).await;
        loop {
            tokio::select! {
                biased;
                () = self.controls.stop.cancelled() => break,
                Ok(()) = self.controls.target.changed() => {
                    // A failed connector is only stopped or restarted.
                    let is_stopped = *self.controls.target.borrow() == TargetState::Stopped;
                    if !has_failed || is_stopped {
                        has_failed = false;
                        self.transition(&mut instance, &mut has_failed, &errors).await;
                    }
                }
                command = commands.recv() => match command {
                    None => break,
                    Some(ConnectorCommand::TaskConfigs(max, answer)) => {
                        let plan = match &instance {
                            Some(connector) => Some(plan(connector, max).await),
                            None => None,
                        };
                        // The herder may have given up.
                        let _ = answer.send(plan);
                    }
                    Some(ConnectorCommand::Fail(error)) => {
                        has_failed = true;
                        self.fail(&error).await;
                    }
                },
                Some(error) = raised.recv() => {
                    has_failed = true;
                    self.fail(&error).await;
                }
            }
        }
        self.stop(&mut instance).await;
    }

    async fn transition(
        &mut self,
        instance: &mut Option<Connector>,
        has_failed: &mut bool,
        errors: &mpsc::Sender<ConnectError>,
    ) {
        let target = *self.controls.target.borrow_and_update();
        match target {
            TargetState::Started if instance.is_none() => {
                let started = self.start(errors).await;
                self.registry.numbers().connector_startups.record(started.is_ok());
                match started {
                    Ok(connector) => {
                        *instance = Some(connector);
                        self.report(State::Running).await;
                        // A herder that is gone needs no tasks.
                        let _ = self.events.send(WorkerEvent::TasksNeeded(self.reporter.id.clone()));
                    }
                    Err(error) => {
                        *has_failed = true;
                        self.fail(&error).await;
                    }
                }
            }
            TargetState::Started => {}
            TargetState::Paused => {
                self.stop(instance).await;
                self.report(State::Paused).await;
            }
            TargetState::Stopped => {
                self.stop(instance).await;
                self.report(State::Stopped).await;
            }
        }
    }

    async fn start(&self, errors: &mpsc::Sender<ConnectError>) -> Result<Connector, ConnectError> {
        let no_connector = || ConnectError::connect(format!("{} is not a connector", self.plugin.class));
        let mut connector = self.plugin.connector().ok_or_else(no_connector)?;
        let name = &self.reporter.id;
        let reader = match connector {
            Connector::Source(_) => Some(StoredOffsets::reader(name, &self.offsets)),
            Connector::Sink(_) => None,
        };
        let context =
            Context { name: name.clone(), events: self.events.clone(), errors: errors.clone(), reader };
        let context = Arc::new(context);
        let started = match &mut connector {
            Connector::Source(source) => source.start(context, &self.props).await,
            Connector::Sink(sink) => sink.start(context, &self.props).await,
        };
        match started {
            Ok(()) => Ok(connector),
            Err(error) => {
                self.stop(&mut Some(connector)).await;
                Err(error)
            }
        }
    }

    async fn stop(&self, instance: &mut Option<Connector>) {
        let stopped = match instance.take() {
            Some(Connector::Source(mut source)) => source.stop().await,
            Some(Connector::Sink(mut sink)) => sink.stop().await,
            None => Ok(()),
        };
        if let Err(error) = stopped {
            tracing::warn!(connector = %self.reporter.id, error = &error as &dyn std::error::Error, "connector did not stop cleanly");
        }
    }

    async fn report(&self, state: State) {
        tracing::info!(connector = %self.reporter.id, state = state.as_str(), "connector");
        self.registry.set_connector_state(&self.reporter.id, state);
        self.reporter.report(state, None).await;
    }

    async fn fail(&self, error: &ConnectError) {
        tracing::error!(connector = %self.reporter.id, error = error as &dyn std::error::Error, "connector failed");
        self.registry.set_connector_state(&self.reporter.id, State::Failed);
        self.reporter.report(State::Failed, Some(error.java_trace())).await;
    }
}

async fn plan(connector: &Connector, max: usize) -> Result<TaskPlan, ConnectError> {
    let (task_class, configs) = match connector {
        Connector::Source(source) => (source.task_class(), source.task_configs(max).await?),
        Connector::Sink(sink) => (sink.task_class(), sink.task_configs(max).await?),
    };
    Ok(TaskPlan { task_class, configs })
}
