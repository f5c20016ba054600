//! A member and a coordinator that is not always friendly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kafka_control::group::{GroupError, Member, MemberConfig};
use kafka_control::{ApiKey, ResponseError, Security};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupResponse, RequestKind, ResponseKind, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::scripted::{Reply, Script, client};

pub(crate) fn coordinator(request: &FindCoordinatorRequest) -> ResponseKind {
    let response = FindCoordinatorResponse::default();
    let host = StrBytes::from_static_str("coordinator");
    ResponseKind::FindCoordinator(match request.coordinator_keys.first() {
        None => response.with_node_id(BrokerId(1)).with_host(host).with_port(9092),
        Some(key) => {
            let found = Coordinator::default().with_key(key.clone()).with_host(host).with_port(9092);
            response.with_coordinators(vec![found])
        }
    })
}

fn join_answer(request: &JoinGroupRequest) -> ResponseKind {
    let response = JoinGroupResponse::default();
    if request.member_id.is_empty() {
        return ResponseKind::JoinGroup(
            response
                .with_error_code(ResponseError::MemberIdRequired.code())
                .with_member_id(StrBytes::from_static_str("m-1")),
        );
    }
    let member = JoinGroupResponseMember::default()
        .with_member_id(request.member_id.clone())
        .with_metadata(request.protocols[0].metadata.clone());
    ResponseKind::JoinGroup(
        response
            .with_generation_id(7)
            .with_protocol_name(Some(request.protocols[0].name.clone()))
            .with_leader(request.member_id.clone())
            .with_member_id(request.member_id.clone())
            .with_members(vec![member]),
    )
}

