//! Sees every write on a host: a mark, and later everything whose inode changed after it.
//!
//! The time that counts is the one of status change (`ctime`). The kernel sets it on every write, new mode or owner,
//! rename and link, and nobody can set it back; a file that came and went shows in its folder. What an idle host and a
//! login write by themselves is left out, path by path, in [`OTHERS`].

use anyhow::{Result, ensure};
use testbed::ssh_host::SshHost;

/// On a file system that is not searched.
const MARK: &str = "/dev/shm/watch.mark";

/// Every file system of a host that can be written to and outlives a process.
const ROOTS: &str = "/ /run /tmp /var/lib/docker";

/// What is not written by the run that is watched: patterns for `find -path`, each with its writer.
const OTHERS: [(&str, &str); 17] = [
    ("/run/systemd", "systemd and logind: sessions, scopes, units"),
    ("/run/user", "logind: the login's runtime folder"),
    ("/run/sudo", "sudo: time stamps of passwords"),
    ("/run/utmp", "the login's record"),
    ("/run/motd.dynamic", "the login's greeting"),
    ("/run/log/journal", "journald"),
    ("/var/log/journal", "journald"),
    ("/var/log/wtmp", "the login's record"),
    ("/var/log/lastlog", "the login's record"),
    ("/var/lib/lastlog", "the login's record since Debian 13"),
    ("/var/lib/wtmpdb", "the login's record since Debian 13"),
    ("/var/lib/systemd/timers", "systemd: when timers ran"),
    ("/var/lib/apt/daily_lock", "apt's timer"),
    ("/run/docker/runtime-*", "the engine: processes of health checks"),
    ("/run/docker/containerd", "the engine: processes of health checks"),
    ("/run/containerd", "the engine: processes of health checks"),
    // Standard output of a container: the worker's own log.
    ("/var/lib/docker/containers/*/*-json.log*", "the engine: what the worker logs"),
];

/// The folder in which the login's greeting is made and renamed; what else is in it is searched.
const RENAMED_IN: &str = "d /run";

/// Two hosts under watch.
pub(super) struct Watch<'a> {
    hosts: Vec<(&'static str, &'a SshHost)>,
}

impl<'a> Watch<'a> {
    /// Begins to watch. First shows that the watch sees: a new file, a changed mode, a file that came and went.
    pub(super) async fn begin(hosts: &[(&'static str, &'a SshHost)]) -> Result<Self> {
        let watch = Self { hosts: hosts.to_vec() };
        for (name, host) in &watch.hosts {
            mark(host).await?;
            host.exec("touch /root/new; touch /srv/gone; rm /srv/gone; chmod 644 /etc/hostname").await?;
            let seen = written(host).await?;
            for path in ["f /root/new", "d /srv", "f /etc/hostname"] {
                ensure!(seen.iter().any(|line| line == path), "{name}: the watch misses {path}: {seen:?}");
            }
            host.exec("rm /root/new").await?;
        }
        watch.again().await?;
        Ok(watch)
    }

    /// Forgets what was written so far.
    pub(super) async fn again(&self) -> Result<()> {
        for (_, host) in &self.hosts {
            mark(host).await?;
        }
        Ok(())
    }

    /// Everything written since, as `HOST: TYPE PATH`.
    pub(super) async fn writes(&self) -> Result<Vec<String>> {
        let mut writes = Vec::new();
        for (name, host) in &self.hosts {
            writes.extend(written(host).await?.into_iter().map(|line| format!("{name}: {line}")));
        }
        Ok(writes)
    }
}

/// Sets the mark, and returns when the clock of the file systems has moved past it.
async fn mark(host: &SshHost) -> Result<()> {
    let probe = "/dev/shm/watch.probe";
    host.exec(&format!(
        "touch {MARK}; until touch {probe}; find {probe} -newercc {MARK} | grep -q .; do :; done; rm {probe}"
    ))
    .await?;
    Ok(())
}

async fn written(host: &SshHost) -> Result<Vec<String>> {
    let others: Vec<String> = OTHERS.iter().map(|(path, _)| format!("-path '{path}'")).collect();
    let others = others.join(" -o ");
    // A file that vanishes while `find` walks is no failure of the watch: its folder is on the list.
    let script = format!(
        "roots=; for root in {ROOTS}; do if [ -d $root ]; then roots=\"$roots $root\"; fi; done\n\
         find $roots -xdev \\( {others} \\) -prune -o -newercc {MARK} -printf '%y %p\\n' 2>/dev/null || true"
    );
    let mut lines: Vec<String> = host.exec(&script).await?.lines().map(str::to_owned).collect();
    lines.retain(|line| line != RENAMED_IN);
    lines.sort();
    lines.dedup();
    Ok(lines)
}
