//! `connect-worker` beside the JVM worker of Apache Kafka, on the same brokers with the same data.

mod datagen;
mod failover;
mod files;
mod image;
mod jvm;
mod start;
mod subject;
mod topic;

use testbed::kafka::{Jvm, KafkaSpec};

use crate::bench::Section;
use crate::machine::first_line;

pub(crate) const SECTION: Section = Section {
    id: "worker",
    groups: &[&start::Start, &files::Files, &datagen::Datagen, &failover::Failover, &image::Image],
    versions: || Box::pin(async { versions() }),
};

/// One broker, plaintext, in a JVM as people run it: what is measured must not wait for a broker made for tests.
fn broker() -> KafkaSpec {
    KafkaSpec { jvm: Jvm::AsShipped, ..KafkaSpec::default() }
}

fn versions() -> Vec<String> {
    let java = first_line("java", &["-version"]);
    vec![
        "ours: `connect-worker` as it is shipped (release, static), at its defaults".to_owned(),
        format!("peer: the worker of Apache Kafka 4.3.1 on {java}, with connect-file alone in `plugin.path`"),
        format!(
            "brokers: Apache Kafka 4.3.1, as `bin/kafka-server-start.sh` starts it: `{}`",
            Jvm::AsShipped.options().join(" ")
        ),
        format!(
            "JVM, defaults: as `bin/connect-distributed.sh` starts it: `{}`",
            jvm::DEFAULTS.options().join(" ")
        ),
        format!("JVM, tuned: `{}`", jvm::TUNED.options().join(" ")),
        format!(
            "JVM, tuned: properties {}",
            jvm::TUNED
                .properties
                .iter()
                .map(|(key, value)| format!("`{key}={value}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    ]
}
