//! Runs that are killed or told to stop, wherever they are: what they leave, what they say, and what the next one makes
//! of it.
//!
//! `KILLS=100 cargo test -p system-tests --test it -- killed::lab --nocapture` strikes more often than the gate does; the
//! seed of every strike is printed, and `SEED=…` begins with that one.

mod host;
mod lab;
mod state;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use testbed::wait;

use crate::running::{INTERRUPTED, Signal, Steps, Subject, TERMINATED, processes_with};
use lab::Lab;
use state::State;

const PATIENCE: Duration = Duration::from_secs(60);

/// How many random strikes the gate makes.
const STRIKES: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn lab_comes_to_the_same_end_however_often_it_is_killed() -> Result<()> {
    let lab = Lab::new()?;
    let whole = lab.subject.expect(0, &["apply"]).await?;
    let wanted = State::of(&lab).await?;
    let steps = Steps::of(&whole);
    ensure!(steps.boundaries.len() >= 13, "a phase says nothing when it is done: {:?}", whole.said());
    lab.subject.expect(0, &["destroy", "--yes"]).await?;

    // At the end of every phase, one run after the other.
    for title in &steps.boundaries {
        let ends = |line: &str| {
            line.strip_prefix(title).is_some_and(|rest| rest == ": verified" || rest == ": unchanged")
        };
        lab.subject.kill_at(&["apply"], ends).await?;
        lab.ensure_nothing_runs_unknown().await?;
    }
    lab.subject.expect(0, &["apply"]).await?;
    State::of(&lab).await?.ensure_same(&wanted, "killed at the end of every phase")?;

    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("SEED").unwrap_or_else(rand::random);
    for seed in first..first.saturating_add(number("KILLS").unwrap_or(STRIKES)) {
        lab.subject.expect(0, &["destroy", "--yes"]).await?;
        let strike = steps.random(seed);
        say(&format!("seed {seed}: {strike:?}"));
        lab.subject.kill_after(&["apply"], &strike).await?;
        lab.ensure_nothing_runs_unknown().await?;
        lab.subject.expect(0, &["apply"]).await?;
        State::of(&lab).await?.ensure_same(&wanted, &format!("seed {seed}: {strike:?}"))?;
    }

    // In the middle of the removal too.
    let mut run = lab.subject.start(&["destroy", "--yes"])?;
    run.until(|line| line.ends_with(": connected")).await?;
    run.signal(Signal::KILL)?;
    run.end().await?;
    lab.subject.expect(0, &["destroy", "--yes"]).await?;
    ensure!(!lab.state().exists(), "{} is left", lab.state().display());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_runs_end_in_order_and_say_where() -> Result<()> {
    let lab = Lab::new()?;

    // The look lasts until it is stopped.
    let hang = Hang::new(&lab.subject)?;
    let programs = lab.subject.folder().join("programs");
    std::fs::create_dir(&programs)?;
    std::os::unix::fs::symlink(&hang.script, programs.join("stat"))?;
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let run = lab.subject.with_variable("PATH", &path).start(&["plan"])?;
    hang.until_it_runs().await?;
    run.signal(Signal::INT)?;
    let ended = run.end().await?;
    let words = ["looking at", "stopped by Ctrl-C: nothing was changed", "go on with `provision plan"];
    ended.ensure(INTERRUPTED, &words)?;
    hang.until_it_is_ended().await?;
    ensure!(!lab.state().exists(), "a plan has made something");

    // While a change is made: it comes to its end, and nothing else is begun.
    let mut run = lab.subject.start(&["apply"])?;
    run.until(|line| line.contains("Kafka: broker storage …")).await?;
    run.signal(Signal::TERM)?;
    let ended = run.end().await?;
    let words = ["SIGTERM: broker storage may take", "Done:\n", "Not reached:\n", "go on  provision apply"];
    ended.ensure(TERMINATED, &words)?;
    let (done, rest) = ended.stdout.split_once("\nNot reached:\n").unwrap_or_default();
    let done = done.split_once("\nDone:\n").unwrap_or_default().1;
    ensure!(done.contains("broker storage") && !done.contains("localhost: broker\n"), "done: {done}");
    ensure!(rest.contains("localhost: broker\n") && rest.contains("connector users"), "not reached: {rest}");
    ensure!(lab.made()? == done.lines().count(), "the journal says otherwise: {done}");
    lab.ensure_nothing_runs_unknown().await?;

    // The second signal ends at once.
    let mut run = lab.subject.start(&["apply"])?;
    run.until(|line| line.ends_with("Kafka: broker …")).await?;
    run.signal(Signal::INT)?;
    run.until(|line| line.contains("Ctrl-C: broker may take")).await?;
    run.signal(Signal::INT)?;
    run.end().await?.ensure(INTERRUPTED, &["stopped at once"])?;
    lab.subject.expect(0, &["apply"]).await?;

    // A probe that is on its way is taken back.
    let run = lab.subject.start(&["smoke"])?;
    lab.until_probe_is_there().await?;
    run.signal(Signal::TERM)?;
    run.end().await?.ensure(TERMINATED, &["go on  provision smoke"])?;
    ensure!(!lab.has_probe().await?, "the probe connector is left");

    // One that could not be is found by the next run.
    let run = lab.subject.start(&["smoke"])?;
    lab.until_probe_is_there().await?;
    run.signal(Signal::KILL)?;
    run.end().await?;
    lab.subject.expect(7, &["plan"]).await?.ensure(7, &["- cluster  probe connector"])?;
    lab.subject.expect(0, &["apply"]).await?.ensure(0, &["records came through Kafka and back"])?;
    ensure!(!lab.has_probe().await?, "the probe connector is left");

    let mut run = lab.subject.start(&["destroy", "--yes"])?;
    run.until(|line| line.contains("Services: ") || line.ends_with(": connected")).await?;
    run.signal(Signal::INT)?;
    run.end().await?.ensure(INTERRUPTED, &["go on", "provision destroy --yes"])?;
    lab.subject.expect(0, &["destroy", "--yes"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_command_that_hangs_does_not_outlive_a_stopped_run() -> Result<()> {
    let subject = Subject::new("", Vec::new())?;
    let hang = Hang::new(&subject)?;
    let password = format!("password: {{ command: [{}] }}", hang.script.display());
    let inventory = format!(
        "cluster: hangs\nhosts:\n  w1:\n    address: 192.0.2.1\n    ssh: {{ sudo: {{ {password} }} }}\n\
         kafka: {{ bootstrap: [\"broker.test:9092\"], security: PLAINTEXT }}\n"
    );
    std::fs::write(subject.inventory(), inventory)?;
    let run = subject.start(&["plan"])?;
    hang.until_it_runs().await?;
    run.signal(Signal::INT)?;
    run.end().await?.ensure(INTERRUPTED, &["nothing was changed"])?;
    hang.until_it_is_ended().await
}

/// A program that does not end by itself.
struct Hang {
    script: PathBuf,
    /// Its process, which no other test has.
    process: String,
}

impl Hang {
    fn new(subject: &Subject) -> Result<Self> {
        let (script, sleep) = (subject.folder().join("hang"), subject.folder().join("sleep"));
        std::os::unix::fs::symlink("/bin/sleep", &sleep)?;
        std::fs::write(&script, format!("#!/bin/sh\nexec {} 3000\n", sleep.display()))?;
        std::fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        Ok(Self { script, process: format!("{} 3000", sleep.display()) })
    }

    async fn until_it_runs(&self) -> Result<()> {
        let runs = async || Ok((!processes_with(&self.process)?.is_empty()).then_some(()));
        Ok(wait::until("the program hangs", PATIENCE, runs, String::new).await?)
    }

    async fn until_it_is_ended(&self) -> Result<()> {
        let is_gone = async || Ok(processes_with(&self.process)?.is_empty().then_some(()));
        Ok(wait::until("the program is ended", PATIENCE, is_gone, String::new).await?)
    }
}

#[expect(clippy::print_stdout, reason = "a failed test shows what the program said")]
fn say(text: &str) {
    println!("{text}");
}
