//! Jump hosts that the user's own ssh configuration asks for.
//!
//! ssh would start a client of its own for each of them: one login per host behind it, and what that client says is
//! lost. So ssh is asked for the way, and the hops become ours: one shared login each, and errors that name the hop.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

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

/// The configuration of a machine, and the folder that the one of a distribution includes.
const SYSTEM: &str = "/etc/ssh/ssh_config";
const SYSTEM_FOLDER: &str = "/etc/ssh/ssh_config.d";

/// Whether the configurations that ours includes can name a jump host at all. Most machines have none, and then ssh
/// need not be started for every host to say so.
pub(super) fn may_be_asked_for() -> bool {
    // For `~` ssh takes the home of the user database, but for a file that is included that of the environment: where they
    // differ, it is asked.
    let uid = rustix::process::getuid().as_raw();
    match fs::read_to_string("/etc/passwd").ok().and_then(|users| home(&users, uid)) {
        Some(home) if std::env::home_dir().as_ref() != Some(&home) => true,
        Some(home) => may_ask(&home.join(".ssh/config"), Path::new(SYSTEM), Path::new(SYSTEM_FOLDER)),
        None => true,
    }
}

fn home(users: &str, uid: u32) -> Option<PathBuf> {
    let uid = uid.to_string();
    let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = users.find(|fields| fields.get(2) == Some(&uid.as_str()))?;
    found.get(5).map(PathBuf::from)
}

/// What cannot be read, or leads to further files, may.
fn may_ask(user: &Path, system: &Path, folder: &Path) -> bool {
    let names_none = |file: &Path, included: &str| match fs::read_to_string(file) {
        Ok(text) => {
            let text = text.to_lowercase();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            lines.all(|line| line == included || !(line.contains("proxyjump") || line.contains("include")))
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    let further = format!("include {}/*.conf", folder.display()).to_lowercase();
    let folder_names_none = || match fs::read_dir(folder) {
        Ok(entries) => {
            entries.into_iter().all(|entry| entry.is_ok_and(|entry| names_none(&entry.path(), "")))
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    !(names_none(user, "") && names_none(system, &further) && folder_names_none())
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
    fn ssh_is_asked_where_a_file_may_name_a_jump_host() {
        let folder = tempfile::tempdir().unwrap();
        let [user, system, drop_ins] = ["user", "system", "system.d"].map(|name| folder.path().join(name));
        let check = |expected: bool| assert_eq!(may_ask(&user, &system, &drop_ins), expected);
        check(false);
        fs::write(&user, "Host a\n  User joe\n").unwrap();
        fs::write(&system, format!("Include {}/*.conf\n# ProxyJump\n", drop_ins.display())).unwrap();
        check(false);
        fs::create_dir(&drop_ins).unwrap();
        fs::write(drop_ins.join("a.conf"), "Host b\n").unwrap();
        check(false);
        fs::write(drop_ins.join("b.conf"), "Host b\n  proxyJump = gate\n").unwrap();
        check(true);
        fs::remove_file(drop_ins.join("b.conf")).unwrap();
        fs::write(&user, "Include conf.d/*\n").unwrap();
        check(true);
        fs::remove_file(&user).unwrap();
        fs::create_dir(&user).unwrap();
        check(true);
    }

    #[test]
    fn the_home_is_that_of_the_user_database() {
        let users = "root:x:0:0:root:/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\n";
        assert_eq!(home(users, 1000), Some("/home/joe".into()));
        assert_eq!(home(users, 100), None);
    }

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
