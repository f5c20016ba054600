//! Datagen source: `io.confluent.kafka.connect.datagen.DatagenConnector`.
//!
//! Produces records from an Avro schema whose annotations (`arg.properties`) say what the values look like. It
//! takes Java's settings and continues from Java's offsets; the values themselves come from a generator of our
//! own, so that equal seeds give equal records here, but not the records that Java would have made.
//!
//! Start with [`DatagenConnector`]; `schema` compiles a schema document into a generator, `task` runs it.

mod connector;
mod generator;
mod java_random;
mod pattern;
mod quickstart;
mod schema;
mod task;

pub use connector::DatagenConnector;
