//! Takes bare Linux hosts to a Kafka Connect cluster.

fn main() {}
