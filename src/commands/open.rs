//! Opening a run: inventory read, selection checked, secrets fetched, hosts connected. And closing it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::causes::chain;
use crate::cli::{DEFAULT_CERTS, InventoryArgs, RunArgs};
use crate::control::ControlHome;
use crate::engine;
use crate::engine::connect::{Connected, connect};
use crate::engine::event::{Event, Events, Failure};
use crate::engine::selection::Selection;
use crate::exit_code::Exit;
use crate::host::SshRun;
use crate::interrupt::{Interrupt, Signal};
use crate::inventory;
use crate::inventory::model::{self, HostName, Inventory};
use crate::kafka_access::KafkaAccess;
use crate::phases::{self, Context};
use crate::report::{self, Pointer, Style};
use crate::secrets::Secrets;
use crate::shell::quote;
use crate::worker_build;

/// A program that a killed run was just about to start has the run's lock until it is another program.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// An open run. Ends with [`Run::close`].
pub(crate) struct Run {
    pub(crate) ctx: Context,
    pub(crate) selection: Selection,
    pub(crate) style: Style,
    /// Hosts that could not be connected or locked.
    pub(crate) failures: Vec<Failure>,
    refusal: Refusal,
    ssh: Arc<SshRun>,
    /// Flags of the commands that are told to go on with.
    flags: String,
    /// Held until the run is closed.
    _lock: Option<File>,
}

/// Whether a run may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Look,
    Change,
}

/// Reads the inventory, or says everything that is wrong with it. Without a file: the embedded lab.
pub(super) fn load(args: &InventoryArgs, refusal: Refusal) -> Result<Inventory, Exit> {
    let Some(path) = &args.inventory else {
        if !args.json {
            report::stderr("no --inventory: the embedded lab on this machine\n");
        }
        return Ok(inventory::lab());
    };
    inventory::load(path).map_err(|problems| refusal.tell_problems(&problems))
}

impl Run {
    /// Opens the run of `command`; what forbids it is told already when this fails.
    pub(crate) async fn open(
        command: &'static str,
        args: &RunArgs,
        intent: Intent,
        interrupt: &Interrupt,
    ) -> Result<Self, Exit> {
        let refusal = Refusal::new(command, &args.hosts.inventory);
        let inventory = load(&args.hosts.inventory, refusal)?;
        let selection = selection(args, &inventory, refusal)?;
        let style = Style::detect(args.hosts.inventory.json);
        let home = ControlHome::new(&absolute(&args.hosts.certs), &inventory.cluster);
        let lock = match intent {
            Intent::Look => None,
            Intent::Change => Some(lock(&home, &inventory, refusal).await?),
        };
        let events = Events::new(style.reporter());
        let secrets = Secrets::new(home.clone(), inventory.secret_variables());
        let ssh = SshRun::create(inventory.secret_variables())
            .map_err(|error| refusal.tell(Exit::CheckFailed, &chain(&error), error.hint().as_deref()))?;
        let wanted: Vec<&model::Host> =
            inventory.hosts.iter().filter(|host| selection.has_host(&host.name)).collect();
        let connecting = connect(&ssh, &inventory, &wanted, &secrets, &home, &events, args.hosts.parallel);
        // Phases ask for the worker's digest before they look at a host, and they are to look at it in one go.
        let at_hand = async {
            let is_asked_for = looks_at_hosts(command) && selection.has_phase("files");
            let at_hand = worker_build::at_hand(args.worker.as_deref(), inventory.runtime);
            if is_asked_for { at_hand.await } else { None }
        };
        let (connected, artifact) = tokio::join!(interrupt.unless(connecting), at_hand);
        let Connected { hosts, routes, claimed, failures } = match connected {
            Ok(connected) => connected,
            Err(signal) => {
                ssh.close().await;
                events.emit(&Event::Ended);
                return Err(stopped(refusal, signal));
            }
        };
        let ctx = Context {
            hosts,
            routes,
            claimed: Mutex::new(claimed),
            home,
            secrets,
            kafka: KafkaAccess::default(),
            worker: args.worker.clone(),
            artifact: OnceCell::new_with(artifact),
            events,
            interrupt: interrupt.clone(),
            probe: AtomicBool::new(false),
            inventory,
        };
        let flag = |name: &str, path: &Path| format!(" {name} {}", quote(&path.to_string_lossy()));
        let mut flags = String::new();
        flags.extend(args.hosts.inventory.inventory.iter().map(|path| flag("--inventory", path)));
        flags.extend(
            (args.hosts.certs != Path::new(DEFAULT_CERTS)).then(|| flag("--certs", &args.hosts.certs)),
        );
        Ok(Self { ctx, selection, style, failures, refusal, ssh, flags, _lock: lock })
    }

