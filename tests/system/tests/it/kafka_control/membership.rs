//! Members of a group of type `connect`, and brokers that they lose.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_control::group::{GroupError, Joined, JoinedMember, Member, MemberConfig};
use kafka_control::{
    Acks, BrokerId, CreateMode, NewTopic, OffsetSpec, RecordToSend, Security, TopicPartition,
};
use testbed::kafka::{Kafka, KafkaSpec};

use super::{admin_security, client, member_config, topic, write};

/// Joins and syncs; a leader assigns everybody the number of members and its own metadata.
async fn round(member: &Member, metadata: &'static str) -> Result<(Joined, Bytes), GroupError> {
    let joined = member.join(&[("default", Bytes::from_static(metadata.as_bytes()))], "test").await?;
    let assigned = |(index, other): (usize, &JoinedMember)| {
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
            RecordToSend { partition: Some(partition.partition), key: Some(b"k"), ..RecordToSend::default() };
        write(&admin, Acks::All, "r", record).await;
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
