//! Running connectors and tasks.
//!
//! [`instances::Worker`] starts and stops them; each runs in a runner of its own kind. The herder decides what runs
//! here; runners report what became of it through the status store and [`WorkerEvent`].

pub(crate) mod client_settings;
pub(crate) mod connector_runner;
pub(crate) mod controls;
pub(crate) mod instances;
pub(crate) mod outbox;
pub(crate) mod pipeline;
pub(crate) mod sink_consumer;
pub(crate) mod sink_context;
pub(crate) mod sink_offsets;
pub(crate) mod sink_runner;
pub(crate) mod source_offsets;
pub(crate) mod source_runner;
pub(crate) mod submitted_offsets;

use connect_api::ConnectError;
use tokio_util::sync::CancellationToken;

use crate::names::ConnectorName;
use crate::worker::connector_runner::TaskPlan;

/// What a runner has to say to the herder.
#[derive(Debug)]
pub(crate) enum WorkerEvent {
    /// The connector was started, or asks for it itself: make its task configs anew.
    TasksNeeded(ConnectorName),
    /// What the connector has planned, and what is cancelled when that instance of it is stopped.
    TasksPlanned(ConnectorName, Result<TaskPlan, ConnectError>, CancellationToken),
}
