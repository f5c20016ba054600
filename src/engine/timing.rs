//! How long the parts of a run took.

use std::time::{Duration, Instant};

/// One part of a run, with what it was spent on if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// A phase's title, or what else the run did: `connect`.
    pub(crate) name: String,
    pub(crate) took: Duration,
    /// Changes of the phase; those of several hosts overlap.
    pub(crate) changes: Vec<(String, Duration)>,
}

/// Collects the parts of a run from its beginning.
#[derive(Debug)]
pub(crate) struct Timing {
    began: Instant,
    last: Instant,
    pub(crate) parts: Vec<Part>,
}

impl Timing {
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, parts: Vec::new() }
    }

    /// Ends a part; the next one begins.
    pub(crate) fn end(&mut self, name: &str, changes: Vec<(String, Duration)>) {
        let now = Instant::now();
        self.parts.push(Part { name: name.to_owned(), took: now - self.last, changes });
        self.last = now;
    }

    /// Begins the next part now: what passed since the last one was somebody else's time.
    pub(crate) fn restart(&mut self) {
        self.last = Instant::now();
    }

    /// Since the beginning.
    pub(crate) fn total(&self) -> Duration {
        self.began.elapsed()
    }
}
