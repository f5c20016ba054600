//! Administration, in Kafka's words: one file per kind of thing. Every operation is a method of [`Client`].
//!
//! An operation on several items answers for each of them; `Err` of the whole means that nobody answered.
//!
//! [`Client`]: crate::client::Client

pub(crate) mod acls;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod groups;
pub(crate) mod offsets;
pub(crate) mod operations;
pub(crate) mod scram_users;
pub(crate) mod topics;

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;

use crate::error::ApiRefusal;

/// What became of each item of a request: name of the item -> done, or Kafka's refusal.
pub type ItemResults = BTreeMap<String, Result<(), ApiRefusal>>;

/// Kafka's verdict on one item.
pub(crate) fn verdict(
    api: ApiKey,
    subject: impl Into<String>,
    code: i16,
    message: Option<&StrBytes>,
) -> Result<(), ApiRefusal> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(code) => {
            let message = message.map(ToString::to_string).filter(|message| !message.is_empty());
            Err(ApiRefusal { api, subject: subject.into(), code, message })
        }
    }
}

/// Lets a whole request be repeated when one of its items met a broker that is no longer, or not yet, in charge.
pub(crate) fn repeat_if_moved(results: &ItemResults) -> Result<(), ApiRefusal> {
    let moved = |refusal: &&ApiRefusal| {
        matches!(
            refusal.code,
            ResponseError::NotController
                | ResponseError::StaleControllerEpoch
                | ResponseError::NotCoordinator
                | ResponseError::CoordinatorNotAvailable
                | ResponseError::CoordinatorLoadInProgress
        )
    };
    match results.values().filter_map(|result| result.as_ref().err()).find(moved) {
        Some(refusal) => Err(refusal.clone()),
        None => Ok(()),
    }
}

/// An answer without the item that was asked for.
pub(crate) fn left_out(api: ApiKey, subject: impl Into<String>) -> ApiRefusal {
    let message = Some("the broker left it out of its answer".to_owned());
    ApiRefusal { api, subject: subject.into(), code: ResponseError::UnknownServerError, message }
}

pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}
