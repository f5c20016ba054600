//! From the start of the process to the first 200 on `/`, and what its memory is then and a minute later.

use std::time::Duration;

use async_trait::async_trait;
use testbed::kafka::{Kafka, KafkaSpec, Security};

use super::jvm;
use super::subject::Worker;
use crate::bench::{Bench, Group, Peers};
use crate::figure::{Figure, Peer, Samples, Target, Unit};
use crate::report::say;
use crate::stat;

pub(crate) struct Start;

#[async_trait(?Send)]
impl Group for Start {
    fn name(&self) -> &'static str {
        "start"
    }

    fn title(&self) -> &'static str {
        "Start and idle memory"
    }

    fn method(&self) -> String {
        "Time from `exec` to the first 200 on `GET /`, asked every 2 ms. The internal topics exist: each round starts both \
         workers on the same brokers, after one round that does not count. `VmRSS` of the worker's process 60 s after its \
         start, no connector, three brokers, TLS.\n"
            .to_owned()
    }

    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let three = KafkaSpec { brokers: 3, security: Security::sasl_ssl(), ..super::broker() };
        let kafka = Kafka::start(super::broker()).await?;
        let one = measure_on(bench, &kafka, None).await?;
        kafka.stop().await?;
        let kafka = Kafka::start(three).await?;
        let memory_after = bench.scaled(Duration::from_secs(60), Duration::from_millis(100));
        let secure = measure_on(bench, &kafka, Some(memory_after)).await?;
        kafka.stop().await?;
        let peers = |samples: Samples| match bench.peers {
            Peers::Measured => vec![Peer::new(jvm::DEFAULTS.name, samples)],
            Peers::LeftOut => vec![],
        };
        let started = |place: &str, [ours, theirs]: [Samples; 2]| Figure {
            name: format!("exec → first 200 on `/`, {place}"),
            unit: Unit::Seconds,
            ours,
            peers: peers(theirs),
            targets: vec![Target::AtMost(0.3), Target::TimesLess(40.0)],
        };
        let [ours, theirs] = secure.memory;
        Ok(vec![
            started("one broker, plaintext", one.ready),
            started("three brokers, SASL_SSL", secure.ready),
            Figure {
                name: "RSS 60 s after the start, three brokers, SASL_SSL".to_owned(),
                unit: Unit::Megabytes,
                ours,
                peers: peers(theirs),
                targets: vec![Target::AtMost(25.0), Target::TimesLess(20.0)],
            },
        ])
    }
}

/// Ours and the peer's.
#[derive(Default)]
struct Measured {
    ready: [Samples; 2],
    memory: [Samples; 2],
}

async fn measure_on(
    bench: &Bench,
    kafka: &Kafka,
    memory_after: Option<Duration>,
) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    for round in 0..=bench.rounds {
        let mut workers = Vec::new();
        for (index, subject) in bench.subjects(&[&jvm::DEFAULTS]).into_iter().enumerate() {
            let mut worker = Worker::launch(bench, subject, kafka, &format!("start-{index}"), &[]).await?;
            let ready = worker.ready().await?.as_secs_f64();
            say(&format!("  round {round}, {}: ready after {ready:.3} s", subject.name()));
            if round > 0 {
                measured.ready[index].0.push(ready);
            }
            workers.push((index, subject, worker));
        }
        for (index, subject, worker) in workers {
            if let Some(after) = memory_after.filter(|_| round > 0) {
                tokio::time::sleep(after.saturating_sub(worker.age())).await;
                let megabytes = stat::megabytes(worker.pid()?, "VmRSS")?;
                say(&format!("  round {round}, {}: {megabytes:.1} MB", subject.name()));
                measured.memory[index].0.push(megabytes);
            }
            worker.stop().await?;
        }
    }
    Ok(measured)
}
