//! SSH: one master connection per host and run, every command and stream a channel of it.
//!
//! A run has one short private directory with the generated configuration, the control sockets and the sockets of
//! forwarded streams. A jump host has a master too, shared by all hosts behind it, so ten hosts behind one jump host
//! log in there once. Masters end by themselves seconds after this process is gone: an idle channel that ends with our
//! end of its input keeps them alive until then.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use kafka_control::{BoxedStream, Endpoint};
use openssh::{ForwardType, Session, Socket, Stdio};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

use super::forward::Forwarded;
use super::run_dir::RunDir;
use super::ssh_config::{self, HopError, HopFiles, SshHop, SshTarget};
use super::ssh_failure::{self, SshFailure};
use super::ssh_jump::{self, JumpError};
use super::ssh_master::{self, LaunchError};
use super::transport::{Running, Transport, TransportError};
use super::{HostError, mux};
use crate::inventory::model::HostName;

/// sshd allows 10 sessions per connection by default; one is the idle one or the lock's, one is left to spare.
const PARALLEL_COMMANDS: usize = 8;

/// Logins that are under way at the same time; sshd's `MaxStartups` starts to refuse at ten.
const PARALLEL_LOGINS: usize = 8;

/// How often a login is tried that the server closed early.
const LOGIN_ATTEMPTS: u32 = 6;

/// How often a session is asked for that the server refuses, for servers with a smaller `MaxSessions`.
const SESSION_ATTEMPTS: u32 = 8;

/// Jump hosts on the way to one host; more are a loop.
const LONGEST_CHAIN: usize = 8;

/// How long a master without channels stays: long enough between login and first command, short after we are gone.
const HOST_IDLE_SECONDS: u32 = 5;

/// The same for a jump host, which has no idle channel of ours: its login may allow no commands.
const JUMP_IDLE_SECONDS: u32 = 20;

/// When a connection gets its idle channel; well before a master without channels ends.
const IDLE_AFTER: Duration = Duration::from_secs(2);

/// The command of the idle channel: right in every login shell, ends when our end of its input does.
const IDLE_LINE: &str = "cat";

/// The master of one jump host; locked while it logs in.
type JumpSlot = Arc<Mutex<Option<Arc<Master>>>>;

/// All SSH of one run.
pub(crate) struct SshRun {
    dir: RunDir,
    logins: Semaphore,
    /// Masters of jump hosts by the chain that leads to them, the jump host itself last.
    jumps: Mutex<HashMap<Vec<SshHop>, JumpSlot>>,
    /// Variables of our environment that ssh does not need to know.
    private: Vec<String>,
    /// The user's ssh configuration may ask for jump hosts of its own.
    may_jump: bool,
    next_file: AtomicU64,
}

impl SshRun {
    /// Makes the run's private directory and removes those of runs that died.
    ///
    /// `private` are the names of variables in our environment that hold secrets.
    pub(crate) fn create(private: Vec<String>) -> Result<Arc<Self>, HostError> {
        Ok(Arc::new(Self {
            dir: RunDir::create()?,
            logins: Semaphore::new(PARALLEL_LOGINS),
            jumps: Mutex::default(),
            private,
            may_jump: ssh_jump::may_be_asked_for(),
            next_file: AtomicU64::new(0),
        }))
    }

    /// Connects to a host, through its jump hosts if it has any.
    pub(crate) async fn connect(self: &Arc<Self>, target: &SshTarget) -> Result<SshTransport, HostError> {
        let jumps = self.jumps(target).await?;
        let jump = self.jump_master(&target.host, &jumps).await?;
        let master = Arc::new(self.login(&target.host, &target.hop, jump, Role::Host).await?);
        let idle = tokio::spawn(keep_from_idling(Arc::clone(&master)));
        Ok(SshTransport { run: Arc::clone(self), master, forwards: Mutex::default(), idle })
    }

    /// Ends the masters of jump hosts and removes the run's directory. Call it when the hosts are closed.
    pub(crate) async fn close(&self) {
        for (_, slot) in self.jumps.lock().await.drain() {
            if let Some(master) = slot.lock().await.take() {
                master.end().await;
            }
        }
        self.dir.remove();
    }

    /// Every jump host on the way: those of the target, before them those that the user's ssh configuration asks for.
    async fn jumps(&self, target: &SshTarget) -> Result<Vec<SshHop>, HostError> {
        let host = &target.host;
        let mut chain = target.jump.clone();
        if !self.may_jump {
            return Ok(chain);
        }
        loop {
            let first = chain.first().unwrap_or(&target.hop);
            let config = self.write_config(first, None).map_err(|error| error.on(host))?;
            let before = ssh_jump::asked_for(&config, &first.address, &self.private).await.map_err(
                |error| match error {
                    JumpError::Run(source) => HostError::Ssh { host: host.clone(), source },
                    JumpError::Refused(detail) => HostError::SshConfig { host: host.clone(), detail },
                },
            )?;
            let Some(next) = before.first() else { return Ok(chain) };
            if chain.len() + before.len() > LONGEST_CHAIN {
                let source = HopError::JumpLoop { limit: LONGEST_CHAIN, again: next.address.clone() };
                return Err(HostError::WrongAddress { host: host.clone(), source });
            }
            chain.splice(0..0, before);
        }
    }

