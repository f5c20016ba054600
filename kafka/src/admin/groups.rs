//! Groups of every protocol type: consumers and Connect workers alike.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{
    ApiKey, DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
};

use crate::admin::operations::AuthorizedOperations;
use crate::admin::{ItemResults, left_out, text, verdict};
use crate::client::Client;
use crate::endpoint::{BrokerId, Endpoint};
use crate::error::Error;
use crate::retry::Retry;
use crate::route::Route;

/// Later versions of DescribeGroups answer `GroupIdNotFound` for a group that does not exist, and then leave out what the
/// principal may do to it, which is of interest before the first member joins.
const LAST_WITH_RIGHTS_IN_ABSENT_GROUPS: i16 = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    pub group_id: String,
    /// `consumer`, `connect`; empty when nobody ever joined.
    pub protocol_type: String,
    /// `Stable`, `Empty`, ...; empty from brokers before 2.6.
    pub state: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    pub group_id: String,
    /// `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, or `Dead` for one that does not exist.
    pub state: String,
    pub protocol_type: String,
    /// The protocol that the members agreed on.
    pub protocol: String,
    pub members: Vec<GroupMember>,
    /// What our principal may do to the group.
    pub authorized: AuthorizedOperations,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    pub member_id: String,
    pub client_id: String,
    pub client_host: String,
    pub metadata: Bytes,
    pub assignment: Bytes,
}

impl Client {
    /// The broker that coordinates a group.
    pub async fn find_coordinator(&self, group: &str) -> Result<Endpoint, Error> {
        let mut retry = Retry::new(ApiKey::FindCoordinator, self.inner.config.api_timeout);
        loop {
            match self.ask_coordinator(group).await {
                Ok(coordinator) => return Ok(coordinator),
                Err(error) => self.recover(&mut retry, error).await?,
            }
        }
    }

    /// The groups of all brokers that our principal may describe.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        let brokers: Vec<BrokerId> =
            self.describe_cluster().await?.brokers.into_iter().map(|broker| broker.id).collect();
        let mut groups = BTreeMap::new();
        for broker in brokers {
            let listed = self
                .send(
                    Route::Broker(broker),
                    |_version| ListGroupsRequest::default(),
                    |response| {
                        verdict(ApiKey::ListGroups, format!("broker {broker}"), response.error_code, None)?;
                        Ok(response.groups)
                    },
                )
                .await?;
            for group in listed {
                let listing = GroupListing {
                    group_id: group.group_id.to_string(),
                    protocol_type: group.protocol_type.to_string(),
                    state: group.group_state.to_string(),
                };
                groups.insert(listing.group_id.clone(), listing);
            }
        }
        Ok(groups.into_values().collect())
    }

    /// Describes one group. One that does not exist is described as `Dead`.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, Error> {
        let group_id = GroupId(text(group));
        self.send_at_most(
            LAST_WITH_RIGHTS_IN_ABSENT_GROUPS,
            Route::Group(group),
            move |version| {
                let request = DescribeGroupsRequest::default().with_groups(vec![group_id.clone()]);
                if version >= 3 { request.with_include_authorized_operations(true) } else { request }
            },
            |response| {
                let Some(described) = response.groups.into_iter().next() else {
                    return Err(left_out(ApiKey::DescribeGroups, subject(group)));
                };
                let message = described.error_message.as_ref();
                verdict(ApiKey::DescribeGroups, subject(group), described.error_code, message)?;
                Ok(description(described))
            },
        )
        .await
    }

    /// Deletes groups without members. One that does not exist is a refusal with `GroupIdNotFound`.
    pub async fn delete_groups(&self, groups: &[&str]) -> Result<ItemResults, Error> {
        let mut results = ItemResults::new();
        for group in groups {
            let group_id = GroupId(text(group));
            let deleted = self
                .send(
                    Route::Group(group),
                    move |_version| DeleteGroupsRequest::default().with_groups_names(vec![group_id.clone()]),
                    |response| match response.results.first() {
                        None => Err(left_out(ApiKey::DeleteGroups, subject(group))),
                        Some(result) => {
                            verdict(ApiKey::DeleteGroups, subject(group), result.error_code, None)
                        }
                    },
                )
                .await;
            let result = match deleted {
                Ok(()) => Ok(()),
                Err(Error::Refused { refusal, .. }) => Err(refusal),
                Err(error) => return Err(error),
            };
            results.insert((*group).to_owned(), result);
        }
        Ok(results)
    }
}

pub(crate) fn subject(group: &str) -> String {
    format!("group `{group}`")
}

fn description(group: DescribedGroup) -> GroupDescription {
    let member =
        |member: kafka_protocol::messages::describe_groups_response::DescribedGroupMember| GroupMember {
            member_id: member.member_id.to_string(),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            metadata: member.member_metadata,
            assignment: member.member_assignment,
        };
    GroupDescription {
        group_id: group.group_id.to_string(),
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        protocol: group.protocol_data.to_string(),
        members: group.members.into_iter().map(member).collect(),
        authorized: AuthorizedOperations::from_bits(group.authorized_operations),
    }
}