    /// Ends every session in order.
    pub(crate) async fn close(self) {
        futures::future::join_all(self.ctx.hosts.values().map(|host| host.close())).await;
        self.ssh.close().await;
    }

    /// Keeps other control machines from changing the hosts until the run is closed. `false`: not every host is ours,
    /// so none may be changed.
    pub(crate) async fn lock_hosts(&mut self) -> bool {
        let locking = engine::lock::take(&self.ctx);
        // A wish to stop is seen by whoever goes on.
        let Ok(failures) = self.ctx.interrupt.unless(locking).await else { return false };
        let are_locked = failures.is_empty();
        self.failures.extend(failures);
        are_locked
    }

    /// Closes a run that only looked and that the user wanted to end.
    pub(crate) async fn abandon(self, signal: Signal) -> Exit {
        self.ctx.events.emit(&Event::Ended);
        let exit = stopped(self.refusal, signal);
        self.close().await;
        exit
    }

    /// The command that goes on where this one was stopped.
    pub(crate) fn way_on(&self) -> Pointer {
        Pointer { label: "go on".to_owned(), target: command_line() }
    }

    /// URLs and next commands of a cluster that stands.
    pub(crate) fn pointers(&self) -> Vec<Pointer> {
        let mut pointers = Vec::new();
        for name in self.ctx.hosts.keys() {
            let pointer = |label: &str, target: String| Pointer { label: format!("{name} {label}"), target };
            pointers.push(pointer("REST", format!("http://{}/connectors", self.ctx.rest_endpoint(name))));
            pointers.push(pointer("metrics", format!("http://{}/metrics", self.ctx.metrics_endpoint(name))));
        }
        let command = |label: &str, words: String| Pointer { label: label.to_owned(), target: words };
        let flags = &self.flags;
        let topic =
            self.ctx.inventory.connectors.values().find_map(|connector| connector.config.get("kafka.topic"));
        if let Some(topic) = topic {
            pointers.push(command("see records", format!("{} records {topic}{flags}", program())));
        }
        pointers.push(command("check it", format!("{} smoke{flags}", program())));
        pointers.push(command("stop it", format!("{} destroy --yes{flags}", program())));
        pointers
    }
}

/// Whether a command calls the phases' checks.
fn looks_at_hosts(command: &str) -> bool {
    !matches!(command, "records" | "destroy")
}

/// The last words of a run that was stopped before it changed anything.
fn stopped(refusal: Refusal, signal: Signal) -> Exit {
    let message = format!("stopped by {}: nothing was changed", signal.name());
    refusal.tell(signal.into(), &message, Some(&format!("go on with `{}`", command_line())))
}

/// How this run was called, for a shell.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| quote(&word.to_string_lossy()));
    std::iter::once(program().to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// How this program is called: from a clone, `cargo provision` is the way, and cargo says so of itself.
fn program() -> &'static str {
    if std::env::var_os("CARGO").is_some() { "cargo provision" } else { "provision" }
}

/// One run of this machine at a time changes a cluster.
async fn lock(home: &ControlHome, inventory: &Inventory, refusal: Refusal) -> Result<File, Exit> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match home.lock() {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if Instant::now() < deadline => tokio::time::sleep(LOCK_PAUSE).await,
            Ok(None) => {
                let message =
                    format!("another run of this machine is changing cluster {}", inventory.cluster);
                return Err(refusal.tell(Exit::Locked, &message, Some("wait until it has ended")));
            }
            Err(error) => {
                return Err(refusal.tell(Exit::CheckFailed, &chain(&error), error.hint().as_deref()));
            }
        }
    }
}

/// Phases and hosts that were named, checked against those that exist.
fn selection(args: &RunArgs, inventory: &Inventory, refusal: Refusal) -> Result<Selection, Exit> {
    let phases: Vec<&str> = phases::all().iter().map(|phase| phase.id()).collect();
    for id in args.only.iter().chain(&args.skip) {
        if !phases.contains(&id.as_str()) {
            let hint = format!("phases are {}", phases.join(", "));
            return Err(refusal.tell(Exit::Usage, &format!("there is no phase {id}"), Some(&hint)));
        }
    }
    let mut limit = BTreeSet::new();
    for text in &args.hosts.limit {
        match HostName::parse(text).ok().filter(|name| inventory.host(name).is_some()) {
            Some(name) => limit.insert(name),
            None => {
                let hosts: Vec<&str> = inventory.hosts.iter().map(|host| host.name.as_str()).collect();
                let hint = format!("hosts are {}", hosts.join(", "));
                return Err(refusal.tell(
                    Exit::Usage,
                    &format!("the inventory has no host {text}"),
                    Some(&hint),
                ));
            }
        };
    }
    Ok(Selection {
        only: args.only.iter().cloned().collect(),
        skip: args.skip.iter().cloned().collect(),
        limit,
    })
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
