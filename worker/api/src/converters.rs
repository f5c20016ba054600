//! Kafka's own converters. They live beside the traits because the worker's internal topics, the compliance
//! suite and every benchmark need them, and because none of them needs a dependency of its own.

mod string;

pub use string::StringConverter;
