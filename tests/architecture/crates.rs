//! Which crates a crate may use, and which words belong to one place only.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::assert_clean;
use crate::source::{Source, read_tree};

/// Crate -> what it uses of this workspace; for building, and for its tests.
const OURS: &[(&str, &[&str], &[&str])] = &[
    ("benchmarks", &["kafka-control", "testbed"], &[]),
    ("connect-api", &[], &[]),
    ("connect-testkit", &["connect-api"], &[]),
    ("connect-worker", &["connect-api", "connector-datagen", "connector-file", "kafka-control", "pki"], &[]),
    ("connector-datagen", &["connect-api"], &["connect-testkit"]),
    ("connector-file", &["connect-api"], &["connect-testkit"]),
    ("kafka-control", &[], &[]),
    ("pki", &[], &[]),
    ("provision", &["kafka-control", "pki"], &[]),
    // It shares no code with what it tests.
    ("testbed", &[], &[]),
    ("system-tests", &["kafka-control", "pki", "testbed"], &[]),
];

/// A crate of others -> the only ones of ours that may use it, their tests aside.
const OTHERS: &[(&str, &[&str])] = &[
    ("axum", &["connect-worker"]),
    ("indicatif", &["provision"]),
    ("kafka-protocol", &["kafka-control"]),
    // A C library: `provision` is built without any.
    ("rdkafka", &["connect-worker"]),
    ("openssh", &["provision"]),
    ("rcgen", &["pki"]),
    ("serde_yaml", &["provision"]),
    ("tera", &["provision"]),
];

/// Words and the only places that may hold them, as beginnings of paths; searched for in all that is shipped.
const WORDS: &[(&[&str], &[&str])] = &[
    (
        &["println!", "eprintln!", "print!", "eprint!", "dbg!", "io::stdout", "io::stderr"],
        // The file sink without a `file` writes to standard output, as Kafka's does.
        &["src/report/", "src/main.rs", "worker/runtime/src/main.rs", "worker/connectors/file/src/sink.rs"],
    ),
    (&["openssh"], &["src/host/"]),
    (&["tera"], &["src/templates.rs"]),
    (&["indicatif"], &["src/report/"]),
    (&["serde_yaml", "saphyr_parser"], &["src/inventory/"]),
    (
        &["axum", "StatusCode"],
        &["src/rest_client.rs", "src/standing.rs", "src/phases/", "worker/runtime/src/rest/"],
    ),
];

/// Plain functions over values: no I/O, no waiting, no clock, no chance.
const PURE: &[&str] = &[
    "src/inventory/model.rs",
    "src/inventory/names.rs",
    "src/inventory/validate/",
    "src/plan/",
    "src/desired/acls.rs",
    "src/desired/topics.rs",
    "worker/runtime/src/herder/restart_plan.rs",
    "worker/runtime/src/membership/assignor.rs",
    "worker/runtime/src/storage/cluster_state.rs",
    "worker/runtime/src/storage/records.rs",
    "worker/runtime/src/worker/submitted_offsets.rs",
];
const IMPURE: &[&str] = &[
    "async",
    "tokio",
    "fs",
    "std::net::TcpStream",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant::now",
    "now_utc",
    "rand",
];

/// Everything that is shipped.
const SHIPPED: [&str; 8] = [
    "src",
    "kafka/src",
    "pki/src",
    "worker/api/src",
    "worker/connectors/datagen/src",
    "worker/connectors/file/src",
    "worker/runtime/src",
    "worker/testkit/src",
];

/// `host` and `shell` carry bytes for whoever asks: of the Kafka client they know the port for byte streams alone.
const STREAMS: [&str; 4] = ["BoxedStream", "Dial", "Endpoint", "TcpDial"];

