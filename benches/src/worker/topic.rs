//! Topics as a measurement sees them: made, watched, compared with a file, and removed. One partition, PLAINTEXT.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kafka_control::{
    Client, ClientConfig, CreateMode, Endpoint, NewTopic, OffsetSpec, Security, TcpDial, TopicPartition,
};
use sha2::{Digest, Sha256};
use testbed::kafka::Kafka;

/// For a million records to arrive, on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(3);
/// For one fetch.
const MAX_BYTES: i32 = 8 << 20;

/// Looks at the topics of one broker.
pub(crate) struct Topics {
    client: Client,
}

impl Topics {
    pub(crate) fn of(kafka: &Kafka) -> anyhow::Result<Self> {
        let bootstrap = Endpoint::parse_list(kafka.bootstrap())?;
        let config = ClientConfig::new(bootstrap, Security { tls: None, sasl: None });
        Ok(Self { client: Client::new(config, Arc::new(TcpDial::default())) })
    }

    pub(crate) async fn create(&self, name: &str) -> anyhow::Result<()> {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(1),
            replication_factor: Some(1),
            configs: BTreeMap::new(),
        };
        let made = self.client.create_topics(&[topic], CreateMode::Create).await?;
        made.into_values().collect::<Result<Vec<_>, _>>().with_context(|| format!("create {name}"))?;
        // Known everywhere before anybody is timed on it.
        self.end(name).await.map(drop)
    }

    pub(crate) async fn delete(&self, name: &str) -> anyhow::Result<()> {
        let gone = self.client.delete_topics(&[name]).await?;
        gone.into_values().collect::<Result<Vec<_>, _>>().with_context(|| format!("delete {name}"))?;
        Ok(())
    }

    /// The end of what every in-sync replica has: a producer that asks for it was told so.
    pub(crate) async fn end(&self, name: &str) -> anyhow::Result<u64> {
        let partition = TopicPartition::new(name, 0);
        let ends = self.client.list_offsets(std::slice::from_ref(&partition), OffsetSpec::Latest).await?;
        Ok(ends.get(&partition).copied().unwrap_or_default().try_into()?)
    }

    /// Waits until a topic holds so many records, and returns when that was.
    pub(crate) async fn filled(&self, name: &str, records: u64) -> anyhow::Result<Instant> {
        let began = Instant::now();
        loop {
            let end = self.end(name).await?;
            let now = Instant::now();
            if end >= records {
                return Ok(now);
            }
            ensure!(now - began < LIMIT, "{name} has {end} of {records} records after {LIMIT:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The checksum of a topic's values as lines.
    pub(crate) async fn checksum(&self, name: &str) -> anyhow::Result<Checksum> {
        let partition = TopicPartition::new(name, 0);
        let end = i64::try_from(self.end(name).await?)?;
        let (mut next, mut sum) = (0, Sha256::new());
        while next < end {
            let records = self.client.fetch(&partition, next, MAX_BYTES, Duration::from_secs(5)).await?;
            for record in &records {
                sum.update(record.value.as_deref().unwrap_or_default());
                sum.update(b"\n");
                next = record.offset + 1;
            }
            ensure!(!records.is_empty(), "{name} ends at {next} and not at {end}");
        }
        Ok(Checksum(sum.finalize().into()))
    }
}

/// SHA-256 of lines, each with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checksum([u8; 32]);

impl Checksum {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}
