//! Every command line that this machine and the hosts run while the job is done.
//!
//! Processes are looked at again and again, so one that ends within milliseconds may be missed; a busy machine makes
//! that tens of milliseconds. The hosts are containers, and what runs in them, nested containers included, shows in
//! this machine's `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often all processes are looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks at command lines until it is asked for what it saw.
pub(super) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Sampler {
    pub(super) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !asked.load(Ordering::Relaxed) {
                look(&mut seen);
                thread::sleep(INTERVAL);
            }
            seen
        });
        Self { stop, thread }
    }

    /// Everything seen, words separated by spaces. A command that is run for this shows that the sampler sees.
    pub(super) fn finish(self) -> BTreeSet<String> {
        let proof = "the-sampler-sees-this";
        let status = Command::new("sh").args(["-c", "sleep 1; exit 0", proof]).status().unwrap();
        assert!(status.success());
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().unwrap();
        assert!(seen.iter().any(|line| line.contains(proof)), "the sampler is blind");
        seen
    }
}

fn look(seen: &mut BTreeSet<String>) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // A process may end between the two calls.
        let Ok(words) = fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&words).replace('\0', " ");
        if !seen.contains(&line) {
            seen.insert(line);
        }
    }
}
