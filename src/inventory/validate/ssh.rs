//! The `ssh` section of the file, and of a host.

use std::path::PathBuf;

use super::secret::Drawing;
use super::{Validator, port};
use crate::inventory::model::{Address, HostKey, Jump, Port, Ssh, Sudo, UserName};
use crate::inventory::problem::Path;
use crate::inventory::raw;

/// One section; what it does not say comes from the next one.
#[derive(Debug, Clone, Default)]
pub(super) struct SshPart {
    user: Option<UserName>,
    port: Option<Port>,
    identity: Option<PathBuf>,
    jump: Option<Vec<Jump>>,
    host_keys: Option<Vec<HostKey>>,
    sudo: Option<Sudo>,
}

impl SshPart {
    pub(super) fn or(self, shared: &Self) -> Ssh {
        let shared = shared.clone();
        let user = self.user.or(shared.user);
        let is_root = user.as_ref().is_some_and(|user| user.as_str() == "root");
        Ssh {
            port: self.port.or(shared.port),
            identity: self.identity.or(shared.identity),
            jump: self.jump.or(shared.jump).unwrap_or_default(),
            host_keys: self.host_keys.or(shared.host_keys).unwrap_or_default(),
            sudo: match self.sudo.or(shared.sudo) {
                Some(sudo) => sudo,
                None if is_root => Sudo::None,
                None => Sudo::Passwordless,
            },
            user,
        }
    }
}

impl Validator<'_, '_> {
    pub(super) fn ssh(&mut self, raw: Option<&raw::Ssh>, path: &Path) -> SshPart {
        let Some(raw) = raw else { return SshPart::default() };
        SshPart {
            user: self.name(raw.user.as_deref(), &path.key("user")),
            port: raw.port.and_then(port),
            identity: self.control_path(raw.identity.as_deref(), &path.key("identity")),
            jump: raw.jump.as_ref().map(|hops| {
                let path = path.key("jump");
                hops.iter()
                    .enumerate()
                    .filter_map(|(index, hop)| self.jump(hop, &path.index(index)))
                    .collect()
            }),
            host_keys: self.host_keys(raw.host_key.as_ref(), &path.key("host_key")),
            sudo: self.sudo(raw.sudo.as_ref(), &path.key("sudo")),
        }
    }

    fn sudo(&mut self, raw: Option<&raw::Sudo>, path: &Path) -> Option<Sudo> {
        match raw? {
            raw::Sudo::Word(raw::SudoWord::None) => Some(Sudo::None),
            raw::Sudo::Word(raw::SudoWord::Passwordless) => Some(Sudo::Passwordless),
            raw::Sudo::Full(full) => {
                let drawing = Drawing::Refused("the host's user already has a password");
                self.secret(full.password.as_ref(), drawing, &path.key("password")).map(Sudo::Password)
            }
        }
    }

    fn jump(&mut self, raw: &raw::Jump, path: &Path) -> Option<Jump> {
        match raw {
            raw::Jump::Short(text) => {
                let (user, rest) = match text.split_once('@') {
                    Some((user, rest)) => (Some(user), rest),
                    None => (None, text.as_str()),
                };
                let (host, number) = split_port(rest);
                let port = number.map(|number| number.parse().ok().and_then(port));
                if port == Some(None) {
                    let message = format!("expected `host`, `user@host` or `user@host:port`, found {text:?}");
                    self.report.problem(path, message, "ports go from 1 to 65535");
                    return None;
                }
                let user = match user {
                    Some(user) => Some(self.name(Some(user), path)?),
                    None => None,
                };
                let address: Address = self.name(Some(host), path)?;
                Some(Jump { user, address, port: port.flatten(), identity: None, host_keys: Vec::new() })
            }
            raw::Jump::Full(full) => {
                let user = self.name(full.user.as_deref(), &path.key("user"));
                let identity = self.control_path(full.identity.as_deref(), &path.key("identity"));
                let host_keys = self.host_keys(full.host_key.as_ref(), &path.key("host_key"));
                let address = self.name(full.address.as_deref(), &path.key("address"))?;
                let port = full.port.and_then(port);
                Some(Jump { user, address, port, identity, host_keys: host_keys.unwrap_or_default() })
            }
        }
    }

    fn host_keys(&mut self, raw: Option<&raw::Texts>, path: &Path) -> Option<Vec<HostKey>> {
        match raw? {
            raw::Texts::One(line) => self.host_key(line, path).map(|key| vec![key]),
            raw::Texts::Many(lines) => {
                let lines = lines.iter().enumerate();
                Some(lines.filter_map(|(index, line)| self.host_key(line, &path.index(index))).collect())
            }
        }
    }

    fn host_key(&mut self, line: &str, path: &Path) -> Option<HostKey> {
        let mut words = line.split_whitespace();
        let (algorithm, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_algorithm =
            ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| algorithm.starts_with(start))
                && algorithm.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '@' | '.'));
        let is_base64 =
            key.len() >= 40 && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
        if !is_algorithm || !is_base64 || line.contains('\n') {
            let hint = "take the last two words of the host's line in the output of `ssh-keyscan HOST`";
            self.report.problem(path, "expected a public key such as `ssh-ed25519 AAAAC3Nza…`", hint);
            return None;
        }
        Some(HostKey { algorithm: algorithm.to_owned(), key: key.to_owned() })
    }
}

/// `host`, `host:port`, `[v6]:port` or a bare IPv6 address, into host and port.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}
