//! This machine as a host: its own `sh` in place of a login shell over SSH.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use async_trait::async_trait;
use kafka_control::{BoxedStream, Dial, Endpoint, TcpDial};

use super::transport::{Running, Transport, TransportError};

/// Commands of this machine; no bound is imposed from outside, this one keeps a small machine responsive.
const PARALLEL_COMMANDS: usize = 8;

pub(crate) struct LocalTransport {
    /// Variables of our environment that no command needs to know.
    private: Vec<String>,
}

impl LocalTransport {
    pub(crate) fn new(private: Vec<String>) -> Self {
        Self { private }
    }
}

#[async_trait]
impl Transport for LocalTransport {
    async fn start(&self, line: &str) -> Result<Running, TransportError> {
        let mut command = tokio::process::Command::new("/bin/sh");
        for variable in &self.private {
            command.env_remove(variable);
        }
        let mut child = command
            .arg("-c")
            .arg(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C of the terminal is for us: we end what runs, in order.
            .process_group(0)
            .spawn()
            .map_err(TransportError::Start)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three streams were asked for")
        };
        let status = async move {
            let status = child.wait().await.map_err(TransportError::Start)?;
            Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
        };
        Ok(Running {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            status: Box::pin(status),
        })
    }

    async fn connect(&self, to: &Endpoint) -> io::Result<BoxedStream> {
        TcpDial::default().dial(to).await
    }

    fn parallel_commands(&self) -> usize {
        PARALLEL_COMMANDS
    }

    async fn close(&self) {}
}
