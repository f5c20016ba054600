//! The worker on bad days: brokers that go away, a process that freezes, a disk that is full, topics that fail.
//!
//! Every run moves lines from a file through Kafka into another file. Whatever happens in between, the lines must all
//! be there at the end, whole and in order; a line may come again, together with those behind it.

mod brokers;
mod frozen;
mod network;
mod outage;
mod storage;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kafka_control::{Client, ClientConfig, Endpoint, OffsetSpec, Security, TcpDial, TopicPartition};
use serde_json::{Value, json};
use testbed::kafka::Kafka;
use testbed::{http, wait};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Worker;

/// For everything that has to happen after a fault, on a machine that does much else.
const LATE: Duration = Duration::from_secs(120);

/// A file that grows while a test goes on.
struct Writer {
    stop: oneshot::Sender<()>,
    task: JoinHandle<usize>,
}

impl Writer {
    /// Appends `line N`, beginning with `first`.
    fn start(file: &Path, first: usize) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let mut file = File::options().create(true).append(true).open(file).unwrap();
        let task = tokio::spawn(async move {
            let mut next = first;
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            loop {
                tokio::select! {
                    _ = &mut stopped => return next,
                    _ = pace.tick() => {
                        let block: String = (next..next + 10).map(|n| format!("line {n}\n")).collect();
                        file.write_all(block.as_bytes()).unwrap();
                        next += 10;
                    }
                }
            }
        });
        Self { stop, task }
    }

    /// How many lines there are now.
    async fn end(self) -> usize {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }
}

/// How many lines, from the first on, `text` has without a gap. Panics: a line is torn, or comes before the one before
/// it has come.
fn complete(text: &str) -> usize {
    let mut next = 0;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let number = line.strip_prefix("line ").and_then(|n| n.parse::<usize>().ok());
        let number = number.unwrap_or_else(|| panic!("torn line: {line:?}"));
        assert!(number <= next, "line {number} came before line {next}");
        next = next.max(number + 1);
    }
    next
}

/// Waits until a sink's file has this many different lines.
async fn has_lines(worker: &Worker, file: &Path, count: usize) {
    let read = || complete(&fs::read_to_string(file).unwrap_or_default());
    let found = async || Ok((read() >= count).then_some(()));
    let what = format!("{count} lines are in {}", file.display());
    let ended = wait::until(&what, LATE, found, || format!("{} lines", read())).await;
    ended.unwrap_or_else(|error| panic!("{error}; {}", worker.process.log()));
    assert_eq!(read(), count);
}

/// A FileStream source and sink over one topic.
struct Copying {
    input: PathBuf,
    output: PathBuf,
}

const TOPIC: &str = "lines";

impl Copying {
    /// Creates the connectors `source` and `sink`.
    async fn start(worker: &Worker, output: PathBuf) -> Self {
        let input = worker.folder.join("in.txt");
        File::create(&input).unwrap();
        let source = json!({ "connector.class": "FileStreamSource", "file": input, "topic": TOPIC });
        let sink = json!({ "connector.class": "FileStreamSink", "file": output, "topics": TOPIC });
        worker.json("PUT", "/connectors/source/config", &source.to_string(), 201).await;
        worker.json("PUT", "/connectors/sink/config", &sink.to_string(), 201).await;
        worker.until_running("source", 1).await;
        worker.until_running("sink", 1).await;
        Self { input, output }
    }
}

/// Waits until `/health` has this status and says this.
async fn until_health(worker: &Worker, status: u16, word: &str) -> String {
    let mut last = String::new();
    let asked = async || {
        let Ok(answer) = http::request(&worker.id(), "GET", "/health", "").await else { return Ok(None) };
        let is_met = answer.status == status && answer.body.contains(word);
        last = format!("{} {}", answer.status, answer.body);
        Ok(is_met.then_some(answer.body))
    };
    let what = format!("/health answers {status} {word:?}");
    let found = wait::until(&what, LATE, asked, String::new).await;
    found.unwrap_or_else(|error| panic!("{error}; last {last}; {}", worker.process.log()))
}

/// What `connect-worker healthcheck` says, and whether it is content.
fn health_check(worker: &Worker) -> (bool, String) {
    let output = Command::new(crate::programs::connect_worker())
        .args(["healthcheck", "--config"])
        .arg(worker.properties())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A client of brokers without logins.
fn client(kafka: &Kafka) -> Client {
    let security = Security { tls: None, sasl: None };
    let endpoints = Endpoint::parse_list(kafka.bootstrap()).unwrap();
    Client::new(ClientConfig::new(endpoints, security), Arc::new(TcpDial::default()))
}

/// Everything that the offsets topic has ever said about the source's position, partition by partition.
async fn positions(client: &Client, partitions: i32) -> Vec<i64> {
    let mut positions = Vec::new();
    for partition in 0..partitions {
        for (_, value) in records(client, &TopicPartition::new("workers-offsets", partition)).await {
            let value: Value = serde_json::from_slice(&value).unwrap();
            positions.extend(value["position"].as_i64());
        }
    }
    positions
}

/// Keys and values of a partition; a tombstone's value is empty.
async fn records(client: &Client, partition: &TopicPartition) -> Vec<(Vec<u8>, Vec<u8>)> {
    let ends = client.list_offsets(std::slice::from_ref(partition), OffsetSpec::Latest).await.unwrap();
    let mut found = Vec::new();
    let mut next = 0;
    while next < ends[partition] {
        let fetched = client.fetch(partition, next, 1 << 20, Duration::from_secs(1)).await.unwrap();
        let from = next;
        for record in fetched.into_iter().filter(|record| record.offset >= from) {
            next = record.offset + 1;
            found.push((record.key.unwrap_or_default().to_vec(), record.value.unwrap_or_default().to_vec()));
        }
    }
    found
}

/// The offset behind the last record of the topic, and the one that the sink has committed.
async fn ends(client: &Client) -> (i64, Option<i64>) {
    let partition = TopicPartition::new(TOPIC, 0);
    let ends = client.list_offsets(std::slice::from_ref(&partition), OffsetSpec::Latest).await.unwrap();
    let committed = client.fetch_offsets("connect-sink").await.unwrap();
    (ends[&partition], committed.get(&partition).map(|committed| committed.offset))
}
