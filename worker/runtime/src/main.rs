//! Kafka Connect in Rust.

fn main() {}
