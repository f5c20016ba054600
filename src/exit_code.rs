//! Exit codes of `provision`: the one table.

use std::process::ExitCode;

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
    /// `plan` found changes to make.
    ChangesPending = 7,
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
  7  plan: changes are pending";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