    /// The living master of the last jump host of `chain`; `None` for an empty chain.
    fn jump_master<'a>(
        self: &'a Arc<Self>,
        host: &'a HostName,
        chain: &'a [SshHop],
    ) -> BoxFuture<'a, Result<Option<Arc<Master>>, HostError>> {
        Box::pin(async move {
            let Some((last, before)) = chain.split_last() else { return Ok(None) };
            let slot = Arc::clone(self.jumps.lock().await.entry(chain.to_vec()).or_default());
            // Hosts behind the same jump host wait here while the first of them logs in.
            let mut slot = slot.lock().await;
            if let Some(master) = slot.as_ref()
                && master.session.check().await.is_ok()
            {
                return Ok(Some(Arc::clone(master)));
            }
            let previous = self.jump_master(host, before).await?;
            let master = Arc::new(self.login(host, last, previous, Role::Jump).await?);
            *slot = Some(Arc::clone(&master));
            Ok(Some(master))
        })
    }

    /// Starts a master for one hop, with patience for servers that shed load.
    async fn login(
        &self,
        host: &HostName,
        hop: &SshHop,
        jump: Option<Arc<Master>>,
        role: Role,
    ) -> Result<Master, HostError> {
        let config = self.write_config(hop, jump.as_deref()).map_err(|error| error.on(host))?;
        let mut attempt = 1;
        loop {
            let launched = {
                let _login = self.logins.acquire().await.expect("the semaphore is never closed");
                let idle = role.idle_seconds();
                ssh_master::launch(self.dir.path(), &config, &hop.address, idle, &self.private).await
            };
            let log = match launched {
                Ok(socket_dir) => {
                    let log = socket_dir.path().join("log");
                    let session = Arc::new(Session::new_native_mux(socket_dir));
                    return Ok(Master { address: hop.address.clone(), session, log, config, _jump: jump });
                }
                Err(LaunchError::Login(log)) => log,
                Err(LaunchError::Start(source)) => {
                    return Err(HostError::Ssh { host: host.clone(), source });
                }
            };
            let failure = ssh_failure::classify(&log);
            let detail = match ssh_failure::shown_fingerprint(&log) {
                Some(fingerprint) => format!("it shows {fingerprint}"),
                None => ssh_failure::summary(&log),
            };
            if failure == SshFailure::ClosedEarly && attempt < LOGIN_ATTEMPTS {
                tracing::debug!(%host, address = hop.address, attempt, detail, "login closed early, trying again");
                tokio::time::sleep(backoff(attempt)).await;
                attempt += 1;
                continue;
            }
            let mut detail = match role {
                Role::Jump => format!("jump host {}: {detail}", hop.address),
                Role::Host if host.to_string() == hop.address => detail,
                Role::Host => format!("{}: {detail}", hop.address),
            };
            // Whose channel it was, the log does not say; it is told only when nothing has helped.
            if failure == SshFailure::ClosedEarly
                && let Some(jump) = &jump
                && let Some(reason) = jump.last_refusal()
            {
                detail += &format!("; the jump host {} says: {reason}", jump.address);
            }
            let host = host.clone();
            return Err(match failure {
                SshFailure::UnknownHostKey => HostError::UnknownHostKey { host, detail },
                SshFailure::ChangedHostKey => HostError::ChangedHostKey { host, detail },
                SshFailure::LoginRefused => HostError::LoginRefused { host, detail },
                SshFailure::Configuration => HostError::SshConfig { host, detail },
                SshFailure::ClosedEarly | SshFailure::Unreachable => HostError::Unreachable { host, detail },
            });
        }
    }

    fn write_config(&self, hop: &SshHop, jump: Option<&Master>) -> Result<PathBuf, ConfigError> {
        let number = self.next_number();
        let known_hosts = self.dir.path().join(format!("{number}.known"));
        if !hop.host_keys.is_empty() {
            let lines: Vec<String> = hop
                .host_keys
                .iter()
                .map(|key| ssh_config::known_hosts_line(key))
                .collect::<Result<_, _>>()?;
            write(&known_hosts, &lines.concat())?;
        }
        let jump =
            jump.map(|jump| (jump.config.as_path(), jump.session.control_socket(), jump.address.as_str()));
        let text = ssh_config::render(hop, &HopFiles { known_hosts: &known_hosts, jump })?;
        let config = self.dir.path().join(format!("{number}.conf"));
        write(&config, &text)?;
        Ok(config)
    }

    fn next_number(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }
}

