//! A host behind any transport: the protocol of `protocol.rs` spoken, privileges applied, answers bounded.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use kafka_control::{BoxedStream, Endpoint};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::protocol::{self, Elevation};
use super::transport::{Running, Transport, TransportError};
use super::{Command, Host, HostError, HostFacts, Output, Privilege, Stdin, Sudo, facts};
use crate::inventory::model::HostName;

/// What one command may print before it is cut off; a host that floods us does not fill our memory.
const OUTPUT_LIMIT: u64 = 32 * 1024 * 1024;

/// How much longer than the remote side we wait, for a host that is gone without a word.
const GRACE: Duration = Duration::from_secs(30);

/// A connected host: facts and the way to root are known.
pub(crate) struct RemoteHost {
    name: HostName,
    transport: Arc<dyn Transport>,
    facts: HostFacts,
    sudo: Sudo,
    /// Bounds the commands that run at the same time (`MaxSessions` of sshd).
    commands: Semaphore,
}

impl RemoteHost {
    /// Looks at the host once: what it is, and how root is reached with `sudo_password` or without.
    ///
    /// A login without any way to root is not an error here; commands that ask for root are then refused.
    pub(crate) async fn connect(
        name: HostName,
        transport: Arc<dyn Transport>,
        sudo_password: Option<SecretString>,
    ) -> Result<Self, HostError> {
        let mut host = Self {
            commands: Semaphore::new(transport.parallel_commands()),
            name,
            transport,
            facts: HostFacts::default(),
            sudo: Sudo::Unavailable { said: String::new() },
        };
        let command = facts::command(sudo_password.as_ref());
        let sent = unix_seconds();
        let output = host.run(&command).await?;
        let midpoint = (sent + unix_seconds()) / 2.0;
        if output.status != 0 {
            return Err(HostError::failed(&host.name, &command, output));
        }
        let (facts, sudo) =
            facts::parse(&output.stdout, midpoint.floor() as i64).ok_or_else(|| HostError::Protocol {
                host: host.name.clone(),
                title: command.title.clone(),
                detail: output.stdout,
            })?;
        host.sudo = sudo
            .into_sudo(sudo_password)
            .ok_or_else(|| HostError::WrongSudoPassword { host: host.name.clone() })?;
        host.facts = facts;
        Ok(host)
    }

    fn elevation(&self, privilege: Privilege) -> Result<(Elevation, Option<&SecretString>), HostError> {
        match (privilege, &self.sudo) {
            (Privilege::Login, _) | (Privilege::Root, Sudo::NotNeeded) => Ok((Elevation::None, None)),
            (Privilege::Root, Sudo::Passwordless) => Ok((Elevation::Sudo, None)),
            (Privilege::Root, Sudo::Password(password)) => Ok((Elevation::SudoWithPassword, Some(password))),
            (Privilege::Root, Sudo::Unavailable { said }) => {
                Err(HostError::NoPrivilege { host: self.name.clone(), detail: said.clone() })
            }
        }
    }

    fn lost(&self, command: &Command, error: TransportError) -> HostError {
        match error {
            TransportError::Lost(detail) => {
                HostError::ConnectionLost { host: self.name.clone(), title: command.title.clone(), detail }
            }
            TransportError::Start(source) => {
                HostError::Start { host: self.name.clone(), title: command.title.clone(), source }
            }
        }
    }

    /// What a command that never reached its script says of the host.
    fn never_began(&self, command: &Command, elevation: Elevation, status: i32, stderr: &[u8]) -> HostError {
        let said = String::from_utf8_lossy(stderr).trim().to_owned();
        let host = self.name.clone();
        if elevation != Elevation::None && said.contains("sudo:") {
            return HostError::NoPrivilege { host, detail: said };
        }
        if status == 127 {
            return HostError::NoCoreutils { host, detail: said };
        }
        let detail = format!("the login shell ended with status {status} before the script began: {said}");
        HostError::Protocol { host, title: command.title.clone(), detail }
    }
}

