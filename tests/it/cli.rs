//! Commands that touch no host, wrong command lines and wrong inventories: what is said where, and the exit code.

use serde_json::{Value, json};

use crate::program::{Program, inventory};

/// Something of every kind is wrong: a key, a type, a value, a reference to nothing, and what is missing.
const BAD: &str = "\
clustr: orders
hosts:
  connect-1: { address: 10.0.1.11, ssh: { port: 70000 } }
  connect-2: { address: 10.0.1.11 }
kafka:
  bootstrap: broker-1:9093
  trust: system
  user: { name: connect, manage: false }
connect:
  group: [g]
topics:
  'users!': { partitions: 0 }
connectors:
  users: { connector.class: NoSuchConnector }
";

/// The places of [`BAD`], in the order of the file.
const PLACES: [&str; 9] = [
    "bad.yml:1:1: clustr: ",
    "bad.yml:3:49: hosts.connect-1.ssh.port: ",
    "bad.yml:4:25: hosts.connect-2.address: ",
    "bad.yml:6:14: kafka.bootstrap: ",
    "bad.yml:8:3: kafka.user.password: ",
    "bad.yml:10:10: connect.group: ",
    "bad.yml:12:3: topics[\"users!\"]: ",
    "bad.yml:12:27: topics[\"users!\"].partitions: ",
    "bad.yml:14:29: connectors.users[\"connector.class\"]: ",
];

#[test]
fn help_and_version_are_data() {
    let program = Program::new();
    let cases: [(&[&str], &[&str]); 5] = [
        (
            &["--help"],
            &[
                "apply ",
                "plan ",
                "check ",
                "smoke ",
                "destroy ",
                "init ",
                "schema ",
                "7  changes are pending: ",
            ],
        ),
        (&["plan", "--help"], &["--inventory <FILE>", "--only <", "--skip <", "--limit <", "--json"]),
        (&["apply", "--help"], &["--yes", "--limit <"]),
        (&["help", "check"], &["touches no host", "--inventory <FILE>", "--json"]),
        (&["--version"], &[concat!("provision ", env!("CARGO_PKG_VERSION"))]),
    ];
    for (words, said) in cases {
        let run = program.run(words);
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{words:?}");
        for text in said {
            assert!(run.stdout.contains(text), "{words:?} does not say {text:?}: {}", run.stdout);
        }
    }
}

