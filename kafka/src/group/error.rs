//! What a coordinator may answer a member, by what the member has to do about it.

use kafka_protocol::ResponseError;
use thiserror::Error;

use crate::error::{ApiRefusal, Error, WireError, kafka_name};

#[derive(Debug, Error)]
pub enum GroupError {
    /// Join again: somebody came or went.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// Give up what was assigned and join again; the next join does so as a new member.
    #[error("the group no longer knows this member")]
    UnknownMemberId,
    /// Give up what was assigned and join again.
    #[error("the generation is over")]
    IllegalGeneration,
    /// The next call finds the coordinator anew.
    #[error("the coordinator has moved or is not ready: {}", kafka_name(*.code))]
    CoordinatorMoved { code: ResponseError },
    /// The next call finds the coordinator anew.
    #[error("the coordinator cannot be reached")]
    Unreachable(#[source] Error),
    /// Another process has the same `group.instance.id`.
    #[error("another member has taken this member's group.instance.id")]
    FencedInstance,
    #[error("the principal may not join group `{group}`")]
    GroupAuthorization { group: String },
    #[error("group `{group}` has other protocols than this member, or another protocol type")]
    InconsistentProtocol { group: String },
    #[error("the broker does not take this session timeout")]
    InvalidSessionTimeout,
    #[error("group `{group}` is full")]
    GroupFull { group: String },
    /// Sync and heartbeat need a join before.
    #[error("this member has not joined the group")]
    NotJoined,
    #[error(transparent)]
    Refused(ApiRefusal),
    #[error(transparent)]
    Client(Error),
}

impl GroupError {
    /// What the operator can do about it, when there is something to say.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::GroupAuthorization { .. } => "the principal needs an ACL with READ on the group",
            Self::InconsistentProtocol { .. } => "something else than Connect workers uses this group id",
            Self::InvalidSessionTimeout => {
                "session.timeout.ms must lie between the brokers' group.min.session.timeout.ms and \
                 group.max.session.timeout.ms"
            }
            Self::GroupFull { .. } => "the brokers' group.max.size limits the number of members",
            Self::FencedInstance => "give every process a group.instance.id of its own",
            Self::Refused(refusal) => return refusal.hint().map(str::to_owned),
            Self::Unreachable(error) | Self::Client(error) => return error.hint(),
            Self::RebalanceInProgress
            | Self::UnknownMemberId
            | Self::IllegalGeneration
            | Self::CoordinatorMoved { .. }
            | Self::NotJoined => return None,
        };
        Some(text.to_owned())
    }

    /// Whether the group itself works, so that joining again, perhaps after a pause, is the way on.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RebalanceInProgress
            | Self::UnknownMemberId
            | Self::IllegalGeneration
            | Self::CoordinatorMoved { .. }
            | Self::Unreachable(_) => true,
            Self::FencedInstance
            | Self::GroupAuthorization { .. }
            | Self::InconsistentProtocol { .. }
            | Self::InvalidSessionTimeout
            | Self::GroupFull { .. }
            | Self::NotJoined
            | Self::Refused(_)
            | Self::Client(_) => false,
        }
    }
}

/// Sorts a coordinator's refusal.
pub(crate) fn explain(group: &str, refusal: ApiRefusal) -> GroupError {
    let group = || group.to_owned();
    match refusal.code {
        ResponseError::RebalanceInProgress => GroupError::RebalanceInProgress,
        ResponseError::UnknownMemberId => GroupError::UnknownMemberId,
        ResponseError::IllegalGeneration => GroupError::IllegalGeneration,
        code @ (ResponseError::NotCoordinator
        | ResponseError::CoordinatorNotAvailable
        | ResponseError::CoordinatorLoadInProgress) => GroupError::CoordinatorMoved { code },
        ResponseError::FencedInstanceId => GroupError::FencedInstance,
        ResponseError::GroupAuthorizationFailed => GroupError::GroupAuthorization { group: group() },
        ResponseError::InconsistentGroupProtocol => GroupError::InconsistentProtocol { group: group() },
        ResponseError::InvalidSessionTimeout => GroupError::InvalidSessionTimeout,
        ResponseError::GroupMaxSizeReached => GroupError::GroupFull { group: group() },
        _ => GroupError::Refused(refusal),
    }
}

/// Sorts what went wrong on the way to the coordinator.
pub(crate) fn unreachable_or(group: &str, error: Error) -> GroupError {
    match error {
        Error::Wire { source: WireError::Closed | WireError::Io(_) | WireError::TimedOut(_), .. } => {
            GroupError::Unreachable(error)
        }
        Error::Login(login) if login.is_transient() => GroupError::Unreachable(Error::Login(login)),
        Error::Refused { refusal, .. } => explain(group, refusal),
        Error::Deadline { .. } => GroupError::Unreachable(error),
        Error::NoBootstrap
        | Error::Login(_)
        | Error::Wire { .. }
        | Error::Unsupported { .. }
        | Error::Incomplete { .. }
        | Error::Records(_) => GroupError::Client(error),
    }
}
