//! What the worker tells Prometheus.
//!
//! `names.rs` is the table of every series; the other files keep the numbers. Instances register here when they
//! start and take themselves out when they end.

pub(crate) mod group;
pub(crate) mod names;
pub(crate) mod process;
pub(crate) mod registry;
pub(crate) mod render;
pub(crate) mod task;
pub(crate) mod window;
