//! What ssh's own words mean: its log is the only place where it says why a connection failed.

/// Why a master connection did not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SshFailure {
    UnknownHostKey,
    ChangedHostKey,
    LoginRefused,
    /// ssh did not even try: its configuration is wrong.
    Configuration,
    /// Closed before or while greeting: a server that sheds load (`MaxStartups`). Worth another try.
    ClosedEarly,
    Unreachable,
}

pub(super) fn classify(log: &str) -> SshFailure {
    let says = |needles: &[&str]| needles.iter().any(|needle| log.contains(needle));
    if says(&["HOST IDENTIFICATION HAS CHANGED", "is marked as revoked", "REVOKED HOST KEY"]) {
        SshFailure::ChangedHostKey
    } else if says(&["Host key verification failed", "host key is known for"]) {
        SshFailure::UnknownHostKey
    } else if says(&[
        "Permission denied",
        "Too many authentication failures",
        "No supported authentication methods",
        "no more authentication methods",
    ]) {
        SshFailure::LoginRefused
    } else if says(&["Bad configuration option", "Bad owner or permissions", "bad configuration options"]) {
        SshFailure::Configuration
    } else if says(&[
        "kex_exchange_identification",
        "ssh_exchange_identification",
        "banner exchange",
        "Connection reset by",
        "Connection closed by",
        "Not allowed at this time",
        "Exceeded MaxStartups",
    ]) {
        SshFailure::ClosedEarly
    } else {
        SshFailure::Unreachable
    }
}

/// The fingerprint of the key that a server showed in place of the known one.
pub(super) fn shown_fingerprint(log: &str) -> Option<&str> {
    log.lines().map(|line| line.trim().trim_end_matches('.')).find(|line| line.starts_with("SHA256:"))
}

/// Why the far end last refused to open a channel: `connect failed: Connection refused`.
pub(super) fn refusal(log: &str) -> Option<String> {
    let reason =
        log.lines().rev().find_map(|line| line.split_once("open failed: ").map(|(_, reason)| reason));
    reason.map(|reason| reason.trim().to_owned())
}

/// The log without warnings that explain nothing, on one line, short enough for an error.
pub(super) fn summary(log: &str) -> String {
    const ADVICE: [&str; 5] =
        ["Warning: Permanently added", "ssh-keygen -f", "remove with", "Offending", "Add correct host key"];
    let is_noise = |line: &str| {
        line.is_empty() || line.starts_with('@') || ADVICE.iter().any(|advice| line.contains(advice))
    };
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !is_noise(line)).collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    if last.is_empty() { "ssh gave no reason".to_owned() } else { last.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let check = |log: &str, expected| assert_eq!(classify(log), expected, "{log}");
        check(
            "No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.\n\
             Host key verification failed.",
            SshFailure::UnknownHostKey,
        );
        check(
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            SshFailure::ChangedHostKey,
        );
        check("ubuntu@10.0.0.1: Permission denied (publickey).", SshFailure::LoginRefused);
        check(
            "/home/ann/.ssh/config: line 3: Bad configuration option: prot\n\
             /home/ann/.ssh/config: terminating, 1 bad configuration options",
            SshFailure::Configuration,
        );
        check(
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1 port 22",
            SshFailure::ClosedEarly,
        );
        check("ssh: connect to host 10.0.0.1 port 22: Connection refused", SshFailure::Unreachable);
        check("ssh: Could not resolve hostname nowhere: Name or service not known", SshFailure::Unreachable);
    }

    #[test]
    fn a_changed_key_is_told_by_its_fingerprint() {
        let log =
            "The fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc/+d.\nPlease contact";
        assert_eq!(shown_fingerprint(log), Some("SHA256:abc/+d"));
        assert_eq!(shown_fingerprint("Host key verification failed."), None);
    }

    #[test]
    fn summary_keeps_the_last_words() {
        assert_eq!(summary("@@@@\nOne.\n\nTwo.\nThree.\nFour.\n"), "Two.; Three.; Four.");
        assert_eq!(summary(""), "ssh gave no reason");
        // Advice about the generated known_hosts file would mislead: it is gone by then.
        assert_eq!(
            summary("  ssh-keygen -f \"/tmp/x/0.known\" -R \"h\"\nHost key verification failed."),
            "Host key verification failed."
        );
    }
}
