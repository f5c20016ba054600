//! A host behind any transport: the protocol of `protocol.rs` spoken, privileges applied, answers bounded.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use kafka_control::{BoxedStream, Endpoint};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, RwLock, Semaphore, oneshot};

use super::lock;
use super::looks::{self, Gathered};
use super::protocol::{self, Elevation};
use super::transport::{Running, Transport, TransportError};
use super::{Command, Host, HostError, HostFacts, OnDisconnect, Output, Privilege, Stdin, Sudo, facts};
use crate::causes::chain;
use crate::inventory::model::HostName;

/// What one command may print before it is cut off; a host that floods us does not fill our memory.
const OUTPUT_LIMIT: u64 = 32 * 1024 * 1024;

/// Room for what a look usually prints.
const READ_AT_ONCE: usize = 16 * 1024;

/// Exit status of sudo when it runs nothing.
const SUDO_REFUSED: i32 = 1;

/// How much longer than the remote side we wait, for a host that is gone without a word.
const GRACE: Duration = Duration::from_secs(30);

/// A connected host: its facts are known, and the way to root unless it is only believed so far.
pub(crate) struct RemoteHost {
    name: HostName,
    transport: Arc<dyn Transport>,
    facts: HostFacts,
    /// As it was found or believed at connect.
    sudo: Sudo,
    /// What came of it when root was first asked for.
    tried_sudo: OnceLock<Sudo>,
    /// Bounds the commands that run at the same time (`MaxSessions` of sshd).
    commands: Semaphore,
    /// Held for reading by scripts that must come to their end.
    finishing: RwLock<()>,
    /// The script that holds the host's lock.
    lock: Mutex<Option<Running>>,
    looks: Gathered,
}

impl RemoteHost {
    /// Looks at the host once: what it is, and how root is reached with `sudo_password` or without.
    ///
    /// A login without any way to root is not an error here; commands that ask for root are then refused.
    /// `will_need_root`: then sudo without a password is believed to work until it is first used.
    ///
    /// `also` is a script that prints fields of its own as the login user, in the same round trip; what it printed is
    /// returned with the rest of the answer.
    pub(crate) async fn connect(
        name: HostName,
        transport: Arc<dyn Transport>,
        sudo_password: Option<SecretString>,
        will_need_root: bool,
        also: &str,
    ) -> Result<(Self, String), HostError> {
        let mut host = Self {
            commands: Semaphore::new(transport.parallel_commands()),
            finishing: RwLock::default(),
            lock: Mutex::default(),
            looks: Gathered::default(),
            name,
            transport,
            facts: HostFacts::default(),
            sudo: Sudo::Unavailable { said: String::new() },
            tried_sudo: OnceLock::new(),
        };
        let trusts_sudo = will_need_root && sudo_password.is_none();
        let command = facts::command(sudo_password.as_ref(), trusts_sudo, also);
        let sent = unix_seconds();
        let output = host.run_alone(&command).await.map_err(|error| match error {
            HostError::Start { host, source, .. } => HostError::Unreachable {
                host,
                detail: format!("the login works, but no command can be started: {}", chain(&source)),
            },
            other => other,
        })?;
        let midpoint = (sent + unix_seconds()) / 2.0;
        if output.status != 0 {
            return Err(HostError::failed(&host.name, &command, output));
        }
        let (facts, sudo) =
            facts::parse(&output.stdout, midpoint.floor() as i64).ok_or_else(|| HostError::Protocol {
                host: host.name.clone(),
                title: command.title.clone(),
                detail: output.stdout.clone(),
            })?;
        host.sudo = sudo
            .into_sudo(sudo_password)
            .ok_or_else(|| HostError::WrongSudoPassword { host: host.name.clone() })?;
        host.facts = facts;
        Ok((host, output.stdout))
    }

