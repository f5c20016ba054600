//! What can go wrong in a phase.

use crate::authority::ClusterAuthorityError;
use crate::control::ControlError;
use crate::host::HostError;
use crate::kafka_access::KafkaAccessError;
use crate::rest_client::RestError;
use crate::secrets::SecretError;
use crate::worker_build::WorkerBuildError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PhaseError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Kafka(#[from] KafkaAccessError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    WorkerBuild(#[from] WorkerBuildError),
    #[error(transparent)]
    Authority(#[from] ClusterAuthorityError),
    #[error("{subject}")]
    Rest {
        /// What the worker was asked about: a connector.
        subject: String,
        #[source]
        source: Box<RestError>,
    },
    #[error("{place}: {message}")]
    Refused { place: String, message: String, hint: Option<String>, tail: Vec<String> },
    /// The user wanted an end, and this did not come to its own in time.
    #[error("cut off {seconds} s after {signal}")]
    CutOff { signal: &'static str, seconds: u64 },
    #[error("cannot make the {what}")]
    Make {
        what: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl PhaseError {
    /// A state of the world that stops the phase: where, what is wrong, what to do.
    pub(crate) fn refused(place: impl ToString, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            place: place.to_string(),
            message: message.into(),
            hint: Some(hint.into()),
            tail: Vec::new(),
        }
    }

    /// A worker that does not answer as it should, asked about `subject`.
    pub(crate) fn rest(subject: impl ToString, source: RestError) -> Self {
        Self::Rest { subject: subject.to_string(), source: Box::new(source) }
    }

    pub(crate) fn make(
        what: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Make { what: what.into(), source: Box::new(source) }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Host(error) => error.hint(),
            Self::Kafka(error) => error.hint(),
            Self::Secret(error) => error.hint(),
            Self::Control(error) => error.hint(),
            Self::WorkerBuild(error) => error.hint(),
            Self::Authority(error) => error.hint(),
            Self::Rest { source, .. } => Some(source.hint()),
            Self::Refused { hint, .. } => hint.clone(),
            Self::CutOff { .. } => Some("the next run looks again and does the rest".to_owned()),
            Self::Make { .. } => Some("mend what the cause names, and run again".to_owned()),
        }
    }

    /// Last output of what failed.
    pub(crate) fn tail(&self) -> &[String] {
        match self {
            Self::Host(error) => error.tail(),
            Self::WorkerBuild(error) => error.tail(),
            Self::Refused { tail, .. } => tail,
            _ => &[],
        }
    }
}
