//! The programs that are measured: built as they are shipped.

use std::env;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::bench::workspace;
use crate::report::say;

/// How the worker is built for its image: lines of `KEY="VALUE"`.
const SHIPPED: &str = include_str!("../../worker/static.env");
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The folder of this very program.
pub(crate) fn beside() -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("where this program is")?;
    Ok(own.parent().context("a program lies in a folder")?.to_owned())
}

/// Builds the programs and returns their folder.
pub(crate) async fn build() -> anyhow::Result<PathBuf> {
    say("building connect-worker and provision as they are shipped");
    let target_dir = workspace().join("target");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(workspace()).args(["build", "--release", "--quiet", "--target", TARGET]);
    build.args(["--package", "connect-worker", "--package", "provision", "--target-dir"]).arg(&target_dir);
    for line in SHIPPED.lines() {
        if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            build.env(key, value.trim_matches('"'));
        }
    }
    let status = build.stdin(Stdio::null()).status().await.context("run cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(target_dir.join(TARGET).join("release"))
}
