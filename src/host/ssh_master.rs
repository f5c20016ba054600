//! Starting an SSH master: one `ssh` in the background that holds a connection and serves channels of it.
//!
//! The `openssh` crate can start one too. This does it with what the crate has no words for: the master knows nothing of
//! secrets in our environment, no Ctrl-C of the terminal reaches it or its proxy, and a login that nobody waits for any
//! more is ended.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

/// ssh, without the variables `private` of our environment.
pub(super) fn program(private: &[String]) -> Command {
    let mut command = Command::new("ssh");
    for variable in private {
        command.env_remove(variable);
    }
    command
}

/// Why there is no master.
pub(super) enum LaunchError {
    /// The text that ssh has logged.
    Login(String),
    /// ssh did not run.
    Start(io::Error),
}

/// Logs in to `address` as `config` says. The control socket is `master` and the log is `log` in the folder that is
/// returned, which is made in `dir`. The master ends when it had no channel for `idle_seconds`.
///
/// Dropping this ends the login.
pub(super) async fn launch(
    dir: &Path,
    config: &Path,
    address: &str,
    idle_seconds: u32,
    private: &[String],
) -> Result<TempDir, LaunchError> {
    let folder =
        tempfile::Builder::new().prefix(".ssh-connection").tempdir_in(dir).map_err(LaunchError::Start)?;
    let log = folder.path().join("log");
    let mut command = program(private);
    command
        .args(["-M", "-f", "-N", "-E"])
        .arg(&log)
        .arg("-S")
        .arg(folder.path().join("master"))
        .args(["-o", &format!("ControlPersist={idle_seconds}")])
        .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
        .arg("-F")
        .arg(config)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    // It ends as soon as it is logged in: a child of it goes on.
    let status = command.status().await.map_err(LaunchError::Start)?;
    if status.success() {
        return Ok(folder);
    }
    Err(LaunchError::Login(std::fs::read_to_string(&log).map_err(LaunchError::Start)?))
}
