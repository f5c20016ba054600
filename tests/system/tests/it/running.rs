//! A run of the program whose lines are followed, so that it can be struck where it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;
use testbed::{built, owner};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use crate::programs::RUN_LIMIT;

/// Exit codes of a run that was told to stop.
pub(crate) const INTERRUPTED: i32 = 130;
pub(crate) const TERMINATED: i32 = 143;

/// The program with one inventory, in a folder of its own.
pub(crate) struct Subject {
    folder: PathBuf,
    /// Where the runs keep their SSH masters: a short path, and nobody else's.
    runtime: Arc<TempDir>,
    /// Folder for `--certs`, which is what tells control machines apart.
    certs: &'static str,
    variables: Vec<(String, String)>,
}

impl Subject {
    pub(crate) fn new(inventory: &str, variables: Vec<(String, String)>) -> Result<Self> {
        let folder = owner::dir("run")?;
        std::fs::write(folder.join("inventory.yml"), inventory)?;
        Ok(Self { folder, runtime: Arc::new(TempDir::new()?), certs: "certs", variables })
    }

    /// The same, as another control machine would run it.
    pub(crate) fn elsewhere(&self, certs: &'static str) -> Self {
        Self {
            folder: self.folder.clone(),
            runtime: Arc::clone(&self.runtime),
            certs,
            variables: self.variables.clone(),
        }
    }

    /// The same with another value of a variable.
    pub(crate) fn with_variable(&self, name: &str, value: &str) -> Self {
        let mut other = self.elsewhere(self.certs);
        other.variables.retain(|(known, _)| known != name);
        other.variables.push((name.to_owned(), value.to_owned()));
        other
    }

    pub(crate) fn runtime(&self) -> &Path {
        self.runtime.path()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn inventory(&self) -> PathBuf {
        self.folder.join("inventory.yml")
    }

    pub(crate) fn start(&self, words: &[&str]) -> Result<Run> {
        // Whoever runs the tests in the background has told them to ignore Ctrl-C.
        let mut child = Command::new("env")
            .arg("--default-signal=HUP,INT,TERM")
            .arg(built::program("provision")?)
            .args(words)
            .args(["--inventory", "inventory.yml", "--certs", self.certs])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.folder)
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .env("USER", "ada")
            .env("XDG_CACHE_HOME", std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| cache()))
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .env("CONNECT_WORKER_BIN", built::program("connect-worker")?)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut stdout = stdout.context("it was asked for")?;
        let stdout = tokio::spawn(async move {
            let mut text = String::new();
            stdout.read_to_string(&mut text).await.map(|_| text)
        });
        let lines = BufReader::new(stderr.context("it was asked for")?).lines();
        Ok(Run { child, lines, stdout, said: Vec::new(), began: Instant::now(), words: words.join(" ") })
    }

    /// A run to its own end, which has to be this one.
    pub(crate) async fn expect(&self, exit: i32, words: &[&str]) -> Result<Ended> {
        let ended = self.start(words)?.end().await?;
        ended.ensure(exit, &[]).with_context(|| format!("provision {}", words.join(" ")))?;
        Ok(ended)
    }

    /// A run that is killed when it says a line. One that ends without it is an error.
    pub(crate) async fn kill_at(&self, words: &[&str], line: impl Fn(&str) -> bool) -> Result<()> {
        let mut run = self.start(words)?;
        run.until(line).await?;
        run.signal(Signal::KILL)?;
        let ended = run.end().await?;
        // At the last line it may have been faster.
        ensure!(matches!(ended.exit, None | Some(0)), "it ended with {:?} before it was killed", ended.exit);
        Ok(())
    }

    /// A run that is killed some time after it has said so many lines, if it has not ended by then.
    pub(crate) async fn kill_after(&self, words: &[&str], strike: &Strike) -> Result<()> {
        let mut run = self.start(words)?;
        run.until(|line| line == strike.line).await?;
        // The one wait by the clock here: the point in time is what is drawn.
        tokio::time::sleep(strike.later).await;
        run.signal(Signal::KILL)?;
        run.end().await?;
        Ok(())
    }
}

/// Where tools keep what they have downloaded once for this machine.
fn cache() -> String {
    format!("{}/.cache", std::env::var("HOME").unwrap_or_default())
}

/// A run under way.
pub(crate) struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    stdout: JoinHandle<std::io::Result<String>>,
    /// Lines of standard error, with the time since the start.
    said: Vec<(Duration, String)>,
    began: Instant,
    words: String,
}

/// How a run ended and what it said.
pub(crate) struct Ended {
    /// `None` when it was killed.
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    lines: Vec<(Duration, String)>,
}

