//! Sending a request on to the worker that can do it: leader or owner, two hops at most.

use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Method, StatusCode, header};

use crate::herder::HerderError;
use crate::herder::actor::TaskPublisher;
use crate::names::{ConnectorName, RawConfig};
use crate::rest::error::RestError;
use crate::rest::http_client::{self, HttpError};
use crate::rest::request::Received;

/// Renders a result, or has another worker answer when the herder says that it can.
pub(crate) async fn answer<T>(
    received: &Received,
    result: Result<T, HerderError>,
    render: impl FnOnce(T) -> Response,
) -> Response {
    let url = match result {
        Ok(value) => return render(value),
        Err(HerderError::NotLeader { leader_url: Some(url) }) => url,
        Err(HerderError::NotOwner { owner_url }) => owner_url,
        Err(error) => return RestError::from(error).into_response(),
    };
    match forward(received, &url).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

/// `None` when no further hop is allowed.
fn next_query(received: &Received) -> Option<String> {
    let hop = match received.forward() {
        None => "forward=true",
        Some(true) => "forward=false",
        Some(false) => return None,
    };
    Some(match received.plain_query.as_str() {
        "" => hop.to_owned(),
        plain => format!("{plain}&{hop}"),
    })
}

async fn forward(received: &Received, url: &str) -> Result<Response, RestError> {
    let Some(query) = next_query(received) else {
        return Err(HerderError::Conflict.into());
    };
    tracing::debug!(url, path = received.path, "forwarding request");
    let path = format!("{}?{query}", received.path);
    let authorization = received.authorization.as_ref();
    let answer =
        http_client::send(received.method.clone(), url, &path, authorization, received.body.clone()).await;
    let answer = answer.map_err(|error| io_error(&error))?;
    let mut response = Response::builder().status(answer.status);
    if let Some(location) = answer.location {
        response = response.header(header::LOCATION, location);
    }
    if !answer.body.is_empty() {
        response = response.header(header::CONTENT_TYPE, "application/json");
    }
    response.body(Body::from(answer.body)).map_err(|e| RestError::unreadable(e.to_string()))
}

fn io_error(error: &HttpError) -> RestError {
    let cause = std::error::Error::source(error).map(|c| format!(": {c}")).unwrap_or_default();
    RestError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("IO Error trying to forward REST request: {error}{cause}"),
    )
}

/// Publishes task configs to the leader over REST.
pub(crate) struct RestPublisher;

#[async_trait]
impl TaskPublisher for RestPublisher {
    async fn publish(&self, leader_url: &str, name: &ConnectorName, tasks: &[RawConfig]) {
        let path = format!("/connectors/{}/tasks?forward=true", encode(name.as_str()));
        let body = Bytes::from(serde_json::to_vec(tasks).expect("maps of texts are always JSON"));
        let mut pause = Duration::from_millis(250);
        loop {
            let sent = http_client::send(Method::POST, leader_url, &path, None, body.clone()).await;
            match sent {
                Ok(answer) if answer.status.is_success() => return,
                Ok(answer) => {
                    tracing::warn!(connector = %name, status = answer.status.as_u16(), "the leader did not take task configs, trying again");
                }
                Err(error) => {
                    tracing::warn!(connector = %name, error = &error as &dyn std::error::Error, "could not send task configs to the leader, trying again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(60));
        }
    }
}

/// Percent-encodes a path segment.
pub(crate) fn encode(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(encode("a b/ü-1"), "a%20b%2F%C3%BC-1");
    }
}
