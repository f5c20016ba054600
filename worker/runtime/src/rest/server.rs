//! Listening for HTTP.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Router, ServiceExt};
use http::Uri;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::Layer;
use tower::util::MapRequestLayer;

use crate::config::listener::{Listener, authority};

#[derive(Debug, thiserror::Error)]
#[error("{property}: could not listen on {address}")]
pub(crate) struct BindError {
    property: &'static str,
    address: String,
    source: std::io::Error,
}

/// `property`: the one that names the listener.
pub(crate) async fn bind(property: &'static str, listener: &Listener) -> Result<TcpListener, BindError> {
    let (host, port) = listener.address();
    let failed = |source| BindError { property, address: authority(host, port), source };
    TcpListener::bind((host, port)).await.map_err(failed)
}

/// Serves until shutdown, then lets requests in progress end.
pub(crate) async fn serve(socket: TcpListener, router: Router, shutdown: CancellationToken) {
    let logged = router.layer(middleware::from_fn(log));
    let app = MapRequestLayer::new(without_trailing_slash).layer(logged);
    let service = ServiceExt::<Request>::into_make_service(app);
    let served = axum::serve(socket, service).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "server ended");
    }
}

/// One line per request; bodies and headers never show.
async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    if method == http::Method::GET {
        tracing::debug!(%method, path, status, "request");
    } else {
        tracing::info!(%method, path, status, "request");
    }
    response
}

/// `/connectors/` means `/connectors`.
fn without_trailing_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() || trimmed.len() == path.len() {
        return request;
    }
    let path_and_query = match request.uri().query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    if let Ok(uri) = path_and_query.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}

/// Where a socket listens.
pub(crate) fn local_address(socket: &TcpListener) -> Option<SocketAddr> {
    socket.local_addr().ok()
}
