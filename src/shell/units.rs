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
    let mut script = String::from("[ -d /run/systemd/system ] || exit 0\n");
    for unit in units {
        let unit = quote(unit);
        script += &format!(
            "file=$(systemctl is-enabled {unit} 2>/dev/null) || true\n\
             case $file in ''|not-found) ;; *) \
             echo \"unit=$file $(systemctl is-active {unit} 2>/dev/null) \"{unit} ;; esac\n"
        );
    }
    Command::look(title, script)
}

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
}
