//! One plain HTTP request at a time, for REST interfaces under test.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Error;

/// How long a server may take for its answer.
const LIMIT: Duration = Duration::from_secs(120);

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// The status line and the headers, as sent.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Sends one request to `HOST:PORT`; a body that is not empty goes as JSON. It speaks HTTP/1.0, so that the server
/// closes the connection and sends the body in one piece.
///
/// Errors: [`Error::Http`] when nothing answers there, or not with HTTP.
pub async fn request(address: &str, method: &str, path: &str, body: &str) -> Result<Answer, Error> {
    let url = || format!("{method} http://{address}{path}");
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let text = tokio::time::timeout(LIMIT, exchange)
        .await
        .unwrap_or_else(|elapsed| Err(elapsed.into()))
        .map_err(|source| Error::Http { request: url(), source })?;
    parse(&text).ok_or_else(|| {
        let source = std::io::Error::other(format!("not HTTP: {text:?}"));
        Error::Http { request: url(), source }
    })
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_head_and_body() {
        let answer = parse("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n{}").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, "{}"));
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n"), None);
    }
}
