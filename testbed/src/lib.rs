//! Starts the real things that tests need, and cleans up after itself.
//!
//! Real means: Apache Kafka brokers, the JVM Connect worker, PostgreSQL, a Docker engine, and SSH hosts that are
//! systemd containers. Nothing here imitates anything, and nothing is skipped: what cannot start is an [`Error`].
//! It deliberately shares no code with `provision`: the brokers' certificates come from `openssl`, so that trust in
//! them is foreign trust.
//!
//! Start reading at [`kafka`], the most used one. What they all rest on:
//!
//! - [`owner`]: everything started is marked with its owner (a process). A reaper, which is a child holding a pipe,
//!   removes it when the owner ends, however it ends; what even the reaper missed is swept by the next owner.
//! - [`process`]: a child that cannot outlive its owner.
//! - [`ports`]: free ports, reserved between several test beds on one machine.
//! - [`wait`]: readiness is a condition with a deadline, never a pause.
//!
//! Recipes:
//!
//! ```no_run
//! # async fn recipe() -> Result<(), testbed::Error> {
//! use testbed::kafka::{Kafka, KafkaSpec, Security};
//! let kafka = Kafka::start(KafkaSpec { security: Security::sasl_ssl(), ..KafkaSpec::default() }).await?;
//! let (_bootstrap, _ca) = (kafka.bootstrap(), kafka.ca_pem());
//! # Ok(())
//! # }
//! ```

mod error;
mod paths;

pub mod built;
pub mod certificates;
pub mod command;
pub mod connect;
pub mod docker;
pub mod http;
pub mod jars;
pub mod java;
pub mod kafka;
pub mod owner;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod ssh_host;
pub mod wait;

pub use error::Error;
