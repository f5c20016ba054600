//! Who may know whom: the arrows of ARCHITECTURE.md, held to by reading the source.
//!
//! Crates are held apart by their manifests, modules by the tables in `architecture/`. Tests are not held to anything.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helpers too")]

#[path = "architecture/crates.rs"]
mod crates;
#[path = "architecture/modules.rs"]
mod modules;
#[path = "architecture/source.rs"]
mod source;

/// Fails with one line per problem, each with its file and line.
fn assert_clean(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
