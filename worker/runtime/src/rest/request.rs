//! What a handler needs of a request: the parsed body, and enough to send the same request on.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::rest::error::RestError;

/// More than any configuration needs.
const MAX_BODY: usize = 64 << 20;

/// A request as it came, with its body read.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    /// Still percent-encoded.
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// Query without `forward`.
    pub(crate) plain_query: String,
    pub(crate) authorization: Option<header::HeaderValue>,
    pub(crate) body: Bytes,
    is_json: bool,
}

impl Received {
    /// The body as JSON of a shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, RestError> {
        if !self.is_json {
            return Err(RestError::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        serde_json::from_slice(&self.body).map_err(|e| RestError::unreadable(without_values(&e)))
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.query.get(name).map_or(default, |v| v.is_empty() || v.eq_ignore_ascii_case("true"))
    }

    /// None: from a client. True: forwarded once. False: forwarded twice, no further.
    pub(crate) fn forward(&self) -> Option<bool> {
        self.query.get("forward").map(|v| v.eq_ignore_ascii_case("true"))
    }

    /// Values of a query parameter that may be repeated.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        pairs(&self.plain_query).into_iter().filter(|(k, _)| k == name).map(|(_, v)| v).collect()
    }
}

/// serde quotes the offending value, which may be a secret; the place is enough.
fn without_values(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => match error.to_string().split_once(", expected one of") {
            Some((unknown_field, _)) if unknown_field.starts_with("unknown field") => {
                unknown_field.to_owned()
            }
            _ => "JSON of another shape than expected".to_owned(),
        },
        _ => "malformed JSON".to_owned(),
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

impl<S: Send + Sync> FromRequest<S> for Received {
    type Rejection = Response;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let limited = http_body_util::Limited::new(body, MAX_BODY);
        let body = limited.collect().await.map_err(|_| {
            RestError::new(StatusCode::PAYLOAD_TOO_LARGE, "the request body could not be read")
                .into_response()
        })?;
        let raw_query = parts.uri.query().unwrap_or_default();
        let plain: Vec<&str> =
            raw_query.split('&').filter(|p| !p.is_empty() && !p.starts_with("forward=")).collect();
        Ok(Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: pairs(raw_query).into_iter().collect(),
            plain_query: plain.join("&"),
            authorization: parts.headers.get(header::AUTHORIZATION).cloned(),
            body: body.to_bytes(),
            is_json: is_json(&parts.headers),
        })
    }
}

/// A request without a content type counts as JSON: the JVM worker is as lenient.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
    essence.eq_ignore_ascii_case("application/json")
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|p| !p.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let expected = vec![("a".to_owned(), "x y".to_owned()), ("b".to_owned(), "1+2".to_owned())];
        assert_eq!(pairs("a=x%20y&b=1%2B2"), expected);
    }

    #[test]
    fn parse_errors_do_not_quote_values() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Shape {
            #[expect(dead_code, reason = "only its type matters")]
            a: u32,
        }
        for text in ["{\"a\":\"poison\"}", "{\"a\":1,\"b\":\"poison\"}", "{\"a\": poison}"] {
            let error = serde_json::from_str::<Shape>(text).unwrap_err();
            assert!(!without_values(&error).contains("poison"), "{error}");
        }
    }
}
