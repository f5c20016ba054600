//! The built program from outside, as far as that takes nothing but Rust and a shell. What needs hosts, Kafka or Docker
//! is in `tests/system`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helpers too")]

mod cli;
mod output;
mod program;
