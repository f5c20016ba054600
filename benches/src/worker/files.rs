//! A million lines from a file into a topic, and from a topic into a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;
use serde_json::{Value, json};
use testbed::kafka::{Kafka, KafkaSpec};

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
const SUBJECTS: [Subject; 3] = [Subject::Ours, Subject::Jvm(&jvm::DEFAULTS), Subject::Jvm(&jvm::TUNED)];

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
         sink reads the same topic, which the JVM worker filled at its defaults. All three workers run from the beginning \
         and take turns; the first turn of each does not count, so the JVM has compiled what it will. Processor time is \
         that of the worker's process alone, within the same span. The SHA-256 of every topic and of every file equals \
         that of the input.\n"
            .to_owned()
    }

    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let kafka = Kafka::start(KafkaSpec::default()).await?;
        let ground = Ground::lay(&kafka, bench.scaled(1_000_000, 2_000))?;
        let mut workers = Vec::new();
        for (index, subject) in SUBJECTS.into_iter().enumerate() {
            let mut worker = Worker::launch(bench, subject, &kafka, &format!("files-{index}"), &[]).await?;
            worker.ready().await?;
            workers.push(worker);
        }
        let (mut sources, mut sinks) = (Measured::default(), Measured::default());
        fill_supply(&ground, &workers[1]).await?;
        for round in 0..=bench.rounds {
            for (index, worker) in workers.iter().enumerate() {
                let id = format!("{index}-{round}");
                for (way, span) in [
                    (&mut sources, source(&ground, worker, &id).await?),
                    (&mut sinks, sink(&ground, worker, &id).await?),
                ] {
                    if round > 0 {
                        way.rows[index].0.push(ground.lines as f64 / span.wall.as_secs_f64());
                        way.cpu[index].0.push(span.cpu.as_secs_f64());
                    }
                    let name = SUBJECTS[index].name();
                    say(&format!("  round {round}, {name}: {:.3?}, CPU {:.2?}", span.wall, span.cpu));
                }
            }
        }
        let mut memory = Vec::new();
        for worker in &workers {
            memory.push(Samples(vec![stat::megabytes(worker.pid()?, "VmHWM")?]));
        }
        for worker in workers {
            worker.stop().await?;
        }
        kafka.stop().await?;
        let rows = |name: &str, samples, factor| {
            figure(&format!("{name}, rows/s"), Unit::PerSecond, samples, vec![Target::TimesMore(factor)])
        };
        let cpu = |name: &str, samples| {
            figure(
                &format!("{name}, processor time"),
                Unit::CpuSeconds,
                samples,
                vec![Target::TimesLess(8.0)],
            )
        };
        Ok(vec![
            rows("source", sources.rows, 5.0),
            cpu("source", sources.cpu),
            rows("sink", sinks.rows, 3.0),
            cpu("sink", sinks.cpu),
            figure("most RSS over all of it", Unit::Megabytes, memory.try_into().unwrap_or_default(), vec![]),
        ])
    }
}

fn figure(name: &str, unit: Unit, samples: [Samples; 3], targets: Vec<Target>) -> Figure {
    let [ours, theirs @ ..] = samples;
    let peers = SUBJECTS[1..].iter().zip(theirs);
    let peers = peers.map(|(subject, samples)| Peer { name: subject.name().to_owned(), samples }).collect();
    Figure { name: name.to_owned(), unit, ours, peers, targets }
}

/// In the order of [`SUBJECTS`].
#[derive(Default)]
struct Measured {
    rows: [Samples; 3],
    cpu: [Samples; 3],
}

/// What one turn took.
struct Span {
    wall: Duration,
    cpu: Duration,
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

/// The records that all sinks read, as the JVM worker writes them.
async fn fill_supply(ground: &Ground, worker: &Worker) -> anyhow::Result<()> {
    ground.topics.create(SUPPLY).await?;
    worker.call("POST", "/connectors", &source_config("supply", &ground.input, SUPPLY).to_string()).await?;
    ground.topics.filled(SUPPLY, ground.lines as u64).await?;
    remove(worker, "supply").await?;
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
