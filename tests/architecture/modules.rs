//! Which modules a module may name, within its crate.
//!
//! A row lists everything that a module names, as prefixes of paths: `inventory::model` lets it name the model and not
//! the parser. A new edge is a new entry in a row, to be judged in review; an entry that nobody needs any more is an
//! error, too.

use std::collections::BTreeSet;

use crate::assert_clean;
use crate::source::{Source, read_tree};

type Table = &'static [(&'static str, &'static [&'static str])];

/// Of `provision`. `commands` is the top; what a row names never names it back, but for a host's commands, which are
/// values that `shell` makes and `host` runs, and for `Context`, which everything that works for a phase is handed.
const PROVISION: Table = &[
    ("authority", &["control", "inventory::model"]),
    ("causes", &[]),
    ("cli", &["exit_code"]),
    (
        "commands",
        &[
            "causes",
            "cli",
            "control",
            "desired",
            "engine",
            "exit_code",
            "host",
            "image",
            "interrupt",
            "inventory",
            "kafka_access",
            "phases",
            "plan",
            "report",
            "secrets",
            "shell::quote",
            "templates",
            "worker_build",
        ],
    ),
    ("control", &["inventory::model"]),
    (
        "desired",
        &[
            "authority",
            "host",
            "image::UID",
            "inventory::model",
            "kafka_access::USER_SECRET",
            "phases::Context",
            "phases::PhaseError",
            "secrets",
            "shell",
            "supervise",
            "templates",
            "worker_build::Artifact",
        ],
    ),
    (
        "engine",
        &[
            "causes",
            "control",
            "desired",
            "host",
            "interrupt",
            "inventory::model",
            "phases",
            "plan",
            "secrets",
            "shell::fields",
            "shell::quote",
        ],
    ),
    ("exit_code", &["interrupt::Signal"]),
    ("host", &["causes", "inventory::model::HostName", "shell::fields", "shell::quote"]),
    ("image", &["shell"]),
    ("interrupt", &[]),
    ("inventory", &[]),
    ("kafka_access", &["desired::trust", "host::Host", "inventory::model", "phases::Context", "secrets"]),
    ("kafka_home", &["host", "shell"]),
    (
        "phases",
        &[
            "authority",
            "causes",
            "control",
            "desired",
            "engine::event",
            // Not how a host is reached.
            "host::Command",
            "host::Host",
            "host::HostError",
            "host::HostExt",
            "host::HostFacts",
            "host::Privilege",
            "host::Stdin",
            "host::Sudo",
            "image::DIGEST_LABEL",
            "interrupt::Interrupt",
            "inventory::model",
            "kafka_access",
            "kafka_home",
            "plan",
            "rest_client",
            "secrets",
            "shell",
            "standing",
            "supervise",
            "worker_build",
        ],
    ),
    ("plan", &["inventory::model::HostName"]),
    (
        "report",
        &[
            "engine::event",
            "engine::timing",
            "exit_code",
            "interrupt::Signal",
            "phases::Finding",
            "phases::Severity",
            "plan",
        ],
    ),
    ("rest_client", &["host"]),
    ("secrets", &["control", "inventory::model"]),
    ("shell", &["host"]),
    ("standing", &["rest_client"]),
    ("supervise", &["host", "shell"]),
    ("templates", &[]),
    ("worker_build", &["image", "inventory::model::Runtime", "shell::files"]),
];

/// Of `connect-worker`. `app` joins the parts; `config`, `metrics` and `names` may be named by all.
const WORKER: Table = &[
    ("app", &["config", "herder", "membership", "metrics", "names", "rest", "storage", "worker"]),
    ("build_info", &[]),
    ("causes", &[]),
    ("config", &["causes"]),
    ("health_check", &["config", "rest::http_client"]),
    (
        "herder",
        &[
            "config",
            "membership",
            "metrics",
            "names",
            "plugins",
            "storage::cluster_state",
            "storage::config_store",
            "storage::offset_store",
            "storage::status_store",
            "worker",
        ],
    ),
    ("membership", &["metrics", "names"]),
    ("metrics", &["names"]),
    ("names", &[]),
    ("plugins", &["config", "names"]),
    ("rest", &["build_info", "causes", "config", "herder", "metrics", "names", "plugins"]),
    ("storage", &["config", "names"]),
    (
        "worker",
        &[
            "config",
            "membership::session",
            "metrics",
            "names",
            "plugins",
            "storage::offset_store",
            "storage::status_store",
        ],
    ),
];

/// What stands behind a port, or knows a byte layout, and the only modules that may name it.
const HIDDEN: Table = &[
    ("herder::distributed", &["app"]),
    ("storage::kafka_log", &["app"]),
    ("storage::memory", &[]),
    ("storage::records", &["storage"]),
];

#[test]
fn modules_of_provision_know_what_the_table_says() {
    assert_clean(&edges(&read_tree("src"), PROVISION));
}

