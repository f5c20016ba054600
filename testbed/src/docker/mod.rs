//! The Docker engine, and what the test bed makes with it.
//!
//! An engine that answers is used as it is. If none does, `dockerd` is started in a session of its own; all test beds
//! on the machine share it, and the reaper of the last one stops it. There is no registry: images are made by
//! `debootstrap` and kept by the engine from run to run ([`image`]).

mod container;
pub mod image;
mod network;

use std::fs::File;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use crate::{Error, command, owner, paths, wait};

pub use container::Container;
pub use network::{Network, Reach};

/// `docker` answers. The engine lives at least as long as this process.
#[derive(Debug, Clone, Copy)]
pub struct Docker(());

impl Docker {
    /// Finds an engine, or starts one.
    ///
    /// Errors: [`Error::Spawn`] when client or engine are not installed, [`Error::NotReady`] with the engine's log.
    pub async fn ensure() -> Result<Self, Error> {
        static USED: OnceLock<File> = OnceLock::new();
        owner::owner()?;
        let _start = paths::lock("docker-start").await?;
        if USED.get().is_none() {
            let path = paths::run()?.join("locks/docker-users");
            let users = paths::open_lock(&path)?;
            users.lock_shared().map_err(Error::file(&path))?;
            USED.get_or_init(|| users);
        }
        if !answers().await? {
            start().await?;
        }
        Ok(Self(()))
    }
}

async fn answers() -> Result<bool, Error> {
    Ok(command::output("docker", PACKAGE, &["info"], b"").await?.status.success())
}

async fn start() -> Result<(), Error> {
    let run = paths::run()?;
    let log_path = run.join("dockerd.log");
    let log = File::create(&log_path).map_err(Error::file(&log_path))?;
    let errors = log.try_clone().map_err(Error::file(&log_path))?;
    let status = std::process::Command::new("setsid")
        .args(["--fork", "dockerd", "--pidfile"])
        // The reaper of the last owner stops the engine that this file names.
        .arg(run.join("dockerd.pid"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .status()
        .map_err(|source| Error::Spawn { program: "setsid".to_owned(), package: "util-linux", source })?;
    tracing::info!(%status, "started a Docker engine");
    wait::until(
        "the Docker engine answers",
        Duration::from_secs(60),
        async || Ok(answers().await?.then_some(())),
        || paths::tail(&paths::read_log(&log_path), 20),
    )
    .await
}

pub(crate) const PACKAGE: &str = "docker.io";

/// Runs `docker` with `args` and returns its stdout without the last line's end.
pub async fn docker(args: &[&str]) -> Result<String, Error> {
    Ok(command::run("docker", PACKAGE, args).await?.trim_end().to_owned())
}

/// Runs `docker` while something is dropped: blocking, and its failure is logged, not returned.
fn docker_on_drop(args: &[&str]) {
    let status = std::process::Command::new("docker").args(args).stdout(Stdio::null()).status();
    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        tracing::warn!(?args, ?status, "could not clean up with docker");
    }
}

/// The two words that mark something as this owner's.
pub(crate) fn label() -> Result<[String; 2], Error> {
    Ok(["--label".to_owned(), format!("{}={}", owner::LABEL, owner::owner()?.name)])
}
