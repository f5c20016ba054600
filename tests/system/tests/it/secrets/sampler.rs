//! Command lines and environments of everything that runs while the job is done, and what lies in the folder of the SSH
//! masters then.
//!
//! The hosts are containers, so that what runs in them, nested containers included, shows in this machine's `/proc`. A
//! process that ends within milliseconds may be missed, so everything is looked at again and again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::forms::Canaries;

const INTERVAL: Duration = Duration::from_millis(10);

/// A variable of this test's own.
const PROOF: &str = "SECRETS_SAMPLER_PROOF";

pub(super) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// Places that show a canary, and how much was looked at.
#[derive(Default)]
struct Seen {
    shown: BTreeSet<String>,
    looked_at: BTreeSet<(PathBuf, Vec<u8>)>,
}

impl Sampler {
    /// Also reads what is in `folder`.
    pub(super) fn start(canaries: Canaries, folder: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, folder) = (Arc::clone(&stop), folder.to_owned());
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !asked.load(Ordering::Relaxed) {
                processes(&canaries, &mut seen);
                files(&folder, &canaries, &mut seen);
                thread::sleep(INTERVAL);
            }
            seen
        });
        Self { stop, thread }
    }

    /// A process with a canary in its command line and one with it in its environment show that the sampler sees.
    pub(super) fn ensure_found_nothing(self) -> Result<()> {
        for proof in [[super::SUDO, "x"], ["x", super::SUDO]] {
            let status =
                Command::new("sh").args(["-c", "sleep 1; exit 0", proof[0]]).env(PROOF, proof[1]).status();
            ensure!(status?.success(), "sh failed");
        }
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = self.thread.join().map_err(|_| anyhow::anyhow!("the sampler panicked"))?;
        // The label is what the search on the host plants to see itself find.
        let is_proof = |line: &String| {
            line.contains(PROOF) || line.contains("sleep 1; exit 0") || line.contains("planted=")
        };
        let proofs: Vec<&String> = seen.shown.iter().filter(|line| is_proof(line)).collect();
        ensure!(proofs.iter().any(|line| line.starts_with("cmdline")), "blind to command lines: {proofs:?}");
        ensure!(proofs.iter().any(|line| line.starts_with("environ")), "blind to environments: {proofs:?}");
        let is_master = |(path, _): &(PathBuf, Vec<u8>)| path.extension().is_some_and(|end| end == "conf");
        ensure!(seen.looked_at.iter().any(is_master), "blind to the SSH folder");
        seen.shown.retain(|line| !is_proof(line));
        ensure!(seen.shown.is_empty(), "secrets show: {:#?}", seen.shown);
        Ok(())
    }
}

fn processes(canaries: &Canaries, seen: &mut Seen) {
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
        for (kind, bytes) in [("cmdline", words), ("environ", variables)] {
            if kind == "environ" && is_told || !seen.looked_at.insert((program.join(kind), bytes.clone())) {
                continue;
            }
            if let Some(canary) = canaries.first_in(&bytes) {
                let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
                seen.shown.insert(format!("{kind} of {}: {canary:?}: {text}", program.display()));
            }
        }
    }
}

fn files(folder: &Path, canaries: &Canaries, seen: &mut Seen) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path)
                && seen.looked_at.insert((path.clone(), bytes.clone()))
                && let Some(canary) = canaries.first_in(&bytes)
            {
                seen.shown.insert(format!("file {}: {canary:?}", path.display()));
            }
        }
    }
}
