//! What a host and the cluster should have, computed from the inventory: paths, files, topics, rights.
//!
//! Shared by the phases, which do not know each other. Everything but `trust` and `files::gather` is pure.

pub(crate) mod acls;
pub(crate) mod broker;
pub(crate) mod files;
mod properties;
pub(crate) mod topics;
pub(crate) mod trust;
pub(crate) mod worker;

use std::net::IpAddr;
use std::path::PathBuf;

use kafka_control::Endpoint;

use crate::host::{Host, Privilege};
use crate::inventory::model::{self, Bind, Connection, Inventory, Listener, Runtime};
use crate::shell::quote;

/// User and group of the worker in its container; it owns nothing else on the host.
pub(crate) const CONTAINER_UID: u32 = crate::image::UID;

/// Where everything of the cluster lies on a host.
///
/// Docker: `/etc/provision/<cluster>`, root's. Process: the login user's state folder (XDG base directories).
pub(crate) fn host_root(inventory: &Inventory, host: &dyn Host) -> PathBuf {
    let spec = inventory.host(host.name()).expect("every connected host comes from the inventory");
    match root(inventory, spec) {
        Root::Absolute(path) => path,
        Root::InHome(path) => PathBuf::from(&host.facts().home).join(path),
    }
}

/// The same as a word for the shell of the login user, on a host of which nothing is known yet.
pub(crate) fn host_root_word(inventory: &Inventory, spec: &model::Host) -> String {
    match root(inventory, spec) {
        Root::Absolute(path) => quote(&path.to_string_lossy()),
        Root::InHome(path) => format!("\"${{HOME:-/}}\"/{}", quote(&path.to_string_lossy())),
    }
}

enum Root {
    Absolute(PathBuf),
    /// Below the home folder of the login user.
    InHome(PathBuf),
}

fn root(inventory: &Inventory, spec: &model::Host) -> Root {
    if let Some(directory) = &spec.worker.directory {
        return Root::Absolute(PathBuf::from(directory.as_str()));
    }
    let cluster = inventory.cluster.as_str();
    match (inventory.runtime, &spec.connection) {
        (Runtime::Docker, _) => Root::Absolute(PathBuf::from("/etc/provision").join(cluster)),
        (Runtime::Process, Connection::Local) => {
            Root::Absolute(local_state().join("provision").join(cluster))
        }
        (Runtime::Process, Connection::Ssh(_)) => {
            Root::InHome(PathBuf::from(".local/state/provision").join(cluster))
        }
    }
}

/// `XDG_STATE_HOME` of this machine's user.
fn local_state() -> PathBuf {
    std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).unwrap_or_else(
        || {
            std::env::var_os("HOME")
                .map(PathBuf::from)
                .unwrap_or_else(|| PathBuf::from("/root"))
                .join(".local/state")
        },
    )
}

/// As whom the host's files and services are worked on.
pub(crate) fn privilege(inventory: &Inventory) -> Privilege {
    match inventory.runtime {
        Runtime::Docker => Privilege::Root,
        Runtime::Process => Privilege::Login,
    }
}

/// The topic of the probe connector of `smoke`.
pub(crate) fn probe_topic(inventory: &Inventory) -> String {
    format!("{}-probe", inventory.connect.group)
}

/// The address a listener is bound to. `route` is the source address of the host's route to the first broker, which
/// stands in for an `address` that is a name.
pub(crate) fn bind_address(spec: &model::Host, listener: Listener, route: Option<IpAddr>) -> IpAddr {
    match listener.bind {
        Bind::Loopback => IpAddr::from([127, 0, 0, 1]),
        Bind::All => IpAddr::from([0, 0, 0, 0]),
        // A connected host has one or the other; anything else stays closed.
        Bind::Private => spec.address.ip().or(route).unwrap_or(IpAddr::from([127, 0, 0, 1])),
    }
}

/// Where the host itself reaches a listener.
pub(crate) fn endpoint_on_host(spec: &model::Host, listener: Listener, route: Option<IpAddr>) -> Endpoint {
    let bound = bind_address(spec, listener, route);
    let host = if bound.is_unspecified() { "127.0.0.1".to_owned() } else { bound.to_string() };
    Endpoint::new(host, listener.port.number())
}

/// The name under which the other workers reach this one.
pub(crate) fn advertised_name(spec: &model::Host, route: Option<IpAddr>) -> String {
    if let Some(name) = &spec.worker.advertised_name {
        return name.to_string();
    }
    match spec.worker.rest.bind {
        Bind::Loopback => "127.0.0.1".to_owned(),
        Bind::Private => bind_address(spec, spec.worker.rest, route).to_string(),
        Bind::All => spec.address.to_string(),
    }
}
