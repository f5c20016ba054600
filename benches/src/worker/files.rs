//! A million lines from a file into a topic, and from a topic into a file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;
use serde_json::{Value, json};
use testbed::kafka::Kafka;

use super::jvm;
use super::subject::{self, Subject, Worker};
use super::topic::{Checksum, LIMIT, Topics};
use crate::bench::{Bench, Group};
use crate::figure::{Figure, Peer, Samples, Target, Unit};
use crate::report::say;
use crate::stat;

/// Without its end.
const LINE_BYTES: usize = 98;
const PAUSE: Duration = Duration::from_millis(3);
/// The topic that every sink reads.
const SUPPLY: &str = "supply";

pub(crate) struct Files;

#[async_trait(?Send)]
impl Group for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn title(&self) -> &'static str {
        "FileStream: a million lines of 98 bytes"
    }

    fn method(&self) -> String {
        "One broker, plaintext, one task, one partition, `StringConverter`. Source: from the `POST` of the connector until \
         the topic's high watermark is at the last record. Sink: from the `POST` until the file holds the last byte; every \
         sink reads the same topic, which the JVM worker filled at its defaults. Each round starts new workers and gives \
         each of them two turns: the first million after the start, as after every deployment, and a later one, when the \
         JVM has compiled what it will. A round before them does not count: the broker's code is compiled in it. Processor \
         time is that of the worker's process alone, within the same span. The SHA-256 of every topic and of every file \
         equals that of the input.\n"
            .to_owned()
    }

    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let kafka = Kafka::start(super::broker()).await?;
        let ground = Ground::lay(&kafka, bench.scaled(1_000_000, 2_000))?;
        fill_supply(bench, &ground, &kafka).await?;
        let tunings = [&jvm::DEFAULTS, &jvm::TUNED];
        let subjects = bench.subjects(bench.scaled(&tunings[..], &tunings[..1]));
        let mut measured = vec![Measured::default(); subjects.len()];
        for round in 0..=bench.rounds {
            let mut workers = Vec::new();
            for (index, subject) in subjects.iter().enumerate() {
                let group = format!("files-{index}-{round}");
                workers.push(Worker::launch(bench, *subject, &kafka, &group, &[]).await?);
            }
            for worker in &mut workers {
                worker.ready().await?;
            }
            for (turn, when) in TURNS.into_iter().enumerate() {
                for (index, worker) in workers.iter().enumerate() {
                    let id = format!("{index}-{round}-{turn}");
                    let spans = [source(&ground, worker, &id).await?, sink(&ground, worker, &id).await?];
                    let name = subjects[index].name();
                    say(&format!(
                        "  round {round}, {}, {name}: source {}, sink {}",
                        when, spans[0], spans[1]
                    ));
                    for (way, span) in spans.iter().enumerate().filter(|_| round > 0) {
                        let rate = ground.lines as f64 / span.wall.as_secs_f64();
                        measured[index].rows[way][turn].0.push(rate);
                        measured[index].cpu[way][turn].0.push(span.cpu.as_secs_f64());
                    }
                }
            }
            for (index, worker) in workers.into_iter().enumerate() {
                if round > 0 {
                    measured[index].memory.0.push(stat::megabytes(worker.pid()?, "VmHWM")?);
                }
                worker.stop().await?;
            }
        }
        kafka.stop().await?;
        let mut figures = Vec::new();
        for (way, (name, factor)) in [("source", 5.0), ("sink", 3.0)].into_iter().enumerate() {
            for (turn, when) in TURNS.into_iter().enumerate() {
                let rows = measured.iter().map(|measured| measured.rows[way][turn].clone());
                let cpu = measured.iter().map(|measured| measured.cpu[way][turn].clone());
                let more = vec![Target::TimesMore(factor)];
                let less = vec![Target::TimesLess(8.0)];
                figures.push(figure(
                    &format!("{name}, rows/s from the POST on, {when}"),
                    Unit::PerSecond,
                    &subjects,
                    rows,
                    more,
                ));
                figures.push(figure(
                    &format!("{name}, processor time, {when}"),
                    Unit::CpuSeconds,
                    &subjects,
                    cpu,
                    less,
                ));
            }
        }
        let memory = measured.iter().map(|measured| measured.memory.clone());
        figures.push(figure("most RSS over all of it", Unit::Megabytes, &subjects, memory, vec![]));
        Ok(figures)
    }
}

/// When a worker is measured.
const TURNS: [&str; 2] = ["first million", "later million"];

/// A figure whose samples are in the order of the subjects, ours first.
fn figure(
    name: &str,
    unit: Unit,
    subjects: &[Subject],
    mut samples: impl Iterator<Item = Samples>,
    targets: Vec<Target>,
) -> Figure {
    let ours = samples.next().unwrap_or_default();
    let peers = subjects[1..].iter().zip(samples);
    let peers = peers.map(|(subject, samples)| Peer::new(subject.name(), samples)).collect();
    Figure { name: name.to_owned(), unit, ours, peers, targets }
}