#[test]
fn crates_use_of_ours_what_the_table_says() {
    let mut problems = Vec::new();
    let manifests = manifests();
    for manifest in &manifests {
        let Some((_, build, tests)) = OURS.iter().find(|(name, ..)| *name == manifest.name) else {
            problems.push(format!("{}: crate {} has no row", manifest.path, manifest.name));
            continue;
        };
        for (dependency, (line, section)) in &manifest.dependencies {
            let is_ours = manifests.iter().any(|other| other.name == *dependency);
            let is_for_tests = *section == "[dev-dependencies]";
            let is_listed =
                build.contains(&dependency.as_str()) || is_for_tests && tests.contains(&dependency.as_str());
            if is_ours && !is_listed {
                problems
                    .push(format!("{}:{line}: {} must not use {dependency}", manifest.path, manifest.name));
            }
        }
    }
    for (name, build, tests) in OURS {
        let Some(manifest) = manifests.iter().find(|manifest| manifest.name == *name) else { continue };
        let is_used = |listed: &&&str| manifest.dependencies.contains_key(**listed);
        for listed in build.iter().chain(*tests).filter(|listed| !is_used(listed)) {
            problems.push(format!("tests/architecture/crates.rs: {name} does not use {listed}"));
        }
    }
    for (name, ..) in OURS.iter().filter(|(name, ..)| manifests.iter().all(|manifest| manifest.name != *name))
    {
        problems.push(format!("tests/architecture/crates.rs: there is no crate {name}"));
    }
    assert_clean(&problems);
}

#[test]
fn crates_of_others_are_used_where_they_belong() {
    let mut problems = Vec::new();
    for manifest in manifests() {
        let shipped =
            manifest.dependencies.iter().filter(|(_, (_, section))| *section != "[dev-dependencies]");
        for (dependency, (line, _)) in shipped {
            let row = OTHERS.iter().find(|(name, _)| name == dependency);
            if row.is_some_and(|(_, users)| !users.contains(&manifest.name.as_str())) {
                problems
                    .push(format!("{}:{line}: {} must not use {dependency}", manifest.path, manifest.name));
            }
        }
    }
    assert_clean(&problems);
}

#[test]
fn every_dependency_is_used() {
    let mut problems = Vec::new();
    for manifest in manifests() {
        let member = manifest.path.strip_suffix("Cargo.toml").expect("that is its name");
        // The tests of the workspace's root stand beside those of other members.
        let tests: &[&str] = if member.is_empty() { &["tests/it", "tests/architecture"] } else { &["tests"] };
        let roots = ["src"].iter().chain(tests).map(|folder| format!("{member}{folder}"));
        let code: String = roots.map(|root| text_below(&root)).collect();
        for (dependency, (line, _)) in &manifest.dependencies {
            let path = format!("{}::", dependency.replace('-', "_"));
            let is_whole = |(at, _): (usize, &str)| {
                let before = code[..at].chars().next_back();
                before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '_' | ':')))
            };
            if !code.match_indices(&path).any(is_whole) {
                problems
                    .push(format!("{}:{line}: {} has no use for {dependency}", manifest.path, manifest.name));
            }
        }
    }
    assert_clean(&problems);
}

/// All of the Rust below a folder, tests and all; nothing if there is no such folder.
fn text_below(root: &str) -> String {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(root)];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(&path).unwrap();
            }
        }
    }
    text
}

#[test]
fn words_stay_where_they_belong() {
    let mut problems = Vec::new();
    for file in SHIPPED.iter().flat_map(|root| read_tree(root)) {
        for (words, places) in WORDS {
            if !is_in(&file, places) {
                problems.extend(said(&file, words, "does not belong here"));
            }
        }
    }
    assert_clean(&problems);
}

#[test]
fn pure_modules_touch_nothing() {
    let files: Vec<Source> = SHIPPED.iter().flat_map(|root| read_tree(root)).collect();
    let mut problems = Vec::new();
    for place in PURE.iter().filter(|place| !files.iter().any(|file| file.path.starts_with(**place))) {
        problems.push(format!("tests/architecture/crates.rs: there is no {place}"));
    }
    for file in files.iter().filter(|file| is_in(file, PURE)) {
        problems.extend(said(file, IMPURE, "has no place in plain functions over values"));
    }
    assert_clean(&problems);
}

