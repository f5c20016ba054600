//! `provision`: takes bare Linux hosts to a secured, monitored Kafka Connect cluster, and keeps it so.
//!
//! Start at [`phases::all`], the list of what is done; `commands/` is how a run goes.

mod authority;
mod causes;
mod cli;
mod commands;
mod control;
mod desired;
mod engine;
mod exit_code;
mod host;
mod image;
mod interrupt;
mod inventory;
mod kafka_access;
mod kafka_home;
mod phases;
mod plan;
mod report;
mod rest_client;
mod secrets;
mod shell;
mod standing;
mod supervise;
mod templates;
mod worker_build;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, setrlimit};
use tracing_subscriber::EnvFilter;

use cli::Cli;
use exit_code::Exit;
use interrupt::Interrupt;

fn main() -> ExitCode {
    forbid_core_files();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // A closed pipe is the only way this fails.
            let _ = error.print();
            return exit.into();
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("PROVISION_LOG").unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .with_ansi(report::has_color())
        .init();
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing installs another provider before main");
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::stderr(&format!("error: cannot start the runtime: {error}\n"));
            return Exit::Bug.into();
        }
    };
    let exit = runtime.block_on(async {
        let interrupt = match Interrupt::listen() {
            Ok(interrupt) => interrupt,
            Err(error) => {
                report::stderr(&format!("error: cannot take signals: {error}\n"));
                return Exit::Bug;
            }
        };
        tokio::select! {
            exit = commands::run(cli, &interrupt) => exit,
            signal = interrupt.urged() => {
                report::stderr("stopped at once; run it again: what was done is kept\n");
                signal.into()
            }
        }
    });
    // Whoever waits for an answer on the terminal is not waited for.
    runtime.shutdown_background();
    exit.into()
}

/// Memory holds secrets, so neither this program nor one that it starts leaves an image of it behind. A core file does
/// not fit in one byte, and at that very limit the kernel does not start a program that collects cores either
/// (`fs/coredump.c`).
fn forbid_core_files() {
    // Fails only where the limit is lower already.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) });
}
