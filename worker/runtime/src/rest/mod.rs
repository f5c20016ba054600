//! The REST API: parse, ask the herder once, render.
//!
//! `wire.rs` has the JSON shapes, `error.rs` the one mapping of herder errors to statuses, `forward.rs` the way to
//! the worker that can do what this one cannot. `server.rs` listens.

pub(crate) mod error;
pub(crate) mod forward;
pub(crate) mod http_client;
pub(crate) mod metrics_page;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod server;
#[cfg(test)]
mod tests;
pub(crate) mod wire;