#[derive(Debug, thiserror::Error)]
enum ConfigError {
    #[error(transparent)]
    Hop(#[from] HopError),
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    fn on(self, host: &HostName) -> HostError {
        match self {
            Self::Hop(source) => HostError::WrongAddress { host: host.clone(), source },
            Self::Write { path, source } => HostError::LocalFile { path, source },
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), ConfigError> {
    std::fs::write(path, text).map_err(|source| ConfigError::Write { path: path.to_owned(), source })
}

/// What a hop is to the run.
#[derive(Debug, Clone, Copy)]
enum Role {
    Jump,
    Host,
}

impl Role {
    fn idle_seconds(self) -> u32 {
        match self {
            Self::Jump => JUMP_IDLE_SECONDS,
            Self::Host => HOST_IDLE_SECONDS,
        }
    }
}

/// Doubles from a quarter of a second, with a quarter of jitter so that ten hosts do not come back together.
fn backoff(attempt: u32) -> Duration {
    let base = Duration::from_millis(250) * 2_u32.pow(attempt.saturating_sub(1).min(5));
    base + base.mul_f64(rand::random_range(0.0..0.25))
}

/// One ssh process that holds a connection.
struct Master {
    address: String,
    session: Arc<Session>,
    /// What ssh says: open failures of channels, the end of the connection.
    log: PathBuf,
    config: PathBuf,
    /// Kept alive as long as this one needs it.
    _jump: Option<Arc<Master>>,
}

impl Master {
    fn last_words(&self) -> String {
        // Without a log there are no last words; the failure itself is reported by the caller.
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        if log.trim().is_empty() {
            return "it was closed without a word, by the host or on the way".to_owned();
        }
        ssh_failure::summary(&log)
    }

    /// Why the server last refused to connect further.
    fn last_refusal(&self) -> Option<String> {
        ssh_failure::refusal(&std::fs::read_to_string(&self.log).ok()?)
    }

    /// Starts a command as a channel of this connection.
    async fn start(self: &Arc<Self>, line: &str) -> Result<Running, TransportError> {
        let mut attempt = 1;
        let mut child = loop {
            let mut command = Arc::clone(&self.session).arc_raw_command(line);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            match command.spawn().await {
                Ok(child) => break child,
                Err(openssh::Error::Disconnected) => {
                    return Err(TransportError::Lost(self.last_words()));
                }
                Err(error) if attempt == SESSION_ATTEMPTS => {
                    return Err(TransportError::Start(io::Error::other(error)));
                }
                // The server has as many sessions as it allows; one of ours ends soon.
                Err(_refused) => tokio::time::sleep(backoff(attempt)).await,
            }
            attempt += 1;
        };
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            unreachable!("all three streams were asked for")
        };
        let master = Arc::clone(self);
        let status = async move {
            match child.wait().await {
                Ok(status) => Ok(status.code().unwrap_or(-1)),
                // The crate takes 127 for "not found", which a script may end with as well.
                Err(openssh::Error::Remote(_)) => Ok(127),
                Err(_ended) => Err(TransportError::Lost(master.last_words())),
            }
        };
        Ok(Running {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            status: Box::pin(status),
        })
    }

    async fn end(&self) {
        if let Err(error) = mux::terminate(self.session.control_socket()).await {
            // It is gone already, or goes by itself when it has been idle for its few seconds.
            tracing::debug!(address = self.address, %error, "the SSH master did not take its end");
        }
    }
}

/// Holds a channel open from a while after the login on; runs that end before that need none. Never ends by itself.
async fn keep_from_idling(master: Arc<Master>) {
    tokio::time::sleep(IDLE_AFTER).await;
    match master.start(IDLE_LINE).await {
        Ok(idle) => {
            std::future::pending::<()>().await;
            drop(idle);
        }
        // Commands keep the connection while they run; the next one says what became of it.
        Err(error) => {
            tracing::debug!(address = master.address, %error, "no channel to keep the connection with")
        }
    }
}

/// A connected host's shell and network.
pub(crate) struct SshTransport {
    run: Arc<SshRun>,
    master: Arc<Master>,
    /// Sockets that the master listens on, by the endpoint they lead to.
    forwards: Mutex<HashMap<Endpoint, PathBuf>>,
    /// Keeps the master from being idle while commands run elsewhere.
    idle: JoinHandle<()>,
}

#[async_trait]
impl Transport for SshTransport {
    async fn start(&self, line: &str) -> Result<Running, TransportError> {
        self.master.start(line).await
    }

    async fn connect(&self, to: &Endpoint) -> io::Result<BoxedStream> {
        let socket = {
            let mut forwards = self.forwards.lock().await;
            match forwards.get(to) {
                Some(socket) => socket.clone(),
                None => {
                    let socket = self.run.dir.path().join(format!("{}.forward", self.run.next_number()));
                    self.master
                        .session
                        .request_port_forward(
                            ForwardType::Local,
                            Socket::from(socket.as_path()),
                            Socket::new(to.host.as_str(), to.port),
                        )
                        .await
                        .map_err(io::Error::other)?;
                    forwards.insert(to.clone(), socket.clone());
                    socket
                }
            }
        };
        let stream = UnixStream::connect(&socket).await?;
        Ok(Box::new(Forwarded::new(stream, to.clone(), self.master.log.clone())))
    }

    fn is_held(&self) {
        self.idle.abort();
    }

    fn parallel_commands(&self) -> usize {
        PARALLEL_COMMANDS
    }

    async fn close(&self) {
        self.idle.abort();
        self.master.end().await;
    }
}
