//! Subcommands and flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit_code;

pub(crate) const DEFAULT_CERTS: &str = "certs";

/// Takes bare Linux hosts to a secured, monitored Kafka Connect cluster, and keeps it so.
#[derive(Debug, Parser)]
#[command(name = "provision", version, after_help = exit_code::TABLE, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Verb>,
    /// `provision --inventory prod.yml` is `provision apply --inventory prod.yml`.
    #[command(flatten)]
    pub(crate) apply: ApplyArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make hosts and Kafka as the inventory says (the default)
    Apply(ApplyArgs),
    /// Show what `apply` would change; exits with 0 (nothing) or 7 (changes pending)
    Plan(RunArgs),
    /// Check the inventory alone; touches no host
    Check(InventoryArgs),
    /// Run every check from outside, with a probe connector that carries records end to end
    Smoke(HostsArgs),
    /// Print records of a topic
    Records(RecordsArgs),
    /// Stop the cluster and remove what provision made
    Destroy(DestroyArgs),
    /// Write the worker image as an archive for `docker load`, or print its Dockerfile
    Image(ImageArgs),
    /// Print a commented inventory to start from
    Init,
    /// Print the JSON Schema of the inventory, for editors
    Schema,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct InventoryArgs {
    /// The inventory: a YAML file; without it the embedded lab on this machine
    #[arg(short, long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What every command takes that logs in to hosts.
#[derive(Debug, Args, Clone)]
pub(crate) struct HostsArgs {
    #[command(flatten)]
    pub(crate) inventory: InventoryArgs,
    /// Only these hosts, comma-separated
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub(crate) limit: Vec<String>,
    /// How many hosts are worked on at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) parallel: usize,
    /// Where authorities, generated secrets and journals are kept, one folder per cluster
    #[arg(long, value_name = "DIR", default_value = DEFAULT_CERTS)]
    pub(crate) certs: PathBuf,
}

/// What every command takes that runs phases.
#[derive(Debug, Args, Clone)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) hosts: HostsArgs,
    /// Only these phases, comma-separated
    #[arg(long, value_name = "PHASES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// All phases but these, comma-separated
    #[arg(long, value_name = "PHASES", value_delimiter = ',')]
    pub(crate) skip: Vec<String>,
    /// A built connect-worker to use instead of building one
    #[arg(long, value_name = "FILE", env = "CONNECT_WORKER_BIN")]
    pub(crate) worker: Option<PathBuf>,
}

impl RunArgs {
    /// For a command that has no choice of phases: these, or every one if none is named.
    pub(crate) fn of(hosts: HostsArgs, phases: &[&str]) -> Self {
        let only = phases.iter().map(|&phase| phase.to_owned()).collect();
        Self { hosts, only, skip: Vec::new(), worker: None }
    }
}

#[derive(Debug, Args, Clone)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Do not ask before making changes (never asked when standard input is not a terminal)
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct DestroyArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Really remove
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct ImageArgs {
    /// Print the Dockerfile that makes the same image, and build nothing
    #[arg(long)]
    pub(crate) dockerfile: bool,
    /// Where the archive is written
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// A built connect-worker to use instead of building one
    #[arg(long, value_name = "FILE", env = "CONNECT_WORKER_BIN")]
    pub(crate) worker: Option<PathBuf>,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct RecordsArgs {
    #[command(flatten)]
    pub(crate) hosts: HostsArgs,
    /// The topic to read
    pub(crate) topic: String,
    /// How many records at most, from the newest back
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) max: usize,
}
