//! What can go wrong while a real thing is started.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A real thing that did not start, or a command about it that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not there or may not be run.
    #[error("run {program} (from the package {package})")]
    Spawn {
        /// The program's name.
        program: String,
        /// Debian's package that has it.
        package: &'static str,
        /// Why it could not be run.
        #[source]
        source: io::Error,
    },
    /// A command ended with a failure.
    #[error("{command}: {status}\n{output}")]
    Command {
        /// The program and its first words.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines it printed.
        output: String,
    },
    /// A condition did not become true in time.
    #[error("{what}: not so within {waited:?}\n{log}")]
    NotReady {
        /// The condition, in words.
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// What was last seen.
        log: String,
    },
    /// Nothing answered with HTTP.
    #[error("{request}")]
    Http {
        /// Method and URL.
        request: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or folder could not be read or written.
    #[error("{}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A jar is not the one that was pinned.
    #[error("{}: SHA-256 differs from the tracked list", path.display())]
    Digest {
        /// The jar.
        path: PathBuf,
    },
    /// A program of the workspace has not been built beside the running test.
    #[error("{} is not there: build {name} with the flags of this test first", path.display())]
    NotBuilt {
        /// Which program.
        name: &'static str,
        /// Where it would be.
        path: PathBuf,
    },
    /// No free port, subnet or name was found.
    #[error("no free {what} left")]
    Exhausted {
        /// What was looked for.
        what: &'static str,
    },
}

impl Error {
    /// Wraps an I/O error with the path it happened on; for `map_err`.
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File { path, source }
    }
}
