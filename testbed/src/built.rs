//! The programs of this workspace, as the build that runs the tests has made them.

use std::env;
use std::path::PathBuf;

use crate::Error;

/// The path of a built program: `provision`, `connect-worker`, `testbed` or `benchmarks`.
///
/// It lies in the folder of the profile and target that the running test was built with, so it is the very file that
/// `cargo build --workspace` with the same flags has made.
///
/// Errors: [`Error::NotBuilt`].
pub fn program(name: &'static str) -> Result<PathBuf, Error> {
    let own = env::current_exe().map_err(Error::file("the running test"))?;
    // A test lies in `deps`, one folder deeper than the programs.
    let folder = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    let path = folder.map(|folder| folder.join(name)).unwrap_or_default();
    if path.is_file() { Ok(path) } else { Err(Error::NotBuilt { name, path }) }
}
