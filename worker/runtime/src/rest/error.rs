//! Errors as the JVM worker answers them: a status and `{"error_code", "message"}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::causes::chain;
use crate::herder::HerderError;
use crate::plugins::validate::JudgeError;

/// The body of every answer that is not a success.
#[derive(Debug, Serialize)]
struct ErrorMessage {
    error_code: u16,
    message: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RestError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl RestError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Malformed JSON, unknown fields, wrong values of fields: 500, not 400.
    pub(crate) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// `HTTP 404 Not Found` and its like.
    pub(crate) fn bare(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Self::new(status, format!("HTTP {} {reason}", status.as_u16()))
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let body = ErrorMessage { error_code: self.status.as_u16(), message: self.message };
        (self.status, Json(body)).into_response()
    }
}

impl From<HerderError> for RestError {
    fn from(error: HerderError) -> Self {
        let status = match &error {
            HerderError::NotFound(_) => StatusCode::NOT_FOUND,
            HerderError::AlreadyExists(_) | HerderError::Conflict | HerderError::NotOwner { .. } => {
                StatusCode::CONFLICT
            }
            HerderError::NotLeader { leader_url: None } => {
                return Self::new(
                    StatusCode::CONFLICT,
                    "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was \
                     underway.",
                );
            }
            HerderError::NotLeader { .. } => StatusCode::CONFLICT,
            HerderError::Invalid(_) => StatusCode::BAD_REQUEST,
            HerderError::Unjudged(JudgeError::NoClass | JudgeError::Plugin(_)) => StatusCode::BAD_REQUEST,
            HerderError::Unjudged(JudgeError::Provider(source)) => {
                return Self::bad_request(format!("{error}: {source}"));
            }
            HerderError::Forbidden(_) => StatusCode::FORBIDDEN,
            HerderError::Store(_) | HerderError::TimedOut { .. } | HerderError::ShuttingDown => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = &error as &dyn std::error::Error, "request failed");
        }
        let message = match &error {
            // What happened to Kafka is what the user has to hear.
            HerderError::Store(source) => format!("{error}: {}", chain(source)),
            _ => error.to_string(),
        };
        Self::new(status, message)
    }
}
