//! Requests on their way: to the right broker, in the right version, again when it makes sense, and never mixed up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kafka_control::group::{Member, MemberConfig};
use kafka_control::{
    ApiKey, Client, ClientConfig, CommittedOffset, CreateMode, Deliveries, Endpoint, Error, LoginError,
    NewTopic, OffsetSpec, ProduceError, Producer, ProducerConfig, RecordToSend, ResponseError, Run, Security,
    Stored, TopicPartition, WireError,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{
    CreateTopicsResponse, ListOffsetsResponse, MetadataResponse, RequestKind, ResponseKind, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::scripted::{Network, Reply, Script, bootstrap, client, metadata};

fn new_topic() -> NewTopic {
    NewTopic { name: "t".to_owned(), partitions: None, replication_factor: None, configs: BTreeMap::new() }
}

fn created(code: i16) -> Reply {
    let result = CreatableTopicResult::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_error_code(code);
    Reply::Answer(ResponseKind::CreateTopics(CreateTopicsResponse::default().with_topics(vec![result])))
}

#[tokio::test(start_paused = true)]
async fn the_new_controller_is_found() {
    let elections = Arc::new(AtomicUsize::new(0));
    let script = Arc::new(Script::new({
        let elections = elections.clone();
        move |asked| match &asked.request {
            RequestKind::Metadata(request) => {
                let brokers = if elections.load(Ordering::SeqCst) < 2 { [1, 2] } else { [2, 1] };
                Reply::Answer(ResponseKind::Metadata(metadata(request, &brokers)))
            }
            RequestKind::CreateTopics(_) if asked.broker.host == "broker-2" => created(0),
            RequestKind::CreateTopics(_) => {
                elections.fetch_add(1, Ordering::SeqCst);
                created(ResponseError::NotController.code())
            }
            _ => Reply::Usual,
        }
    }));
    let results =
        client(&script, Security::default()).create_topics(&[new_topic()], CreateMode::Create).await.unwrap();
    assert_eq!(results["t"], Ok(()));
    assert_eq!(script.times_asked(ApiKey::CreateTopics), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_stays_is_not_repeated() {
    let script = Arc::new(Script::new(|asked| match &asked.request {
        RequestKind::CreateTopics(_) => created(ResponseError::TopicAlreadyExists.code()),
        _ => Reply::Usual,
    }));
    let results =
        client(&script, Security::default()).create_topics(&[new_topic()], CreateMode::Create).await.unwrap();
    let refusal = results["t"].as_ref().unwrap_err();
    assert_eq!(refusal.code, ResponseError::TopicAlreadyExists);
    assert_eq!(script.times_asked(ApiKey::CreateTopics), 1);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_at_the_deadline_with_the_last_error() {
    let script = Arc::new(Script::new(|_| Reply::Usual));
    let config = ClientConfig::new(vec![Endpoint::new("unreachable", 1)], Security::default());
    let client = Client::new(config, Arc::new(Network(script.clone())));
    let started = tokio::time::Instant::now();
    let error = client.all_topics().await.unwrap_err();
    let Error::Deadline { api: ApiKey::Metadata, source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, Error::Login(LoginError::Dial { .. })), "{error:?}");
    assert!(error.hint().is_some());
    assert!((25..=31).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert!((10..60).contains(&script.times_dialed()), "{} attempts", script.times_dialed());
}

#[tokio::test(start_paused = true)]
async fn another_bootstrap_server_is_tried() {
    let script = Arc::new(Script::new(|_| Reply::Usual));
    let servers = vec![Endpoint::new("unreachable", 1), bootstrap()];
    let client =
        Client::new(ClientConfig::new(servers, Security::default()), Arc::new(Network(script.clone())));
    client.all_topics().await.unwrap();
}

#[tokio::test]
async fn without_bootstrap_servers_nothing_is_tried() {
    let config = ClientConfig::new(Vec::new(), Security::default());
    let client = Client::new(config, Arc::new(Network(Arc::new(Script::new(|_| Reply::Usual)))));
    assert!(matches!(client.all_topics().await, Err(Error::NoBootstrap)));
}

fn all_topics(_asked: &RequestKind) -> Option<ResponseKind> {
    Some(ResponseKind::Metadata(MetadataResponse::default()))
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_an_error() {
    let script = Arc::new(Script::new(|asked| match &asked.request {
        RequestKind::Metadata(request) if request.topics.is_none() => {
            Reply::WrongCorrelation(all_topics(&asked.request).unwrap())
        }
        _ => Reply::Usual,
    }));
    let error = client(&script, Security::default()).all_topics().await.unwrap_err();
    assert!(matches!(error, Error::Wire { source: WireError::Correlation { .. }, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_absurd_size_is_an_error() {
    let script = Arc::new(Script::new(|asked| match &asked.request {
        RequestKind::Metadata(request) if request.topics.is_none() => {
            Reply::Bytes(vec![0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])
        }
        _ => Reply::Usual,
    }));
    let error = client(&script, Security::default()).all_topics().await.unwrap_err();
    assert!(matches!(error, Error::Wire { source: WireError::FrameSize { .. }, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_opened_again() {
    let script = Arc::new(Script::new(|asked| match &asked.request {
        RequestKind::Metadata(request) if request.topics.is_none() => match asked.connection {
            0 => Reply::HangUp,
            1 => Reply::Farewell(all_topics(&asked.request).unwrap()),
            _ => Reply::Usual,
        },
        _ => Reply::Usual,
    }));
    let client = client(&script, Security::default());
    client.all_topics().await.unwrap();
    assert_eq!(script.times_dialed(), 2);
    // The second connection was closed while nobody asked anything; the next request does not even notice.
    tokio::time::timeout(Duration::from_secs(60), script.until_left(1)).await.expect("it is seen");
    client.all_topics().await.unwrap();
    assert_eq!(script.times_dialed(), 3);
    assert_eq!(script.times_asked(ApiKey::Metadata), 3 + 3, "one of each connection is the first request");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_leaves_no_answer_behind() {
    let script = Arc::new(Script::new(|asked| match &asked.request {
        RequestKind::Metadata(request) if request.topics.is_none() && asked.connection == 0 => Reply::Silence,
        _ => Reply::Usual,
    }));
    let client = client(&script, Security::default());
    assert!(tokio::time::timeout(Duration::from_secs(1), client.all_topics()).await.is_err());
    client.all_topics().await.unwrap();
    assert_eq!(script.times_dialed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_is_left_after_the_request_timeout() {
    let script = Arc::new(Script::new(|asked| match &asked.request {
        RequestKind::Metadata(request) if request.topics.is_none() && asked.connection == 0 => Reply::Silence,
        _ => Reply::Usual,
    }));
    let started = tokio::time::Instant::now();
    client(&script, Security::default()).all_topics().await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_asked_of_every_leader_and_again_where_it_moved() {
    let moved = AtomicUsize::new(0);
    let script = Arc::new(Script::new(move |asked| match &asked.request {
        RequestKind::Metadata(request) => Reply::Answer(ResponseKind::Metadata(metadata(request, &[1, 2]))),
        RequestKind::ListOffsets(request) => {
            let partition = &request.topics[0].partitions[0];
            assert_eq!(request.topics[0].partitions.len(), 1);
            assert_eq!(asked.broker.host, format!("broker-{}", partition.partition_index + 1));
            let is_moving = partition.partition_index == 1 && moved.fetch_add(1, Ordering::SeqCst) == 0;
            let code = if is_moving { ResponseError::NotLeaderOrFollower.code() } else { 0 };
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
                .with_offset(40 + i64::from(partition.partition_index));
            let topic = ListOffsetsTopicResponse::default()
                .with_name(request.topics[0].name.clone())
                .with_partitions(vec![answer]);
            Reply::Answer(ResponseKind::ListOffsets(ListOffsetsResponse::default().with_topics(vec![topic])))
        }
        _ => Reply::Usual,
    }));
    let partitions = [TopicPartition::new("t", 0), TopicPartition::new("t", 1)];
    let found =
        client(&script, Security::default()).list_offsets(&partitions, OffsetSpec::Latest).await.unwrap();
    assert_eq!(found.into_values().collect::<Vec<_>>(), [40, 41]);
    assert_eq!(script.times_asked(ApiKey::ListOffsets), 3);
}

/// The oldest versions that a broker of Kafka 2.8 or later still has in common with us.
fn oldest(api: ApiKey) -> i16 {
    match api {
        ApiKey::Metadata => 1,
        ApiKey::Produce => 3,
        ApiKey::Fetch => 4,
        ApiKey::JoinGroup | ApiKey::SyncGroup | ApiKey::Heartbeat | ApiKey::LeaveGroup => 2,
        _ => api.valid_versions().min,
    }
}

/// Every operation is written to the wire in the oldest version and in the newest: the scripted broker reads it to its
/// last byte, and then hangs up, which is all the answer there is.
#[tokio::test(start_paused = true)]
async fn every_operation_fits_every_version() {
    for newest in [oldest as fn(ApiKey) -> i16, |_api| i16::MAX] {
        let handler = |asked: &crate::scripted::Asked| match &asked.request {
            RequestKind::Metadata(request) => Reply::Answer(ResponseKind::Metadata(metadata(request, &[1]))),
            RequestKind::ApiVersions(_) => Reply::Usual,
            RequestKind::FindCoordinator(request) => Reply::Answer(crate::group::coordinator(request)),
            _ => Reply::HangUp,
        };
        let script = Arc::new(Script { newest, ..Script::new(handler) });
        let mut config = ClientConfig::new(vec![bootstrap()], Security::default());
        config.api_timeout = Duration::from_millis(10);
        let client = Client::new(config, Arc::new(Network(script.clone())));
        let member_config = MemberConfig {
            group_id: "g".to_owned(),
            protocol_type: "connect".to_owned(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(60),
            group_instance_id: None,
        };
        let member = Member::new(client.clone(), member_config);
        let partition = TopicPartition::new("t", 0);
        let offsets =
            BTreeMap::from([(partition.clone(), CommittedOffset { offset: 1, metadata: String::new() })]);
        let partitions = std::slice::from_ref(&partition);
        let nothing = Duration::ZERO;
        let _ = client.describe_cluster().await;
        let _ = client.create_topics(&[new_topic()], CreateMode::Create).await;
        let _ = client.delete_topics(&["t"]).await;
        let _ = client.describe_configs(&kafka_control::ConfigResource::Topic("t".to_owned())).await;
        let _ = client.list_offsets(partitions, OffsetSpec::Latest).await;
        let _ = client.fetch(&partition, 0, 1, nothing).await;
        write(&client, &script).await;
        let _ = client.describe_scram_users(None).await;
        let _ = client.describe_acls(&kafka_control::AclFilter::default()).await;
        let _ = client.create_acls(&[acl()]).await;
        let _ = client.delete_acls(&kafka_control::AclFilter::default()).await;
        let _ = client.describe_group("g").await;
        let _ = client.delete_groups(&["g"]).await;
        let _ = client.fetch_offsets("g").await;
        let _ = client.alter_offsets("g", &offsets).await;
        let _ = client.delete_offsets("g", partitions).await;
        let _ = member.join(&[("default", Bytes::new())], "reason").await;
        for api in [
            ApiKey::DescribeCluster,
            ApiKey::CreateTopics,
            ApiKey::DeleteTopics,
            ApiKey::DescribeConfigs,
            ApiKey::ListOffsets,
            ApiKey::Fetch,
            ApiKey::Produce,
            ApiKey::DescribeUserScramCredentials,
            ApiKey::DescribeAcls,
            ApiKey::CreateAcls,
            ApiKey::DeleteAcls,
            ApiKey::DescribeGroups,
            ApiKey::DeleteGroups,
            ApiKey::OffsetFetch,
            ApiKey::OffsetCommit,
            ApiKey::OffsetDelete,
            ApiKey::JoinGroup,
        ] {
            assert!(script.times_asked(api) > 0, "{api:?} did not reach the broker");
        }
    }
}

struct Nobody;

impl Deliveries for Nobody {
    fn delivered(&self, _run: Run, _result: Result<Stored, &ProduceError>) {}
}

/// Until a broker has got it, or nothing more can come.
async fn write(client: &Client, script: &Script) {
    let config = ProducerConfig { is_idempotent: false, ..ProducerConfig::default() };
    let producer = Producer::new(client.clone(), config, Arc::new(Nobody));
    let record = RecordToSend { value: Some(b"v"), ..RecordToSend::default() };
    producer.send("t", &record, 0).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_secs(600), script.until_asked(ApiKey::Produce, 1)).await;
}

fn acl() -> kafka_control::Acl {
    use kafka_control::{Acl, AclOperation, ResourceType};
    Acl::allow("User:u", AclOperation::Read, ResourceType::Topic, "t")
}
