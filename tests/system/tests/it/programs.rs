//! The built programs under test.

use std::path::PathBuf;
use std::time::Duration;

use testbed::built;

/// Longer than any run of `provision` takes here, packages from the network included; one that hangs ends its test with
/// what it has said.
pub(crate) const RUN_LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn provision() -> PathBuf {
    built::program("provision").unwrap()
}

pub(crate) fn connect_worker() -> PathBuf {
    built::program("connect-worker").unwrap()
}
