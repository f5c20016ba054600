//! The built programs under test.

use std::path::PathBuf;

use testbed::built;

pub(crate) fn provision() -> PathBuf {
    built::program("provision").unwrap()
}

pub(crate) fn connect_worker() -> PathBuf {
    built::program("connect-worker").unwrap()
}