impl Ended {
    /// Standard error.
    pub(crate) fn said(&self) -> String {
        self.lines.iter().map(|(_, line)| format!("{line}\n")).collect()
    }

    /// It ended so and said all of this.
    pub(crate) fn ensure(&self, exit: i32, words: &[&str]) -> Result<()> {
        let text = self.said() + &self.stdout;
        ensure!(self.exit == Some(exit), "it ended with {:?}, not {exit}\n{text}", self.exit);
        for words in words {
            ensure!(text.contains(words), "not said: {words}\n{text}");
        }
        Ok(())
    }
}

impl Run {
    async fn next(&mut self) -> Result<bool> {
        let line = tokio::time::timeout(RUN_LIMIT, self.lines.next_line()).await;
        let line = line.with_context(|| format!("provision {} has stopped talking", self.words))??;
        let is_there = line.is_some();
        self.said.extend(line.map(|line| (self.began.elapsed(), line)));
        Ok(is_there)
    }

    /// Follows the run until it says such a line, which is put in `found`; `false` when it ends without.
    pub(crate) async fn reaches(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        found: &mut String,
    ) -> Result<bool> {
        while self.next().await? {
            if let Some((_, line)) = self.said.last().filter(|(_, line)| wanted(line)) {
                found.clone_from(line);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Follows the run until it says such a line, which it has to.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        if self.reaches(wanted, &mut String::new()).await? {
            return Ok(());
        }
        bail!("provision {} never said the line that was waited for: {:#?}", self.words, self.said)
    }

    pub(crate) fn id(&self) -> Result<u32> {
        self.child.id().context("it was not waited for yet")
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.id()?)?).context("a process id is not zero")?;
        Ok(kill_process(pid, signal)?)
    }

    pub(crate) async fn end(mut self) -> Result<Ended> {
        while self.next().await? {}
        let status = tokio::time::timeout(RUN_LIMIT, self.child.wait()).await;
        let status = status.with_context(|| format!("provision {} does not end", self.words))??;
        let ended = Ended { exit: status.code(), stdout: self.stdout.await??, lines: self.said };
        say(&format!("$ provision {} [{status}]", self.words));
        Ok(ended)
    }
}

/// When an uninterrupted run said what.
pub(crate) struct Steps {
    /// Titles of the phases, as they were done.
    pub(crate) boundaries: Vec<String>,
    lines: Vec<(Duration, String)>,
}

/// A point in a run.
#[derive(Debug)]
pub(crate) struct Strike {
    line: String,
    later: Duration,
}

impl Steps {
    pub(crate) fn of(run: &Ended) -> Self {
        let mut seen = BTreeSet::new();
        let ends = |line: &str| {
            line.strip_suffix(": verified").or_else(|| line.strip_suffix(": unchanged")).map(str::to_owned)
        };
        let titles = run.lines.iter().filter_map(|(_, line)| ends(line));
        let boundaries = titles.filter(|title| seen.insert(title.clone())).collect();
        // The same line said twice would be another point; progress texts differ from run to run.
        let mut seen = BTreeSet::new();
        let is_step =
            |line: &str| line.ends_with('…') || ends(line).is_some() || line.ends_with(": connected");
        let lines = run.lines.iter().filter(|(_, line)| is_step(line) && seen.insert(line.clone()));
        Self { boundaries, lines: lines.cloned().collect() }
    }

    /// A point in time of the run, all being as likely.
    pub(crate) fn random(&self, seed: u64) -> Strike {
        let mut random = StdRng::seed_from_u64(seed);
        let first = self.lines.first().map_or(Duration::ZERO, |(time, _)| *time);
        let last = self.lines.last().map_or(Duration::ZERO, |(time, _)| *time);
        let point = first + (last - first).mul_f64(random.random_range(0.0..1.0));
        let before = self.lines.iter().rev().find(|(time, _)| *time <= point);
        let (time, line) = before.or(self.lines.first()).expect("a run says something");
        Strike { line: line.clone(), later: point.saturating_sub(*time) }
    }
}

/// Process ids of this machine whose command line holds a text, the test's own left out.
pub(crate) fn processes_with(text: &str) -> Result<Vec<u32>, testbed::Error> {
    let mut found = Vec::new();
    let entries =
        std::fs::read_dir("/proc").map_err(|source| testbed::Error::File { path: "/proc".into(), source })?;
    for entry in entries.flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse() else { continue };
        // A process may end while it is looked at.
        let Ok(words) = std::fs::read(entry.path().join("cmdline")) else { continue };
        if id != std::process::id() && String::from_utf8_lossy(&words).replace('\0', " ").contains(text) {
            found.push(id);
        }
    }
    Ok(found)
}

#[expect(clippy::print_stdout, reason = "a failed test shows what the program said")]
fn say(text: &str) {
    println!("{text}");
}
