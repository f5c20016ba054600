//! Shows what happens: events to lines or to a live display, results as text or as one JSON document.
//!
//! Data (plan, summary, JSON) goes to standard output, everything else to standard error.

mod json;
mod lines;
mod live;
mod summary;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

pub(crate) use json::{envelope, failures as failure_documents};
pub(crate) use lines::failed as failure_text;
pub(crate) use summary::{Outcome, Pointer, summary};

use crate::engine::event::Reporter;

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A line per host that changes in place; standard error is a terminal.
    Live,
    /// One line per event.
    Plain,
    /// Nothing until the end, then one JSON document.
    Json,
}

impl Style {
    /// Live on a terminal, plain lines elsewhere.
    pub(crate) fn detect(json: bool) -> Self {
        match (json, io::stderr().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Live,
            (false, false) => Self::Plain,
        }
    }

    pub(crate) fn reporter(self) -> Arc<dyn Reporter> {
        match self {
            Self::Live => Arc::new(live::Live::new()),
            Self::Plain => Arc::new(lines::Lines),
            Self::Json => Arc::new(lines::Silent),
        }
    }
}

/// Whether standard error shows colors: a terminal, and `NO_COLOR` is unset or empty.
pub(crate) fn has_color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

/// Writes data. A closed pipe (`provision plan | head`) is not an error worth a word.
pub(crate) fn stdout(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes everything that is not data.
pub(crate) fn stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Asks for a yes on a terminal; elsewhere nobody could answer, and a pipeline means what it says.
///
/// Dropping it leaves a thread behind that waits for the answer, until the program ends.
pub(crate) async fn confirmed(question: &str) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return true;
    }
    stderr(&format!("\n{question} [y/N] "));
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    matches!(answer.await, Ok(Ok(answer)) if matches!(answer.trim(), "y" | "Y" | "yes"))
}
