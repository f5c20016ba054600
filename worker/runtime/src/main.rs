//! `connect-worker`: Kafka Connect in Rust.
//!
//! This file is the edge: arguments, environment, signals, logs and exit codes. `app.rs` joins the parts.

mod app;
mod build_info;
mod causes;
mod config;
mod health_check;
mod herder;
mod membership;
mod metrics;
mod names;
mod plugins;
mod rest;
mod storage;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::causes::chain;
use crate::config::properties::Properties;
use crate::config::{ConfigErrors, Problem, WorkerConfig};
use crate::plugins::converters;

/// The worker failed while it ran.
const FAILED: u8 = 1;
/// The arguments or the properties are wrong; nothing was started.
const MISCONFIGURED: u8 = 2;

#[derive(Parser)]
#[command(name = "connect-worker", about = "Kafka Connect in Rust", version = VERSION)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (Kafka Connect 4.3.1)");

#[derive(Subcommand)]
enum Command {
    /// Run a worker of a group.
    Distributed {
        #[command(flatten)]
        file: PropertiesFile,
    },
    /// Ask the worker on this machine whether it is healthy: exit code 0 if it is.
    Healthcheck {
        #[command(flatten)]
        file: PropertiesFile,
    },
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct PropertiesFile {
    /// Worker properties.
    #[arg(long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same, as the JVM worker takes it.
    #[arg(value_name = "FILE")]
    positional: Option<PathBuf>,
}

impl PropertiesFile {
    fn path(self) -> PathBuf {
        self.config.or(self.positional).unwrap_or_default()
    }
}

fn main() -> ExitCode {
    forbid_core_files();
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Distributed { file } => distributed(&file.path()),
        Command::Healthcheck { file } => healthcheck(&file.path()),
    }
}

fn distributed(file: &Path) -> ExitCode {
    start_logging();
    let config = match read(file) {
        Ok(config) => config,
        Err(errors) => {
            tell(&format!("{}: wrong configuration\n{errors}", file.display()));
            return ExitCode::from(MISCONFIGURED);
        }
    };
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    // Tasks may keep every thread busy, so heartbeats and requests have threads of their own.
    let runtimes = runtime("worker", 2).and_then(|own| Ok((own, runtime("task", cores())?)));
    let (own, tasks) = match runtimes {
        Ok(runtimes) => runtimes,
        Err(error) => {
            tell(&format!("could not start threads: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let shutdown = CancellationToken::new();
    let result = own.block_on(async {
        own.spawn(watch_signals(shutdown.clone()));
        app::run(config, tasks.handle().clone(), shutdown).await
    });
    let code = match result {
        Ok(()) => {
            tracing::info!("worker has stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "worker failed");
            tell(&chain(&error));
            ExitCode::from(FAILED)
        }
    };
    tasks.shutdown_timeout(std::time::Duration::from_secs(2));
    own.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

fn healthcheck(file: &Path) -> ExitCode {
    let config = match read(file) {
        Ok(config) => config,
        Err(errors) => {
            tell(&format!("{}: wrong configuration\n{errors}", file.display()));
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let checked = runtime("check", 1)
        .map_err(health_check::HealthCheckError::Threads)
        .and_then(|runtime| runtime.block_on(health_check::check(&config.rest)));
    match checked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&chain(&error));
            ExitCode::from(FAILED)
        }
    }
}

fn read(file: &Path) -> Result<WorkerConfig, ConfigErrors> {
    let wrong = |message: String| ConfigErrors(vec![Problem::new(file.display().to_string(), message)]);
    let bytes = std::fs::read(file).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let properties = Properties::parse_bytes(&bytes).map_err(|e| wrong(e.to_string()))?;
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    let unknown = converters::problems(&properties);
    let config = WorkerConfig::read(properties, &environment);
    if unknown.is_empty() {
        return config;
    }
    let mut problems = config.err().map_or_else(Vec::new, |ConfigErrors(problems)| problems);
    problems.extend(unknown);
    Err(ConfigErrors(problems))
}

fn runtime(name: &'static str, threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// The first signal asks for an orderly end, the second ends at once.
async fn watch_signals(shutdown: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched");
        return;
    };
    next_signal(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping; a second signal ends the worker at once");
    shutdown.cancel();
    next_signal(&mut terminate, &mut interrupt).await;
    tracing::warn!("ended by a second signal");
    #[expect(clippy::exit, reason = "the second signal means: now")]
    std::process::exit(i32::from(FAILED));
}

async fn next_signal(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Memory holds passwords: no image of it is left behind. A core file does not fit in one byte, and at that very limit
/// the kernel does not start a program that collects cores either (`fs/coredump.c`).
fn forbid_core_files() {
    // Fails only where the limit is lower already.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) });
}

fn start_logging() {
    let filter = EnvFilter::try_from_env("CONNECT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal && std::env::var_os("NO_COLOR").is_none())
        .init();
}

#[expect(clippy::print_stderr, reason = "this is the edge")]
fn tell(text: &str) {
    eprintln!("{text}");
}
