//! What a phase works with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kafka_control::Endpoint;
use tokio::sync::OnceCell;

use super::PhaseError;
use crate::control::ControlHome;
use crate::desired;
use crate::engine::event::Events;
use crate::host::Host;
use crate::interrupt::Interrupt;
use crate::inventory::model::{self, HostName, Inventory};
use crate::kafka_access::KafkaAccess;
use crate::plan::Target;
use crate::secrets::Secrets;
use crate::worker_build::{self, Artifact};

/// One run: the inventory and the ways to the hosts, to Kafka, to the control machine's files and to the user.
pub(crate) struct Context {
    pub(crate) inventory: Inventory,
    /// Connected hosts, by name. A host that failed to connect is not here; the engine reports it.
    pub(crate) hosts: BTreeMap<HostName, Arc<dyn Host>>,
    /// Source address of each host's route to the first broker, where a listener is bound by it.
    pub(crate) routes: BTreeMap<HostName, IpAddr>,
    /// Hosts that bore our marker, or were given it by this run.
    pub(crate) claimed: Mutex<BTreeSet<HostName>>,
    /// `certs/<cluster>/` on the control machine: authority, generated secrets, journal.
    pub(crate) home: ControlHome,
    pub(crate) secrets: Secrets,
    pub(crate) kafka: KafkaAccess,
    /// `--worker`: a built worker to use instead of building one.
    pub(crate) worker: Option<PathBuf>,
    /// The worker's program, once it was located or built.
    pub(crate) artifact: OnceCell<Artifact>,
    /// Progress towards the user.
    pub(crate) events: Events,
    /// Whether the user wants the run to stop.
    pub(crate) interrupt: Interrupt,
    /// Whether `smoke` carries records end to end.
    pub(crate) probe: AtomicBool,
}

impl Context {
    /// Asks `smoke` to carry records end to end: this run changed something, or was asked to.
    pub(crate) fn request_probe(&self) {
        self.probe.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_probe_requested(&self) -> bool {
        self.probe.load(Ordering::Relaxed)
    }

    /// The worker's program; the first call locates or builds it.
    pub(crate) async fn artifact(&self) -> Result<&Artifact, PhaseError> {
        let say = |text: &str| self.events.progress(&Target::Cluster, text);
        let private = self.inventory.secret_variables();
        let locate = || worker_build::locate(self.worker.as_deref(), self.inventory.runtime, &private, &say);
        Ok(self.artifact.get_or_try_init(locate).await?)
    }

    /// Whether what runs on the host may be ours.
    pub(crate) fn is_claimed(&self, name: &HostName) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// Says that the host bears our marker now.
    pub(crate) fn claim(&self, name: &HostName) {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
    }

    /// What the inventory says of a connected host.
    pub(crate) fn spec(&self, name: &HostName) -> &model::Host {
        self.inventory.host(name).expect("every connected host comes from the inventory")
    }

    /// Where the host itself reaches its worker's REST API.
    pub(crate) fn rest_endpoint(&self, name: &HostName) -> Endpoint {
        let spec = self.spec(name);
        desired::endpoint_on_host(spec, spec.worker.rest, self.routes.get(name).copied())
    }

    /// Where the host itself reaches its worker's metrics page.
    pub(crate) fn metrics_endpoint(&self, name: &HostName) -> Endpoint {
        let spec = self.spec(name);
        desired::endpoint_on_host(spec, spec.worker.metrics, self.routes.get(name).copied())
    }
}

/// A context, and the target that the phase is asked about.
pub(crate) struct Scoped<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) target: &'a Target,
}

impl<'a> Scoped<'a> {
    pub(crate) fn inventory(&self) -> &'a Inventory {
        &self.ctx.inventory
    }

    /// The host that a phase of scope "each host" is asked about.
    pub(crate) fn host(&self) -> &'a Arc<dyn Host> {
        let Target::Host(name) = self.target else {
            unreachable!("only phases of scope EachHost ask for their host")
        };
        self.ctx.hosts.get(name).expect("the engine plans only for connected hosts")
    }

    /// What the inventory says of that host.
    pub(crate) fn host_spec(&self) -> &'a model::Host {
        self.ctx.spec(self.host().name())
    }
}
