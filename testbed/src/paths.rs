//! Where the test bed keeps things: a cache that lasts, and a folder for what runs now.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// What is expensive and the same for everyone: jars, stamps of built images.
pub(crate) fn cache() -> Result<PathBuf, Error> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(env::temp_dir);
    private_dir(base.join("provision-testbed"))
}

/// What lasts as long as something runs: folders of owners, port reservations, locks.
pub(crate) fn run() -> Result<PathBuf, Error> {
    let user = rustix::process::getuid().as_raw();
    private_dir(env::temp_dir().join(format!("provision-testbed-{user}")))
}

/// Makes a folder that only its user can enter, and its parents.
pub(crate) fn private_dir(path: PathBuf) -> Result<PathBuf, Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(Error::file(&path))?;
    Ok(path)
}

/// Writes a file that only its user can read.
pub(crate) fn write_private(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file(path))?;
    file.write_all(bytes.as_ref()).map_err(Error::file(path))
}

/// Holds the exclusive lock `name` until dropped; waits for it without blocking the async runtime.
pub(crate) async fn lock(name: &str) -> Result<File, Error> {
    let path = private_dir(run()?.join("locks"))?.join(name);
    let file = open_lock(&path)?;
    tokio::task::spawn_blocking(move || {
        file.lock().map_err(Error::file(&path))?;
        Ok(file)
    })
    .await
    .expect("taking a lock does not panic")
}

/// Opens (and makes) a lock file without locking it.
pub(crate) fn open_lock(path: &Path) -> Result<File, Error> {
    File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(Error::file(path))
}

/// Reads a text file; empty when it is not there yet.
pub(crate) fn read_log(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The last lines of a text, for an error.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
