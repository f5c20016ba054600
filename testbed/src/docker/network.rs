//! Networks of containers, with or without the control machine in them.
//!
//! The bridge of a network for containers only has no address here. That alone would leave the default route, on which
//! anything may answer, so such a network also has an `unreachable` route. Making one takes root.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rand::Rng;

use super::{Docker, docker, docker_on_drop, label};
use crate::{Error, command, owner, paths};

/// Who reaches the containers of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The control machine does, and the containers reach the world.
    ControlMachine,
    /// Only the containers in it: this machine has no address and no route there.
    ContainersOnly,
}

/// A network; it is removed when its last clone and the last container in it are dropped.
#[derive(Debug, Clone)]
pub struct Network(Arc<Owned>);

#[derive(Debug)]
pub(super) struct Owned {
    name: String,
    subnet: Ipv4Addr,
    reach: Reach,
}

impl Network {
    /// Makes a network with a free /24 of 10.0.0.0/8.
    ///
    /// Errors: [`Error::Exhausted`] when no attempt found a free one.
    pub async fn create(reach: Reach) -> Result<Self, Error> {
        Docker::ensure().await?;
        let name = owner::unique("network")?;
        let [label, value] = label()?;
        for _ in 0..50 {
            let (second, third) = (rand::rng().random_range(16..240), rand::rng().random_range(0..=255));
            let subnet = Ipv4Addr::new(10, second, third, 0);
            if routes_to(subnet)?.next().is_some() {
                continue;
            }
            let range = format!("{subnet}/24");
            let mut words = vec!["network", "create", &label, &value, "--subnet", &range];
            if reach == Reach::ContainersOnly {
                words.extend(["--internal", "--opt", "com.docker.network.bridge.inhibit_ipv4=true"]);
            }
            words.push(&name);
            match docker(&words).await {
                Ok(_) => {
                    let network = Self(Arc::new(Owned { name, subnet, reach }));
                    if reach == Reach::ContainersOnly {
                        network.make_unreachable().await?;
                    }
                    return Ok(network);
                }
                // Another test bed was quicker with this subnet.
                Err(Error::Command { output, .. }) if output.contains("overlaps") => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Exhausted { what: "subnet" })
    }

    /// The engine's name for it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The range of its addresses, as `10.x.y.0/24`.
    pub fn subnet(&self) -> String {
        format!("{}/24", self.0.subnet)
    }

    /// An address of the network that a container may be given; `last` is its last number, of 2 to 254.
    pub fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.0.subnet.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    /// Whether this machine has a route into the network that is not its way to everywhere.
    pub fn is_routed_from_here(&self) -> Result<bool, Error> {
        Ok(routes_to(self.0.subnet)?.next().is_some())
    }

    async fn make_unreachable(&self) -> Result<(), Error> {
        let range = self.subnet();
        // The reaper reads these names.
        paths::write_private(&owner::owner()?.dir.join(format!("route-{}", self.0.subnet)), "")?;
        let args = ["route", "add", "unreachable", &range];
        command::run("ip", "iproute2", &args).await.map(drop)
    }

    pub(super) fn owned(&self) -> Arc<Owned> {
        Arc::clone(&self.0)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        docker_on_drop(&["network", "rm", &self.name]);
        if self.reach == Reach::ContainersOnly {
            let range = format!("{}/24", self.subnet);
            let status =
                std::process::Command::new("ip").args(["route", "del", "unreachable", &range]).status();
            if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
                tracing::warn!(range, ?status, "could not remove a route");
            }
        }
    }
}

/// The kernel's mark of an `unreachable` route; see route(8).
const RTF_REJECT: u32 = 0x200;

/// The interfaces of this machine's routes that lead to an address, the default route left out.
fn routes_to(address: Ipv4Addr) -> Result<impl Iterator<Item = String>, Error> {
    let table = fs::read_to_string("/proc/net/route").map_err(Error::file("/proc/net/route"))?;
    let rows: Vec<String> = table.lines().skip(1).map(str::to_owned).collect();
    Ok(rows.into_iter().filter_map(move |row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        // Interface, destination, gateway, flags, reference count, use, metric, mask; numbers in the machine's order.
        let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
        let (destination, flags, mask) = (number(1)?, number(3)?, number(7)?);
        let wanted = u32::from_ne_bytes(address.octets());
        let leads_there = mask != 0 && flags & RTF_REJECT == 0 && wanted & mask == destination;
        leads_there.then(|| fields[0].to_owned())
    }))
}
