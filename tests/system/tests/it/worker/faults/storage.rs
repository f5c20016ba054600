//! What is written to fails: the sink's disk is full, the offsets topic takes nothing, the config topic is deleted.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use kafka_control::{Client, ConfigAlteration, ConfigOperation, ConfigResource, CreateMode};
use testbed::kafka::{Kafka, KafkaSpec};

use super::{Copying, LATE, TOPIC, client, complete, has_lines, positions, until_health};
use crate::worker::{SOON, Worker};

/// Runs what follows with a small disk at the first argument; the disk goes with the process.
const WITH_DISK: &str = "mount -t tmpfs -o size=256k none \"$1\" && shift && exec \"$@\"";

#[tokio::test]
async fn what_cannot_be_written_is_said_and_written_later() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    kafka.create_topic(TOPIC, 1).await.unwrap();
    let disk = testbed::owner::dir("disk").unwrap();
    let before = ["unshare", "--mount", "sh", "-c", WITH_DISK, "sh", disk.to_str().unwrap()];
    let mut worker = Worker::launch(&kafka, "offset.storage.partitions=1\n", &before);
    until_health(&worker, 200, "healthy").await;
    let copying = Copying::start(&worker, disk.join("out.txt")).await;

    full_disk(&mut worker, &copying, &disk).await;
    let output = seen(&worker, &copying.output);
    let client = client(&kafka);

    // Records go on, and their offsets are stored once that works again.
    fail_writes_of_offsets(&client, true).await;
    append(&copying.input, 5_000, 5_100);
    has_lines(&worker, &output, 5_100).await;
    let failed = async |log: &str| Ok(log.contains("failed to commit offsets").then_some(()));
    worker.process.until("it says that offsets are not stored", LATE, failed).await.unwrap();
    fail_writes_of_offsets(&client, false).await;
    let end = fs::metadata(&copying.input).unwrap().len() as i64;
    let stored = async || Ok((positions(&client, 1).await.last() == Some(&end)).then_some(()));
    testbed::wait::until("the offsets are stored", LATE, stored, || worker.process.log()).await.unwrap();

    // Who knows the connectors still is this worker: it goes on, takes no changes, and says so.
    client.delete_topics(&["workers-configs"]).await.unwrap()["workers-configs"].as_ref().unwrap();
    let message = until_health(&worker, 500, "topic workers-configs was deleted while this worker ran").await;
    assert!(message.contains("GET /connectors?expand=info"), "{message}");
    let refused = worker.json("PUT", "/connectors/sink/pause", "", 500).await;
    assert!(refused["message"].as_str().unwrap().contains("workers-configs was deleted"), "{refused}");
    let known = worker.json("GET", "/connectors?expand=info", "", 200).await;
    assert_eq!(known["source"]["info"]["config"]["topic"], TOPIC);
    append(&copying.input, 5_100, 5_200);
    has_lines(&worker, &output, 5_200).await;
}

/// The sink waits for room, also over a restart, and leaves no half of a line behind.
async fn full_disk(worker: &mut Worker, copying: &Copying, disk: &Path) {
    let (output, filler) = (seen(worker, &copying.output), seen(worker, &disk.join("filler")));
    append(&copying.input, 0, 1_000);
    has_lines(worker, &output, 1_000).await;
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // A file that is open keeps its room when it is removed.
    drop(file);
    append(&copying.input, 1_000, 5_000);
    let said = async |log: &str| Ok(log.contains("No space left on device").then_some(()));
    worker.process.until("it says that the disk is full", LATE, said).await.unwrap();
    worker.json("PUT", "/connectors/sink/stop", "", 204).await;
    let path = "/connectors/sink/status";
    worker.until("the sink has stopped", SOON, path, |s| s["connector"]["state"] == "STOPPED").await;
    let written = fs::read_to_string(&output).unwrap();
    assert!(written.ends_with('\n') && complete(&written) < 5_000, "{} bytes", written.len());
    worker.json("PUT", "/connectors/sink/resume", "", 202).await;
    worker.until_running("sink", 1).await;
    fs::remove_file(&filler).unwrap();
    has_lines(worker, &output, 5_000).await;
}

fn append(file: &Path, from: usize, to: usize) {
    let lines: String = (from..to).map(|n| format!("line {n}\n")).collect();
    File::options().append(true).open(file).unwrap().write_all(lines.as_bytes()).unwrap();
}

/// A path of the worker, whose disk nobody else sees, as we reach it.
fn seen(worker: &Worker, path: &Path) -> PathBuf {
    format!("/proc/{}/root{}", worker.process.id().unwrap(), path.display()).into()
}

/// No batch is as small as ten bytes.
async fn fail_writes_of_offsets(client: &Client, is_failing: bool) {
    let operation = match is_failing {
        true => ConfigOperation::Set("10".to_owned()),
        false => ConfigOperation::Delete,
    };
    let alteration = ConfigAlteration { name: "max.message.bytes".to_owned(), operation };
    let topic = ConfigResource::Topic("workers-offsets".to_owned());
    client.incremental_alter_configs(&topic, &[alteration], CreateMode::Create).await.unwrap();
}
