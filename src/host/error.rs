//! What can go wrong on a host, told apart so that each has its own remedy.

use std::io;
use std::path::PathBuf;

use super::remedy::remedy;
use super::ssh_config::HopError;
use super::{Command, Output, Sensitivity};
use crate::inventory::model::HostName;

/// How many of a failed command's last lines an error keeps.
const TAIL_LINES: usize = 12;

#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    #[error("{host}: cannot be reached over SSH: {detail}")]
    Unreachable { host: HostName, detail: String },
    #[error("{host}: the way to the host cannot be given to ssh")]
    WrongAddress {
        host: HostName,
        #[source]
        source: HopError,
    },
    #[error("{host}: ssh does not accept its configuration: {detail}")]
    SshConfig { host: HostName, detail: String },
    #[error("{host}: the host key is not known: {detail}")]
    UnknownHostKey { host: HostName, detail: String },
    #[error("{host}: the host key differs from the one that is known: {detail}")]
    ChangedHostKey { host: HostName, detail: String },
    #[error("{host}: login refused: {detail}")]
    LoginRefused { host: HostName, detail: String },
    #[error("{host}: no way to root for the login user {user}: {detail}")]
    NoPrivilege { host: HostName, user: String, detail: String },
    #[error("{host}: another run is changing this host: {owner}")]
    Locked { host: HostName, owner: String },
    #[error("{host}: sudo refused the password")]
    WrongSudoPassword { host: HostName },
    #[error("{host}: the basic tools `timeout` and `base64` (coreutils) are missing")]
    NoCoreutils { host: HostName, detail: String },
    #[error("{host}: the connection was lost while trying to {title}: {detail}")]
    ConnectionLost { host: HostName, title: String, detail: String },
    #[error("{host}: failed to {title} (exit status {status})")]
    Failed {
        host: HostName,
        title: String,
        status: i32,
        /// Last lines of standard error, else of standard output; empty when the command was secret.
        tail: Vec<String>,
    },
    #[error("{host}: gave up to {title} after {seconds} s")]
    TimedOut { host: HostName, title: String, seconds: u64 },
    #[error("{host}: unexpected answer to the attempt to {title}: {detail}")]
    Protocol { host: HostName, title: String, detail: String },
    #[error("{host}: cannot start to {title}")]
    Start {
        host: HostName,
        title: String,
        #[source]
        source: io::Error,
    },
    #[error("{host}: ssh could not be started on this machine")]
    Ssh {
        host: HostName,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {path}")]
    LocalFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl HostError {
    /// A command that ended with another status than 0.
    pub(crate) fn failed(host: &HostName, command: &Command, output: Output) -> Self {
        let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
        let tail = match command.sensitivity {
            Sensitivity::Secret => Vec::new(),
            Sensitivity::Public => {
                let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
                lines[lines.len().saturating_sub(TAIL_LINES)..]
                    .iter()
                    .map(|line| (*line).to_owned())
                    .collect()
            }
        };
        if output.status == 124 {
            return Self::TimedOut {
                host: host.clone(),
                title: command.title.clone(),
                seconds: command.timeout.as_secs(),
            };
        }
        Self::Failed { host: host.clone(), title: command.title.clone(), status: output.status, tail }
    }

    /// Whether the host is out of reach: exit code 3, unless changes were under way.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::UnknownHostKey { .. }
                | Self::ChangedHostKey { .. }
                | Self::LoginRefused { .. }
                | Self::ConnectionLost { .. }
                | Self::WrongAddress { .. }
                | Self::SshConfig { .. }
                | Self::Ssh { .. }
        )
    }

    /// Last output of what failed, for the report.
    pub(crate) fn tail(&self) -> &[String] {
        match self {
            Self::Failed { tail, .. } => tail,
            _ => &[],
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => {
                Some("check address, port, firewall and jump hosts; `ssh -v` to the same address shows more".into())
            }
            Self::SshConfig { .. } => {
                Some("correct ~/.ssh/config or what it includes; `ssh -G` to the same address says the same".into())
            }
            Self::WrongAddress { source: HopError::JumpLoop { .. }, .. } => {
                Some("end the loop in ~/.ssh/config: `ProxyJump none` for the first of its jump hosts".into())
            }
            Self::UnknownHostKey { .. } => Some(
                "pin it as `host_key` of the host, or of its entry under `ssh.jump`, or add it to ~/.ssh/known_hosts; \
                 compare the fingerprint first".into(),
            ),
            Self::ChangedHostKey { .. } => Some(
                "if the host was reinstalled, replace the pinned key or run `ssh-keygen -R`; otherwise somebody is in between".into(),
            ),
            Self::LoginRefused { .. } => {
                Some("check `ssh.user` and `ssh.identity`, or load the key into the agent with `ssh-add`".into())
            }
            Self::NoPrivilege { .. } => {
                Some("log in as root, allow sudo without a password, or give `ssh.sudo.password` as a secret".into())
            }
            Self::Locked { .. } => Some(
                "wait until it has ended; if its machine is gone for good, end that process on the host".into(),
            ),
            Self::WrongSudoPassword { .. } => Some("check the secret that `ssh.sudo.password` names".into()),
            Self::ConnectionLost { .. } => Some("run it again: what was done is kept, what was not is planned again".into()),
            Self::TimedOut { .. } => Some("the host is slow or blocked; run it again when it answers".into()),
            Self::NoCoreutils { .. } => Some("install the package `coreutils` on the host".into()),
            Self::Start { .. } => Some("check `MaxSessions` in the host's sshd_config and the limits of the login user".into()),
            Self::Ssh { .. } => Some("install the OpenSSH client on this machine".into()),
            Self::Failed { tail, .. } => (!tail.is_empty()).then(|| remedy(tail).to_owned()),
            Self::Protocol { .. } => {
                Some("log in by hand and look what the login shell says and does before it runs a command".into())
            }
            Self::WrongAddress { .. } => Some("correct address, user or key in the inventory".into()),
            Self::LocalFile { .. } => Some("this is a file of this machine: check its place and rights".into()),
        }
    }
}