#[test]
fn a_wrong_command_line_says_what_would_be_right() {
    let program = Program::new();
    let cases: [(&[&str], &str); 8] = [
        (&["pln"], "a similar subcommand exists: 'plan'"),
        (&["plan", "--limt", "a"], "a similar argument exists: '--limit'"),
        (&["check", "lab.yml"], "unexpected argument 'lab.yml'"),
        (&["plan", "--parallel", "many"], "invalid value 'many' for '--parallel <N>'"),
        (&["plan", "--only", "dockr"], "hint: phases are preflight, docker, "),
        (&["apply", "--skip", "preflight,x"], "error: there is no phase x"),
        (&["plan", "--limit", "nobody"], "hint: hosts are localhost"),
        (&["check", "--inventory", "nowhere.yml"], "hint: `provision init` prints an inventory"),
    ];
    for (words, said) in cases {
        let run = program.run(words);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{words:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{words:?} does not say {said:?}: {}", run.stderr);
    }
    assert_eq!(program.files(), Vec::<String>::new(), "a wrong command line has left something");
}

#[test]
fn our_inventories_are_sound() {
    let program = Program::new();
    for (name, cluster, hosts, warnings) in [("example.yml", "orders", 2, 1), ("lab.yml", "lab", 1, 0)] {
        let file = inventory(name);
        let run = program.run(&["check", "--inventory", &file]);
        assert_eq!((run.exit, run.stdout), (0, format!("cluster {cluster}: {hosts} host(s), no problems\n")));
        let told: Vec<&str> = run.stderr.lines().collect();
        assert_eq!(told.len(), warnings, "{told:?}");
        assert!(told.iter().all(|line| line.starts_with("warning: ")), "{told:?}");

        let run = program.run(&["check", "--json", "--inventory", &file]);
        let document = run.json();
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
        assert_eq!((&document["exit"], &document["problems"]), (&json!(0), &json!([])));
        let in_text: Vec<Value> =
            told.iter().map(|line| line.trim_start_matches("warning: ").into()).collect();
        assert_eq!(document["warnings"], Value::Array(in_text));
    }
}

#[test]
fn without_an_inventory_it_is_the_lab_and_that_is_said() {
    let run = Program::new().run(&["check"]);
    assert_eq!((run.exit, run.stdout.as_str()), (0, "cluster lab: 1 host(s), no problems\n"));
    assert_eq!(run.stderr, "no --inventory: the embedded lab on this machine\n");
}

#[test]
fn what_init_prints_passes_check() {
    let program = Program::new();
    let init = program.run(&["init"]);
    assert_eq!((init.exit, init.stderr.as_str()), (0, ""));
    let comments = init.stdout.lines().filter(|line| line.contains('#')).count();
    assert!(comments > 10, "{}", init.stdout);
    let check = program.run(&["check", "--inventory", program.file("starter.yml", &init.stdout)]);
    assert_eq!((check.exit, check.stdout.as_str()), (0, "cluster orders: 2 host(s), no problems\n"));
}

#[test]
fn the_schema_is_json_and_knows_every_key_that_check_knows() {
    let program = Program::new();
    let run = program.run(&["schema"]);
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    let schema = run.json();
    let keys: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(schema["additionalProperties"], json!(false));
    let check = program.run(&["check", "--inventory", program.file("wrong.yml", "zzzzzzzzzzzz: 1\n")]);
    let known = format!("hint: known keys: {}\n", keys.join(", "));
    assert!(check.stderr.contains(&known), "{known}: {}", check.stderr);
}

#[test]
fn all_problems_of_a_file_are_in_one_report_with_their_places() {
    let program = Program::new();
    let run = program.run(&["check", "--inventory", program.file("bad.yml", BAD)]);
    assert_eq!((run.exit, run.stdout.as_str()), (2, ""));
    let problems: Vec<&str> = run.stderr.lines().filter(|line| !line.starts_with("  hint: ")).collect();
    assert_eq!(problems.len(), PLACES.len(), "{}", run.stderr);
    for (problem, place) in problems.iter().zip(PLACES) {
        assert!(problem.starts_with(place) && problem.len() > place.len(), "{place}: {}", run.stderr);
    }
    assert!(run.stderr.contains("\n  hint: did you mean `cluster`?\n"), "{}", run.stderr);
}

#[test]
fn the_same_report_comes_as_json() {
    let program = Program::new();
    let file = program.file("bad.yml", BAD);
    let text = program.run(&["check", "--inventory", file]).stderr;
    for command in ["check", "plan", "apply", "smoke"] {
        let run = program.run(&[command, "--json", "--inventory", file]);
        let document = run.json();
        assert_eq!((run.exit, run.stderr.as_str()), (2, ""));
        assert_eq!(
            (&document["exit"], &document["command"], &document["warnings"]),
            (&json!(2), &json!(command), &json!([]))
        );
        let problems: Vec<String> =
            document["problems"].as_array().unwrap().iter().map(problem_as_text).collect();
        assert_eq!(problems.join("\n"), text.trim_end());
    }
}

fn problem_as_text(problem: &Value) -> String {
    let text = |key: &str| problem[key].as_str().unwrap();
    let (line, column) = (&problem["line"], &problem["column"]);
    format!(
        "{}:{line}:{column}: {}: {}\n  hint: {}",
        text("file"),
        text("path"),
        text("message"),
        text("hint")
    )
}

#[test]
fn what_is_refused_before_it_begins_is_refused_in_json_too() {
    let program = Program::new();
    let cases: [(&[&str], &str, &str); 4] = [
        (&["plan", "--only", "dockr"], "there is no phase dockr", "phases are preflight, docker, "),
        (&["apply", "--limit", "nobody"], "the inventory has no host nobody", "hosts are localhost"),
        (&["smoke", "--limit", "nobody"], "the inventory has no host nobody", "hosts are localhost"),
        (&["destroy"], "destroy removes the workers and everything that provision made", "add --yes"),
    ];
    for (words, message, hint) in cases {
        let run = program.run(&[words, &["--json"]].concat());
        let document = run.json();
        assert_eq!((run.exit, run.stderr.as_str()), (2, ""), "{words:?}");
        assert_eq!((&document["command"], &document["exit"]), (&json!(words[0]), &json!(2)), "{words:?}");
        let problem = &document["problems"][0];
        assert_eq!(problem["message"], json!(message), "{words:?}");
        assert!(problem["hint"].as_str().unwrap().starts_with(hint), "{words:?}: {problem}");
    }
}

/// What is no inventory at all: the file is named, what is wrong with it, and what to do.
#[test]
fn files_that_are_no_inventories_are_refused() {
    let program = Program::new();
    program.file("empty.yml", "");
    program.file("large.yml", &"# nothing\n".repeat(200_000));
    program.bytes("latin-1.yml", b"cluster: caf\xe9\n");
    program.bytes("image.yml", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d");
    let cases = [
        ("nowhere.yml", "nowhere.yml: cannot read this file: No such file", "`provision init` prints"),
        ("empty.yml", "empty.yml:1:1: the file is empty", "`provision init` prints"),
        (".", ".: cannot read this file: Is a directory", "check that it is a file you may read"),
        ("large.yml", "large.yml: 2000000 bytes are too many for an inventory", "is this the right file?"),
        ("latin-1.yml", "latin-1.yml: this file is not UTF-8 text", "save it as UTF-8"),
        ("image.yml", "image.yml: this file is not UTF-8 text", "save it as UTF-8"),
        // Of no user, root included, may this be read from its beginning.
        ("/proc/self/mem", "/proc/self/mem: cannot read this file: ", "check that it is a file you may read"),
    ];
    for (file, said, hint) in cases {
        let run = program.run(&["check", "--inventory", file]);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{file}: {}", run.stderr);
        let (first, second) = run.stderr.split_once('\n').unwrap();
        assert!(first.starts_with(said), "{file}: {}", run.stderr);
        assert!(second.starts_with(&format!("  hint: {hint}")), "{file}: {}", run.stderr);
    }
}

#[test]
fn no_command_goes_on_with_a_bad_inventory() {
    let program = Program::new();
    let file = program.file("bad.yml", BAD);
    let report = program.run(&["check", "--inventory", file]);
    let commands: [&[&str]; 6] =
        [&[], &["apply", "--yes"], &["plan"], &["smoke"], &["records", "users"], &["destroy", "--yes"]];
    for words in commands {
        let run = program.run(&[words, &["--inventory", file]].concat());
        assert_eq!(run, report, "{words:?}");
    }
    assert_eq!(program.files(), [file], "something was made");
}