#[test]
fn modules_of_the_worker_know_what_the_table_says() {
    assert_clean(&edges(&read_tree("worker/runtime/src"), WORKER));
}

#[test]
fn phases_do_not_know_each_other() {
    let files = read_tree("src/phases");
    let phases: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.module.first().map(String::as_str))
        .filter(|name| !matches!(*name, "context" | "error" | "package_lock"))
        .collect();
    assert!(phases.len() > 10, "{phases:?}");
    let mut problems = Vec::new();
    for file in &files {
        let Some(phase) = file.module.first() else { continue };
        // Seen from the folder: `super::topics` and `crate::phases::topics` are the same.
        for path in file.paths() {
            let names: Vec<&str> = path.names.iter().map(String::as_str).collect();
            let names = names.strip_prefix(&["phases"]).unwrap_or(&names);
            if let Some(other) = names.first().filter(|name| phases.contains(**name) && *name != phase) {
                // A name of the crate's root is no phase: `crate::kafka_home`, and `crate::image`.
                if path.is_super || path.names[0] == "phases" {
                    problems.push(format!(
                        "{}:{}: phase {phase} must not know phase {other}",
                        file.path, path.line
                    ));
                }
            }
        }
    }
    assert_clean(&problems);
}

#[test]
fn implementations_and_byte_layouts_stay_behind_their_ports() {
    let mut problems = Vec::new();
    for file in read_tree("worker/runtime/src") {
        let module = file.module.first().map_or("main", String::as_str);
        for path in file.paths() {
            let target = path.names.join("::");
            for (hidden, friends) in HIDDEN {
                let own = hidden.split("::").next() == Some(module);
                if is_within(&target, hidden) && !own && !friends.contains(&module) {
                    problems.push(format!("{}:{}: {module} must not know {target}", file.path, path.line));
                }
            }
        }
    }
    assert_clean(&problems);
}

/// Edges that no row allows, entries that nothing needs, modules without a row and rows without a module.
fn edges(files: &[Source], table: Table) -> Vec<String> {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    let modules: BTreeSet<&str> =
        files.iter().filter_map(|file| file.module.first().map(String::as_str)).collect();
    for file in files {
        let Some(module) = file.module.first() else { continue };
        for path in file.paths().iter().filter(|path| path.names.first().is_some_and(|first| first != module))
        {
            let target = path.names.join("::");
            let row = table.iter().find(|(name, _)| name == module);
            match row.and_then(|(_, entries)| entries.iter().find(|entry| is_within(&target, entry))) {
                Some(entry) => drop(used.insert((module.as_str(), *entry))),
                None => {
                    problems.push(format!("{}:{}: {module} must not know {target}", file.path, path.line))
                }
            }
        }
    }
    for module in modules.iter().filter(|module| table.iter().all(|(name, _)| name != *module)) {
        problems.push(format!("module {module} has no row in tests/architecture/modules.rs"));
    }
    for (module, entries) in table {
        if !modules.contains(module) {
            problems.push(format!("tests/architecture/modules.rs: there is no module {module}"));
        }
        for entry in entries.iter().filter(|entry| !used.contains(&(*module, **entry))) {
            problems
                .push(format!("tests/architecture/modules.rs: {module} knows nothing of {entry} any more"));
        }
    }
    problems
}

/// Whether `path` is `prefix` or lies in it.
fn is_within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn every_form_of_an_edge_is_seen_and_an_unlisted_one_fails() {
    let text = r##"
//! use crate::comment::X;
use crate::alpha::One;
use crate::{beta, gamma::{Two as Renamed, delta::*}};
use super::super::epsilon::Three;
pub(crate) fn f<'a>(c: char) -> &'a str {
    let quote = '"'; /* crate::block::X /* crate::nested::X */ */
    let raw = r#"crate::raw::X"#;
    crate::zeta::f::<u8>("crate::string::X", raw, quote)
}
#[cfg(test)]
mod tests {
    use crate::eta::Four;
}
"##;
    let file = Source::new("src/one/two.rs".to_owned(), vec!["one".to_owned(), "two".to_owned()], text);
    let seen: Vec<(usize, String)> =
        file.paths().into_iter().map(|path| (path.line, path.names.join("::"))).collect();
    let expected = [
        (3, "alpha::One"),
        (4, "beta"),
        (4, "gamma::Two"),
        (4, "gamma::delta"),
        (5, "epsilon::Three"),
        (9, "zeta::f"),
    ];
    assert_eq!(seen, expected.map(|(line, path)| (line, path.to_owned())));

    let table: Table = &[("one", &["alpha", "beta", "gamma::Two", "gamma::delta", "epsilon", "omega"])];
    assert_eq!(
        edges(&[file], table),
        [
            "src/one/two.rs:9: one must not know zeta::f",
            "tests/architecture/modules.rs: one knows nothing of omega any more"
        ]
    );
}
