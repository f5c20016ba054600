//! The metrics, on a listener of their own.

use axum::Router;
use axum::routing::get;
use http::header;

use crate::build_info;
use crate::metrics::registry::Registry;
use crate::metrics::render::{self, Build};
use crate::plugins::builtin::CONNECT_VERSION;

/// `/metrics`, and `/` for those who forget it.
pub(crate) fn router(registry: Registry) -> Router {
    let page = move || {
        let text = render::render(&registry, Build { version: CONNECT_VERSION, commit: build_info::COMMIT });
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    Router::new().route("/", get(page.clone())).route("/metrics", get(page))
}
