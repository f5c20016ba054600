//! When a request is worth repeating, and how long to wait before.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use tokio::time::{Instant, sleep};

use crate::error::{Error, WireError};
use crate::login_error::LoginError;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// For what is most likely a mistake, but may also pass: a topic that was just created is not yet known to every
/// broker, and a broker that stops hangs up like one that wants a login.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Retry {
    api: ApiKey,
    started: Instant,
    limit: Duration,
    pause: Duration,
}

impl Retry {
    pub(crate) fn new(api: ApiKey, limit: Duration) -> Self {
        Self { api, started: Instant::now(), limit, pause: FIRST_PAUSE }
    }

    /// Waits a while after a failure that may pass, or gives up with the error to report.
    pub(crate) async fn pause(&mut self, error: Error) -> Result<(), Error> {
        let limit = match patience(&error) {
            Patience::None => return Err(error),
            Patience::Short => self.limit.min(SHORT_PATIENCE),
            Patience::Full => self.limit,
        };
        tracing::debug!(api = ?self.api, %error, pause = ?self.pause, "asking again");
        match self.wait(limit).await {
            true => Ok(()),
            false => Err(Error::Deadline { api: self.api, after: limit, source: Box::new(error) }),
        }
    }

    /// Waits a while after what the caller knows to pass; `false`, at once, when the time is over.
    pub(crate) async fn pause_anyway(&mut self) -> bool {
        self.wait(self.limit).await
    }

    async fn wait(&mut self, limit: Duration) -> bool {
        if self.started.elapsed() + self.pause >= limit {
            return false;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Patience {
    None,
    Short,
    Full,
}

fn patience(error: &Error) -> Patience {
    match error {
        Error::Login(LoginError::SaslRequired { .. }) => Patience::Short,
        Error::Login(login) if login.is_transient() => Patience::Full,
        Error::Wire { source, .. } => match source {
            WireError::Closed | WireError::TimedOut(_) | WireError::Io(_) => Patience::Full,
            WireError::FrameSize { .. }
            | WireError::Correlation { .. }
            | WireError::Unsolicited
            | WireError::Encode(_)
            | WireError::Decode(_) => Patience::None,
        },
        Error::Refused { refusal, .. } => patience_with(refusal.code),
        Error::NoBootstrap
        | Error::Login(_)
        | Error::Unsupported { .. }
        | Error::Incomplete { .. }
        | Error::Deadline { .. }
        | Error::Records(_) => Patience::None,
    }
}

fn patience_with(code: ResponseError) -> Patience {
    match code {
        ResponseError::NotController
        | ResponseError::StaleControllerEpoch
        | ResponseError::NotCoordinator
        | ResponseError::CoordinatorNotAvailable
        | ResponseError::CoordinatorLoadInProgress
        | ResponseError::LeaderNotAvailable
        | ResponseError::NotLeaderOrFollower
        | ResponseError::FencedLeaderEpoch
        | ResponseError::UnknownLeaderEpoch
        | ResponseError::OffsetNotAvailable
        | ResponseError::ReplicaNotAvailable
        | ResponseError::BrokerNotAvailable
        | ResponseError::ListenerNotFound
        | ResponseError::NetworkException
        | ResponseError::RequestTimedOut
        | ResponseError::NotEnoughReplicas
        | ResponseError::ThrottlingQuotaExceeded
        | ResponseError::UnstableOffsetCommit => Patience::Full,
        ResponseError::UnknownTopicOrPartition | ResponseError::UnknownTopicId => Patience::Short,
        _ => Patience::None,
    }
}
