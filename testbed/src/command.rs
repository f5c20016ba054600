//! Commands that run to their end: `openssl`, `docker`, `keytool`, Java tools.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::{Error, paths};

/// Runs a command and returns its stdout; a failure is an error with what it printed.
///
/// Errors: [`Error::Spawn`], [`Error::Command`].
pub async fn run(program: &str, package: &'static str, args: &[&str]) -> Result<String, Error> {
    run_with_input(program, package, args, b"").await
}

/// The same, with bytes on stdin: the way for secrets and archives.
pub async fn run_with_input(
    program: &str,
    package: &'static str,
    args: &[&str],
    input: &[u8],
) -> Result<String, Error> {
    let output = output(program, package, args, input).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let words: Vec<&str> = std::iter::once(program).chain(args.iter().copied()).take(6).collect();
    Err(Error::Command {
        command: words.join(" "),
        status: output.status.to_string(),
        output: paths::tail(&text, 40),
    })
}

/// Runs a command to its end and returns all of it, however it ended.
pub async fn output(
    program: &str,
    package: &'static str,
    args: &[&str],
    input: &[u8],
) -> Result<std::process::Output, Error> {
    let spawn = |source| Error::Spawn { program: program.to_owned(), package, source };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(spawn)?;
    let mut stdin = child.stdin.take().expect("stdin was asked for as a pipe");
    let write = async move {
        // A command that does not read its input closes the pipe: its own end says whether that was right.
        stdin.write_all(input).await.ok();
        drop(stdin);
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    output.map_err(|source| Error::Spawn { program: program.to_owned(), package, source })
}
