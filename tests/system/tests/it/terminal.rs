//! A person at a terminal: lines that change in place, in color unless `NO_COLOR` says otherwise. What readers other
//! than people get is tried by the tests of package `provision`.

use std::process::Command;

use testbed::{built, owner};

/// A run that shows progress, one that logs and one that is refused; none needs more than this machine.
const RUNS: [&str; 3] = ["plan --only java", "PROVISION_LOG=debug plan --only java", "plan --nonsense"];

/// Begins every instruction to a terminal; one about color or weight ends with `m`.
const ESCAPE: &str = "\x1b[";

#[test]
fn a_terminal_shows_colors() {
    for run in RUNS {
        let shown = at_a_terminal(run, None);
        assert!(is_colored(&shown), "{run}: {shown:?}");
    }
}

#[test]
fn no_color_leaves_the_rest_as_it_is() {
    for run in RUNS {
        let shown = at_a_terminal(run, Some("1"));
        assert!(!is_colored(&shown), "{run}: {shown:?}");
    }
    let shown = at_a_terminal(RUNS[0], Some("1"));
    assert!(shown.contains(&format!("{ESCAPE}2K")) && shown.contains("localhost  connect"), "{shown:?}");
    assert!(shown.contains("Plan: "), "{shown:?}");
}

/// What a terminal gets to see of `[NAME=VALUE] WORDS...`.
fn at_a_terminal(run: &str, no_color: Option<&str>) -> String {
    let (setting, words) = match run.split_once(' ') {
        Some((setting, words)) if setting.contains('=') => (setting, words),
        _ => ("", run),
    };
    let program = built::program("provision").unwrap();
    let folder = owner::dir("terminal").unwrap();
    let output = Command::new("script")
        .args(["--quiet", "--command", &format!("{setting} {} {words}", program.display()), "/dev/null"])
        .current_dir(&folder)
        .env("HOME", &folder)
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .envs(no_color.map(|value| ("NO_COLOR", value)))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_colored(shown: &str) -> bool {
    shown.split(ESCAPE).skip(1).any(|instruction| {
        instruction.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
    })
}
