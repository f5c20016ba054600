//! The port through which byte streams to brokers come: plain TCP here, forwarded channels elsewhere.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::endpoint::Endpoint;

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub type BoxedStream = Box<dyn Stream>;

/// Makes byte streams to brokers.
///
/// Called once per connection, from several tasks at the same time, with the endpoint as the cluster advertises it: TLS
/// then checks the certificate against that host name, wherever the stream really ends. The caller limits the time and
/// drops the future when it is over, so an implementation must be cancel-safe.
#[async_trait]
pub trait Dial: Send + Sync {
    async fn dial(&self, to: &Endpoint) -> io::Result<BoxedStream>;
}

/// Connects directly; the machine's resolver knows the names.
#[derive(Debug, Clone, Copy)]
pub struct TcpDial {
    pub connect_timeout: Duration,
}

impl Default for TcpDial {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10) }
    }
}

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, to: &Endpoint) -> io::Result<BoxedStream> {
        let connecting = TcpStream::connect((to.host.as_str(), to.port));
        let stream = match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => connected?,
            Err(_elapsed) => return Err(io::ErrorKind::TimedOut.into()),
        };
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
