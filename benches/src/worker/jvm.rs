//! The JVM worker as people run it: untouched, and at its best documented settings.

use testbed::kafka::SCRIPTS_JVM_OPTIONS;

/// Options and properties of one way to run it.
#[derive(Debug)]
pub(crate) struct Tuning {
    pub(crate) name: &'static str,
    heap: &'static [&'static str],
    options: &'static [&'static str],
    /// Of the worker, beside those that both workers are given.
    pub(crate) properties: &'static [(&'static str, &'static str)],
}

impl Tuning {
    /// Those of the JVM.
    pub(crate) fn options(&self) -> Vec<&'static str> {
        [self.heap, self.options].concat()
    }
}

/// As `bin/connect-distributed.sh` of Kafka 4.3.1 starts it.
pub(crate) static DEFAULTS: Tuning = Tuning {
    name: "JVM, defaults",
    heap: &["-Xms256M", "-Xmx2G"],
    options: SCRIPTS_JVM_OPTIONS,
    properties: &[],
};

/// For throughput: the collector with the least overhead on few cores, a heap that never grows, large batches, fetches
/// and polls.
pub(crate) static TUNED: Tuning = Tuning {
    name: "JVM, tuned",
    heap: &["-Xms2G", "-Xmx2G"],
    options: &["-server", "-XX:+UseParallelGC", "-XX:+AlwaysPreTouch", "-Djava.awt.headless=true"],
    properties: &[
        ("producer.batch.size", "1048576"),
        ("producer.linger.ms", "10"),
        ("producer.buffer.memory", "134217728"),
        ("producer.max.request.size", "4194304"),
        ("producer.compression.type", "lz4"),
        ("consumer.max.poll.records", "10000"),
        ("consumer.fetch.min.bytes", "1048576"),
        ("consumer.max.partition.fetch.bytes", "8388608"),
        ("plugin.discovery", "service_load"),
    ],
};
