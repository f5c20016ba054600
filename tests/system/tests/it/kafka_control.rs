//! The wire client against real Apache Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_control::group::{GroupError, Joined, Member, MemberConfig};
use kafka_control::scram::{ScramCredential, ScramMechanism};
use kafka_control::{
    Acks, Acl, AclFilter, AclOperation, BrokerId, Client, ClientConfig, CommittedOffset, ConfigAlteration,
    ConfigOperation, ConfigResource, ConfigSource, CreateMode, Endpoint, HostnameCheck, LoginError,
    NewPartitions, NewRecord, NewTopic, OffsetSpec, ResourceType, ResponseError, Sasl, ScramUserUpsertion,
    Security, TcpDial, Tls, TopicPartition, Trust,
};
use secrecy::SecretString;
use testbed::certificates::{Fault, KeyKind};
use testbed::kafka::{Kafka, KafkaSpec};

fn endpoints(kafka: &Kafka) -> Vec<Endpoint> {
    Endpoint::parse_list(kafka.bootstrap()).unwrap()
}

fn tls(kafka: &Kafka, hostname_check: HostnameCheck) -> Option<Tls> {
    let trusted = pki::certificates_from_pem(kafka.ca_pem()?).unwrap();
    Some(Tls::new(Trust::Certificates(trusted), None, hostname_check).unwrap())
}

fn scram(username: &str, password: &SecretString) -> Option<Sasl> {
    Some(Sasl::ScramSha512 { username: username.to_owned(), password: password.clone() })
}

fn admin_security(kafka: &Kafka) -> Security {
    let tls = tls(kafka, HostnameCheck::Required);
    let sasl = tls.as_ref().and_then(|_| scram(kafka.admin_username(), kafka.admin_password()));
    Security { tls, sasl }
}

fn client(kafka: &Kafka, security: Security) -> Client {
    Client::new(ClientConfig::new(endpoints(kafka), security), Arc::new(TcpDial::default()))
}

fn topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
    }
}

async fn probe(kafka: &Kafka, security: Security) -> Result<(), LoginError> {
    client(kafka, security).probe_login(&endpoints(kafka)[0]).await
}

