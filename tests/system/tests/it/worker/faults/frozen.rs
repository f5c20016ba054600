//! A worker that freezes, is replaced, and goes on as if nothing had been.

use kafka_control::TopicPartition;
use serde_json::Value;
use testbed::kafka::{Kafka, KafkaSpec};
use testbed::process::Signal;

use super::{Copying, LATE, TOPIC, Writer, client, has_lines, positions, records, until_health};
use crate::worker::{Worker, owners, states};

#[tokio::test]
async fn thawed_worker_leaves_alone_what_another_one_has_taken_over() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    kafka.create_topic(TOPIC, 1).await.unwrap();
    let extra = "session.timeout.ms=6000\noffset.storage.partitions=1\nstatus.storage.partitions=1\n";
    let first = Worker::start(&kafka, extra).await;
    let second = Worker::start(&kafka, extra).await;
    let copying = Copying::start(&first, first.folder.join("out.txt")).await;
    let (input, output) = (copying.input, copying.output);
    let owner = owners(&first.until_running("source", 1).await).remove(0);
    let (mut zombie, heir) = if owner == first.id() { (first, second) } else { (second, first) };

    // There is always something that is written and not committed yet.
    let writer = Writer::start(&input, 0);
    let client = client(&kafka);
    has_stored(&client, 1).await;
    zombie.process.signal(Signal::Stop);
    let heir_id = heir.id();
    let has_moved = |status: &Value| states(status) == (true, 1) && owners(status) == [heir_id.as_str()];
    heir.until("the other worker has taken over", LATE, "/connectors/source/status", has_moved).await;
    has_stored(&client, positions(&client, 1).await.len() + 2).await;
    zombie.process.signal(Signal::Continue);
    let lost = async |log: &str| Ok(log.contains("lost the group").then_some(()));
    zombie.process.until("the thawed worker hears of it", LATE, lost).await.unwrap();
    for worker in [&zombie, &heir] {
        until_health(worker, 200, "healthy").await;
        worker.until_running("source", 1).await;
        worker.until_running("sink", 1).await;
    }
    let count = writer.end().await;
    has_lines(&heir, &output, count).await;

    let stored = positions(&client, 1).await;
    assert!(stored.is_sorted(), "an offset went back: {stored:?}");
    for task in ["status-task-source-0", "status-task-sink-0"] {
        let statuses = records(&client, &TopicPartition::new("workers-status", 0)).await;
        let of_task = statuses.iter().filter(|(key, _)| key == task.as_bytes());
        let generations: Vec<i64> = of_task
            .map(|(_, value)| serde_json::from_slice::<Value>(value).unwrap())
            .map(|status| status["generation"].as_i64().unwrap())
            .collect();
        assert!(generations.len() > 2 && generations.is_sorted(), "{task}: {generations:?}");
    }
}

/// Waits until the source's position was stored this often.
async fn has_stored(client: &kafka_control::Client, count: usize) {
    let stored = async || Ok((positions(client, 1).await.len() >= count).then_some(()));
    testbed::wait::until("offsets are stored", LATE, stored, String::new).await.unwrap();
}
