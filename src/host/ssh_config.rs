//! The `ssh_config` that one hop of one run is reached with: pure text.
//!
//! Every hop has a file of its own, given with `-F`, so that strict keys, no prompts and time limits hold on jump hosts
//! too. The user's own configuration comes last: ssh takes the first value it sees, so aliases, agents and hashed known
//! hosts of `~/.ssh/config` work, and cannot loosen what is set here. Its jump chains become hops, see `ssh_jump.rs`.

use std::path::{Path, PathBuf};

use crate::inventory::model::HostName;

/// Seconds an unanswered connection attempt may take.
const CONNECT_TIMEOUT: u32 = 15;

/// One machine on the way, as ssh reaches it. What is `None` is left to the user's ssh configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SshHop {
    /// A name, an address, or an alias of the user's ssh configuration.
    pub(crate) address: String,
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    /// Private key file on the control machine.
    pub(crate) identity: Option<PathBuf>,
    /// The only keys that are accepted, each as a line of known_hosts or of a public key file: `ssh-ed25519 AAAA…`.
    /// Without any the user's known_hosts files decide.
    pub(crate) host_keys: Vec<String>,
}

/// A host and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshTarget {
    /// Whose connection this is, for errors.
    pub(crate) host: HostName,
    pub(crate) hop: SshHop,
    /// Jump hosts in the order of travel; empty for a direct connection.
    pub(crate) jump: Vec<SshHop>,
}

/// Text that would change the meaning of a command line or a configuration line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HopError {
    #[error("`{0}` cannot be an SSH address")]
    Address(String),
    #[error("`{0}` cannot be an SSH login name")]
    User(String),
    #[error("the identity path {0:?} has characters that ssh_config cannot hold")]
    Identity(PathBuf),
    #[error("`{0}` is not a host key line")]
    HostKey(String),
    #[error("it leads through more than {limit} jump hosts, {again} among them")]
    JumpLoop { limit: usize, again: String },
}

/// Files that a hop's configuration names.
pub(super) struct HopFiles<'a> {
    /// Where the pinned key's known_hosts line is written.
    pub(super) known_hosts: &'a Path,
    /// Configuration and control socket of the jump host directly before this hop.
    pub(super) jump: Option<(&'a Path, &'a Path, &'a str)>,
}

/// The configuration of `hop`.
pub(super) fn render(hop: &SshHop, files: &HopFiles<'_>) -> Result<String, HopError> {
    let address = checked_address(&hop.address)?;
    let mut lines = vec![format!("Host {address}")];
    if let Some(user) = &hop.user {
        lines.push(format!("  User {}", checked_user(user)?));
    }
    if let Some(port) = hop.port {
        lines.push(format!("  Port {port}"));
    }
    if let Some(identity) = &hop.identity {
        lines.push(format!("  IdentityFile {}", quoted_path(identity)?));
        lines.push("  IdentitiesOnly yes".to_owned());
    }
    if !hop.host_keys.is_empty() {
        lines.push(format!("  HostKeyAlias {PINNED_ALIAS}"));
        lines.push(format!("  UserKnownHostsFile {}", files.known_hosts.display()));
        lines.push("  GlobalKnownHostsFile /dev/null".to_owned());
    }
    if let Some((config, socket, jump)) = files.jump {
        lines.push(format!(
            "  ProxyCommand ssh -F {} -S {} -o ControlMaster=no -W [%h]:%p {}",
            config.display(),
            socket.display(),
            checked_address(jump)?
        ));
    }
    lines.extend(
        [
            "Host *",
            "  BatchMode yes",
            "  StrictHostKeyChecking yes",
            "  UpdateHostKeys no",
            "  CheckHostIP no",
            "  VerifyHostKeyDNS no",
            "  LogLevel INFO",
        ]
        .map(str::to_owned),
    );
    lines.push(format!("  ConnectTimeout {CONNECT_TIMEOUT}"));
    lines.extend(
        [
            "  ConnectionAttempts 1",
            "  ServerAliveInterval 15",
            "  ServerAliveCountMax 4",
            "  TCPKeepAlive yes",
            "  ClearAllForwardings yes",
            "  ForwardAgent no",
            "  ForwardX11 no",
            "  PermitLocalCommand no",
            "  RemoteCommand none",
            "  RequestTTY no",
            "Include ~/.ssh/config",
            "Include /etc/ssh/ssh_config",
            "",
        ]
        .map(str::to_owned),
    );
    Ok(lines.join("\n"))
}

