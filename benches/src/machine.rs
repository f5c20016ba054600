//! Where and of what a page's figures were made.

use std::fs;
use std::process::Command;

use time::OffsetDateTime;
use time::macros::format_description;

use crate::bench::{Bench, workspace};

/// The lines that stand above a chapter's tables.
pub(crate) fn describe(bench: &Bench, versions: &[String]) -> String {
    let date =
        OffsetDateTime::now_utc().format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"));
    let mut lines = vec![
        format!("- when: {}, commit {}", date.unwrap_or_default(), commit()),
        format!("- where: {}", hardware()),
        format!("- rounds: {}, the median counts; least and most are in parentheses", bench.rounds),
    ];
    lines.extend(versions.iter().map(|version| format!("- {version}")));
    lines.join("\n") + "\n"
}

/// The first line that a program says about itself, on whichever stream.
pub(crate) fn first_line(program: &str, args: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(args).current_dir(workspace()).output() else {
        return format!("{program}: not here");
    };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}

fn commit() -> String {
    first_line("git", &["describe", "--always", "--dirty=, with changes"])
}

fn hardware() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let value = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field(&read("/proc/cpuinfo"), "model name");
    let kibibytes: u64 =
        field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    // Without what its packager has added.
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel = kernel.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
    format!(
        "{cores} cores of {model}, {} GiB, Linux {}, load {load} before the first measurement",
        kibibytes / (1 << 20),
        kernel
    )
}
