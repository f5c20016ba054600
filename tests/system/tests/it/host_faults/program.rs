//! `provision` with an inventory of its own, in a folder of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use testbed::{built, wait};
use tokio::process::{Child, Command};

use super::say;
use crate::programs::RUN_LIMIT;

/// A master that was told to end needs a moment for it; one that was not ends by itself after 5 s without channels.
const MASTERS_END: Duration = Duration::from_secs(4);

pub(super) struct Program {
    folder: TempDir,
    program: PathBuf,
    worker: PathBuf,
}

impl Program {
    pub(super) fn new() -> Result<Self> {
        let (program, worker) = (built::program("provision")?, built::program("connect-worker")?);
        Ok(Self { folder: TempDir::new()?, program, worker })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the inventory.
    pub(super) fn set_inventory(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.folder().join("inventory.yml"), text)?)
    }

    /// Starts a run that says everything into one file, in the order in which it is said.
    pub(super) fn start(&self, words: &[&str]) -> Result<Running> {
        let path = self.folder().join("said");
        File::create(&path)?;
        let out = File::options().append(true).open(&path)?;
        let err = out.try_clone()?;
        let child = Command::new(&self.program)
            .args(words)
            .args(["--inventory", "inventory.yml"])
            .current_dir(self.folder())
            // Nothing of this machine's user has a part in it: no agent, no known hosts, no configuration.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.folder())
            // Short, and this test's own: what lies here afterwards was left by a run of it.
            .env("XDG_RUNTIME_DIR", self.folder())
            .env("CONNECT_WORKER_BIN", &self.worker)
            .env("WRONG_PASSWORD", "wrong")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Running { child, said: path, words: words.join(" ") })
    }

    pub(super) async fn run(&self, words: &[&str]) -> Result<Run> {
        self.start(words)?.end().await
    }

    /// The same, for a run that has to end with `exit`.
    pub(super) async fn expect(&self, exit: i32, words: &[&str]) -> Result<Run> {
        let run = self.run(words).await?;
        ensure!(run.exit == exit, "provision {words:?} ended with {}, not {exit}", run.exit);
        Ok(run)
    }

    /// Fails if runs of this folder have left anything on this machine: SSH masters, and folders with their sockets.
    pub(super) async fn ensure_clean(&self) -> Result<()> {
        let mut last = Vec::new();
        let is_clean = async || {
            last = self.leftovers().unwrap_or_else(|error| vec![error.to_string()]);
            Ok(last.is_empty().then_some(()))
        };
        let clean = wait::until("nothing is left here", MASTERS_END, is_clean, String::new).await;
        ensure!(clean.is_ok(), "left on this machine: {last:?}");
        Ok(())
    }

    fn leftovers(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        let folder = self.folder().display().to_string();
        for entry in fs::read_dir("/proc")?.flatten() {
            // A process may end while it is looked at.
            let Ok(words) = fs::read(entry.path().join("cmdline")) else { continue };
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            if words.starts_with("ssh ") && words.contains(&folder) {
                left.push(format!("process: {words}"));
            }
        }
        for entry in fs::read_dir(self.folder())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("provision-ssh-") {
                left.push(format!("folder: {name}"));
            }
        }
        Ok(left)
    }
}

/// A run under way.
pub(super) struct Running {
    child: Child,
    said: PathBuf,
    words: String,
}

impl Running {
    /// Returns when the run has said `text`, which it has to before it ends.
    pub(super) async fn until_it_says(&mut self, text: &str) -> Result<()> {
        let said = || fs::read_to_string(&self.said).unwrap_or_default();
        let is_said = async || {
            let has_ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            let is_said = said().contains(text);
            Ok((is_said || has_ended).then_some(is_said))
        };
        let is_said = wait::until(&format!("it says {text:?}"), RUN_LIMIT, is_said, said).await?;
        ensure!(is_said, "it ended and never said {text:?}:\n{}", said());
        Ok(())
    }

    /// Waits for the end of the run, and shows all that it said if the test fails.
    pub(super) async fn end(mut self) -> Result<Run> {
        let status = tokio::time::timeout(RUN_LIMIT, self.child.wait()).await;
        let text = fs::read_to_string(&self.said)?;
        say(&format!("$ provision {}\n{text}", self.words));
        let status = status.with_context(|| format!("provision {} takes too long", self.words))??;
        say(&format!("[{status}]"));
        Ok(Run { exit: status.code().with_context(|| status.to_string())?, text })
    }
}

/// How a run ended and all that it said.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) exit: i32,
    pub(super) text: String,
}

impl Run {
    pub(super) fn says(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}
