//! What can go wrong between a request and its answer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use thiserror::Error;

use crate::endpoint::Endpoint;
use crate::login_error::LoginError;

/// A request that did not get a usable answer.
#[derive(Debug, Error)]
pub enum Error {
    #[error("no bootstrap server is given")]
    NoBootstrap,
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error("{broker}: {api:?} was not answered")]
    Wire { broker: Endpoint, api: ApiKey, source: WireError },
    #[error("{broker}: the broker cannot be asked")]
    Unsupported { broker: Endpoint, source: UnsupportedApi },
    #[error("{broker}: {0}", .refusal)]
    Refused { broker: Endpoint, refusal: ApiRefusal },
    #[error("{broker}: the answer to {api:?} lacks {what}")]
    Incomplete { broker: Endpoint, api: ApiKey, what: String },
    #[error("{api:?} did not succeed within {after:?}")]
    Deadline { api: ApiKey, after: Duration, source: Box<Error> },
    #[error("a record could not be put on the wire or read from it")]
    Records(#[source] Box<dyn StdError + Send + Sync>),
}

/// Kafka's own "no" to a request or to one item of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{api:?} of {subject} failed with {}{}", kafka_name(*.code), detail(.message))]
pub struct ApiRefusal {
    pub api: ApiKey,
    /// What it was about: a topic, a group, a user.
    pub subject: String,
    pub code: ResponseError,
    /// The broker's own words.
    pub message: Option<String>,
}

/// The code as Kafka's documentation and the JVM's logs write it: `TOPIC_ALREADY_EXISTS`.
pub(crate) fn kafka_name(code: ResponseError) -> String {
    if let ResponseError::Unknown(number) = code {
        return format!("error code {number}");
    }
    let mut name = String::new();
    for (index, letter) in format!("{code:?}").chars().enumerate() {
        if index > 0 && letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn detail(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}

/// A broken conversation on one connection.
#[derive(Debug, Error)]
pub enum WireError {
    #[error("the connection was closed")]
    Closed,
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the connection failed")]
    Io(#[source] io::Error),
    #[error("a frame of {size} bytes, more than the {limit} that are accepted")]
    FrameSize { size: i64, limit: usize },
    #[error("the answer bears correlation id {found}, expected {expected}")]
    Correlation { expected: i32, found: i32 },
    #[error("the broker sent something that nobody asked for")]
    Unsolicited,
    #[error("the request cannot be encoded")]
    Encode(#[source] Box<dyn StdError + Send + Sync>),
    #[error("the answer cannot be decoded")]
    Decode(#[source] Box<dyn StdError + Send + Sync>),
}

/// Broker and client have no version of a request in common.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{api:?} is spoken in versions {} here and {theirs} there", versions(.ours))]
pub struct UnsupportedApi {
    pub api: ApiKey,
    pub ours: (i16, i16),
    pub theirs: TheirVersions,
}

/// What a broker announced for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TheirVersions {
    #[error("none")]
    None,
    #[error("{0} to {1}")]
    Range(i16, i16),
}

fn versions((min, max): &(i16, i16)) -> String {
    format!("{min} to {max}")
}

impl Error {
    /// What the operator can do about it, when there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoBootstrap => Some("give at least one host:port".to_owned()),
            Self::Login(error) => error.hint(),
            Self::Refused { refusal, .. } => refusal.hint().map(str::to_owned),
            Self::Deadline { source, .. } => source.hint(),
            Self::Wire { source: WireError::TimedOut(_), .. } => {
                Some("the broker may be overloaded or cut off from the others".to_owned())
            }
            Self::Wire { .. } | Self::Unsupported { .. } | Self::Incomplete { .. } | Self::Records(_) => None,
        }
    }

    /// Whether this is what one gets while Kafka, or the way to it, is down: nothing is wrong with the request, and time
    /// may help.
    pub fn is_out_of_reach(&self) -> bool {
        match self {
            Self::Login(error) => error.is_transient(),
            Self::Wire { source: WireError::Closed | WireError::TimedOut(_) | WireError::Io(_), .. } => true,
            Self::Deadline { source, .. } => source.is_out_of_reach(),
            Self::Refused { refusal, .. } => matches!(
                refusal.code,
                ResponseError::CoordinatorNotAvailable
                    | ResponseError::CoordinatorLoadInProgress
                    | ResponseError::NotCoordinator
                    | ResponseError::LeaderNotAvailable
                    | ResponseError::NotLeaderOrFollower
                    | ResponseError::NotController
                    | ResponseError::BrokerNotAvailable
                    | ResponseError::RequestTimedOut
                    | ResponseError::NotEnoughReplicas
            ),
            Self::NoBootstrap
            | Self::Wire { .. }
            | Self::Unsupported { .. }
            | Self::Incomplete { .. }
            | Self::Records(_) => false,
        }
    }

    /// Kafka's error code, when the broker answered with one; also of the last attempt before a deadline.
    pub fn code(&self) -> Option<ResponseError> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.code),
            Self::Deadline { source, .. } => source.code(),
            Self::Login(LoginError::Broker { code, .. }) => Some(*code),
            Self::NoBootstrap
            | Self::Login(_)
            | Self::Wire { .. }
            | Self::Unsupported { .. }
            | Self::Incomplete { .. }
            | Self::Records(_) => None,
        }
    }
}

impl ApiRefusal {
    /// What the operator can do about it, when there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        let hint = match self.code {
            ResponseError::TopicAuthorizationFailed => "the principal lacks an ACL on the topic",
            ResponseError::GroupAuthorizationFailed => {
                "the principal lacks an ACL on the group (READ, DESCRIBE)"
            }
            ResponseError::ClusterAuthorizationFailed => {
                "the principal lacks an ACL on the cluster (ALTER, DESCRIBE or CREATE), and is no super user"
            }
            ResponseError::TransactionalIdAuthorizationFailed => {
                "the principal lacks an ACL on the transactional id (WRITE, DESCRIBE)"
            }
            ResponseError::InvalidReplicationFactor => {
                "the replication factor may not exceed the number of running brokers"
            }
            ResponseError::SecurityDisabled => "the cluster has no authorizer, so there are no ACLs",
            ResponseError::PolicyViolation => "a policy of the cluster forbids it",
            ResponseError::NonEmptyGroup => "stop the members of the group first",
            ResponseError::UnacceptableCredential => {
                "SCRAM needs 4096 to 16384 iterations and a name that is not empty"
            }
            _ => return None,
        };
        Some(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kafkas_names() {
        let check = |code, name| assert_eq!(kafka_name(code), name);
        check(ResponseError::TopicAlreadyExists, "TOPIC_ALREADY_EXISTS");
        check(ResponseError::InvalidTopicException, "INVALID_TOPIC_EXCEPTION");
        check(ResponseError::Unknown(999), "error code 999");
    }
}
