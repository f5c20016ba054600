//! What the producer writes, read by Kafka's own consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_control::{
    Compression, CreateMode, Deliveries, ProduceError, Producer, ProducerConfig, RecordToSend, Run, Security,
    Stored,
};
use testbed::kafka::{Kafka, KafkaSpec};
use testbed::wait;

use super::{client, topic};

const RECORDS: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Counted {
    stored: AtomicUsize,
    failed: AtomicUsize,
}

impl Deliveries for Counted {
    fn delivered(&self, run: Run, result: Result<Stored, &ProduceError>) {
        let counter = if result.is_ok() { &self.stored } else { &self.failed };
        counter.fetch_add(run.count as usize, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jvm_reads_what_is_written_with_every_codec() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    let admin = client(&kafka, Security::default());
    for (name, compression, is_idempotent) in [
        ("none", Compression::None, true),
        ("gzip", Compression::Gzip(6), false),
        ("snappy", Compression::Snappy, true),
        ("lz4", Compression::Lz4, false),
        ("zstd", Compression::Zstd, true),
    ] {
        for (_, made) in admin.create_topics(&[topic(name, 1)], CreateMode::Create).await.unwrap() {
            made.unwrap();
        }
        let counted = Arc::<Counted>::default();
        let config = ProducerConfig { compression, is_idempotent, ..ProducerConfig::default() };
        let producer = Producer::new(client(&kafka, Security::default()), config, counted.clone());
        let value = |mark: usize| format!("{name} {mark} {}", "is said again and again ".repeat(5));
        for mark in 0..RECORDS {
            let value = value(mark);
            let record = RecordToSend {
                key: Some(b"key"),
                value: Some(value.as_bytes()),
                headers: &[("header", Some(b"x"))],
                ..RecordToSend::default()
            };
            producer.send(name, &record, mark as u64).await.unwrap();
        }
        let all_are_stored = async || Ok((counted.stored.load(Ordering::Relaxed) == RECORDS).then_some(()));
        wait::until("all records are written", PATIENCE, all_are_stored, String::new).await.unwrap();
        assert_eq!(counted.failed.load(Ordering::Relaxed), 0);
        let read = kafka.console_consume(name, None, RECORDS).await.unwrap();
        assert!(
            read.iter().enumerate().all(|(mark, read)| *read == value(mark)),
            "{name}: others than written"
        );
        assert_eq!(read.len(), RECORDS);
    }
}