fn member(script: &Arc<Script>) -> Member {
    let config = MemberConfig {
        group_id: "connect-cluster".to_owned(),
        protocol_type: "connect".to_owned(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        group_instance_id: None,
    };
    Member::new(client(script, Security::default()), config)
}

fn friendly(request: &RequestKind) -> Reply {
    match request {
        RequestKind::FindCoordinator(request) => Reply::Answer(coordinator(request)),
        RequestKind::JoinGroup(request) => {
            assert_eq!(request.protocol_type.as_str(), "connect");
            assert_eq!((request.session_timeout_ms, request.rebalance_timeout_ms), (10_000, 60_000));
            Reply::Answer(join_answer(request))
        }
        RequestKind::SyncGroup(request) => {
            assert_eq!(request.protocol_type.as_deref(), Some("connect"));
            assert_eq!(request.protocol_name.as_deref(), Some("default"));
            let mine = request.assignments[0].assignment.clone();
            Reply::Answer(ResponseKind::SyncGroup(SyncGroupResponse::default().with_assignment(mine)))
        }
        RequestKind::Heartbeat(request) => {
            assert_eq!((request.generation_id, request.member_id.as_str()), (7, "m-1"));
            Reply::Answer(ResponseKind::Heartbeat(HeartbeatResponse::default()))
        }
        RequestKind::LeaveGroup(request) => {
            assert_eq!(request.members[0].member_id.as_str(), "m-1");
            assert_eq!(request.members[0].reason.as_deref(), Some("done"));
            Reply::Answer(ResponseKind::LeaveGroup(LeaveGroupResponse::default()))
        }
        _ => Reply::Usual,
    }
}

const PROTOCOL: &str = "default";

#[tokio::test(start_paused = true)]
async fn a_member_gets_its_id_first_and_then_joins_syncs_beats_and_leaves() {
    let script = Arc::new(Script::new(|asked| friendly(&asked.request)));
    let member = member(&script);
    let joined = member.join(&[(PROTOCOL, Bytes::from("url"))], "start").await.unwrap();
    assert!(joined.is_leader());
    assert_eq!((joined.generation, joined.protocol.as_str()), (7, PROTOCOL));
    assert_eq!(joined.members[0].metadata, "url");
    assert_eq!(script.times_asked(ApiKey::JoinGroup), 2);
    let assignment = member.sync(&joined, vec![("m-1".to_owned(), Bytes::from("work"))]).await.unwrap();
    assert_eq!(assignment, "work");
    member.heartbeat().await.unwrap();
    member.leave("done").await.unwrap();
    assert_eq!(member.member_id(), None);
    assert!(matches!(member.heartbeat().await, Err(GroupError::NotJoined)));
    member.leave("done").await.unwrap();
    assert_eq!(script.times_asked(ApiKey::LeaveGroup), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_to_do_and_are_remembered() {
    let next = Arc::new(AtomicUsize::new(0));
    let script = Arc::new(Script::new({
        let next = next.clone();
        move |asked| match &asked.request {
            RequestKind::Heartbeat(_) => {
                let code = i16::try_from(next.load(Ordering::SeqCst)).unwrap();
                Reply::Answer(ResponseKind::Heartbeat(HeartbeatResponse::default().with_error_code(code)))
            }
            other => friendly(other),
        }
    }));
    let member = member(&script);
    let refused = async |code: ResponseError| {
        member.join(&[(PROTOCOL, Bytes::new())], "test").await.unwrap();
        next.store(usize::try_from(code.code()).unwrap(), Ordering::SeqCst);
        let error = member.heartbeat().await.unwrap_err();
        (error, member.member_id().is_some(), member.coordinator_endpoint().is_some())
    };
    let (error, has_id, has_coordinator) = refused(ResponseError::RebalanceInProgress).await;
    assert!(matches!(error, GroupError::RebalanceInProgress) && has_id && has_coordinator, "{error:?}");
    let (error, has_id, has_coordinator) = refused(ResponseError::UnknownMemberId).await;
    assert!(matches!(error, GroupError::UnknownMemberId) && !has_id && has_coordinator, "{error:?}");
    let (error, has_id, _) = refused(ResponseError::IllegalGeneration).await;
    assert!(matches!(error, GroupError::IllegalGeneration) && has_id, "{error:?}");
    let (error, has_id, has_coordinator) = refused(ResponseError::NotCoordinator).await;
    assert!(matches!(error, GroupError::CoordinatorMoved { .. }) && has_id && !has_coordinator, "{error:?}");
    let (error, has_id, _) = refused(ResponseError::FencedInstanceId).await;
    assert!(matches!(error, GroupError::FencedInstance) && !has_id && !error.is_transient(), "{error:?}");
    let (error, ..) = refused(ResponseError::GroupAuthorizationFailed).await;
    assert!(matches!(error, GroupError::GroupAuthorization { .. }) && !error.is_transient(), "{error:?}");
    assert!(error.hint().unwrap().contains("READ"));
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_moves_is_followed_by_a_join() {
    let script = Arc::new(Script::new({
        let asked_before = AtomicUsize::new(0);
        move |asked| match &asked.request {
            RequestKind::JoinGroup(_) if asked_before.fetch_add(1, Ordering::SeqCst) < 2 => {
                let code = ResponseError::NotCoordinator.code();
                Reply::Answer(ResponseKind::JoinGroup(JoinGroupResponse::default().with_error_code(code)))
            }
            other => friendly(other),
        }
    }));
    member(&script).join(&[(PROTOCOL, Bytes::new())], "test").await.unwrap();
    assert_eq!(script.times_asked(ApiKey::FindCoordinator), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_coordinator_is_looked_for() {
    let script = Arc::new(Script::new({
        let beats = AtomicUsize::new(0);
        move |asked| match &asked.request {
            RequestKind::Heartbeat(_) if beats.fetch_add(1, Ordering::SeqCst) == 0 => Reply::HangUp,
            other => friendly(other),
        }
    }));
    let member = member(&script);
    member.join(&[(PROTOCOL, Bytes::new())], "test").await.unwrap();
    let error = member.heartbeat().await.unwrap_err();
    assert!(matches!(error, GroupError::Unreachable(_)) && error.is_transient(), "{error:?}");
    member.heartbeat().await.unwrap();
    assert_eq!(script.times_asked(ApiKey::FindCoordinator), 2);
}

#[tokio::test(start_paused = true)]
async fn heartbeat_and_farewell_do_not_wait_behind_a_join() {
    let script = Arc::new(Script::new({
        let joins = AtomicUsize::new(0);
        move |asked| match &asked.request {
            RequestKind::JoinGroup(_) if joins.fetch_add(1, Ordering::SeqCst) >= 2 => Reply::Silence,
            other => friendly(other),
        }
    }));
    let member = Arc::new(member(&script));
    member.join(&[(PROTOCOL, Bytes::new())], "test").await.unwrap();
    let waiting = tokio::spawn({
        let member = member.clone();
        async move { member.join(&[(PROTOCOL, Bytes::new())], "again").await }
    });
    let started = tokio::time::Instant::now();
    while script.times_asked(ApiKey::JoinGroup) < 3 {
        tokio::task::yield_now().await;
    }
    member.heartbeat().await.unwrap();
    member.leave("done").await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
    // Nobody answers the join; it ends a little after the rebalance timeout.
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, GroupError::Unreachable(_)), "{error:?}");
    assert_eq!(started.elapsed().as_secs(), 65);
}

#[tokio::test(start_paused = true)]
async fn after_a_silence_nobody_waits_on_an_old_connection() {
    // Connections that are older than this answer nothing: the network went away under them.
    let dead_below = Arc::new(AtomicUsize::new(0));
    let script = Arc::new(Script::new({
        let dead_below = dead_below.clone();
        move |asked| match asked.connection < dead_below.load(Ordering::SeqCst) {
            true => Reply::Silence,
            false => friendly(&asked.request),
        }
    }));
    let member = member(&script);
    member.join(&[(PROTOCOL, Bytes::new())], "test").await.unwrap();
    member.heartbeat().await.unwrap();
    dead_below.store(script.times_dialed(), Ordering::SeqCst);
    let started = tokio::time::Instant::now();
    member.forget_connections();
    member.join(&[(PROTOCOL, Bytes::new())], "again").await.unwrap();
    member.heartbeat().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}
