//! The three internal topics and the stores over them.
//!
//! A store is a fold over a log: [`log::TopicLog`] brings records in and writes them, `records.rs` alone knows
//! their bytes, and each store keeps what the records mean. What compaction can lose: everything but the last
//! record of a key. So the last record of a key must say all, and a set of task configs, which is several keys,
//! counts only once the commit record after it was read.

pub(crate) mod cluster_state;
pub(crate) mod config_store;
#[cfg(test)]
mod contract;
pub(crate) mod internal_topics;
pub(crate) mod kafka_log;
pub(crate) mod log;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod offset_store;
pub(crate) mod records;
pub(crate) mod status_store;
pub(crate) mod writer;
