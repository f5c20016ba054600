//! One member of one group.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};

use crate::admin::groups::subject;
use crate::admin::{text, verdict};
use crate::client::{Client, call_on};
use crate::endpoint::Endpoint;
use crate::group::error::{GroupError, explain, unreachable_or};
use crate::link::Link;
use crate::retry::Retry;
use crate::wire::AnyRequest;

/// What stays the same over the life of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberConfig {
    pub group_id: String,
    /// All members of a group have the same one; that of Connect workers is `connect`.
    pub protocol_type: String,
    /// Without a heartbeat for so long, the group goes on without this member.
    pub session_timeout: Duration,
    /// How long the group waits for this member to join again when it rebalances.
    pub rebalance_timeout: Duration,
    /// For static membership.
    pub group_instance_id: Option<String>,
}

/// The outcome of a join, the same for all members of the generation but for `members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub member_id: String,
    pub generation: i32,
    /// The protocol that all members have in common.
    pub protocol: String,
    pub leader_id: String,
    /// Everybody with his metadata for `protocol`; only the leader is told, and assigns.
    pub members: Vec<JoinedMember>,
}

impl Joined {
    pub fn is_leader(&self) -> bool {
        self.member_id == self.leader_id
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: String,
    pub metadata: Bytes,
}

/// A member of a group. Shared by reference: a heartbeat may be sent while a join is under way.
pub struct Member {
    client: Client,
    config: MemberConfig,
    /// Never locked while waiting.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    coordinator: Option<Coordinator>,
    member_id: String,
    generation: Option<i32>,
}

#[derive(Clone)]
struct Coordinator {
    /// For JoinGroup and SyncGroup, which wait for the others.
    waiting: Link,
    /// For what is answered at once.
    prompt: Link,
}

impl Member {
    pub fn new(client: Client, config: MemberConfig) -> Self {
        Self { client, config, state: Mutex::default() }
    }

    /// Joins the group, or joins again with the same identity. Waits until all members have joined or the rebalance
    /// timeout has thrown out the others. A coordinator that moves is followed for `api_timeout`.
    ///
    /// `protocols`: name and this member's metadata, the preferred one first. `reason` appears in the broker's log.
    ///
    /// Cancel-safe: a join that is dropped can be begun again.
    pub async fn join(&self, protocols: &[(&str, Bytes)], reason: &str) -> Result<Joined, GroupError> {
        let protocol = |(name, metadata): &(&str, Bytes)| {
            JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(metadata.clone())
        };
        let protocols: Vec<JoinGroupRequestProtocol> = protocols.iter().map(protocol).collect();
        let limit = self.config.rebalance_timeout + Duration::from_secs(5);
        let limit = limit.max(self.client.config().request_timeout);
        let mut retry = Retry::new(ApiKey::JoinGroup, self.client.config().api_timeout);
        loop {
            let error = match self.join_once(&protocols, reason, limit).await {
                Ok(joined) => return Ok(joined),
                Err(error) => error,
            };
            // A group's first member often meets a coordinator that is just made.
            let is_moving = matches!(error, GroupError::CoordinatorMoved { .. });
            if !is_moving || !retry.pause_anyway().await {
                return Err(error);
            }
        }
    }

    async fn join_once(
        &self,
        protocols: &[JoinGroupRequestProtocol],
        reason: &str,
        limit: Duration,
    ) -> Result<Joined, GroupError> {
        let coordinator = self.coordinator().await?;
        let mut member_id = self.state().member_id.clone();
        let mut response = self
            .ask::<JoinGroupRequest>(
                &coordinator.waiting,
                self.join_request(&member_id, protocols, reason),
                limit,
            )
            .await?;
        // The first answer to a new member is only its id, so that it is not counted twice if it has to ask again.
        if response.error_code == ResponseError::MemberIdRequired.code() && member_id.is_empty() {
            member_id = response.member_id.to_string();
            self.state().member_id.clone_from(&member_id);
            let request = self.join_request(&member_id, protocols, reason);
            response = self.ask::<JoinGroupRequest>(&coordinator.waiting, request, limit).await?;
        }
        self.check(ApiKey::JoinGroup, response.error_code)?;
        let joined = read_joined(response);
        let mut state = self.state();
        state.member_id.clone_from(&joined.member_id);
        state.generation = Some(joined.generation);
        Ok(joined)
    }

