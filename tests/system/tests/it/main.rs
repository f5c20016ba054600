//! Every feature, tested through the door its users take, against the real things.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helpers too")]

mod benchmarks;
mod docker_variants;
mod host_faults;
mod hosts;
mod image;
mod kafka_control;
mod kafka_faults;
mod killed;
mod lab;
mod main_job;
mod programs;
mod running;
mod search;
mod secrets;
mod secured;
mod ssh_variants;
mod stores;
mod terminal;
mod testbed;
mod worker;
