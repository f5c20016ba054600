//! Builds the worker with cargo from the clone, as a static program.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::{Say, WorkerBuildError};

/// The clone that this program was built from.
const CLONE: &str = env!("CARGO_MANIFEST_DIR");

/// `KEY="VALUE"` lines: the environment that makes the build static, said once for everyone who builds the worker.
const STATIC_ENVIRONMENT: &str = include_str!("../../worker/static.env");

/// How many of cargo's last lines an error keeps.
const TAIL_LINES: usize = 20;

/// Where everything of a build is.
struct Places {
    clone: PathBuf,
    target: String,
    target_dir: PathBuf,
    openssl_lib: PathBuf,
    openssl_include: PathBuf,
}

impl Places {
    fn find() -> Self {
        let clone = PathBuf::from(CLONE);
        let architecture = std::env::consts::ARCH;
        Self {
            target: format!("{architecture}-unknown-linux-gnu"),
            target_dir: from_env("CARGO_TARGET_DIR").unwrap_or_else(|| clone.join("target")),
            openssl_lib: from_env("OPENSSL_LIB_DIR")
                .unwrap_or_else(|| static_value("OPENSSL_LIB_DIR").replace("x86_64", architecture).into()),
            openssl_include: from_env("OPENSSL_INCLUDE_DIR")
                .unwrap_or_else(|| static_value("OPENSSL_INCLUDE_DIR").into()),
            clone,
        }
    }

    fn folder(&self) -> PathBuf {
        self.target_dir.join(&self.target).join("release")
    }

    fn binary(&self) -> PathBuf {
        self.folder().join("connect-worker")
    }

    /// The header that says how OpenSSL was configured: Debian keeps it in the architecture's own folder.
    fn openssl_configuration(&self) -> Option<PathBuf> {
        let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
        let candidates = [
            self.openssl_include.join("openssl/configuration.h"),
            self.openssl_include.join(multiarch).join("openssl/configuration.h"),
        ];
        candidates.into_iter().find(|path| path.exists())
    }
}

fn from_env(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The pairs of [`STATIC_ENVIRONMENT`].
fn static_environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    let pairs = STATIC_ENVIRONMENT.lines().filter(|line| !line.starts_with('#'));
    pairs.filter_map(|line| line.split_once('=')).map(|(key, value)| (key, value.trim_matches('"')))
}

fn static_value(name: &str) -> &'static str {
    static_environment().find_map(|(key, value)| (key == name).then_some(value)).unwrap_or_default()
}

/// The built worker, built now if it is not there or older than its sources.
pub(super) async fn ensure(private: &[String], say: Say<'_>) -> Result<PathBuf, WorkerBuildError> {
    let places = Places::find();
    let binary = places.binary();
    if !places.clone.join("worker/runtime/Cargo.toml").exists() {
        return Err(WorkerBuildError::NoClone { clone: places.clone });
    }
    if is_up_to_date(&places) {
        return Ok(binary);
    }
    refuse_missing(&places)?;
    run_cargo(&places, private, say).await?;
    Ok(binary)
}

/// The built worker, if none of its sources is newer.
pub(super) fn finished() -> Option<PathBuf> {
    let places = Places::find();
    is_up_to_date(&places).then(|| places.binary())
}

/// Whether the program is newer than everything it was made from, by the list of sources that cargo keeps beside it.
fn is_up_to_date(places: &Places) -> bool {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(built) = changed(&places.binary()) else { return false };
    let Ok(list) = std::fs::read_to_string(places.folder().join("connect-worker.d")) else { return false };
    let manifests =
        ["Cargo.toml", "Cargo.lock", "worker/runtime/Cargo.toml"].map(|path| places.clone.join(path));
    let is_older = |path: &Path| changed(path).is_some_and(|changed: SystemTime| changed <= built);
    let sources = sources(&list);
    !sources.is_empty() && sources.iter().chain(&manifests).all(|path| is_older(path))
}

/// The sources in a list that cargo wrote in the form of a make rule; blanks in paths are escaped.
fn sources(list: &str) -> Vec<PathBuf> {
    let Some((_, rest)) = list.lines().next().and_then(|line| line.split_once(": ")) else {
        return Vec::new();
    };
    let marked = rest.replace("\\ ", "\0");
    marked.split_whitespace().map(|path| PathBuf::from(path.replace('\0', " "))).collect()
}

