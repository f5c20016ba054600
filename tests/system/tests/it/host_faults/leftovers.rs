//! What a run may leave on a host: whole files. Not half ones, not temporary ones, no processes.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use testbed::ssh_host::SshHost;

/// Files of ours on a host, by path, with their digest, owner and mode. Journals grow with every change, so they are
/// left out.
pub(super) type Digest = BTreeMap<String, String>;

/// Everything below `/etc/provision`, or where else it was told to lie.
pub(super) async fn digest(host: &SshHost) -> Result<Digest> {
    let script = "find /etc/provision /srv -type f ! -name journal.jsonl -exec sh -c '
        for file; do echo \"$file $(stat -c \"%a %u %g\" \"$file\") $(sha256sum <\"$file\")\"; done
    ' sh {} + 2>/dev/null || true";
    let answer = host.exec(script).await?;
    let lines = answer.lines().filter_map(|line| line.split_once(' '));
    Ok(lines.map(|(path, state)| (path.to_owned(), state.to_owned())).collect())
}

/// Temporary files of ours, and processes of ours that still run.
pub(super) async fn leftovers(host: &SshHost) -> Result<Vec<String>> {
    let script = "
        find / /tmp /run /var/lib/docker -xdev \\( -name '*.provision-new' -o -path '/etc/provision/*.new' \\
            -o -path '/tmp/tmp.*' -o -path '/var/tmp/tmp.*' \\) 2>/dev/null || true
        ps -eo pid,args | grep -e '[p]rovision:begin' -e '[p]rovision-begin' || true
        ";
    Ok(host.exec(script).await?.lines().map(str::to_owned).collect())
}

/// Fails if a file is neither as it was nor as it will be: `whole` are its whole states.
pub(super) fn ensure_whole(name: &str, now: &Digest, whole: &[&Digest]) -> Result<()> {
    for (path, state) in now {
        let is_whole = whole.iter().any(|states| states.get(path) == Some(state));
        ensure!(is_whole, "{name}: {path} is neither old nor new: {state}");
    }
    Ok(())
}
