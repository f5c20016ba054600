//! The lock that keeps runs of other control machines from changing a host at the same time: pure.
//!
//! A script of the session holds it, so it goes with the session however that ends. It lies in `/run`, which no reboot
//! survives; it is taken only by runs that change something.

use std::time::Duration;

use super::Command;
use crate::shell::quote;

/// Longer than any run.
const LONGEST_RUN: Duration = Duration::from_secs(24 * 60 * 60);

/// How long another run's session may take to go, which was ended just now.
const PATIENCE_SECONDS: u32 = 10;

const LOCKED: &str = "lock=ours";
const HELD: &str = "lock=theirs ";

/// What the script has said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Locked,
    /// Who has it, in words.
    Held(String),
}

/// Where the lock `name` lies on a host. Only whoever holds it may remove it.
pub(crate) fn lock_file(name: &str) -> String {
    format!("/run/{name}.lock")
}

/// Takes the lock `name` and holds it until the session ends; says so in its first line.
pub(super) fn command(name: &str, owner: &str) -> Command {
    // A file that was removed while we waited for it locks nobody out: the one in its place counts.
    let script = format!(
        "file={}\n\
         command -v flock >/dev/null 2>&1 || {{ echo {LOCKED}; exec sleep {seconds}; }}\n\
         until [ \"$file\" -ef /proc/self/fd/9 ]; do\n\
         exec 9>>\"$file\" || exit 1\n\
         flock -w {PATIENCE_SECONDS} 9 || {{ echo \"{HELD}$(cat \"$file\")\"; exit 0; }}\n\
         done\n\
         sh -c 'echo \"$1, process $PPID there\"' sh {} >\"$file\"\n\
         echo {LOCKED}\n\
         exec sleep {seconds}\n",
        quote(&lock_file(name)),
        quote(owner),
        seconds = LONGEST_RUN.as_secs(),
    );
    Command::new("take the host's lock", script).as_root().timeout(LONGEST_RUN)
}

/// Reads the script's own output; `None` when the first line is not complete yet.
pub(super) fn answer(output: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(output).ok()?;
    let (line, _) = text.split_once('\n')?;
    match line.strip_prefix(HELD) {
        Some(owner) => Some(Answer::Held(owner.trim().to_owned())),
        None => (line == LOCKED).then_some(Answer::Locked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_whose_it_is() {
        assert_eq!(answer(b""), None);
        assert_eq!(answer(b"lock=ou"), None);
        assert_eq!(answer(b"lock=ours\n"), Some(Answer::Locked));
        let held = Answer::Held("ada@desk, process 7 there".to_owned());
        assert_eq!(answer(b"lock=theirs ada@desk, process 7 there\n"), Some(held));
    }
}