/// The name under which a pinned key is looked up, whatever the address is.
const PINNED_ALIAS: &str = "provision-pinned";

/// The known_hosts line of a pinned key. Takes `TYPE KEY [comment]`, `HOSTS TYPE KEY`, and either with a marker such as
/// `@cert-authority` before it.
pub(super) fn known_hosts_line(pinned: &str) -> Result<String, HopError> {
    let refused = || HopError::HostKey(pinned.to_owned());
    let words: Vec<&str> = pinned.split_whitespace().collect();
    let marker = words.first().filter(|word| word.starts_with('@'));
    let is_type =
        |word: &&str| ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| word.starts_with(kind));
    let at = words.iter().position(is_type).ok_or_else(refused)?;
    let key = words.get(at + 1).filter(|key| key.starts_with("AAAA")).ok_or_else(refused)?;
    let marker = marker.map(|marker| format!("{marker} ")).unwrap_or_default();
    Ok(format!("{marker}{PINNED_ALIAS} {} {key}\n", words[at]))
}

pub(super) fn checked_address(address: &str) -> Result<&str, HopError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if address.is_empty() || address.starts_with('-') || !address.chars().all(is_plain) {
        return Err(HopError::Address(address.to_owned()));
    }
    Ok(address)
}

fn checked_user(user: &str) -> Result<&str, HopError> {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '\\' | '+' | '$');
    if user.is_empty() || user.starts_with('-') || !user.chars().all(is_plain) {
        return Err(HopError::User(user.to_owned()));
    }
    Ok(user)
}

fn quoted_path(path: &Path) -> Result<String, HopError> {
    let text = path.to_str().filter(|text| !text.contains(['"', '\\', '\n', '\r', '$']));
    let text = text.ok_or_else(|| HopError::Identity(path.to_owned()))?;
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(address: &str) -> SshHop {
        SshHop { address: address.to_owned(), port: None, user: None, identity: None, host_keys: Vec::new() }
    }

    fn rendered(hop: &SshHop) -> Result<String, HopError> {
        render(hop, &HopFiles { known_hosts: Path::new("/run/p/1.known"), jump: None })
    }

    #[test]
    fn strictness_comes_before_the_users_configuration() {
        let text = rendered(&hop("kafka-1.example.com")).unwrap();
        let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} is missing"));
        for strict in ["BatchMode yes", "StrictHostKeyChecking yes", "ConnectTimeout", "RemoteCommand none"] {
            assert!(at("Host *") < at(strict) && at(strict) < at("Include ~/.ssh/config"));
        }
        assert!(!text.contains("UserKnownHostsFile"), "without a pinned key the user's files decide");
    }

    #[test]
    fn pinned_keys_are_the_only_ones() {
        let pinned = SshHop { host_keys: vec!["ssh-ed25519 AAAAC3 me@here".to_owned()], ..hop("10.0.0.1") };
        let text = rendered(&pinned).unwrap();
        assert!(text.contains("UserKnownHostsFile /run/p/1.known\n  GlobalKnownHostsFile /dev/null"));
        let check = |pinned: &str, line: &str| assert_eq!(known_hosts_line(pinned).unwrap(), line);
        check("ssh-ed25519 AAAAC3 me@here", "provision-pinned ssh-ed25519 AAAAC3\n");
        check("10.0.0.1,w1 ecdsa-sha2-nistp256 AAAAE2", "provision-pinned ecdsa-sha2-nistp256 AAAAE2\n");
        check(
            "@cert-authority *.example.com ssh-rsa AAAAB3",
            "@cert-authority provision-pinned ssh-rsa AAAAB3\n",
        );
        for wrong in ["", "ssh-ed25519", "hello world", "ssh-ed25519 key"] {
            assert!(known_hosts_line(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_that_ssh_would_read_as_something_else_is_refused() {
        for address in ["-oProxyCommand=x", "", "a b", "a;b", "host\nUser root", "*", "a,b", "%h"] {
            assert!(rendered(&hop(address)).is_err(), "{address}");
        }
        for user in ["-x", "a b", "root\n"] {
            assert!(rendered(&SshHop { user: Some(user.to_owned()), ..hop("a") }).is_err(), "{user}");
        }
        let identity = SshHop { identity: Some("/a \"b".into()), ..hop("a") };
        assert!(rendered(&identity).is_err());
        let identity = SshHop { identity: Some("/my keys/100%".into()), ..hop("a") };
        assert!(rendered(&identity).unwrap().contains("IdentityFile \"/my keys/100%%\""));
    }
}
