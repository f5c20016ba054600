//! The worker program that hosts get: given, found, or built from the clone that this program was built from.
//!
//! It must be static, for it runs in an image with nothing else. A build needs more than Rust; all that is missing is
//! named at once before cargo starts. A build that is up to date is seen without asking cargo.

mod build;
mod elf;

use std::path::{Path, PathBuf};

use crate::image::{self, Architecture, Image};
use crate::inventory::model::Runtime;
use crate::shell::files::digest;
use elf::Program;

#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerBuildError {
    #[error("cannot read the worker {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is not a static Linux program for x86_64 or aarch64")]
    NotStatic { path: PathBuf },
    #[error("there is no clone to build the worker from: {clone} is gone")]
    NoClone { clone: PathBuf },
    #[error("the worker cannot be built here, missing: {}", missing.join(", "))]
    Missing { missing: Vec<String>, remedy: String },
    #[error(
        "OpenSSL's headers in {headers} belong to a build without threads, which corrupts memory in a static program"
    )]
    NoThreads { headers: PathBuf },
    #[error("cannot run {program}")]
    Spawn {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the build of the worker failed")]
    Failed { tail: Vec<String> },
}

impl WorkerBuildError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("check the path given with --worker".into()),
            Self::NotStatic { .. } => {
                Some("build it with `-C target-feature=+crt-static` and OpenSSL's static library, or leave --worker out".into())
            }
            Self::NoClone { .. } => Some("give a built worker with --worker, or run from a clone".into()),
            Self::Missing { remedy, .. } => Some(remedy.clone()),
            Self::NoThreads { .. } => Some("use the distribution's libssl-dev, or set OPENSSL_LIB_DIR and OPENSSL_INCLUDE_DIR".into()),
            Self::Spawn { program, .. } => {
                Some(format!("check that {program} runs here, or give a built worker with --worker"))
            }
            Self::Failed { .. } => Some("the last lines of cargo's output say why".into()),
        }
    }

    /// Last output of what failed.
    pub(crate) fn tail(&self) -> &[String] {
        match self {
            Self::Failed { tail } => tail,
            _ => &[],
        }
    }
}

/// The worker, ready to be sent to hosts.
#[derive(Debug, Clone)]
pub(crate) struct Artifact {
    pub(crate) path: PathBuf,
    /// Tells this worker from others, in hexadecimal: the image's digest, or SHA-256 of the program where it has none.
    pub(crate) digest: String,
    /// The image with this program; `None` where it runs as a process.
    image: Option<Image>,
}

impl Artifact {
    /// Name and tag of the image with this program.
    pub(crate) fn image(&self) -> String {
        self.its_image().reference()
    }

    /// Digest label of that image.
    pub(crate) fn image_digest(&self) -> &str {
        &self.its_image().digest
    }

    /// What that image runs on, as `uname -m` says it.
    pub(crate) fn image_machine(&self) -> &'static str {
        self.its_image().architecture.machine()
    }

    /// That image as `docker load` takes it.
    pub(crate) fn image_archive(&self) -> Vec<u8> {
        image::write(self.its_image())
    }

    fn its_image(&self) -> &Image {
        self.image.as_ref().expect("only the Docker runtime asks for an image")
    }
}

/// Takes what a person waiting for a build wants to read.
pub(crate) type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The worker that [`locate`] would find, if it is there already and nothing is wrong with it; meanwhile others work.
pub(crate) async fn at_hand(given: Option<&Path>, runtime: Runtime) -> Option<Artifact> {
    let given = given.map(Path::to_owned);
    let find = move || load(given.or_else(beside_this_program).or_else(build::finished)?, runtime).ok();
    tokio::task::spawn_blocking(find).await.ok()?
}

/// The worker: `given`, else one shipped beside this program, else built from the clone, which may take minutes.
///
/// For an image it must be static; as a process on its host it may use the libraries there. `private` are the names of
/// variables in our environment that hold secrets: a build does not see them.
pub(crate) async fn locate(
    given: Option<&Path>,
    runtime: Runtime,
    private: &[String],
    say: Say<'_>,
) -> Result<Artifact, WorkerBuildError> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => match beside_this_program() {
            Some(path) => path,
            None => build::ensure(private, say).await?,
        },
    };
    // Reading and hashing takes milliseconds, and too many of them for a thread that serves hosts.
    tokio::task::spawn_blocking(move || load(path, runtime))
        .await
        .expect("reading does not panic and is not cancelled")
}

fn load(path: PathBuf, runtime: Runtime) -> Result<Artifact, WorkerBuildError> {
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(WorkerBuildError::Read { path, source }),
    };
    let image = match (runtime, elf::inspect(&bytes)) {
        (Runtime::Process, _) => None,
        (Runtime::Docker, Program::Static { machine }) => match Architecture::from_machine(machine) {
            Some(architecture) => Some(Image::new(&bytes, architecture)),
            None => return Err(WorkerBuildError::NotStatic { path }),
        },
        (Runtime::Docker, _) => return Err(WorkerBuildError::NotStatic { path }),
    };
    let digest = image.as_ref().map_or_else(|| digest(&bytes), |image| image.digest.clone());
    Ok(Artifact { path, digest, image })
}

/// A static worker that was shipped beside this program. In a clone's target folder the neighbor is a development
/// build: dynamic, and not for hosts.
fn beside_this_program() -> Option<PathBuf> {
    let neighbor = std::env::current_exe().ok()?.with_file_name("connect-worker");
    let bytes = std::fs::read(&neighbor).ok()?;
    let is_static = matches!(elf::inspect(&bytes), Program::Static { .. });
    (is_static && !is_in_target_folder(&neighbor)).then_some(neighbor)
}

fn is_in_target_folder(path: &Path) -> bool {
    path.ancestors().any(|folder| folder.join("CACHEDIR.TAG").exists())
}
