//! Who listens on the ports that a worker wants: a container, which only the engine knows, or a program.

use crate::desired::host_root;
use crate::host::{Command, HostError, HostExt, Privilege};
use crate::inventory::model::Runtime;
use crate::phases::Scoped;
use crate::shell::containers::{self, Container, Engine};
use crate::shell::preflight::{self, HeldPort};

/// The label of our containers that says whose they are.
const CLUSTER_LABEL: &str = "provision.cluster";

/// The program that listens where a container publishes a port.
const PROXY: &str = "docker-proxy,";

/// Who listens on these ports of a worker.
pub(super) async fn look(
    at: &Scoped<'_>,
    privilege: Privilege,
    ports: &[u16],
) -> Result<Vec<HeldPort>, HostError> {
    let cluster = at.inventory().cluster.as_str();
    let (engine, programs) = match at.inventory().runtime {
        // The engine is asked by other phases as well, so together with them. Where a container has the ports there is
        // nothing more to look for, and in a converged run ours has them.
        Runtime::Docker => {
            let engine = ask_engine(at, privilege).await?;
            let is_other = |port: &u16| held_by_container(*port, &engine, cluster).is_none();
            let others: Vec<u16> = ports.iter().copied().filter(is_other).collect();
            let programs = held_by_programs(at, privilege, &others).await?;
            (engine, programs)
        }
        Runtime::Process => {
            let programs = held_by_programs(at, privilege, ports).await?;
            let are_ours = programs.iter().all(|held| held.is_ours);
            let engine = if are_ours { Engine::Absent } else { ask_engine(at, privilege).await? };
            (engine, programs)
        }
    };
    // Whose container it is only the engine knows; that it does not answer is the Docker phase's to tell.
    let is_silent = matches!(engine, Engine::Silent { .. });
    let is_told = |held: &&HeldPort| !(is_silent && held.holder.starts_with(PROXY));
    let program = |port| programs.iter().find(|held| held.port == port).filter(is_told).cloned();
    let holder = |port: &u16| held_by_container(*port, &engine, cluster).or_else(|| program(*port));
    Ok(ports.iter().filter_map(holder).collect())
}

async fn ask_engine(at: &Scoped<'_>, privilege: Privilege) -> Result<Engine, HostError> {
    Ok(Engine::parse(&at.host().check(&containers::look(privilege)).await?))
}

async fn held_by_programs(
    at: &Scoped<'_>,
    privilege: Privilege,
    ports: &[u16],
) -> Result<Vec<HeldPort>, HostError> {
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    let root = host_root(at.inventory(), at.host().as_ref()).display().to_string();
    let look = Command { privilege, ..preflight::look_for_holders(ports, &root) };
    Ok(preflight::parse_holders(&at.host().check(&look).await?))
}

/// `None` where no container publishes the port.
fn held_by_container(port: u16, engine: &Engine, cluster: &str) -> Option<HeldPort> {
    // An engine that was killed may still name the ports of what no longer runs.
    let holds = |container: &&Container| container.is_there() && container.publishes(port);
    let container = engine.containers().iter().find(holds)?;
    Some(HeldPort {
        port,
        is_ours: container.label(CLUSTER_LABEL) == cluster,
        unit: None,
        holder: format!("container {}", container.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_a_container_publishes_is_that_containers() {
        let row = |name: &str, status: &str, ports: &str, labels: &str| {
            format!("container=[{name:?},{status:?},\"i\",{ports:?},{labels:?}]\n")
        };
        let dead = row("c", "Exited (137) 2 days ago", "0.0.0.0:8083->80/tcp, 0.0.0.0:9000->9000/tcp", "");
        let ours = row("a", "Up 1 second", "0.0.0.0:8083->8083/tcp", "provision.cluster=orders");
        let theirs = row("b", "Up 1 second", "0.0.0.0:8079->80/tcp", "provision.cluster=others");
        let engine = Engine::parse(&format!("engine=answers\n{dead}{ours}{theirs}"));
        let seen = |port| {
            let held = held_by_container(port, &engine, "orders")?;
            Some((held.port, held.is_ours, held.holder))
        };
        assert_eq!(seen(8083), Some((8083, true, "container a".to_owned())));
        assert_eq!(seen(8079), Some((8079, false, "container b".to_owned())));
        assert_eq!((seen(22), seen(9000)), (None, None));
    }
}
