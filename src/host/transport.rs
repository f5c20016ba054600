//! The port under [`super::RemoteHost`]: one command line in, three streams and an exit status out.

use std::io;

use async_trait::async_trait;
use futures::future::BoxFuture;
use kafka_control::{BoxedStream, Endpoint};
use tokio::io::{AsyncRead, AsyncWrite};

/// Why a transport could not start or finish a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// The connection to the host is gone.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The command never started: the local shell is missing, or the session is refused.
    #[error("cannot start a command")]
    Start(#[source] io::Error),
}

/// A started command line. Dropping it closes the streams; the remote side ends itself when it sees that.
pub(crate) struct Running {
    pub(crate) stdin: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Resolves to the exit status; 128 + signal number when a signal ended the command.
    ///
    /// Asked for when both outputs have come to their end, or to that of the script: over SSH the status may arrive before them, and whoever
    /// takes it gives up what is still on its way.
    pub(crate) status: BoxFuture<'static, Result<i32, TransportError>>,
}

/// A way to run command lines in the login shell of some machine.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// Starts `line` in the login shell. Called from several tasks at once.
    async fn start(&self, line: &str) -> Result<Running, TransportError>;

    /// Opens a TCP stream from that machine to `to`.
    async fn connect(&self, to: &Endpoint) -> io::Result<BoxedStream>;

    /// Says that a command of ours stays until the end, so that nothing else has to keep the connection.
    fn is_held(&self) {}

    /// How many commands may run at the same time.
    fn parallel_commands(&self) -> usize;

    /// Ends the connection in order.
    async fn close(&self);
}