/// Names everything that the build needs and this machine lacks.
fn refuse_missing(places: &Places) -> Result<(), WorkerBuildError> {
    let is_program = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    let mut missing = Vec::new();
    let mut packages = Vec::new();
    let mut need = |is_there: bool, what: String, package: &'static str| {
        if !is_there {
            missing.push(what);
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
    };
    let static_library = |name: &str| places.openssl_lib.join(name).exists();
    let lib = places.openssl_lib.display();
    need(is_program("cc"), "a C compiler (cc)".into(), "build-essential");
    need(is_program("c++"), "a C++ compiler (c++)".into(), "build-essential");
    need(is_program("make"), "make".into(), "build-essential");
    need(
        places.openssl_include.join("openssl/ssl.h").exists() && places.openssl_configuration().is_some(),
        format!("OpenSSL's headers in {}", places.openssl_include.display()),
        "libssl-dev",
    );
    need(static_library("libssl.a"), format!("OpenSSL's static library {lib}/libssl.a"), "libssl-dev");
    need(static_library("libcrypto.a"), format!("OpenSSL's static library {lib}/libcrypto.a"), "libssl-dev");
    let has_cargo = std::env::var_os("CARGO").is_some() || is_program("cargo");
    if !has_cargo {
        missing.push("cargo".into());
    }
    if !missing.is_empty() {
        let mut remedy = Vec::new();
        if !packages.is_empty() {
            remedy.push(format!("apt-get install {}", packages.join(" ")));
        }
        if !has_cargo {
            remedy.push("install Rust from https://rustup.rs".to_owned());
        }
        return Err(WorkerBuildError::Missing { missing, remedy: remedy.join("; ") });
    }
    let Some(configuration) = places.openssl_configuration() else { return Ok(()) };
    let text = std::fs::read_to_string(&configuration)
        .map_err(|source| WorkerBuildError::Read { path: configuration.clone(), source })?;
    if !text.contains("define OPENSSL_THREADS") {
        return Err(WorkerBuildError::NoThreads { headers: configuration });
    }
    Ok(())
}

async fn run_cargo(places: &Places, private: &[String], say: Say<'_>) -> Result<(), WorkerBuildError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let spawn_failed =
        |source| WorkerBuildError::Spawn { program: cargo.to_string_lossy().into_owned(), source };
    say("building the worker, which takes a few minutes the first time");
    let mut command = tokio::process::Command::new(&cargo);
    for variable in private {
        command.env_remove(variable);
    }
    let mut child = command
        .args(["build", "--release", "--locked", "--package", "connect-worker", "--bin", "connect-worker"])
        .args(["--color", "never", "--target", &places.target])
        .current_dir(&places.clone)
        // The target is named so that build scripts and macros are not static.
        .envs(static_environment())
        .env("OPENSSL_LIB_DIR", &places.openssl_lib)
        .env("OPENSSL_INCLUDE_DIR", &places.openssl_include)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(spawn_failed)?;
    let stderr = child.stderr.take().expect("the stream was asked for");
    let mut lines = BufReader::new(stderr).split(b'\n');
    let mut tail: Vec<String> = Vec::new();
    while let Some(line) = lines.next_segment().await.map_err(spawn_failed)? {
        let line = String::from_utf8_lossy(&line).into_owned();
        // Of some hundred crates, those of the clone: their lines end with its path.
        if line.ends_with(')') || line.contains("Blocking") {
            say(line.trim());
        }
        tail.push(line);
        if tail.len() > TAIL_LINES {
            tail.remove(0);
        }
    }
    let status = child.wait().await.map_err(spawn_failed)?;
    if status.success() { Ok(()) } else { Err(WorkerBuildError::Failed { tail }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_static_environment_is_read() {
        assert_eq!(static_value("RUSTFLAGS"), "-C target-feature=+crt-static");
        assert_eq!(static_value("OPENSSL_STATIC"), "1");
        assert!(static_value("OPENSSL_LIB_DIR").starts_with('/'));
    }

    #[test]
    fn sources_of_a_build_are_read() {
        let list = "/t/release/connect-worker: /c/a.rs /c/my\\ files/b.rs\n\n/c/a.rs:\n";
        assert_eq!(sources(list), [PathBuf::from("/c/a.rs"), PathBuf::from("/c/my files/b.rs")]);
        assert!(sources("").is_empty());
    }
}
