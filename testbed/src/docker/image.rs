//! Images without a registry: a Debian by `debootstrap`, and what is built on it.
//!
//! A tag carries a digest of everything that goes into the image, so a changed recipe is a new image and an unchanged
//! one is never built twice. Images outlive the test bed on purpose: they are the engine's cache.

use std::time::Instant;

use sha2::{Digest, Sha256};

use super::{Docker, PACKAGE, docker};
use crate::{Error, command, paths};

/// A release of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debian {
    /// Bookworm: Docker 20.10, Compose 1.29 (`docker-compose`).
    Debian12,
    /// Trixie: Docker 26.1, Compose 2.26 (`docker compose`).
    Debian13,
}

impl Debian {
    /// The release's code name.
    pub fn code_name(self) -> &'static str {
        match self {
            Self::Debian12 => "bookworm",
            Self::Debian13 => "trixie",
        }
    }
}

/// An image of the test bed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// Debian's smallest system.
    Base(Debian),
    /// A server with systemd, sshd and sudo.
    Host(Debian),
    /// The same with Docker and Python installed.
    DockerHost(Debian),
    /// A Java runtime for Kafka.
    Broker,
}

/// Every image there is, for building all of them ahead.
pub const ALL: [Image; 5] = [
    Image::Base(Debian::Debian12),
    Image::Base(Debian::Debian13),
    Image::Host(Debian::Debian12),
    Image::Host(Debian::Debian13),
    Image::Broker,
];

impl Image {
    /// The image's tag; the image is built first if it is not there.
    ///
    /// Errors: [`Error::Spawn`] without `debootstrap`, [`Error::Command`] when a build fails.
    pub async fn ensure(self) -> Result<String, Error> {
        Docker::ensure().await?;
        let tag = self.tag();
        let _lock = paths::lock(&format!("image-{}", self.name())).await?;
        if !docker(&["images", "--quiet", &tag]).await?.is_empty() {
            return Ok(tag);
        }
        let start = Instant::now();
        match self.recipe() {
            None => bootstrap(self.release(), &tag).await?,
            Some(recipe) => {
                let base = Box::pin(self.base().ensure()).await?;
                let argument = format!("BASE={base}");
                let args = ["build", "--quiet", "--tag", &tag, "--build-arg", &argument, "-"];
                command::run_with_input("docker", PACKAGE, &args, recipe.as_bytes()).await?;
            }
        }
        tracing::info!(tag, seconds = start.elapsed().as_secs(), "built an image");
        Ok(tag)
    }

    /// What a recipe builds on.
    fn base(self) -> Self {
        match self {
            Self::DockerHost(release) => Self::Host(release),
            other => Self::Base(other.release()),
        }
    }

    fn release(self) -> Debian {
        match self {
            Self::Base(release) | Self::Host(release) | Self::DockerHost(release) => release,
            Self::Broker => Debian::Debian12,
        }
    }

    fn recipe(self) -> Option<&'static str> {
        match self {
            Self::Base(_) => None,
            Self::Host(_) => Some(include_str!("../../images/host.Dockerfile")),
            Self::DockerHost(_) => Some(include_str!("../../images/docker_host.Dockerfile")),
            Self::Broker => Some(include_str!("../../images/broker.Dockerfile")),
        }
    }

    fn name(self) -> String {
        let kind = match self {
            Self::Base(_) => "base",
            Self::Host(_) => "host",
            Self::DockerHost(_) => "docker-host",
            Self::Broker => "broker",
        };
        format!("{kind}-{}", self.release().code_name())
    }

    fn tag(self) -> String {
        let digest = Sha256::digest(self.recipe().unwrap_or(BOOTSTRAP));
        format!("provision-testbed/{}:{:02x}{:02x}{:02x}", self.name(), digest[0], digest[1], digest[2])
    }
}

const BOOTSTRAP: &str = include_str!("../bootstrap.sh");

async fn bootstrap(release: Debian, tag: &str) -> Result<(), Error> {
    let cache = paths::cache()?;
    let aside = tempfile::tempdir_in(&cache).map_err(Error::file(&cache))?;
    let dir = aside.path().display().to_string();
    command::run("sh", "dash", &["-ec", BOOTSTRAP, "bootstrap", release.code_name(), &dir, tag]).await?;
    Ok(())
}
