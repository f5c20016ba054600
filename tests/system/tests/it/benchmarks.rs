//! The benchmarks themselves: that they measure, compare what arrived, and write their page. No figure is judged here.

use std::fs;
use std::process::{Command, Stdio};

use testbed::{built, owner};

#[test]
fn a_quick_look_measures_both_workers_and_writes_the_page() {
    let page = owner::dir("benchmarks").unwrap().join("page.md");
    let note = "A note that somebody has written.";
    fs::write(&page, format!("# Benchmarks\n\n{note}\n")).unwrap();
    let output = Command::new(built::program("benchmarks").unwrap())
        .args(["worker", "files", "--quick", "--page"])
        .arg(&page)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);

    let text = fs::read_to_string(&page).unwrap();
    for expected in [
        note,
        "<!-- begin worker -->",
        "<!-- begin worker/files -->",
        "| source, rows/s from the POST on, first million | ",
        "JVM, defaults: ",
        "| sink, processor time, later million | ",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}\n{said}");
    }
    assert!(!text.contains("Not measured"), "{text}");
}

#[test]
fn a_group_that_nobody_knows_is_refused() {
    let output = Command::new(built::program("benchmarks").unwrap())
        .args(["worker", "speed", "--quick"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("no group speed: there are start, files"), "{said}");
}
