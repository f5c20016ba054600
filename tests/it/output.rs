//! Who reads: a person at a terminal, a file, another program, or nobody any more.

use std::io::{self, PipeWriter};
use std::process::Stdio;

use crate::program::{Program, Run, inventory};

/// The one look at this machine that needs nothing of it: is there a Java? It logs what it runs.
const LOOK: [&str; 3] = ["plan", "--only", "java"];

#[test]
fn what_goes_into_a_file_holds_no_color() {
    let program = Program::new();
    let example = inventory("example.yml");
    let cases: [&[&str]; 5] =
        [&["--help"], &["plan", "--nonsense"], &["check", "--inventory", &example], &["init"], &LOOK];
    for words in cases {
        let run = Run::from(program.command(words).env("PROVISION_LOG", "debug").output().unwrap());
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains('\x1b'), "{words:?}: {text:?}");
        }
        if words == LOOK {
            assert!(run.stderr.contains("DEBUG provision::host"), "no log was written: {}", run.stderr);
        }
    }
}

#[test]
fn without_a_terminal_there_are_plain_lines_and_then_the_plan() {
    let run = Program::new().run(&LOOK);
    assert!([0, 7].contains(&run.exit), "{run:?}");
    assert!(run.stderr.lines().any(|line| line == "localhost: connected"), "{}", run.stderr);
    assert!(run.stdout.starts_with("Plan: "), "{}", run.stdout);
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(['\r', '\x08']), "{text:?}");
    }
}

#[test]
fn a_plan_as_json_is_one_document_and_says_nothing_else() {
    let program = Program::new();
    let run = program.run(&[&LOOK[..], &["--json"]].concat());
    let document = run.json();
    assert_eq!(run.stderr, "");
    assert_eq!(document["exit"], run.exit);
    assert_eq!((&document["command"], &document["cluster"]), (&"plan".into(), &"lab".into()));
    assert_eq!(document["plan"]["changes"].as_array().unwrap().is_empty(), run.exit == 0, "{document:#}");
    assert_eq!(program.files(), Vec::<String>::new(), "a plan writes nothing");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let program = Program::new();
    let bad = program.file("bad.yml", "cluster: 1\n");
    let lab = inventory("lab.yml");
    let cases: [(&[&str], i32); 7] = [
        (&["--help"], 0),
        (&["init"], 0),
        (&["schema"], 0),
        (&["image", "--dockerfile"], 0),
        (&["check", "--inventory", &lab], 0),
        (&["check", "--json", "--inventory", bad], 2),
        (&["check", "--inventory", bad], 2),
    ];
    for (words, exit) in cases {
        let output = program.command(words).stdout(closed()).output().unwrap();
        let without_stdout = Run::from(output);
        assert_eq!(without_stdout.exit, exit, "{words:?}: {without_stdout:?}");
        assert!(!without_stdout.stderr.contains("panicked"), "{words:?}: {without_stdout:?}");
        let without_both = program.command(words).stdout(closed()).stderr(closed()).status().unwrap();
        assert_eq!(without_both.code(), Some(exit), "{words:?}");
    }
}

/// A pipe that nobody reads from.
fn closed() -> Stdio {
    let (_, writer): (_, PipeWriter) = io::pipe().unwrap();
    writer.into()
}
