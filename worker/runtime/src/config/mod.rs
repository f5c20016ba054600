//! Worker properties -> [`WorkerConfig`].
//!
//! `keys.rs` is the table of all properties; `reader.rs` reads by it, and `worker.rs` is what comes of it;
//! `consistency.rs` says what must fit together; `client.rs` turns the settings of a Java client into those of
//! librdkafka, `fetch.rs` and `produce.rs` into those of our fetcher and producer. Nothing here connects to anything.

pub(crate) mod client;
pub(crate) mod consistency;
pub(crate) mod fetch;
pub(crate) mod jaas;
pub(crate) mod keys;
pub(crate) mod listener;
pub(crate) mod problem;
pub(crate) mod produce;
pub(crate) mod properties;
pub(crate) mod providers;
mod reader;
pub(crate) mod security;
mod settings_reader;
pub(crate) mod wire_client;
pub(crate) mod worker;

pub(crate) use problem::{ConfigErrors, Problem};
pub(crate) use worker::WorkerConfig;
