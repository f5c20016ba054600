//! The private directory of one run's SSH: configuration, control sockets, sockets of forwarded streams.
//!
//! A control socket's path may have about 100 characters, so the directory is short. It is locked as long as its run
//! lives; directories of runs that died are removed by the next one.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::HostError;

const PREFIX: &str = "provision-ssh-";
const LOCK: &str = "lock";

/// Longest parent that leaves room for the crate's own folder, the socket's name and ssh's temporary suffix.
const LONGEST_PARENT: usize = 36;

pub(super) struct RunDir {
    dir: TempDir,
    /// Locked until this process ends, however it ends.
    _lock: File,
}

impl RunDir {
    pub(super) fn create() -> Result<Self, HostError> {
        let parent = parent();
        let failed = |source| HostError::LocalFile { path: parent.clone(), source };
        remove_dead(&parent);
        loop {
            let dir = tempfile::Builder::new()
                .prefix(PREFIX)
                .rand_bytes(6)
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(&parent)
                .map_err(failed)?;
            let path = dir.path().join(LOCK);
            let lock = File::create(&path).map_err(failed)?;
            let is_locked = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            // Another run that starts now may have taken the new directory, not yet locked, for a dead one.
            if is_locked && path.exists() {
                return Ok(Self { dir, _lock: lock });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Removes the directory at the end of a run, whoever still holds this value when the program ends.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(self.path()) {
            tracing::debug!(path = %self.path().display(), %error, "cannot remove the run's directory");
        }
    }
}

/// The user's runtime directory, else `/tmp`. Its text goes unquoted into ssh_config, so it is plain.
fn parent() -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let runtime = std::env::var("XDG_RUNTIME_DIR").ok();
    let usable = runtime.filter(|dir| {
        dir.starts_with('/')
            && dir.len() <= LONGEST_PARENT
            && dir.chars().all(is_plain)
            && Path::new(dir).is_dir()
    });
    usable.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

/// Removes directories of this user whose run is gone. What cannot be removed is left: it holds no secret.
fn remove_dead(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let own_uid = rustix::process::getuid().as_raw();
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own_uid);
        if !is_ours {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(path = %entry.path().display(), %error, "cannot remove the directory of a dead run");
        }
    }
}