/// Repeats a login until the broker has heard of the user.
async fn login_with_patience(kafka: &Kafka, security: Security) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match probe(kafka, security.clone()).await {
            Ok(()) => return,
            Err(LoginError::Refused { .. }) if Instant::now() < deadline => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_log_in_with_scram_and_have_only_their_rights() {
    let security = testbed::kafka::Security::sasl_ssl();
    let kafka = Kafka::start(KafkaSpec { security, acls: true, ..KafkaSpec::default() }).await.unwrap();
    let admin = client(&kafka, admin_security(&kafka));
    admin.probe_login(&endpoints(&kafka)[0]).await.unwrap();
    let cluster = admin.describe_cluster().await.unwrap();
    assert_eq!(cluster.cluster_id, kafka.cluster_id());
    assert_eq!(
        cluster.brokers.iter().map(|broker| broker.endpoint.clone()).collect::<Vec<_>>(),
        endpoints(&kafka)
    );
    assert!(cluster.authorized.allows(AclOperation::Alter));

    // Wrong settings, each with its own error.
    let tls_only = || tls(&kafka, HostnameCheck::Required);
    let poison = SecretString::from("poison-value");
    let wrong = probe(&kafka, Security { tls: tls_only(), sasl: scram("admin", &poison) }).await.unwrap_err();
    assert!(matches!(&wrong, LoginError::Refused { username, .. } if username == "admin"), "{wrong:?}");
    assert!(!format!("{wrong:?} {wrong} {:?}", wrong.hint()).contains("poison"));
    let stranger =
        probe(&kafka, Security { tls: tls_only(), sasl: scram("nobody", &poison) }).await.unwrap_err();
    assert!(matches!(stranger, LoginError::Refused { .. }), "{stranger:?}");
    let other = Sasl::ScramSha256 { username: "admin".to_owned(), password: kafka.admin_password().clone() };
    let mechanism = probe(&kafka, Security { tls: tls_only(), sasl: Some(other) }).await.unwrap_err();
    assert!(
        matches!(&mechanism, LoginError::Mechanism { enabled, .. } if enabled == &["SCRAM-SHA-512"]),
        "{mechanism:?}"
    );
    let plaintext = probe(&kafka, Security::default()).await.unwrap_err();
    assert!(matches!(plaintext, LoginError::TlsRequired { .. }), "{plaintext:?}");
    let not_trusted = Tls::new(Trust::System, None, HostnameCheck::Required).unwrap();
    let foreign = probe(&kafka, Security { tls: Some(not_trusted), sasl: None }).await.unwrap_err();
    assert!(matches!(foreign, LoginError::CertificateIssuer { .. }), "{foreign:?}");
    let no_login = probe(&kafka, Security { tls: tls_only(), sasl: None }).await.unwrap_err();
    assert!(matches!(no_login, LoginError::SaslRequired { .. }), "{no_login:?}");

    // A new user.
    assert_eq!(admin.describe_scram_users(Some(&["connect"])).await.unwrap(), []);
    let password = SecretString::from("pass,word=ü");
    let upsert = async |password: &SecretString| {
        let credential =
            ScramCredential::new(ScramMechanism::Sha512, password, 16_384, b"0123456789abcdef".to_vec())
                .unwrap();
        let results = admin
            .upsert_scram_users(&[ScramUserUpsertion { name: "connect".to_owned(), credential }])
            .await
            .unwrap();
        assert_eq!(results["connect"], Ok(()));
    };
    upsert(&password).await;
    let users = admin.describe_scram_users(Some(&["connect", "nobody"])).await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].credentials[0].iterations, 16_384);
    let connect_security = Security { tls: tls_only(), sasl: scram("connect", &password) };
    login_with_patience(&kafka, connect_security.clone()).await;
    let connect = client(&kafka, connect_security);

    // It may do nothing until it is allowed to.
    admin.create_topics(&[topic("data", 1)], CreateMode::Create).await.unwrap()["data"].as_ref().unwrap();
    assert!(!connect.describe_cluster().await.unwrap().authorized.allows(AclOperation::Describe));
    let described = connect.topics(&["data"]).await.unwrap();
    assert_eq!(described["data"].as_ref().unwrap_err().code, ResponseError::TopicAuthorizationFailed);
    let refused = connect.describe_group("connect-cluster").await.unwrap_err();
    assert_eq!(refused.code(), Some(ResponseError::GroupAuthorizationFailed));
    let refused = connect.describe_acls(&AclFilter::default()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ResponseError::ClusterAuthorizationFailed));
    let member = Member::new(connect.clone(), member_config("connect-cluster"));
    let refused = member.join(&[("default", Bytes::new())], "test").await.unwrap_err();
    assert!(matches!(refused, GroupError::GroupAuthorization { .. }), "{refused:?}");

    let rules = [
        Acl::allow("User:connect", AclOperation::Read, ResourceType::Topic, "data"),
        Acl::allow("User:connect", AclOperation::Read, ResourceType::Group, "connect-cluster"),
    ];
    assert_eq!(admin.create_acls(&rules).await.unwrap(), [Ok(()), Ok(())]);
    let listed = admin.describe_acls(&AclFilter::default()).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(rules.iter().all(|rule| listed.contains(rule)), "{listed:?}");
    let authorized = connect.topic("data").await.unwrap().unwrap().authorized;
    assert!(authorized.allows(AclOperation::Read) && authorized.allows(AclOperation::Describe));
    assert!(!authorized.allows(AclOperation::Write));
    let group = connect.describe_group("connect-cluster").await.unwrap();
    assert!(group.authorized.allows(AclOperation::Read) && !group.authorized.allows(AclOperation::Delete));
    assert_eq!(admin.delete_acls(&AclFilter::default()).await.unwrap(), 2);

    // A changed password ends the old one.
    let changed = SecretString::from("changed");
    upsert(&changed).await;
    login_with_patience(&kafka, Security { tls: tls_only(), sasl: scram("connect", &changed) }).await;
    let old =
        probe(&kafka, Security { tls: tls_only(), sasl: scram("connect", &password) }).await.unwrap_err();
    assert!(matches!(old, LoginError::Refused { .. }), "{old:?}");
    let deletion = BTreeMap::from([("connect".to_owned(), ScramMechanism::Sha512)]);
    assert_eq!(admin.delete_scram_users(&deletion).await.unwrap()["connect"], Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_certificates_are_told_apart() {
    for fault in [Fault::Expired, Fault::WithoutName, Fault::OtherName] {
        let security = testbed::kafka::Security::SaslSsl { key: KeyKind::Ec, fault: Some(fault) };
        let kafka = Kafka::start(KafkaSpec { security, ..KafkaSpec::default() }).await.unwrap();
        let error = probe(&kafka, admin_security(&kafka)).await.unwrap_err();
        let is_right = match (fault, &error) {
            (Fault::Expired, LoginError::CertificateExpired { ago: Some(ago), .. }) => ago.as_secs() > 86_400,
            (Fault::WithoutName, LoginError::CertificateName { presented, .. }) => presented.is_empty(),
            (Fault::OtherName, LoginError::CertificateName { presented, .. }) => {
                presented == &["other.kafka.invalid"]
            }
            _ => false,
        };
        assert!(is_right, "{fault:?}: {error:?}");
        let sasl = scram(kafka.admin_username(), kafka.admin_password());
        let lenient = Security { tls: tls(&kafka, HostnameCheck::Skipped), sasl };
        let lenient = probe(&kafka, lenient).await;
        assert_eq!(lenient.is_ok(), fault != Fault::Expired, "{fault:?}: {lenient:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_their_limit() {
    let kafka = Kafka::start(KafkaSpec {
        security: testbed::kafka::Security::sasl_ssl(),
        properties: vec![("connections.max.reauth.ms".to_owned(), "1500".to_owned())],
        ..KafkaSpec::default()
    })
    .await
    .unwrap();
    let dial = Arc::new(CountingDial::default());
    let config = ClientConfig::new(endpoints(&kafka), admin_security(&kafka));
    let admin = Client::new(config, dial.clone());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        admin.describe_cluster().await.unwrap();
    }
    assert_eq!(dial.count(), 1, "the one connection authenticated again, and was not replaced");
}

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
    let record = |index: i64| NewRecord {
        timestamp: 1_700_000_000_000 + index,
        key: Some(Bytes::from(format!("k{index}"))),
        value: Some(Bytes::from(format!("v{index}"))),
        headers: vec![("h".to_owned(), None)],
    };
    assert_eq!(admin.produce(&t0, &[record(0), record(1)], Acks::All).await.unwrap(), 0);
    assert_eq!(admin.produce(&t0, &[record(2)], Acks::Leader).await.unwrap(), 2);
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

fn member_config(group: &str) -> MemberConfig {
    MemberConfig {
        group_id: group.to_owned(),
        protocol_type: "connect".to_owned(),
        session_timeout: Duration::from_secs(6),
        rebalance_timeout: Duration::from_secs(20),
        group_instance_id: None,
    }
}

/// Joins and syncs; a leader assigns everybody the number of members and its own metadata.
async fn round(member: &Member, metadata: &'static str) -> Result<(Joined, Bytes), GroupError> {
    let joined = member.join(&[("default", Bytes::from_static(metadata.as_bytes()))], "test").await?;
    let assigned = |(index, other): (usize, &kafka_control::group::JoinedMember)| {
        let text = format!("{index} {}", String::from_utf8_lossy(&other.metadata));
        (other.member_id.clone(), Bytes::from(text))
    };
    let assignments = joined.members.iter().enumerate().map(assigned).collect();
    let assignment = member.sync(&joined, assignments).await?;
    Ok((joined, assignment))
}

/// Sends heartbeats until the group wants something.
async fn until_disturbed(member: &Member) -> GroupError {
    loop {
        if let Err(error) = member.heartbeat().await {
            return error;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_of_type_connect_join_rebalance_and_leave() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    let admin = client(&kafka, Security::default());
    let new_member = || Member::new(client(&kafka, Security::default()), member_config("connect-cluster"));

    let first = new_member();
    assert!(matches!(first.heartbeat().await, Err(GroupError::NotJoined)));
    let (joined, assignment) = round(&first, "one").await.unwrap();
    assert!(joined.is_leader());
    assert_eq!(
        (joined.generation, joined.protocol.as_str(), &assignment[..]),
        (1, "default", b"0 one".as_slice())
    );
    first.heartbeat().await.unwrap();
    let group = admin.describe_group("connect-cluster").await.unwrap();
    assert_eq!((group.state.as_str(), group.protocol_type.as_str()), ("Stable", "connect"));
    assert_eq!(group.members[0].metadata, "one");

    // The second member's join waits for the first, which learns of it by its heartbeat.
    let second = Arc::new(new_member());
    let joining = tokio::spawn({
        let second = second.clone();
        async move { round(&second, "two").await }
    });
    assert!(matches!(until_disturbed(&first).await, GroupError::RebalanceInProgress));
    let (joined, mine) = round(&first, "one").await.unwrap();
    let (joined_2, theirs) = joining.await.unwrap().unwrap();
    assert_eq!((joined.generation, joined_2.generation), (2, 2));
    assert_eq!((joined.members.len(), joined_2.members.len()), (2, 0));
    assert_eq!(joined_2.leader_id, joined.member_id);
    let mut both = [mine, theirs];
    both.sort();
    assert!(both[0].starts_with(b"0 ") && both[1].starts_with(b"1 "), "{both:?}");

    // A join that is given up does no harm.
    let protocols = [("default", Bytes::new())];
    let abandoned = tokio::time::timeout(Duration::from_millis(300), second.join(&protocols, "test"));
    assert!(abandoned.await.is_err());
    second.leave("test").await.unwrap();
    assert_eq!(second.member_id(), None);
    assert!(matches!(until_disturbed(&first).await, GroupError::RebalanceInProgress));
    let (joined, _) = round(&first, "one").await.unwrap();
    assert_eq!(joined.members.len(), 1);

    // Another protocol type has no business here.
    let stranger = Member::new(
        admin.clone(),
        MemberConfig { protocol_type: "consumer".to_owned(), ..member_config("connect-cluster") },
    );
    let error = stranger.join(&[("default", Bytes::new())], "test").await.unwrap_err();
    assert!(matches!(error, GroupError::InconsistentProtocol { .. }), "{error:?}");
    first.leave("test").await.unwrap();
    assert_eq!(admin.describe_group("connect-cluster").await.unwrap().state, "Empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_follow_leaders_and_coordinators_of_three_brokers() {
    let security = testbed::kafka::Security::sasl_ssl();
    let mut kafka = Kafka::start(KafkaSpec { brokers: 3, security, ..KafkaSpec::default() }).await.unwrap();
    let admin = client(&kafka, admin_security(&kafka));
    let replicated = NewTopic { replication_factor: Some(3), ..topic("r", 6) };
    assert_eq!(admin.create_topics(&[replicated], CreateMode::Create).await.unwrap()["r"], Ok(()));
    let member = Member::new(admin.clone(), member_config("connect-cluster"));
    round(&member, "one").await.unwrap();

    let coordinator = member.coordinator_endpoint().unwrap();
    let lost =
        kafka.brokers().iter().find(|broker| broker.address() == coordinator.to_string()).unwrap().id();
    kafka.broker(lost).kill().await.unwrap();

    let partitions: Vec<TopicPartition> = (0..6).map(|index| TopicPartition::new("r", index)).collect();
    for partition in &partitions {
        let record =
            NewRecord { timestamp: 0, key: Some(Bytes::from("k")), value: None, headers: Vec::new() };
        admin.produce(partition, &[record], Acks::All).await.unwrap();
    }
    let latest = admin.list_offsets(&partitions, OffsetSpec::Latest).await.unwrap();
    assert!(latest.values().all(|offset| *offset == 1), "{latest:?}");
    let leaders: Vec<_> = admin
        .topic("r")
        .await
        .unwrap()
        .unwrap()
        .partitions
        .iter()
        .map(|partition| partition.leader)
        .collect();
    assert!(!leaders.contains(&Some(BrokerId(lost.into()))), "{leaders:?}");

    // The member finds the group's new coordinator and is still in the group, or joins again.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match member.heartbeat().await {
            Ok(()) => break,
            Err(error) if !error.is_transient() || Instant::now() > deadline => panic!("{error:?}"),
            Err(
                GroupError::UnknownMemberId | GroupError::IllegalGeneration | GroupError::RebalanceInProgress,
            ) => {
                round(&member, "one").await.unwrap();
            }
            Err(_) => {}
        }
    }
    assert_ne!(member.coordinator_endpoint().unwrap(), coordinator);
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

/// Counts the connections it makes.
#[derive(Default)]
struct CountingDial {
    dialed: std::sync::atomic::AtomicUsize,
}

impl CountingDial {
    fn count(&self) -> usize {
        self.dialed.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl kafka_control::Dial for CountingDial {
    async fn dial(&self, to: &Endpoint) -> std::io::Result<kafka_control::BoxedStream> {
        self.dialed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        TcpDial::default().dial(to).await
    }
}