#[test]
fn hosts_and_shell_know_kafka_as_byte_streams_alone() {
    let mut problems = Vec::new();
    for file in ["src/host", "src/shell", "src/supervise"].into_iter().flat_map(read_tree) {
        for path in file.paths_from("kafka_control") {
            if !path.names.first().is_some_and(|name| STREAMS.contains(&name.as_str())) {
                let target = path.names.join("::");
                problems.push(format!("{}:{}: must not know kafka_control::{target}", file.path, path.line));
            }
        }
    }
    assert_clean(&problems);
}

fn is_in(file: &Source, places: &[&str]) -> bool {
    places.iter().any(|place| file.path.starts_with(place))
}

fn said(file: &Source, words: &[&str], verdict: &str) -> Vec<String> {
    let found = file.lines_with(words).into_iter();
    found.map(|(line, word)| format!("{}:{line}: `{word}` {verdict}", file.path)).collect()
}

/// A manifest as far as this test reads it.
struct Manifest {
    path: String,
    name: String,
    /// Dependency -> line, and the section it stands in.
    dependencies: BTreeMap<String, (usize, &'static str)>,
}

const SECTIONS: [&str; 3] = ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"];

/// Those of all members of the workspace.
fn manifests() -> Vec<Manifest> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = fs::read_to_string(workspace.join("Cargo.toml")).unwrap();
    let (_, members) = root.split_once("\nmembers = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members =
        members.split(',').map(|member| member.trim().trim_matches('"')).filter(|name| !name.is_empty());
    let manifests: Vec<Manifest> = members
        .map(|member| {
            let path = if member == "." { "Cargo.toml".to_owned() } else { format!("{member}/Cargo.toml") };
            let text = fs::read_to_string(workspace.join(&path)).unwrap();
            manifest(path, &text)
        })
        .collect();
    assert!(manifests.len() >= OURS.len() - 1, "not every member was read");
    manifests
}

fn manifest(path: String, text: &str) -> Manifest {
    let mut name = String::new();
    let mut dependencies = BTreeMap::new();
    let mut section = "";
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            assert!(!line.contains("dependencies."), "{path}:{}: a dependency is one line here", index + 1);
            section = line;
        }
        let Some((key, value)) = line.split_once(['=', '.']) else { continue };
        let key = key.trim();
        if section == "[package]" && key == "name" {
            name = value.trim().trim_matches('"').to_owned();
        }
        if let Some(section) = SECTIONS.into_iter().find(|known| *known == section) {
            dependencies.insert(key.to_owned(), (index + 1, section));
        }
    }
    Manifest { path, name, dependencies }
}

#[test]
fn manifests_and_words_are_read_right() {
    let text = "[package]\nname = \"one\"\n[dependencies]\ntwo.workspace = true\nthree = { workspace = true }\n\
                [dev-dependencies]\nfour.workspace = true\n[lints]\nworkspace = true\n";
    let read = manifest("one/Cargo.toml".to_owned(), text);
    assert_eq!(read.name, "one");
    let expected = [("four", (7, SECTIONS[1])), ("three", (5, SECTIONS[0])), ("two", (4, SECTIONS[0]))];
    assert_eq!(read.dependencies, expected.map(|(name, place)| (name.to_owned(), place)).into());

    let code =
        "// println! in a comment\nlet a = \"println!\";\nmy_println!();\nprintln!();\nstd::io::stderr();\n";
    let file = Source::new("a.rs".to_owned(), vec!["a".to_owned()], code);
    assert_eq!(file.lines_with(&["println!", "io::stderr"]), [(4, "println!"), (5, "io::stderr")]);
}
