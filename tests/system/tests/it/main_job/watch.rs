//! Sees every write on a host: a mark, and later everything whose inode changed after it.
//!
//! The time that counts is the one of status change (`ctime`). The kernel sets it on every write, new mode or owner,
//! rename and link, and nobody can set it back; a file that came and went shows in its folder, or by its name where
//! others make files all the time ([`BUSY`]). What an idle host and a login write by themselves is left out, path by
//! path, in [`OTHERS`].

use anyhow::{Result, ensure};
use testbed::ssh_host::SshHost;

use super::passing::Passing;

/// On a file system that is not searched.
const MARK: &str = "/dev/shm/watch.mark";

/// Every file system of a host that can be written to and outlives a process.
const ROOTS: &str = "/ /run /tmp /var/lib/docker";

/// What is not written by the run that is watched: patterns for `find -path`, each with its writer.
const OTHERS: [(&str, &str); 15] = [
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
    ("/run/docker/runtime-*", "the engine: processes of health checks"),
    ("/run/docker/containerd", "the engine: processes of health checks"),
    ("/run/containerd", "the engine: processes of health checks"),
    // Which containers there are, and since when they run, is compared beside this watch.
    ("/var/lib/docker/containers/*", "the engine: logs, and in version 20.10 every answer of a health check"),
];

/// Folders in which others make files and remove them, and how those are called; the rest is told by name.
const BUSY: [(&str, &[&str]); 2] = [
    // The login's greeting, its record.
    ("/run", &["motd.dynamic", "utmp"]),
    // The engine: arguments of health checks.
    ("/tmp", &["runc-process"]),
];

/// Hosts under watch.
pub(super) struct Watch<'a> {
    hosts: Vec<Watched<'a>>,
}

struct Watched<'a> {
    name: &'static str,
    host: &'a SshHost,
    busy: Vec<Passing>,
}

impl<'a> Watch<'a> {
    /// Begins to watch. First shows that the watch sees: a new file, a changed mode, files that came and went.
    pub(super) async fn begin(hosts: &[(&'static str, &'a SshHost)]) -> Result<Self> {
        let mut watch = Self { hosts: Vec::new() };
        for (name, host) in hosts {
            // Whatever the hour is, nothing begins by itself.
            host.exec("systemctl stop '*.timer'").await?;
            let mut busy = Vec::new();
            for (folder, theirs) in BUSY {
                busy.push(Passing::watch(host, folder, theirs).await?);
            }
            watch.hosts.push(Watched { name, host, busy });
        }
        watch.again().await?;
        for (_, host) in hosts {
            let writes = "touch /root/new; chmod 644 /etc/hostname";
            host.exec(&format!(
                "{writes}; for folder in /srv /run /tmp; do touch $folder/gone; rm $folder/gone; done"
            ))
            .await?;
        }
        let seen = watch.writes().await?;
        for (name, host) in hosts {
            for path in ["f /root/new", "f /etc/hostname", "d /srv", "- /run/gone", "- /tmp/gone"] {
                let line = format!("{name}: {path}");
                ensure!(seen.contains(&line), "the watch misses {line}: {seen:?}");
            }
            host.exec("rm /root/new").await?;
        }
        watch.again().await?;
        Ok(watch)
    }

    /// Forgets what was written so far.
    pub(super) async fn again(&self) -> Result<()> {
        for watched in &self.hosts {
            mark(watched.host).await?;
            for folder in &watched.busy {
                folder.seen()?;
            }
        }
        Ok(())
    }

    /// Fails if anything was written since.
    pub(super) async fn ensure_silence(&self, who: &str) -> Result<()> {
        let writes = self.writes().await?;
        ensure!(writes.is_empty(), "{who} wrote: {writes:#?}");
        Ok(())
    }

    /// Everything written since, as `HOST: TYPE PATH`; `-` for what appeared in a busy folder.
    async fn writes(&self) -> Result<Vec<String>> {
        let mut writes = Vec::new();
        for Watched { name, host, busy } in &self.hosts {
            for folder in busy {
                writes.extend(folder.seen()?.into_iter().map(|path| format!("{name}: - {path}")));
            }
            writes.extend(changed(host).await?.into_iter().map(|line| format!("{name}: {line}")));
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

async fn changed(host: &SshHost) -> Result<Vec<String>> {
    let others: Vec<String> = OTHERS.iter().map(|(path, _)| format!("-path '{path}'")).collect();
    let others = others.join(" -o ");
    // A file that vanishes while `find` walks is no failure of the watch: its folder is on the list.
    let script = format!(
        "roots=; for root in {ROOTS}; do if [ -d $root ]; then roots=\"$roots $root\"; fi; done\n\
         find $roots -xdev \\( {others} \\) -prune -o -newercc {MARK} -printf '%y %p\\n' 2>/dev/null || true"
    );
    let mut lines: Vec<String> = host.exec(&script).await?.lines().map(str::to_owned).collect();
    lines.retain(|line| BUSY.iter().all(|(folder, _)| line.strip_prefix("d ") != Some(folder)));
    lines.sort();
    lines.dedup();
    Ok(lines)
}
