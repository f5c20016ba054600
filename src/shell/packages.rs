//! Packages of Debian and its descendants, installed on machines that are still busy with their own set-up.

use std::time::Duration;

use crate::host::Command;

/// How long a script waits for cloud-init and for another package manager.
const PATIENCE: Duration = Duration::from_secs(300);

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

const APT_FUNCTIONS: &str = r#"
set -u
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
log=$(mktemp) || exit 1
leave() { rm -f -- "$log"; }
trap leave EXIT
# The message comes first, and an error shows a dozen lines.
fail() { { echo "$1"; tail -n 10 "$log"; } >&2; exit "${2:-1}"; }
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
update() { apt update || true; }
has_candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }
install() { apt --no-install-recommends install "$@" || fail "cannot install $*"; }
"#;
