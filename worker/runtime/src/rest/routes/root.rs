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
    Ok(match api.health().await {
        Health::Healthy => {
            let message = "Worker has completed startup and is ready to handle requests.".to_owned();
            json(StatusCode::OK, &WorkerStatus { status: "healthy", message })
        }
        Health::Starting { details } => {
            let message = format!("Worker is still starting up. {details}");
            json(StatusCode::SERVICE_UNAVAILABLE, &WorkerStatus { status: "starting", message })
        }
        Health::Unhealthy { details } => {
            let message = format!(
                "Worker was unable to handle this request and may be unable to handle other requests. {details}"
            );
            json(StatusCode::INTERNAL_SERVER_ERROR, &WorkerStatus { status: "unhealthy", message })
        }
    })
}