/// What came of one worker: source and sink, each in its turns.
#[derive(Clone, Default)]
struct Measured {
    rows: [[Samples; 2]; 2],
    cpu: [[Samples; 2]; 2],
    memory: Samples,
}

/// What one turn took.
struct Span {
    wall: Duration,
    cpu: Duration,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s with {:.2} s of processor time", self.wall.as_secs_f64(), self.cpu.as_secs_f64())
    }
}

/// What every turn stands on.
struct Ground {
    topics: Topics,
    folder: PathBuf,
    input: PathBuf,
    lines: usize,
    checksum: Checksum,
}

impl Ground {
    fn lay(kafka: &Kafka, lines: usize) -> anyhow::Result<Self> {
        let folder = subject::folder()?;
        let input = folder.join("input.txt");
        let mut text = String::with_capacity(lines * (LINE_BYTES + 1));
        for line in 0..lines {
            let number = format!("{line:08} ");
            // Words of the line's own, so that compression has something to do.
            let filling =
                number.chars().cycle().zip("the quick brown fox jumps over a lazy dog ".chars().cycle());
            text.push_str(&number);
            text.extend(filling.map(|(a, b)| if b == ' ' { a } else { b }).take(LINE_BYTES - number.len()));
            text.push('\n');
        }
        fs::write(&input, &text)?;
        let checksum = Checksum::of(text.as_bytes());
        Ok(Self { topics: Topics::of(kafka)?, folder, input, lines, checksum })
    }

    fn bytes(&self) -> u64 {
        (self.lines * (LINE_BYTES + 1)) as u64
    }

    async fn check_topic(&self, topic: &str) -> anyhow::Result<()> {
        let found = self.topics.checksum(topic).await?;
        ensure!(found == self.checksum, "{topic} differs from its file");
        Ok(())
    }
}

/// The records that all sinks read, as the JVM worker writes them at its defaults.
async fn fill_supply(bench: &Bench, ground: &Ground, kafka: &Kafka) -> anyhow::Result<()> {
    ground.topics.create(SUPPLY).await?;
    let subject = bench.scaled(Subject::Jvm(&jvm::DEFAULTS), Subject::Ours);
    let mut worker = Worker::launch(bench, subject, kafka, SUPPLY, &[]).await?;
    worker.ready().await?;
    worker.call("POST", "/connectors", &source_config(SUPPLY, &ground.input, SUPPLY).to_string()).await?;
    ground.topics.filled(SUPPLY, ground.lines as u64).await?;
    worker.stop().await?;
    ground.check_topic(SUPPLY).await
}

fn source_config(name: &str, file: &Path, topic: &str) -> Value {
    json!({ "name": name, "config": { "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
        "tasks.max": "1", "file": file, "topic": topic } })
}

async fn source(ground: &Ground, worker: &Worker, id: &str) -> anyhow::Result<Span> {
    let name = format!("source-{id}");
    ground.topics.create(&name).await?;
    let config = source_config(&name, &ground.input, &name).to_string();
    let cpu = worker.settled().await?;
    let began = Instant::now();
    worker.call("POST", "/connectors", &config).await?;
    let ended = ground.topics.filled(&name, ground.lines as u64).await?;
    let span = Span { wall: ended - began, cpu: worker.cpu_time()? - cpu };
    remove(worker, &name).await?;
    ground.check_topic(&name).await?;
    ground.topics.delete(&name).await?;
    Ok(span)
}

async fn sink(ground: &Ground, worker: &Worker, id: &str) -> anyhow::Result<Span> {
    let name = format!("sink-{id}");
    let output = ground.folder.join(&name);
    let config = json!({ "name": name, "config": {
        "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
        "tasks.max": "1", "file": output, "topics": SUPPLY } });
    let cpu = worker.settled().await?;
    let began = Instant::now();
    worker.call("POST", "/connectors", &config.to_string()).await?;
    while fs::metadata(&output).map_or(0, |file| file.len()) < ground.bytes() {
        ensure!(began.elapsed() < LIMIT, "{name} has not written everything after {LIMIT:?}");
        tokio::time::sleep(PAUSE).await;
    }
    let span = Span { wall: began.elapsed(), cpu: worker.cpu_time()? - cpu };
    remove(worker, &name).await?;
    ensure!(Checksum::of(&fs::read(&output)?) == ground.checksum, "what {name} wrote differs from the topic");
    fs::remove_file(&output)?;
    Ok(span)
}

/// Deletes a connector and waits until the worker is idle again.
async fn remove(worker: &Worker, name: &str) -> anyhow::Result<()> {
    worker.call("DELETE", &format!("/connectors/{name}"), "").await?;
    worker.settled().await.map(drop)
}
