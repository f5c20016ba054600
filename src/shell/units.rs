//! systemd units on a host.

use std::collections::BTreeMap;
use std::time::Duration;

use super::quote;
use crate::host::Command;

/// What systemd says of a unit that it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// `enabled`, `disabled`, `static`, `masked` …
    pub(crate) enablement: String,
    /// `active`, `inactive`, `failed`, `activating` …
    pub(crate) activity: String,
}

impl UnitState {
    pub(crate) fn is_enabled(&self) -> bool {
        matches!(self.enablement.as_str(), "enabled" | "enabled-runtime" | "linked" | "linked-runtime")
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.activity.as_str(), "active" | "activating" | "reloading" | "deactivating")
    }
}

/// Looks at units. Parse the answer with [`parse_states`]; a unit without a file, and every unit of a host without
/// systemd, is not in it.
pub(crate) fn states<'a>(title: &str, units: impl IntoIterator<Item = &'a str>) -> Command {
    Command::look(title, states_script("", units))
}

/// The script of [`states`], for a host whose root folder is `root`.
fn states_script<'a>(root: &str, units: impl IntoIterator<Item = &'a str>) -> String {
    let mut script = format!("root={}\n{STATES}", quote(root));
    for unit in units {
        script += &format!("state {}\n", quote(unit));
    }
    script
}

/// systemd takes milliseconds to say that it does not know a unit; its folders (systemd.unit(5), "Unit File Load Path")
/// say it at once. A unit of a template has a file of another name.
const STATES: &str = r#"
[ -d "$root/run/systemd/system" ] || exit 0
has_file() {
  name=$1
  case $name in
    *@*) return 0 ;;
    *.service|*.socket|*.timer|*.target|*.path|*.mount|*.automount|*.swap|*.slice|*.scope|*.device) ;;
    *) name=$name.service ;;
  esac
  for file in "$root"/etc/systemd/system*/"$name" "$root"/run/systemd/*/"$name" \
    "$root"/usr/local/lib/systemd/system/"$name" "$root"/usr/lib/systemd/system/"$name" "$root"/lib/systemd/system/"$name"
  do
    # A link to what is not mounted is one, too.
    if [ -e "$file" ] || [ -L "$file" ]; then return 0; fi
  done
  return 1
}
state() {
  has_file "$1" || return 0
  file=$(systemctl is-enabled "$1" 2>/dev/null) || true
  case $file in ''|not-found) ;; *) echo "unit=$file $(systemctl is-active "$1" 2>/dev/null) $1" ;; esac
}
"#;

pub(crate) fn parse_states(answer: &str) -> BTreeMap<String, UnitState> {
    let parse = |line: &str| {
        let mut words = line.strip_prefix("unit=")?.split_whitespace();
        let state = UnitState { enablement: words.next()?.to_owned(), activity: words.next()?.to_owned() };
        Some((words.next()?.to_owned(), state))
    };
    answer.lines().filter_map(parse).collect()
}

/// Stops a unit and keeps it from starting at boot.
pub(crate) fn stop_and_disable(unit: &str) -> Command {
    let unit = quote(unit);
    let script = format!("systemctl stop -- {unit} && systemctl disable --quiet -- {unit}");
    // As long as systemd itself may take to end a service that has to write its state down.
    Command::new(format!("stop and disable {unit}"), script).timeout(Duration::from_secs(300))
}

/// The command that brings a stopped unit back, for people.
pub(crate) fn bring_back(unit: &str) -> String {
    format!("systemctl enable --now {}", quote(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read() {
        let states = parse_states("unit=enabled active a.service\nunit=static inactive b.service\nnoise\n");
        let a = &states["a.service"];
        assert_eq!((a.is_enabled(), a.is_active()), (true, true));
        let b = &states["b.service"];
        assert_eq!((b.is_enabled(), b.is_active()), (false, false));
        assert_eq!(states.len(), 2);
    }

    /// Which units a real shell asks a stand-in of systemd for, on a host with these files.
    fn asked_for(files: &[&str], units: &[&str]) -> String {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/nowhere", file).unwrap();
        }
        let script = states_script(&root.path().display().to_string(), units.iter().copied());
        let script = format!("systemctl() {{ echo \"$1\"; }}\n{script}");
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn systemd_is_asked_only_for_units_that_have_a_file() {
        let check = |file: &str, unit: &str, expected: bool| {
            let answer = asked_for(&["run/systemd/system/other.service", file], &["absent", unit]);
            let answered = format!("unit=is-enabled is-active {unit}\n");
            assert_eq!(answer, if expected { answered.as_str() } else { "" }, "{file}");
        };
        check("etc/systemd/system/a.service", "a", true);
        check("usr/lib/systemd/system/a.service", "a.service", true);
        check("lib/systemd/system/a.timer", "a.timer", true);
        check("run/systemd/generator.late/a b.service", "a b", true);
        check("etc/systemd/system.control/a.service", "a", true);
        check("lib/systemd/system/a@.service", "a@b", true);
        check("lib/systemd/system/a.timer", "a", false);
        check("lib/systemd/system/ab.service", "a", false);
    }

    #[test]
    fn a_host_without_systemd_has_no_units() {
        assert_eq!(asked_for(&["lib/systemd/system/a.service"], &["a"]), "");
    }
}
