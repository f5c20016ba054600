//! `connect-worker healthcheck`: for containers without a shell.

use bytes::Bytes;
use http::Method;

use crate::config::listener::authority;
use crate::config::worker::RestConfig;
use crate::rest::http_client::{self, HttpError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum HealthCheckError {
    #[error("no listener")]
    NoListener,
    #[error("could not start threads")]
    Threads(#[source] std::io::Error),
    #[error("the worker does not answer")]
    Http(#[from] HttpError),
    #[error("the worker is not healthy ({status}): {body}")]
    Unhealthy { status: u16, body: String },
}

/// Asks `/health` on the first listener.
pub(crate) async fn check(rest: &RestConfig) -> Result<(), HealthCheckError> {
    let listener = rest.listeners.first().ok_or(HealthCheckError::NoListener)?;
    let host = match listener.host.as_str() {
        "" | "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let url = format!("http://{}/", authority(host, listener.port));
    let answer = http_client::send(Method::GET, &url, "/health", None, Bytes::new()).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    Err(HealthCheckError::Unhealthy { status: answer.status.as_u16(), body })
}
