//! Packages of Debian and its descendants, installed on machines that are still busy with their own set-up.

use std::time::Duration;

use super::fields::Fields;
use crate::host::Command;

/// How long anything waits for cloud-init and for another package manager.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// How long a download and an installation may take on a slow host, after that wait.
const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// A script around `body` that may use the functions `update`, `has_candidate PACKAGE`, `install PACKAGE…` and
/// `fail MESSAGE [STATUS]`.
///
/// It runs to its end once it is started, whatever becomes of the connection, because half an installation blocks the
/// next one. What the tools print goes to a file; its end is shown when a step fails.
pub(crate) fn apt_script(title: impl Into<String>, body: &str) -> Command {
    let script = format!("patience={}\n{APT_FUNCTIONS}\n{body}", PATIENCE.as_secs());
    Command::new(title, script).as_root().finishing().timeout(PATIENCE + INSTALL_LIMIT)
}

/// Who installs packages at this moment, or sets the machine up. Parse the answer with [`parse_holder`].
///
/// Says who has a lock's file open; whether it is locked, the tools themselves look when they install.
pub(crate) fn look_for_holder() -> Command {
    Command::new("look for other package managers", HOLDER).as_root()
}

/// Reads the answer of [`look_for_holder`]: a program and its process, for people.
pub(crate) fn parse_holder(answer: &str) -> Option<String> {
    Fields::parse(answer).optional("holder")
}

const HOLDER: &str = r#"
if command -v cloud-init >/dev/null 2>&1 && timeout 20 cloud-init status 2>/dev/null | grep -q 'status: running'; then
  echo "holder=cloud-init"; exit 0
fi
for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
  file=$(find /proc/[0-9]*/fd -lname "$lock" -print -quit 2>/dev/null)
  pid=${file#/proc/}; pid=${pid%%/*}
  if [ -n "$pid" ] && name=$(cat "/proc/$pid/comm" 2>/dev/null); then echo "holder=$name, process $pid"; exit 0; fi
done
"#;

const APT_FUNCTIONS: &str = r#"
set -u
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
log=$(mktemp) || exit 1
leave() { rm -f -- "$log"; }
trap leave EXIT
# The message comes first, and an error shows a dozen lines.
complaints=
fail() {
  lines=10; [ -z "$complaints" ] || lines=5
  {
    echo "$1"; tail -n "$lines" "$log"
    [ -z "$complaints" ] || printf '%s\n' 'before that, apt-get update said:' "$complaints"
  } >&2
  exit "${2:-1}"
}
if command -v cloud-init >/dev/null 2>&1; then
  # Its own failures are not ours; only its being busy is.
  timeout "$patience" cloud-init status --wait >/dev/null 2>&1
fi
deadline=$(($(date +%s) + patience))
# Runs apt-get "$@"; waits while another package manager holds its locks, and finishes what an interrupted one left.
apt() {
  repaired=
  while :; do
    apt-get -q -y -o DPkg::Lock::Timeout="$patience" -o Dpkg::Options::=--force-confold "$@" </dev/null >"$log" 2>&1 && return 0
    status=$?
    if grep -q 'Could not get lock\|Unable to lock' "$log" && [ "$(date +%s)" -lt "$deadline" ]; then
      sleep 2
    elif [ -z "$repaired" ] && grep -q 'dpkg --configure -a' "$log"; then
      repaired=yes
      dpkg --force-confold --configure -a </dev/null >"$log" 2>&1 || return 1
    else
      return "$status"
    fi
  done
}
# A foreign source that is broken is not our failure: whether a package has a candidate decides.
update() { apt update || true; complaints=$(grep '^[EW]: ' "$log" | tail -n 5); }
has_candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }
install() { apt --no-install-recommends install "$@" || fail "cannot install $*"; }
"#;