    /// Ends a join: the leader hands in what everybody is assigned, the others nothing, and each gets his own. Waits for
    /// the leader. Cancel-safe like a join.
    ///
    /// `assignments`: member id -> assignment.
    pub async fn sync(
        &self,
        joined: &Joined,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<Bytes, GroupError> {
        let assignment = |(member_id, assignment): (String, Bytes)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(StrBytes::from_string(member_id))
                .with_assignment(assignment)
        };
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(&self.config.group_id)))
            .with_generation_id(joined.generation)
            .with_member_id(text(&joined.member_id))
            .with_assignments(assignments.into_iter().map(assignment).collect());
        let instance = self.instance_id();
        let (protocol_type, protocol) = (text(&self.config.protocol_type), text(&joined.protocol));
        let request = AnyRequest::new(move |version| {
            let request = request.clone();
            let request =
                if version >= 3 { request.with_group_instance_id(instance.clone()) } else { request };
            match version {
                ..5 => request,
                5.. => request
                    .with_protocol_type(Some(protocol_type.clone()))
                    .with_protocol_name(Some(protocol.clone())),
            }
        });
        let limit = self.config.rebalance_timeout.max(self.client.config().request_timeout);
        let coordinator = self.coordinator().await?;
        let response = self.ask::<SyncGroupRequest>(&coordinator.waiting, request, limit).await?;
        self.check(ApiKey::SyncGroup, response.error_code)?;
        Ok(response.assignment)
    }

    /// Says that this member is alive, and learns whether the group wants it to join again. Waits for an answer no longer
    /// than the session lasts. Cancel-safe.
    pub async fn heartbeat(&self) -> Result<(), GroupError> {
        let (member_id, generation) = {
            let state = self.state();
            (text(&state.member_id), state.generation.ok_or(GroupError::NotJoined)?)
        };
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.config.group_id)))
            .with_generation_id(generation)
            .with_member_id(member_id);
        let instance = self.instance_id();
        let request = AnyRequest::new(move |version| {
            let request = request.clone();
            if version >= 3 { request.with_group_instance_id(instance.clone()) } else { request }
        });
        let coordinator = self.coordinator().await?;
        let limit = self.config.session_timeout.min(self.client.config().request_timeout);
        let response = self.ask::<HeartbeatRequest>(&coordinator.prompt, request, limit).await?;
        self.check(ApiKey::Heartbeat, response.error_code)
    }

    /// Leaves the group, so that the others need not wait for the session to end. Does nothing when this member never
    /// joined. The next join is that of a new member.
    pub async fn leave(&self, reason: &str) -> Result<(), GroupError> {
        let member_id = std::mem::take(&mut self.state().member_id);
        self.state().generation = None;
        if member_id.is_empty() {
            return Ok(());
        }
        let (group_id, member_id) = (GroupId(text(&self.config.group_id)), StrBytes::from_string(member_id));
        let (instance, reason) = (self.instance_id(), text(reason));
        let request = AnyRequest::new(move |version| {
            let request = LeaveGroupRequest::default().with_group_id(group_id.clone());
            if version < 3 {
                return request.with_member_id(member_id.clone());
            }
            let member = MemberIdentity::default()
                .with_member_id(member_id.clone())
                .with_group_instance_id(instance.clone());
            let member = if version >= 5 { member.with_reason(Some(reason.clone())) } else { member };
            request.with_members(vec![member])
        });
        let coordinator = self.coordinator().await?;
        let limit = self.client.config().request_timeout;
        let response = self.ask::<LeaveGroupRequest>(&coordinator.prompt, request, limit).await?;
        self.check(ApiKey::LeaveGroup, response.error_code)?;
        response.members.iter().try_for_each(|member| self.check(ApiKey::LeaveGroup, member.error_code))
    }

    /// Forgets the coordinator and every connection: after a silence they may be dead without anybody having said so, and
    /// whoever waits for an answer on a dead one waits in vain.
    pub fn forget_connections(&self) {
        self.state().coordinator = None;
        self.client.forget_links();
    }

    /// The id that the coordinator gave this member; `None` before the first join.
    pub fn member_id(&self) -> Option<String> {
        Some(self.state().member_id.clone()).filter(|id| !id.is_empty())
    }

    /// The broker that coordinates the group, as far as is known now.
    pub fn coordinator_endpoint(&self) -> Option<Endpoint> {
        self.state().coordinator.as_ref().map(|coordinator| coordinator.prompt.endpoint().clone())
    }

    async fn coordinator(&self) -> Result<Coordinator, GroupError> {
        if let Some(coordinator) = self.state().coordinator.clone() {
            return Ok(coordinator);
        }
        let endpoint = self
            .client
            .find_coordinator(&self.config.group_id)
            .await
            .map_err(|error| unreachable_or(&self.config.group_id, error))?;
        tracing::info!(group = self.config.group_id, coordinator = %endpoint, "found the group's coordinator");
        let found =
            Coordinator { waiting: self.client.own_link(&endpoint), prompt: self.client.own_link(&endpoint) };
        // Whoever was first wins, so that join and heartbeat speak to the same broker.
        Ok(self.state().coordinator.get_or_insert(found).clone())
    }

    async fn ask<R: Request>(
        &self,
        link: &Link,
        request: AnyRequest,
        limit: Duration,
    ) -> Result<R::Response, GroupError> {
        call_on::<R>(link, request, limit).await.map_err(|error| {
            let error = unreachable_or(&self.config.group_id, error);
            if matches!(error, GroupError::Unreachable(_)) {
                self.state().coordinator = None;
            }
            error
        })
    }

    /// Draws from a coordinator's error what this object has to remember.
    fn check(&self, api: ApiKey, code: i16) -> Result<(), GroupError> {
        let group = &self.config.group_id;
        verdict(api, subject(group), code, None).map_err(|refusal| {
            let error = explain(group, refusal);
            let mut state = self.state();
            match error {
                GroupError::CoordinatorMoved { .. } => state.coordinator = None,
                GroupError::UnknownMemberId | GroupError::FencedInstance => {
                    state.member_id.clear();
                    state.generation = None;
                }
                GroupError::IllegalGeneration => state.generation = None,
                _ => {}
            }
            error
        })
    }

    fn join_request(
        &self,
        member_id: &str,
        protocols: &[JoinGroupRequestProtocol],
        reason: &str,
    ) -> AnyRequest {
        let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text(&self.config.group_id)))
            .with_session_timeout_ms(milliseconds(self.config.session_timeout))
            .with_member_id(text(member_id))
            .with_protocol_type(text(&self.config.protocol_type))
            .with_protocols(protocols.to_vec());
        let rebalance_timeout_ms = milliseconds(self.config.rebalance_timeout);
        let (instance, reason) = (self.instance_id(), text(reason));
        AnyRequest::new(move |version| {
            let mut request = request.clone();
            if version >= 1 {
                request = request.with_rebalance_timeout_ms(rebalance_timeout_ms);
            }
            if version >= 5 {
                request = request.with_group_instance_id(instance.clone());
            }
            if version >= 8 { request.with_reason(Some(reason.clone())) } else { request }
        })
    }

    fn instance_id(&self) -> Option<StrBytes> {
        self.config.group_instance_id.as_deref().map(text)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_joined(response: JoinGroupResponse) -> Joined {
    let member = |member: kafka_protocol::messages::join_group_response::JoinGroupResponseMember| {
        JoinedMember { member_id: member.member_id.to_string(), metadata: member.metadata }
    };
    Joined {
        member_id: response.member_id.to_string(),
        generation: response.generation_id,
        protocol: response.protocol_name.map(|name| name.to_string()).unwrap_or_default(),
        leader_id: response.leader.to_string(),
        members: response.members.into_iter().map(member).collect(),
    }
}
