//! The Connect group as its coordinator describes it, asked through a host's sshd like any forwarded connection.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{self, Poll};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use kafka_control::{
    BoxedStream, Client, ClientConfig, Dial, Endpoint, GroupDescription, HostnameCheck, Sasl, Security, Tls,
    Trust,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::ground::Ground;

pub(super) async fn describe(ground: &Ground, group: &str) -> Result<GroupDescription> {
    let kafka = &ground.kafka;
    let trusted = pki::certificates_from_pem(kafka.ca_pem().context("Kafka has TLS")?)?;
    let tls = Tls::new(Trust::Certificates(trusted), None, HostnameCheck::Required)?;
    let sasl = Sasl::ScramSha512 {
        username: kafka.admin_username().to_owned(),
        password: kafka.admin_password().clone(),
    };
    let security = Security { tls: Some(tls), sasl: Some(sasl) };
    let dial = ThroughSsh {
        login: format!("{}@{}", ground.bookworm.user(), ground.bookworm.address()),
        identity: ground.bookworm.identity().to_owned(),
    };
    let config = ClientConfig::new(Endpoint::parse_list(kafka.bootstrap())?, security);
    Ok(Client::new(config, Arc::new(dial)).describe_group(group).await?)
}

/// `ssh -W`: a byte stream from a host.
struct ThroughSsh {
    login: String,
    identity: PathBuf,
}

#[async_trait]
impl Dial for ThroughSsh {
    async fn dial(&self, to: &Endpoint) -> io::Result<BoxedStream> {
        let mut child = Command::new("ssh")
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
            // The host's key is pinned in the inventory; here it only must not hinder.
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i"])
            .arg(&self.identity)
            .args(["-W", &format!("{}:{}", to.host, to.port), &self.login])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Box::new(Piped { stdin, stdout, _child: child }))
    }
}

/// A child's stdin and stdout as one stream; dropping it ends the child.
struct Piped {
    stdin: ChildStdin,
    stdout: ChildStdout,
    _child: Child,
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
