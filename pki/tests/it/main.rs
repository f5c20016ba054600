//! Tests of the crate through its public door. They need nothing but Rust: what other tools made lies in
//! `tests/data`; the tools themselves judge our stores in the system tests.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helpers too")]

mod authority;
mod foreign;
mod hostile;
mod made;
mod stores;
mod tls;