#[async_trait]
impl Host for RemoteHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    fn facts(&self) -> &HostFacts {
        &self.facts
    }

    fn sudo(&self) -> &Sudo {
        &self.sudo
    }

    async fn run(&self, command: &Command) -> Result<Output, HostError> {
        let (elevation, password) = self.elevation(command.privilege)?;
        let payload = Payload::open(&command.stdin).await?;
        let header = protocol::header(password, &command.script, payload.length(), command.on_disconnect);
        let line = protocol::command_line(elevation, command.timeout);

        let _running = self.commands.acquire().await.expect("the semaphore is never closed");
        let started = Instant::now();
        let running = self.transport.start(&line).await.map_err(|error| self.lost(command, error))?;
        let Running { stdin, stdout, stderr, status } = running;
        let finished = async {
            let (stdout, stderr, status) = tokio::join!(read(stdout), read(stderr), status);
            status.map(|status| (stdout, stderr, status))
        };
        let limit = command.timeout + GRACE;
        let (stdout, stderr, status) = tokio::select! {
            finished = tokio::time::timeout(limit, finished) => match finished {
                Ok(finished) => finished.map_err(|error| self.lost(command, error))?,
                Err(_elapsed) => {
                    return Err(HostError::TimedOut {
                        host: self.name.clone(),
                        title: command.title.clone(),
                        seconds: limit.as_secs(),
                    });
                }
            },
            failed = feed(stdin, &header, payload) => return Err(failed.expect_err("feeding only ends by failing")),
        };
        tracing::debug!(
            host = %self.name,
            command = command.title,
            status,
            milliseconds = started.elapsed().as_millis() as u64,
            "command finished"
        );
        let (Some(out), Some(err)) = (protocol::after_begin(&stdout), protocol::after_begin(&stderr)) else {
            if status == protocol::CUT_SHORT {
                let error =
                    TransportError::Lost("the stream was cut before the script was complete".to_owned());
                return Err(self.lost(command, error));
            }
            return Err(self.never_began(command, elevation, status, &stderr));
        };
        // `timeout -k` reports its second, harder signal as 137, which a script may report too.
        let hard_killed = status == 137 && started.elapsed() >= command.timeout;
        Ok(Output {
            status: if hard_killed { protocol::TIMED_OUT } else { status },
            stdout: String::from_utf8_lossy(out).into_owned(),
            stderr: String::from_utf8_lossy(err).into_owned(),
        })
    }

    async fn connect(&self, to: &Endpoint) -> std::io::Result<BoxedStream> {
        self.transport.connect(to).await
    }

    async fn close(&self) {
        self.transport.close().await;
    }
}

/// The input of a script, opened before the command starts, so that a missing file is not the host's failure.
enum Payload<'a> {
    Bytes(&'a [u8]),
    File { path: &'a std::path::Path, file: tokio::fs::File, length: u64 },
}

impl<'a> Payload<'a> {
    async fn open(stdin: &'a Stdin) -> Result<Self, HostError> {
        match stdin {
            Stdin::Empty => Ok(Self::Bytes(&[])),
            Stdin::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Stdin::File(path) => {
                let failed = |source| HostError::LocalFile { path: path.clone(), source };
                let file = tokio::fs::File::open(path).await.map_err(failed)?;
                let length = file.metadata().await.map_err(failed)?.len();
                Ok(Self::File { path, file, length })
            }
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

/// Writes header and payload, then keeps the stream open: its end tells the remote side that we are gone.
///
/// Only ends when a local file cannot be read. A remote side that stops reading is not an error here: its exit status
/// says why.
async fn feed(
    mut stdin: Box<dyn AsyncWrite + Send + Unpin>,
    header: &[u8],
    payload: Payload<'_>,
) -> Result<Infallible, HostError> {
    let mut is_open = stdin.write_all(header).await.is_ok();
    match payload {
        Payload::Bytes(bytes) => is_open = is_open && stdin.write_all(bytes).await.is_ok(),
        Payload::File { path, file, length } => {
            let mut file = file.take(length);
            let mut buffer = vec![0; 64 * 1024];
            let mut left = length;
            while is_open && left > 0 {
                let read = match file.read(&mut buffer).await {
                    Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                    other => other,
                };
                let read = read.map_err(|source| HostError::LocalFile { path: path.to_owned(), source })?;
                left -= read as u64;
                is_open = stdin.write_all(&buffer[..read]).await.is_ok();
            }
        }
    }
    if is_open {
        // A stream that cannot be flushed is closed, which the exit status tells.
        let _closed = stdin.flush().await;
    }
    std::future::pending().await
}

/// Everything up to the end of the stream, or to the limit. A stream that breaks ends there; the status says why.
async fn read(stream: Box<dyn AsyncRead + Send + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut limited = stream.take(OUTPUT_LIMIT);
    // What was read before an error stays in the buffer.
    let _broken = limited.read_to_end(&mut bytes).await;
    let mut rest = limited.into_inner();
    let _discarded = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    bytes
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
