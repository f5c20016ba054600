//! Topics, configs, offsets, groups and records.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_control::{
    Acks, AclFilter, BrokerId, CommittedOffset, ConfigAlteration, ConfigOperation, ConfigResource,
    ConfigSource, CreateMode, HostnameCheck, LoginError, NewPartitions, OffsetSpec, RecordToSend,
    ResponseError, Security, Tls, TopicPartition, Trust,
};
use secrecy::SecretString;
use testbed::kafka::{Kafka, KafkaSpec};

use super::{client, endpoints, probe, scram, topic, write};

#[tokio::test(flavor = "multi_thread")]
async fn topics_configs_offsets_and_records_are_administered() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    let admin = client(&kafka, Security::default());
    let endpoint = &endpoints(&kafka)[0];
    // Its futures may move between threads.
    let spawned = tokio::spawn({
        let admin = admin.clone();
        async move { (admin.describe_cluster().await.unwrap(), admin.list_groups().await.unwrap()) }
    });
    assert_eq!(spawned.await.unwrap().0.cluster_id, kafka.cluster_id());

    let with_tls = Tls::new(Trust::System, None, HostnameCheck::Required).unwrap();
    let error = probe(&kafka, Security { tls: Some(with_tls), sasl: None }).await.unwrap_err();
    assert!(matches!(error, LoginError::NotTls { .. }), "{error:?}");
    let error =
        probe(&kafka, Security { tls: None, sasl: scram("a", &SecretString::from("b")) }).await.unwrap_err();
    assert!(matches!(error, LoginError::NoSasl { .. }), "{error:?}");
    assert_eq!(
        admin.describe_acls(&AclFilter::default()).await.unwrap_err().code(),
        Some(ResponseError::SecurityDisabled)
    );

    let checked = admin.create_topics(&[topic("t", 2)], CreateMode::ValidateOnly).await.unwrap();
    assert_eq!(checked["t"], Ok(()));
    assert_eq!(admin.topic("t").await.unwrap(), None);
    let created =
        admin.create_topics(&[topic("t", 2), topic("bad name", 1)], CreateMode::Create).await.unwrap();
    assert_eq!(created["t"], Ok(()));
    assert_eq!(created["bad name"].as_ref().unwrap_err().code, ResponseError::InvalidTopicException);
    let again = admin.create_topics(&[topic("t", 2)], CreateMode::Create).await.unwrap();
    assert_eq!(again["t"].as_ref().unwrap_err().code, ResponseError::TopicAlreadyExists);
    let grown = NewPartitions { topic: "t".to_owned(), total: 3 };
    assert_eq!(admin.create_partitions(&[grown], CreateMode::Create).await.unwrap()["t"], Ok(()));

    let t0 = TopicPartition::new("t", 0);
    for (index, acks) in [(0, Acks::All), (1, Acks::All), (2, Acks::Leader)] {
        let (key, value) = (format!("k{index}"), format!("v{index}"));
        let record = RecordToSend {
            partition: Some(0),
            timestamp: Some(1_700_000_000_000 + index),
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[("h", None)],
        };
        assert_eq!(write(&admin, acks, "t", record).await, index);
    }
    let read = admin.fetch(&t0, 1, 1 << 20, Duration::from_secs(1)).await.unwrap();
    assert_eq!(read.iter().map(|record| record.offset).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(read[1].value.as_deref(), Some(b"v2".as_slice()));
    assert_eq!((read[1].timestamp, &read[1].headers), (1_700_000_000_002, &vec![("h".to_owned(), None)]));
    let described = admin.topic("t").await.unwrap().unwrap();
    assert_eq!((described.partitions.len(), described.replication_factor()), (3, 1));
    let all: Vec<TopicPartition> = (0..3).map(|index| TopicPartition::new("t", index)).collect();
    let latest = admin.list_offsets(&all, OffsetSpec::Latest).await.unwrap();
    assert_eq!(latest.into_values().collect::<Vec<_>>(), [3, 0, 0]);
    let first_at = admin
        .list_offsets(std::slice::from_ref(&t0), OffsetSpec::Timestamp(1_700_000_000_001))
        .await
        .unwrap();
    assert_eq!(first_at[&t0], 1);
    let absent = TopicPartition::new("absent", 0);
    let error = admin.list_offsets(&[absent], OffsetSpec::Earliest).await.unwrap_err();
    assert_eq!(error.code(), Some(ResponseError::UnknownTopicOrPartition));

    let resource = ConfigResource::Topic("t".to_owned());
    let policy = async || {
        let configs = admin.describe_configs(&resource).await.unwrap();
        let entry = configs.into_iter().find(|entry| entry.name == "cleanup.policy").unwrap();
        (entry.value.unwrap(), entry.source)
    };
    assert_eq!(policy().await, ("compact".to_owned(), ConfigSource::Topic));
    let alter = async |operation| {
        let alteration = ConfigAlteration { name: "cleanup.policy".to_owned(), operation };
        admin.incremental_alter_configs(&resource, &[alteration], CreateMode::Create).await
    };
    alter(ConfigOperation::Append("delete".to_owned())).await.unwrap();
    assert_eq!(policy().await.0, "compact,delete");
    alter(ConfigOperation::Delete).await.unwrap();
    assert_eq!(policy().await, ("delete".to_owned(), ConfigSource::Default));
    let error = alter(ConfigOperation::Set("nonsense".to_owned())).await.unwrap_err();
    assert_eq!(error.code(), Some(ResponseError::InvalidConfig));
    let broker = admin.describe_configs(&ConfigResource::Broker(BrokerId(1))).await.unwrap();
    assert!(broker.iter().any(|entry| entry.name == "node.id" && entry.source == ConfigSource::StaticBroker));

    assert!(admin.fetch_offsets("sink").await.unwrap().is_empty());
    let committed = BTreeMap::from([(t0.clone(), CommittedOffset { offset: 2, metadata: "m".to_owned() })]);
    admin.alter_offsets("sink", &committed).await.unwrap();
    assert_eq!(admin.fetch_offsets("sink").await.unwrap(), committed);
    assert!(admin.list_groups().await.unwrap().iter().any(|group| group.group_id == "sink"));
    assert_eq!(admin.find_coordinator("sink").await.unwrap(), *endpoint);
    admin.delete_offsets("sink", &[t0]).await.unwrap();
    assert!(admin.fetch_offsets("sink").await.unwrap().is_empty());
    admin.alter_offsets("sink", &committed).await.unwrap();
    let deleted = admin.delete_groups(&["sink", "absent"]).await.unwrap();
    assert_eq!(deleted["sink"], Ok(()));
    assert_eq!(deleted["absent"].as_ref().unwrap_err().code, ResponseError::GroupIdNotFound);

    let gone = admin.delete_topics(&["t", "absent"]).await.unwrap();
    assert_eq!(gone["t"], Ok(()));
    assert_eq!(gone["absent"].as_ref().unwrap_err().code, ResponseError::UnknownTopicOrPartition);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_every_java_compression_are_read() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    let admin = client(&kafka, Security::default());
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        kafka.create_topic(compression, 1).await.unwrap();
        let properties = format!("security.protocol=PLAINTEXT\ncompression.type={compression}\n");
        let args =
            ["--topic", compression, "--num-records", "500", "--record-size", "200", "--throughput", "-1"];
        kafka.tool("org.apache.kafka.tools.ProducerPerformance", &args, &properties).await.unwrap();
        let partition = TopicPartition::new(compression, 0);
        let mut records = Vec::new();
        while records.len() < 500 {
            let next = i64::try_from(records.len()).unwrap();
            let read = admin.fetch(&partition, next, 20_000, Duration::from_secs(5)).await.unwrap();
            assert_eq!(read.first().map(|record| record.offset), Some(next), "{compression}");
            records.extend(read);
        }
        assert!(records.iter().all(|record| record.value.as_ref().is_some_and(|value| value.len() == 200)));
        assert!(records.iter().zip(0..).all(|(record, offset)| record.offset == offset));
    }
}
