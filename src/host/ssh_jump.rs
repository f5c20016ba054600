//! Jump hosts that the user's own ssh configuration asks for.
//!
//! ssh would start a client of its own for each of them: one login per host behind it, and what that client says is
//! lost. So ssh is asked for the way, and the hops become ours: one shared login each, and errors that name the hop.

use std::io;
use std::path::Path;
use std::process::Stdio;

use super::ssh_config::SshHop;
use super::ssh_failure;
use super::ssh_master;

/// Why ssh does not say which way it would take.
#[derive(Debug, thiserror::Error)]
pub(super) enum JumpError {
    #[error("cannot run ssh")]
    Run(#[source] io::Error),
    /// In ssh's own words, with file and line.
    #[error("{0}")]
    Refused(String),
}

/// The hops of `ProxyJump` for a connection to `address` under the configuration `config`, first hop first; none when
/// there is no such line. Touches no network.
pub(super) async fn asked_for(
    config: &Path,
    address: &str,
    private: &[String],
) -> Result<Vec<SshHop>, JumpError> {
    let mut command = ssh_master::program(private);
    command.arg("-G").arg("-F").arg(config).arg(address).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(JumpError::Run)?;
    if !output.status.success() {
        return Err(JumpError::Refused(ssh_failure::summary(&String::from_utf8_lossy(&output.stderr))));
    }
    let settings = String::from_utf8_lossy(&output.stdout);
    let jump = settings.lines().find_map(|line| line.strip_prefix("proxyjump ")).unwrap_or("none");
    Ok(parse(jump))
}

/// Reads `[user@]host[:port],…`, where an IPv6 address stands in brackets.
fn parse(jump: &str) -> Vec<SshHop> {
    if jump == "none" {
        return Vec::new();
    }
    jump.split(',')
        .map(|hop| {
            let (user, place) = match hop.rsplit_once('@') {
                Some((user, place)) => (Some(user.to_owned()), place),
                None => (None, hop),
            };
            let (address, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((address, rest)) => (address, rest.strip_prefix(':')),
                None => match place.split_once(':') {
                    Some((address, port)) if !port.contains(':') => (address, Some(port)),
                    _ => (place, None),
                },
            };
            // ssh has read the number before.
            let port = port.and_then(|port| port.parse().ok());
            SshHop { address: address.to_owned(), port, user, identity: None, host_keys: Vec::new() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_read_as_ssh_writes_them() {
        let check = |text: &str, expected: &[(&str, Option<&str>, Option<u16>)]| {
            let hops = parse(text);
            let read: Vec<_> =
                hops.iter().map(|hop| (hop.address.as_str(), hop.user.as_deref(), hop.port)).collect();
            assert_eq!(read, expected, "{text}");
        };
        check("none", &[]);
        check("gate", &[("gate", None, None)]);
        check(
            "gate,joe@bastion.example:2222",
            &[("gate", None, None), ("bastion.example", Some("joe"), Some(2222))],
        );
        check(
            "[fd00::1]:22,ann@[fd00::2]:2200,fd00::3",
            &[("fd00::1", None, Some(22)), ("fd00::2", Some("ann"), Some(2200)), ("fd00::3", None, None)],
        );
    }
}
