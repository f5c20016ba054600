//! One HTTP request to another worker.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<header::HeaderValue>,
    pub(crate) body: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{url} is not a URL of a worker")]
    Url { url: String },
    #[error("could not connect to {authority}")]
    Connect {
        authority: String,
        #[source]
        source: std::io::Error,
    },
    #[error("HTTP exchange with {authority} failed")]
    Exchange {
        authority: String,
        #[source]
        source: hyper::Error,
    },
    #[error("request could not be built")]
    Request(#[source] http::Error),
    #[error("{authority} did not answer in time")]
    TimedOut { authority: String },
}

/// Sends a request to `base` (an advertised URL) and `path_and_query`. Redirects are not followed.
pub(crate) async fn send(
    method: Method,
    base: &str,
    path_and_query: &str,
    authorization: Option<&header::HeaderValue>,
    body: Bytes,
) -> Result<Answer, HttpError> {
    let not_a_url = || HttpError::Url { url: base.to_owned() };
    let authority = base.strip_prefix("http://").ok_or_else(not_a_url)?.trim_end_matches('/').to_owned();
    match tokio::time::timeout(TIMEOUT, exchange(method, &authority, path_and_query, authorization, body))
        .await
    {
        Ok(result) => result,
        Err(_) => Err(HttpError::TimedOut { authority }),
    }
}

async fn exchange(
    method: Method,
    authority: &str,
    path_and_query: &str,
    authorization: Option<&header::HeaderValue>,
    body: Bytes,
) -> Result<Answer, HttpError> {
    let stream = TcpStream::connect(authority)
        .await
        .map_err(|source| HttpError::Connect { authority: authority.to_owned(), source })?;
    let failed = |source| HttpError::Exchange { authority: authority.to_owned(), source };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with the sender below.
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path_and_query)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "kafka-connect");
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let request = request.body(Full::new(body)).map_err(HttpError::Request)?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(failed)?.to_bytes();
    connection.abort();
    Ok(Answer { status: parts.status, location: parts.headers.get(header::LOCATION).cloned(), body })
}
