//! What this program was built from.

/// The commit, when the build was told.
pub(crate) const COMMIT: &str = match option_env!("CONNECT_WORKER_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
