//! The port through which byte streams to brokers come: plain TCP here, forwarded channels elsewhere.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

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
    /// For all addresses of a name together; each gets its share.
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
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let resolving = tokio::net::lookup_host((to.host.as_str(), to.port));
        let resolved = timeout(self.connect_timeout, resolving).await.map_err(|_elapsed| late())?;
        let addresses: Vec<_> = resolved?.collect();
        let share = self.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(Box::new(stream));
                }
                Ok(Err(error)) => failure = error,
                Err(_elapsed) => failure = late(),
            }
        }
        Err(failure)
    }
}
