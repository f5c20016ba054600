//! The client against a scripted broker in memory: what real brokers do seldom, or only when they are broken.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helpers too")]

mod fetch;
mod group;
mod login;
mod produce;
mod requests;
mod scripted;
mod tls;
