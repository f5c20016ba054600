//! Command lines and environments of everything that runs while a job is done, and what lies in the folder of the SSH
//! masters then.
//!
//! The hosts are containers, so that what runs in them, nested containers included, shows in this machine's `/proc`. A
//! process that ends within milliseconds may be missed, so everything is looked at again and again. What was seen is
//! kept as it is and searched at the end, when all secrets are known.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::Canaries;

/// How often everything is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// The secret of processes that are run to see the search find them, and its name.
const PROOF: &str = "the+sampler=sees:this/0b5c";
const PROOF_NAME: &str = "proof";

/// Looks until it is asked for what it saw.
pub(crate) struct Sampler {
    thread: JoinHandle<HashSet<Sample>>,
    /// Dropped to end the looking.
    running: Sender<()>,
    has_masters: bool,
}

/// Something seen: of which kind, whose, and what.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sample {
    kind: Kind,
    /// The program of a process, or the path of a file.
    of: PathBuf,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    CommandLine,
    Environment,
    File,
}

impl Sampler {
    /// Also reads what is in the folder of the SSH masters, where there are some.
    pub(crate) fn start(masters: Option<&Path>) -> Self {
        let (running, is_running) = mpsc::channel();
        let folder = masters.map(Path::to_owned);
        let thread = thread::spawn(move || {
            let mut seen = HashSet::new();
            let mut is_last = false;
            while !is_last {
                // The last look begins after the end was asked for.
                is_last = is_running.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected);
                processes(&mut seen);
                folder.iter().for_each(|folder| files(folder, &mut seen));
            }
            seen
        });
        Self { thread, running, has_masters: masters.is_some() }
    }

    /// Fails with every place that showed a secret. A process with a canary in its command line and one with it in its
    /// environment show that the sampler sees.
    pub(crate) fn ensure_found_nothing(self, mut canaries: Canaries) -> Result<()> {
        canaries.add(PROOF_NAME, PROOF)?;
        let proofs = [process_with(PROOF, "x")?, process_with("x", PROOF)?];
        drop(self.running);
        let seen = self.thread.join().map_err(|_| anyhow!("the sampler panicked"))?;
        for mut proof in proofs {
            // The end of its input is what it waits for.
            drop(proof.stdin.take());
            ensure!(proof.wait()?.success(), "sh failed");
        }

        let shown = seen.iter().filter_map(|sample| Some((sample, canaries.first_in(&sample.bytes)?)));
        let (proofs, shown): (Vec<_>, Vec<_>) = shown.partition(|(_, (name, _))| *name == PROOF_NAME);
        for kind in [Kind::CommandLine, Kind::Environment] {
            ensure!(proofs.iter().any(|(sample, _)| sample.kind == kind), "blind to {kind:?}: {proofs:?}");
        }
        let is_of_master = |sample: &Sample| sample.of.extension().is_some_and(|end| end == "conf");
        ensure!(!self.has_masters || seen.iter().any(is_of_master), "blind to the SSH folder");
        let shown: Vec<String> = shown.into_iter().map(|(sample, found)| sample.show(found)).collect();
        ensure!(shown.is_empty(), "secrets show: {shown:#?}");
        Ok(())
    }
}

impl Sample {
    fn show(&self, found: (&str, &str)) -> String {
        let text = String::from_utf8_lossy(&self.bytes).replace('\0', " ");
        format!("{:?} of {}: {found:?}: {text}", self.kind, self.of.display())
    }
}

/// A process that lives until its input ends; it is that program when this returns.
fn process_with(word: &str, variable: &str) -> Result<Child> {
    let mut child = Command::new("sh")
        .args(["-c", "echo here; read -r line; exit 0", word])
        .env_clear()
        .env("PROOF", variable)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = child.stdout.take().context("it was asked for")?;
    BufReader::new(said).read_line(&mut String::new())?;
    Ok(child)
}

fn processes(seen: &mut HashSet<Sample>) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // A process may end between the calls, or become another program: what was its parent's is not its own.
        let program = || fs::read_link(entry.path().join("exe")).ok();
        let before = program();
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let (words, variables) = (read("cmdline"), read("environ"));
        let Some(program) = before.filter(|before| program().as_ref() == Some(before)) else { continue };
        // What is given to the program itself is given by whoever starts it: this test.
        let is_told = program.ends_with("provision")
            || program.ends_with("env")
            || program == std::env::current_exe().unwrap_or_default();
        if !is_told {
            let of = program.clone();
            seen.insert(Sample { kind: Kind::Environment, of, bytes: variables });
        }
        seen.insert(Sample { kind: Kind::CommandLine, of: program, bytes: words });
    }
}

fn files(folder: &Path, seen: &mut HashSet<Sample>) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                seen.insert(Sample { kind: Kind::File, of: path, bytes });
            }
        }
    }
}
