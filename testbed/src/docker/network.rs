//! Networks of containers, with or without the control machine in them.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rand::Rng;

use super::{Docker, docker, docker_on_drop, label};
use crate::{Error, owner};

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
                Ok(_) => return Ok(Self(Arc::new(Owned { name, subnet }))),
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

    /// Whether this machine has a route into the network that is not its way to everywhere.
    pub fn is_routed_from_here(&self) -> Result<bool, Error> {
        Ok(routes_to(self.0.subnet)?.next().is_some())
    }

    pub(super) fn owned(&self) -> Arc<Owned> {
        Arc::clone(&self.0)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        docker_on_drop(&["network", "rm", &self.name]);
    }
}

/// The interfaces of this machine's routes that hold an address, the default route left out.
fn routes_to(address: Ipv4Addr) -> Result<impl Iterator<Item = String>, Error> {
    let table = fs::read_to_string("/proc/net/route").map_err(Error::file("/proc/net/route"))?;
    let rows: Vec<String> = table.lines().skip(1).map(str::to_owned).collect();
    Ok(rows.into_iter().filter_map(move |row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        // Interface, destination, gateway, flags, reference count, use, metric, mask; numbers in the machine's order.
        let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
        let (destination, mask) = (number(1)?, number(7)?);
        let wanted = u32::from_ne_bytes(address.octets());
        (mask != 0 && wanted & mask == destination).then(|| fields[0].to_owned())
    }))
}
