//! Which connectors and converters there are, and what configurations of them are worth.
//!
//! `builtin.rs` is the table; `registry.rs` finds rows in it by the names that users write; `connector_config.rs`
//! is what every connector can be configured with; `validate.rs` judges a configuration, `topic_pattern.rs` the pattern of a sink's topics.

pub(crate) mod builtin;
pub(crate) mod connector_config;
pub(crate) mod converters;
pub(crate) mod registry;
pub(crate) mod topic_pattern;
pub(crate) mod validate;
