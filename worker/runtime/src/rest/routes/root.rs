//! `/` and `/health`.

use axum::extract::State;
use http::StatusCode;

use crate::herder::Health;
use crate::plugins::builtin::CONNECT_VERSION;
use crate::rest::routes::{Api, Outcome, json};
use crate::rest::wire::{ServerInfo, WorkerStatus};

pub(super) async fn info(State(api): State<Api>) -> Outcome {
    let herder = api.herder().await?;
    let kafka_cluster_id = herder.cluster_id().to_owned();
    Ok(json(
        StatusCode::OK,
        &ServerInfo { version: CONNECT_VERSION, commit: crate::build_info::COMMIT, kafka_cluster_id },
    ))
}

pub(super) async fn health(State(api): State<Api>) -> Outcome {
    let herder = api.herder_if_there();
    let health = match &herder {
        Some(herder) => herder.health().await,
        None => Health::Starting,
    };
    let stage = herder.map(|h| h.stage()).unwrap_or_else(|| "The worker is connecting to Kafka.".to_owned());
    Ok(match health {
        Health::Healthy => {
            let message = "Worker has completed startup and is ready to handle requests.".to_owned();
            json(StatusCode::OK, &WorkerStatus { status: "healthy", message })
        }
        Health::Starting => {
            let message = format!("Worker is still starting up. {stage}");
            json(StatusCode::SERVICE_UNAVAILABLE, &WorkerStatus { status: "starting", message })
        }
        Health::Unhealthy => {
            let message = format!("Worker was unable to handle this request. {stage}");
            json(StatusCode::INTERNAL_SERVER_ERROR, &WorkerStatus { status: "unhealthy", message })
        }
    })
}
