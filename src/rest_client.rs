//! A small client for Connect's REST API and the metrics page, over any stream a host can open.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use kafka_control::Endpoint;
use serde_json::Value;

use crate::host::Host;

/// A request is answered or given up within this time; the herder's own limit is 90 s.
const LIMIT: Duration = Duration::from_secs(100);
/// A worker answers from what it knows when it is only asked to look.
const LOOK_LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub(crate) enum RestError {
    #[error("{endpoint}: no connection from the host")]
    Connect {
        endpoint: Endpoint,
        #[source]
        source: std::io::Error,
    },
    #[error("{endpoint}: {method} {path}: the connection broke")]
    Http {
        endpoint: Endpoint,
        method: Method,
        path: String,
        #[source]
        source: hyper::Error,
    },
    #[error("{endpoint}: {method} {path}: no answer within {} s", after.as_secs())]
    TimedOut { endpoint: Endpoint, method: Method, path: String, after: Duration },
    #[error("{endpoint}: {method} {path}: status {status}: {message}")]
    Refused { endpoint: Endpoint, method: Method, path: String, status: StatusCode, message: String },
    #[error("{endpoint}: {method} {path}: the answer is not JSON")]
    NotJson {
        endpoint: Endpoint,
        method: Method,
        path: String,
        #[source]
        source: serde_json::Error,
    },
}

impl RestError {
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What the operator can do about it.
    pub(crate) fn hint(&self) -> String {
        let text = match self {
            Self::Connect { .. } => {
                "is the worker running? a run of `provision apply` starts it; its log is on the host: `docker logs` \
                 of its container, or `connect-worker.out` in its folder"
            }
            Self::Http { .. } | Self::TimedOut { .. } => {
                "the worker ended or hangs: look at its log on the host (`docker logs` of its container, or \
                 `connect-worker.out` in its folder), restart it if it hangs, and run again"
            }
            Self::Refused { status: StatusCode::CONFLICT, .. } => {
                "the workers are sharing out their tasks anew; if that does not end, look at their logs"
            }
            Self::Refused { .. } => "look at the worker's log of this moment",
            Self::NotJson { .. } => "something else than a Connect worker may listen on that port",
        };
        text.to_owned()
    }
}

/// One worker's listener, reached from one host.
pub(crate) struct RestClient<'a> {
    host: &'a dyn Host,
    endpoint: Endpoint,
}

impl<'a> RestClient<'a> {
    /// `endpoint` is as the host sees it: `127.0.0.1:8083`.
    pub(crate) fn new(host: &'a dyn Host, endpoint: Endpoint) -> Self {
        Self { host, endpoint }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, RestError> {
        self.json(Method::GET, path, None).await
    }

    /// A page as text: the metrics.
    pub(crate) async fn text(&self, path: &str) -> Result<String, RestError> {
        let bytes = self.exchange(Method::GET, path, None).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends a request with an optional JSON body; an empty answer is `null`.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RestError> {
        let bytes = self.exchange(method.clone(), path, body).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|source| RestError::NotJson {
            endpoint: self.endpoint.clone(),
            method,
            path: path.to_owned(),
            source,
        })
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, RestError> {
        let after = if method == Method::GET { LOOK_LIMIT } else { LIMIT };
        match tokio::time::timeout(after, self.unbounded(&method, path, body)).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                let endpoint = self.endpoint.clone();
                Err(RestError::TimedOut { endpoint, method, path: path.to_owned(), after })
            }
        }
    }

    async fn unbounded(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Bytes, RestError> {
        let http = |source| RestError::Http {
            endpoint: self.endpoint.clone(),
            method: method.clone(),
            path: path.to_owned(),
            source,
        };
        let stream = self
            .host
            .connect(&self.endpoint)
            .await
            .map_err(|source| RestError::Connect { endpoint: self.endpoint.clone(), source })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        let driver = tokio::spawn(connection);
        let body = body.map(|value| Bytes::from(value.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("Host", self.endpoint.to_string())
            .header("Accept", "application/json, text/plain")
            .header("Content-Type", "application/json")
            .header("Connection", "close")
            .body(Full::new(body))
            .expect("method, path and headers are valid by construction");
        let response = sender.send_request(request).await.map_err(http)?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(http)?.to_bytes();
        driver.abort();
        if status.is_success() {
            return Ok(bytes);
        }
        let message = serde_json::from_slice::<Value>(&bytes)
            .ok()
            .and_then(|body| body.get("message")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| String::from_utf8_lossy(&bytes).chars().take(200).collect());
        Err(RestError::Refused {
            endpoint: self.endpoint.clone(),
            method: method.clone(),
            path: path.to_owned(),
            status,
            message,
        })
    }
}

/// A name as a segment of a path.
pub(crate) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_path_segments() {
        assert_eq!(segment("plain-name_1.2"), "plain-name_1.2");
        assert_eq!(segment("a b/c%"), "a%20b%2Fc%25");
    }
}
