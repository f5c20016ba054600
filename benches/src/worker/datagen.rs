//! How fast one task makes records up.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use testbed::kafka::Kafka;

use super::subject::{Subject, Worker};
use super::topic::Topics;
use crate::bench::{Bench, Group};
use crate::figure::{Figure, Samples, Target, Unit};
use crate::report::say;

pub(crate) struct Datagen;

#[async_trait(?Send)]
impl Group for Datagen {
    fn name(&self) -> &'static str {
        "datagen"
    }

    fn title(&self) -> &'static str {
        "Datagen"
    }

    fn method(&self) -> String {
        "One broker, plaintext, one task, one partition, quickstart `users` without an interval, `StringConverter` for keys, \
         `JsonConverter` without schemas for values. Counted at the topic's high watermark over 5 s, from its first 10,000 \
         records on. Confluent's connector is not in a public repository, so there is no peer.\n"
            .to_owned()
    }

    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let kafka = Kafka::start(super::broker()).await?;
        let topics = Topics::of(&kafka)?;
        let span = bench.scaled(Duration::from_secs(5), Duration::from_millis(200));
        let mut worker = Worker::launch(bench, Subject::Ours, &kafka, "datagen", &[]).await?;
        worker.ready().await?;
        let mut rates = Samples::default();
        let mut cpu = Samples::default();
        for round in 0..bench.rounds {
            let name = format!("users-{round}");
            topics.create(&name).await?;
            let config = json!({ "name": name, "config": { "connector.class": "DatagenConnector", "tasks.max": "1",
                "kafka.topic": name, "quickstart": "users", "max.interval": "0",
                "value.converter": "org.apache.kafka.connect.json.JsonConverter",
                "value.converter.schemas.enable": "false" } });
            worker.call("POST", "/connectors", &config.to_string()).await?;
            topics.filled(&name, bench.scaled(10_000, 1)).await?;
            let (first, began, cpu_first) = (topics.end(&name).await?, Instant::now(), worker.cpu_time()?);
            tokio::time::sleep(span).await;
            let (last, ended) = (topics.end(&name).await?, Instant::now());
            let records = (last - first) as f64;
            rates.0.push(records / (ended - began).as_secs_f64());
            cpu.0.push((worker.cpu_time()? - cpu_first).as_secs_f64() / records * 1e6);
            say(&format!("  round {round}: {:.0} records/s", rates.0[round]));
            worker.call("DELETE", &format!("/connectors/{name}"), "").await?;
            worker.settled().await?;
            topics.delete(&name).await?;
        }
        worker.stop().await?;
        kafka.stop().await?;
        let figure = |name: &str, unit, ours, targets| Figure {
            name: name.to_owned(),
            unit,
            ours,
            peers: vec![],
            targets,
        };
        Ok(vec![
            figure("records/s of one task", Unit::PerSecond, rates, vec![Target::AtLeast(300_000.0)]),
            figure("processor time of a million records", Unit::CpuSeconds, cpu, vec![]),
        ])
    }
}