    fn elevation(&self, privilege: Privilege) -> Result<(Elevation, Option<&SecretString>), HostError> {
        match (privilege, self.sudo()) {
            (Privilege::Login, _) | (Privilege::Root, Sudo::NotNeeded) => Ok((Elevation::None, None)),
            (Privilege::Root, Sudo::Passwordless) => Ok((Elevation::Sudo, None)),
            (Privilege::Root, Sudo::Password(password)) => Ok((Elevation::SudoWithPassword, Some(password))),
            (Privilege::Root, Sudo::Unavailable { said }) => Err(self.no_privilege(said.clone())),
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

    fn no_privilege(&self, detail: String) -> HostError {
        HostError::NoPrivilege { host: self.name.clone(), user: self.facts.login_user.clone(), detail }
    }

    /// What a command that never reached its script says of the host, on whichever output.
    fn never_began(
        &self,
        command: &Command,
        elevation: Elevation,
        status: i32,
        outputs: [&[u8]; 2],
    ) -> HostError {
        let outputs = outputs.map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
        let said = outputs.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("; ");
        let host = self.name.clone();
        // Login shell and wrapper worked at connect: what stops the first script for root with sudo's status is sudo,
        // whatever its words.
        let is_untried = self.tried_sudo.get().is_none() && status == SUDO_REFUSED;
        if elevation != Elevation::None && (is_untried || said.contains("sudo:")) {
            let said = sudo_alone(&outputs);
            // Of a way that has led to root before, this is no more than a failure.
            self.tried_sudo.get_or_init(|| Sudo::Unavailable { said: said.clone() });
            return self.no_privilege(said);
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
        self.tried_sudo.get().unwrap_or(&self.sudo)
    }

    async fn run(&self, command: &Command) -> Result<Output, HostError> {
        if looks::may_join(command)
            && let Some(output) = self.look_together(command).await
        {
            return Ok(output);
        }
        self.run_alone(command).await
    }

    async fn connect(&self, to: &Endpoint) -> std::io::Result<BoxedStream> {
        self.transport.connect(to).await
    }

    async fn lock(&self, name: &str, owner: &str) -> Result<(), HostError> {
        let command = lock::command(name, owner);
        let (elevation, password) = self.elevation(command.privilege)?;
        let header = protocol::header(password, &command.script, 0, command.on_disconnect);
        let line = protocol::command_line(elevation, command.timeout);
        let mut running = self.transport.start(&line).await.map_err(|error| self.lost(&command, error))?;
        let unanswered = |said: &[u8]| HostError::Protocol {
            host: self.name.clone(),
            title: command.title.clone(),
            detail: String::from_utf8_lossy(said).trim().to_owned(),
        };
        let mut said = Vec::new();
        let answer = async {
            running.stdin.write_all(&header).await.ok()?;
            running.stdin.flush().await.ok()?;
            loop {
                let known = said.len();
                let is_over = running.stdout.read_buf(&mut said).await.ok()? == 0;
                if let Some(answer) = protocol::after_begin(&said).and_then(lock::answer) {
                    return Some(answer);
                }
                if is_over {
                    return None;
                }
                if let Some(end) = protocol::finished_at(&said, known) {
                    said.truncate(end);
                    return None;
                }
            }
        };
        match tokio::time::timeout(GRACE, answer).await {
            Ok(Some(lock::Answer::Locked)) => {
                *self.lock.lock().await = Some(running);
                self.transport.is_held();
                Ok(())
            }
            Ok(Some(lock::Answer::Held(owner))) => Err(HostError::Locked { host: self.name.clone(), owner }),
            Ok(None) => {
                let ended = async { (read(running.stderr).await, running.status.await) };
                let ended = tokio::time::timeout(GRACE, ended).await.map_err(|_elapsed| unanswered(&said))?;
                let (stderr, status) = (ended.0, ended.1.map_err(|error| self.lost(&command, error))?);
                let Some(stdout) = protocol::after_begin(&said) else {
                    return Err(self.never_began(&command, elevation, status, [&stderr, &said]));
                };
                let stderr = protocol::after_begin(&stderr).unwrap_or(&stderr);
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let output = Output { status, stdout: text(stdout), stderr: text(stderr) };
                Err(HostError::failed(&self.name, &command, output))
            }
            Err(_elapsed) => Err(unanswered(&said)),
        }
    }

    async fn settled(&self) {
        drop(self.finishing.write().await);
    }

    async fn close(&self) {
        drop(self.lock.lock().await.take());
        self.transport.close().await;
    }
}

impl RemoteHost {
    /// Takes a look together with all others that are asked for now. `None` when it has to be taken alone: there is no
    /// other, or it failed.
    async fn look_together(&self, command: &Command) -> Option<Output> {
        let (answer, answered) = oneshot::channel();
        if let Some(lead) = self.looks.add(command, answer) {
            tokio::time::sleep(looks::GATHERING).await;
            let gathered = lead.take();
            let askers = gathered.iter().map(|look| look.answers.len()).sum::<usize>();
            if askers > 1
                && let Ok(output) = self.run_alone(&looks::combine(&gathered)).await
            {
                let answers = looks::split(&output.stdout, gathered.len());
                for (waiting, answer) in gathered.into_iter().zip(answers) {
                    let Some(answer) = answer else { continue };
                    for asker in waiting.answers {
                        // Whoever asked may be gone.
                        let _ = asker.send(answer.clone());
                    }
                }
            }
        }
        answered.await.ok()
    }

    async fn run_alone(&self, command: &Command) -> Result<Output, HostError> {
        let (elevation, password) = self.elevation(command.privilege)?;
        let payload: &[u8] = match &command.stdin {
            Stdin::Empty => &[],
            Stdin::Bytes(bytes) => bytes,
        };
        let header = protocol::header(password, &command.script, payload.len(), command.on_disconnect);
        let line = protocol::command_line(elevation, command.timeout);

        let _finishing = match command.on_disconnect {
            OnDisconnect::Finish => Some(self.finishing.read().await),
            OnDisconnect::End => None,
        };
        let _running = self.commands.acquire().await.expect("the semaphore is never closed");
        let started = Instant::now();
        let running = self.transport.start(&line).await.map_err(|error| self.lost(command, error))?;
        let Running { stdin, stdout, stderr, status } = running;
        let finished = async {
            let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
            status.await.map(|status| (stdout, stderr, status))
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
            never = feed(stdin, &header, payload) => match never {},
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
            return Err(self.never_began(command, elevation, status, [&stderr, &stdout]));
        };
        if elevation != Elevation::None {
            self.tried_sudo.get_or_init(|| self.sudo.clone());
        }
        // `timeout -k` reports its second, harder signal as 137, which a script may report too.
        let hard_killed = status == 137 && started.elapsed() >= command.timeout;
        Ok(Output {
            status: if hard_killed { protocol::TIMED_OUT } else { status },
            stdout: String::from_utf8_lossy(out).into_owned(),
            stderr: String::from_utf8_lossy(err).into_owned(),
        })
    }
}

/// Of these outputs what sudo says, on one line: a login may talk as well.
fn sudo_alone(outputs: &[String; 2]) -> String {
    let lines = || outputs.iter().flat_map(|text| text.lines());
    let mut words: Vec<&str> = lines().filter(|line| line.contains("sudo")).collect();
    if words.is_empty() {
        words = lines().collect();
    }
    words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes header and payload, then keeps the stream open: its end tells the remote side that we are gone.
///
/// Never ends. A remote side that stops reading is not an error here: its exit status says why.
async fn feed(mut stdin: Box<dyn AsyncWrite + Send + Unpin>, header: &[u8], payload: &[u8]) -> Infallible {
    let _closed: std::io::Result<()> = async {
        stdin.write_all(header).await?;
        stdin.write_all(payload).await?;
        stdin.flush().await
    }
    .await;
    std::future::pending().await
}

/// Everything up to the script's end or the stream's, or to the limit. A stream that breaks ends there; the status says
/// why.
async fn read(stream: Box<dyn AsyncRead + Send + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut limited = stream.take(OUTPUT_LIMIT);
    loop {
        let known = bytes.len();
        bytes.reserve(READ_AT_ONCE);
        if !limited.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
            break;
        }
        if let Some(end) = protocol::finished_at(&bytes, known) {
            bytes.truncate(end);
            return bytes;
        }
    }
    let mut rest = limited.into_inner();
    let _discarded = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    bytes
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
