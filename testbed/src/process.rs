//! A child process that cannot outlive its owner.
//!
//! It runs under a small supervising shell in a process group of its own. The shell holds one end of a pipe, we hold
//! the other: the end of the pipe, however it comes, ends the child. Signals are sent as lines through the same pipe,
//! so that no process id is ever used after its process is gone. (`PR_SET_PDEATHSIG` would tie the child to the
//! *thread* that started it, and threads of an async runtime come and go.)

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, paths, wait};

const SUPERVISE: &str = include_str!("supervise.sh");

/// A signal that a test sends to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Asks it to end.
    Term,
    /// Ends it.
    Kill,
    /// Freezes it.
    Stop,
    /// Thaws it.
    Continue,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// Looked up in `PATH` unless it is a path.
    pub program: PathBuf,
    /// Debian's package that has it, for the error when it is missing.
    pub package: &'static str,
    /// Never holds a secret.
    pub args: Vec<String>,
    /// Added to the inherited environment.
    pub env: Vec<(String, String)>,
    /// Where stdout and stderr go.
    pub log: PathBuf,
}

/// A running child; dropping it kills the child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program under its supervisor.
    ///
    /// Errors: [`Error::Spawn`] when there is no shell. A missing program shows as an early end in [`Self::until`].
    pub fn start(program: &Program) -> Result<Self, Error> {
        // Before the first child: the owner's name and reaper must be there to clean up after it.
        crate::owner::owner()?;
        let log = File::options().create(true).append(true).open(&program.log);
        let log = log.map_err(Error::file(&program.log))?;
        let errors = log.try_clone().map_err(Error::file(&program.log))?;
        let child = Command::new("/bin/sh")
            .args(["-c", SUPERVISE, "testbed-supervise"])
            .arg(&program.program)
            .args(&program.args)
            .envs(program.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Spawn { program: "sh".to_owned(), package: "dash", source })?;
        let name = program.program.display().to_string();
        Ok(Self { name, child, log: program.log.clone() })
    }

    /// What the program has printed so far.
    pub fn log(&self) -> String {
        paths::read_log(&self.log)
    }

    /// The file that stdout and stderr go to.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The id of the program itself (not of its supervisor), for tests that read `/proc`; `None` once it has ended.
    pub fn id(&self) -> Option<u32> {
        let supervisor = self.child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
        // The supervisor starts the program first and its own reader second.
        children.split_whitespace().next()?.parse().ok()
    }

    /// Sends a signal; nothing happens when the program has ended.
    pub fn signal(&mut self, signal: Signal) {
        let word: &[u8] = match signal {
            Signal::Term => b"TERM\n",
            Signal::Kill => b"KILL\n",
            Signal::Stop => b"STOP\n",
            Signal::Continue => b"CONT\n",
        };
        if let Some(pipe) = &mut self.child.stdin {
            // The only failure is a supervisor that is gone, and it goes with the program.
            pipe.write_all(word).ok();
        }
    }

    /// How the program ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|source| Error::Spawn {
            program: self.name.clone(),
            package: "",
            source,
        })
    }

    /// Waits for a condition about the program; its early end is an error with the last lines of its log.
    pub async fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl AsyncFnMut(&str) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let log = self.log.clone();
        wait::until(
            what,
            limit,
            async || match self.ended()? {
                None => condition(&self.log()).await,
                Some(status) => Err(Error::Command {
                    command: self.name.clone(),
                    status: status.to_string(),
                    output: paths::tail(&self.log(), 40),
                }),
            },
            || paths::tail(&paths::read_log(&log), 40),
        )
        .await
    }

    /// Waits for the program to end by itself. Errors: [`Error::NotReady`] with the last lines of its log.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Error> {
        let (what, log) = (format!("{} has ended", self.name), self.log.clone());
        let last = || paths::tail(&paths::read_log(&log), 40);
        wait::until(&what, limit, async || self.ended(), last).await
    }

    /// Sends SIGTERM and waits for the end; SIGKILL after `limit`. Returns how the program ended.
    pub async fn stop(&mut self, limit: Duration) -> Result<ExitStatus, Error> {
        self.signal(Signal::Term);
        match self.wait(limit).await {
            Err(Error::NotReady { .. }) => self.kill(),
            other => other,
        }
    }

    /// Kills the program and waits for its end.
    pub fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.signal(Signal::Kill);
        drop(self.child.stdin.take());
        self.child.wait().map_err(|source| Error::Spawn { program: self.name.clone(), package: "", source })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let start = Instant::now();
        if let Err(error) = self.kill() {
            tracing::warn!(program = self.name, %error, elapsed = ?start.elapsed(), "could not end a process");
        }
    }
}
