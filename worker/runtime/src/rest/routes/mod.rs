//! All routes.

mod connectors;
mod instances;
mod plugins;
mod root;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::StatusCode;
use tokio::sync::watch;

use crate::herder::stage::StageCell;
use crate::herder::{Health, Herder};
use crate::rest::error::RestError;

/// How long a request waits for the herder to exist.
const HERDER_WAIT: Duration = Duration::from_secs(90);

/// Shared by all handlers. The server listens before there is a herder.
#[derive(Clone)]
pub(crate) struct Api {
    herder: watch::Receiver<Option<Arc<dyn Herder>>>,
    /// What the worker does meanwhile.
    stage: StageCell,
}

impl Api {
    pub(crate) fn new(herder: watch::Receiver<Option<Arc<dyn Herder>>>, stage: StageCell) -> Self {
        Self { herder, stage }
    }

    async fn herder(&self) -> Result<Arc<dyn Herder>, RestError> {
        let starting = || {
            let message = format!("Request timed out. {}", self.stage.summary());
            RestError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
        };
        let mut herder = self.herder.clone();
        let there = herder.wait_for(Option::is_some);
        match tokio::time::timeout(HERDER_WAIT, there).await {
            Ok(Ok(there)) => there.clone().ok_or_else(starting),
            Ok(Err(_)) | Err(_) => Err(starting()),
        }
    }

    async fn health(&self) -> Health {
        let herder = self.herder.borrow().clone();
        match herder {
            Some(herder) => herder.health().await,
            None => Health::Starting { details: self.stage.summary() },
        }
    }
}

pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/", get(root::info))
        .route("/health", get(root::health))
        .route("/connectors", get(connectors::list).post(connectors::create))
        .route("/connectors/{name}", get(connectors::info).delete(connectors::delete))
        .route(
            "/connectors/{name}/config",
            get(connectors::config).put(connectors::put_config).patch(connectors::patch_config),
        )
        .route("/connectors/{name}/status", get(connectors::status))
        .route("/connectors/{name}/restart", post(instances::restart))
        .route("/connectors/{name}/pause", put(instances::pause))
        .route("/connectors/{name}/resume", put(instances::resume))
        .route("/connectors/{name}/stop", put(instances::stop))
        .route("/connectors/{name}/tasks", get(instances::tasks).post(instances::publish_tasks))
        .route("/connectors/{name}/tasks/{task}/status", get(instances::task_status))
        .route("/connectors/{name}/tasks/{task}/restart", post(instances::restart_task))
        .route("/connectors/{name}/topics", get(connectors::topics))
        .route("/connectors/{name}/topics/reset", put(connectors::reset_topics))
        .route("/connector-plugins", get(plugins::list))
        .route("/connector-plugins/{plugin}/config", get(plugins::config))
        .route("/connector-plugins/{plugin}/config/validate", put(plugins::validate))
        .fallback(|| async { RestError::bare(StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { RestError::bare(StatusCode::METHOD_NOT_ALLOWED) })
        .with_state(api)
}

/// A handler's outcome where nothing is forwarded.
type Outcome = Result<Response, RestError>;

fn json<T: serde::Serialize>(status: StatusCode, body: &T) -> Response {
    (status, axum::Json(body)).into_response()
}
