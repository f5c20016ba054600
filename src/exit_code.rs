//! Exit codes of `provision`: the one table.

use std::process::ExitCode;

use crate::interrupt::Signal;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is as the inventory says.
    Done = 0,
    /// A bug of ours.
    Bug = 1,
    /// The inventory or the command line is wrong; nothing was touched.
    Usage = 2,
    /// A host could not be reached or logged in to.
    Unreachable = 3,
    /// A check before or after the changes failed.
    CheckFailed = 4,
    /// Some changes were made, others failed or were not reached.
    PartlyApplied = 5,
    /// Another run holds the cluster.
    Locked = 6,
    /// `plan` found changes to make, or `apply` was told not to make them.
    ChangesPending = 7,
    /// Stopped because the terminal was closed: 128 and the signal's number, as shells have it.
    HungUp = 129,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

/// The table for `--help` and the docs.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done: everything is as the inventory says
  1  a bug in provision
  2  the inventory or the command line is wrong; no host was touched
  3  a host could not be reached
  4  a check failed
  5  partly applied: run it again when the cause is gone
  6  another run is under way
  7  changes are pending: `plan` found them, or `apply` was told not to make them
  129, 130, 143  stopped by SIGHUP, Ctrl-C or SIGTERM: run it again to go on";

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::HangUp => Self::HungUp,
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
