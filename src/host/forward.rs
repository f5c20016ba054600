//! A stream through the SSH connection that says why when the far end could not be reached.
//!
//! ssh accepts on our side before it asks the host to connect; a refusal shows only as an end without a byte, and as a
//! line in the master's log. This wrapper turns the former into an error with the latter.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use kafka_control::Endpoint;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use super::ssh_failure;

pub(super) struct Forwarded {
    stream: UnixStream,
    to: Endpoint,
    log: PathBuf,
    has_answered: bool,
}

impl Forwarded {
    pub(super) fn new(stream: UnixStream, to: Endpoint, log: PathBuf) -> Self {
        Self { stream, to, log, has_answered: false }
    }

    fn refusal(&self) -> io::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let reason = ssh_failure::refusal(&log).unwrap_or_else(|| ssh_failure::summary(&log));
        io::Error::new(
            io::ErrorKind::ConnectionRefused,
            format!("the host could not connect to {}: {reason}", self.to),
        )
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.has_answered = true;
            return Poll::Ready(read);
        }
        if self.has_answered || buf.remaining() == 0 {
            return Poll::Ready(read);
        }
        Poll::Ready(Err(self.refusal()))
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(written.map_err(|error| if self.has_answered { error } else { self.refusal() }))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
