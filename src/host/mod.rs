//! A machine that `provision` works on: where commands run, files are written and streams start.
//!
//! Everything a phase does to a host goes through [`Host`]. A real host is a [`Transport`] (an SSH session or this
//! machine's own shell) under the one protocol of `remote.rs`; `fake.rs` is a host in memory. Nothing here knows
//! Kafka, Connect or the inventory's YAML.

mod error;
mod facts;
mod forward;
mod local;
mod lock;
mod looks;
mod mux;
mod protocol;
mod remedy;
mod remote;
mod run_dir;
mod ssh;
mod ssh_config;
mod ssh_failure;
mod ssh_jump;
mod ssh_master;
mod transport;

#[cfg(test)]
pub(crate) mod fake;

use std::time::Duration;

use async_trait::async_trait;
use kafka_control::{BoxedStream, Endpoint};
use secrecy::SecretString;

pub(crate) use error::HostError;
pub(crate) use local::LocalTransport;
pub(crate) use lock::lock_file;
pub(crate) use remote::RemoteHost;
pub(crate) use ssh::SshRun;
pub(crate) use ssh_config::{SshHop, SshTarget};
pub(crate) use transport::Transport;

use crate::inventory::model::HostName;

/// How long a remote command may run unless it says otherwise; the remote side enforces it as well.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// As whom a command runs on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// The user that logged in.
    Login,
    /// Root: directly, or through sudo, see [`Host::sudo`].
    Root,
}

/// Whether what a command prints may be quoted in errors. Scripts and inputs are never shown, nor logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sensitivity {
    Public,
    /// It may say a secret that it was given.
    Secret,
}

/// What becomes of a script when the connection to this machine ends before it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDisconnect {
    /// Its whole process group is ended.
    End,
    /// It runs to its end or its time limit: half an installation is worse than one nobody watches. Such a script must
    /// not print while it works, for the other end of its output may be gone.
    Finish,
}

/// What a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It changes nothing: it may be put together with others, and be run again.
    Look,
    /// It changes something, or waits for something.
    Act,
}

/// One POSIX `sh` script to run on a host. It travels on standard input, never in an argument list.
#[derive(Clone)]
pub(crate) struct Command {
    /// What it does, for logs and errors: `load the worker image`.
    pub(crate) title: String,
    /// Script text; values in it are quoted by [`crate::shell::quote`].
    pub(crate) script: String,
    /// Standard input of the script.
    pub(crate) stdin: Stdin,
    pub(crate) privilege: Privilege,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) purpose: Purpose,
    pub(crate) timeout: Duration,
}

/// What a script reads from its standard input.
#[derive(Clone)]
pub(crate) enum Stdin {
    Empty,
    Bytes(bytes::Bytes),
}

impl Command {
    pub(crate) fn new(title: impl Into<String>, script: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            script: script.into(),
            stdin: Stdin::Empty,
            privilege: Privilege::Login,
            sensitivity: Sensitivity::Public,
            on_disconnect: OnDisconnect::End,
            purpose: Purpose::Act,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// A script that changes nothing.
    pub(crate) fn look(title: impl Into<String>, script: impl Into<String>) -> Self {
        Self { purpose: Purpose::Look, ..Self::new(title, script) }
    }

    #[expect(clippy::wrong_self_convention, reason = "reads as what it does to a command: run it as root")]
    pub(crate) fn as_root(mut self) -> Self {
        self.privilege = Privilege::Root;
        self
    }

    pub(crate) fn secret(mut self) -> Self {
        self.sensitivity = Sensitivity::Secret;
        self
    }

    pub(crate) fn finishing(mut self) -> Self {
        self.on_disconnect = OnDisconnect::Finish;
        self
    }

    pub(crate) fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// What a finished script left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Exit status of the script; 124 when the time limit ended it.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// How root is reached on a host, as far as it is known.
#[derive(Debug, Clone)]
pub(crate) enum Sudo {
    /// Already root.
    NotNeeded,
    Passwordless,
    Password(SecretString),
    /// No way to root; commands that ask for it fail with [`HostError::NoPrivilege`].
    Unavailable {
        /// What sudo said.
        said: String,
    },
}

/// What is known of a host as soon as it is connected, from one round trip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// `ID` of os-release: `debian`.
    pub(crate) os: String,
    /// `ID_LIKE` of os-release: `["debian"]` on Ubuntu.
    pub(crate) os_like: Vec<String>,
    /// `VERSION_ID` of os-release: `12`; empty when rolling.
    pub(crate) os_version: String,
    /// `VERSION_CODENAME` of os-release: `bookworm`.
    pub(crate) os_codename: String,
    /// `uname -m`: `x86_64`.
    pub(crate) architecture: String,
    pub(crate) login_user: String,
    pub(crate) login_uid: u32,
    /// Primary group of the login user.
    pub(crate) login_gid: u32,
    /// Home directory of the login user.
    pub(crate) home: String,
    /// How far the host's clock is ahead of ours, in seconds, give or take the round trip.
    pub(crate) clock_skew_seconds: i64,
    /// The host's own name as it says itself.
    pub(crate) hostname: String,
}

/// A connected host. Commands may overlap; the implementation bounds how many do.
#[async_trait]
pub(crate) trait Host: Send + Sync {
    fn name(&self) -> &HostName;

    /// Facts found at connect.
    fn facts(&self) -> &HostFacts;

    /// How root is reached, as far as it is known by now.
    fn sudo(&self) -> &Sudo;

    /// Runs one script. A non-zero exit status is not an error here: see [`HostExt::check`].
    async fn run(&self, command: &Command) -> Result<Output, HostError>;

    /// Opens a TCP stream from the host to `to`, as the host sees the network.
    async fn connect(&self, to: &Endpoint) -> std::io::Result<BoxedStream>;

    /// Keeps runs of other machines from changing the host for as long as this session lives. `owner` tells them who has
    /// it; [`HostError::Locked`] tells us who.
    async fn lock(&self, name: &str, owner: &str) -> Result<(), HostError>;

    /// Waits until no script of [`OnDisconnect::Finish`] runs that this session has started.
    async fn settled(&self);

    /// Ends the session in order; nothing of ours runs on the host afterwards.
    async fn close(&self);
}

/// Verbs that follow from [`Host::run`].
#[async_trait]
pub(crate) trait HostExt: Host {
    /// Runs one script and fails unless it exits with 0.
    async fn check(&self, command: &Command) -> Result<String, HostError> {
        let output = self.run(command).await?;
        if output.status == 0 {
            Ok(output.stdout)
        } else {
            Err(HostError::failed(self.name(), command, output))
        }
    }
}

impl<T: Host + ?Sized> HostExt for T {}
