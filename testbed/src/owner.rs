//! Who started a thing, and how it is removed when that owner ends.
//!
//! An owner is a process: its id and its start time, which together are never used twice. Its folder, containers and
//! networks carry that name. Three nets, each for when the one before could not work:
//!
//! 1. `Drop` of each thing.
//! 2. The reaper: a shell in its own process group that waits for the end of a pipe whose other end only we hold. The
//!    kernel closes it however we end, SIGKILL included; the reaper then removes everything marked as ours.
//! 3. The sweep: a new owner removes what is marked with owners that are gone.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use crate::{Error, paths};

/// The label of containers, networks and volumes that says whose they are.
pub(crate) const LABEL: &str = "provision-testbed.owner";

const REAPER: &str = include_str!("reaper.sh");

/// The process that owns what is started: this one.
#[derive(Debug)]
pub(crate) struct Owner {
    /// `PID-STARTTIME`.
    pub(crate) name: String,
    /// A private folder that goes when the owner ends.
    pub(crate) dir: PathBuf,
    /// Held open for the reaper; never written to.
    _reaper: ChildStdin,
}

/// This process as an owner. The first call starts the reaper and sweeps what earlier owners left.
pub(crate) fn owner() -> Result<&'static Owner, Error> {
    static OWNER: OnceLock<Owner> = OnceLock::new();
    static FIRST: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(owner) = OWNER.get() {
        return Ok(owner);
    }
    sweep()?;
    let name = name_of(std::process::id()).map_err(Error::file("/proc/self/stat"))?;
    let dir = paths::private_dir(paths::run()?.join(format!("owner-{name}")))?;
    let locks = paths::private_dir(paths::run()?.join("locks"))?;
    let reaper = reap_command(&name, &dir, &locks)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Spawn { program: "sh".to_owned(), package: "dash", source })?;
    let held = reaper.stdin.expect("stdin of the reaper was asked for as a pipe");
    Ok(OWNER.get_or_init(|| Owner { name, dir, _reaper: held }))
}

/// A new private folder of this owner, named after `what`.
pub fn dir(what: &str) -> Result<PathBuf, Error> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    paths::private_dir(owner()?.dir.join(format!("{what}-{number}")))
}

/// The folder in which every owner of this user has its own.
pub fn run_folder() -> Result<PathBuf, Error> {
    paths::run()
}

/// A name no other test bed uses: for containers and networks.
pub(crate) fn unique(what: &str) -> Result<String, Error> {
    let dir = dir(what)?;
    let leaf = dir.file_name().expect("a folder of an owner has a name").to_string_lossy().into_owned();
    Ok(format!("testbed-{}-{leaf}", owner()?.name))
}

/// Removes what owners left that are gone.
fn sweep() -> Result<(), Error> {
    let run = paths::run()?;
    let locks = paths::private_dir(run.join("locks"))?;
    for entry in fs::read_dir(&run).map_err(Error::file(&run))? {
        let entry = entry.map_err(Error::file(&run))?;
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = file_name.strip_prefix("owner-") else { continue };
        if is_alive(name) {
            continue;
        }
        let status = reap_command(name, &entry.path(), &locks).stdin(Stdio::null()).status();
        status.map_err(|source| Error::Spawn { program: "sh".to_owned(), package: "dash", source })?;
    }
    Ok(())
}

fn reap_command(name: &str, dir: &std::path::Path, locks: &std::path::Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", REAPER, "testbed-reaper", LABEL, name])
        .arg(dir)
        .arg(locks)
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C at the terminal must end the owner, not what cleans up after it.
        .process_group(0);
    command
}

fn is_alive(name: &str) -> bool {
    let Some((pid, _)) = name.split_once('-') else { return false };
    pid.parse().is_ok_and(|pid| name_of(pid).is_ok_and(|now| now == name))
}

/// `PID-STARTTIME` of a living process; see proc(5), field 22 of `stat`.
fn name_of(pid: u32) -> io::Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may hold spaces.
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let start = after_name.split_whitespace().nth(19).ok_or_else(|| io::Error::other("no start time"))?;
    Ok(format!("{pid}-{start}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_alive_and_a_reused_id_is_not() {
        let own = name_of(std::process::id()).unwrap();
        assert!(is_alive(&own));
        assert!(!is_alive(&format!("{}-1", std::process::id())));
        assert!(!is_alive("nonsense"));
    }
}
