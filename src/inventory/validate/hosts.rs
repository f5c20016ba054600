//! Hosts: each with the shared sections applied, and checked against the others.

use std::collections::HashMap;

use super::docker::DockerPart;
use super::ssh::SshPart;
use super::worker::WorkerPart;
use super::{Validator, kafka};
use crate::inventory::model::{Address, Bind, Connection, Host, HostName, Port, Runtime, Worker};
use crate::inventory::problem::Path;
use crate::inventory::raw;
use crate::inventory::tree::Value;

/// What the sections outside `hosts` say for every host.
struct Shared {
    ssh: SshPart,
    worker: WorkerPart,
    docker: DockerPart,
    default_bind: Bind,
}

impl Validator<'_, '_> {
    pub(super) fn hosts(&mut self, raw: &raw::Inventory, runtime: Option<Runtime>) -> Option<Vec<Host>> {
        let root = Path::root();
        let path = root.key("hosts");
        let names = self.host_names(&path);
        let shared = Shared {
            ssh: self.ssh(raw.ssh.as_ref(), &root.key("ssh")),
            worker: self.shared_worker(raw.connect.as_ref(), &root.key("connect")),
            docker: self.docker(raw.docker.as_ref(), &root.key("docker")),
            default_bind: if names.len() > 1 { Bind::Private } else { Bind::Loopback },
        };
        let raw_hosts = raw.hosts.as_ref()?;
        if raw_hosts.is_empty() && names.is_empty() {
            self.report.problem(
                &path,
                "expected at least one host",
                "such as `connect-1: { address: 10.0.1.11 }`",
            );
        }
        let mut hosts = Vec::new();
        for name in &names {
            let Some(raw_host) = raw_hosts.get(name) else { continue };
            hosts.extend(self.host(name, raw_host, &shared, runtime, &path.key(name)));
        }
        for host in &hosts {
            self.ports(host, raw.kafka.as_ref(), hosts.first(), &path.key(host.name.as_str()));
        }
        self.duplicates(&hosts, &path);
        self.reach(&hosts, &path);
        Some(hosts)
    }

    /// In the file's order, also those that are unsound.
    fn host_names(&self, path: &Path) -> Vec<String> {
        match self.report.tree.get(path).map(|node| &node.value) {
            Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
            _ => Vec::new(),
        }
    }

    fn host(
        &mut self,
        name: &str,
        raw: &raw::Host,
        shared: &Shared,
        runtime: Option<Runtime>,
        path: &Path,
    ) -> Option<Host> {
        let ssh = self.ssh(raw.ssh.as_ref(), &path.key("ssh"));
        let worker = self.host_worker(raw.connect.as_ref(), &path.key("connect"));
        let docker = self.docker(raw.docker.as_ref(), &path.key("docker"));
        let host_name: Option<HostName> = self.name(Some(name), path);
        let address: Option<Address> = self.name(raw.address.as_deref(), &path.key("address"));
        let is_local = matches!(raw.connection, Some(raw::Connection::Local));
        let connection = if is_local {
            if raw.ssh.is_some() {
                self.report.problem(
                    &path.key("ssh"),
                    "`ssh` has no meaning with `connection: local`",
                    "remove it",
                );
            }
            Connection::Local
        } else {
            if runtime == Some(Runtime::Process) {
                let message = "`runtime: process` runs on this machine only";
                self.report.problem(path, message, "add `connection: local`, or use `runtime: docker`");
            }
            self.report.missing(&path.key("address"), "where the host is reached, such as 10.0.1.11");
            Connection::Ssh(ssh.or(&shared.ssh))
        };
        let address = match address {
            None if is_local && raw.address.is_none() => Address::parse("127.0.0.1").expect("an address"),
            address => address?,
        };
        Some(Host {
            name: host_name?,
            address,
            connection,
            worker: worker.or(&shared.worker, shared.default_bind),
            docker: docker.or(&shared.docker),
        })
    }

    /// No two of our listeners on one port of one host.
    fn ports(&mut self, host: &Host, kafka: Option<&raw::Kafka>, first: Option<&Host>, path: &Path) {
        let mut taken: HashMap<Port, &str> = HashMap::new();
        let mut ports = vec![
            ("connect.rest.port", host.worker.rest.port),
            ("connect.metrics.port", host.worker.metrics.port),
        ];
        if let Some(managed) = kafka.and_then(|kafka| kafka.managed.as_ref()) {
            let runs_on = managed.host.as_deref().or(first.map(|host| host.name.as_str()));
            if runs_on == Some(host.name.as_str()) {
                let (clients, controller) = kafka::ports(managed);
                ports
                    .extend([("kafka.managed.port", clients), ("kafka.managed.controller_port", controller)]);
            }
        }
        for (key, port) in ports {
            if let Some(other) = taken.insert(port, key) {
                // Either the host's own key or the shared one said so.
                let own = path.keys(key);
                let here = if self.report.tree.get(&own).is_some() { own } else { Path::root().keys(key) };
                let message = format!("port {port} of {} is already that of {other}", host.name);
                self.report.problem(&here, message, "give each its own port");
            }
        }
    }

    /// No machine twice, and no two workers under one name.
    fn duplicates(&mut self, hosts: &[Host], path: &Path) {
        for (index, host) in hosts.iter().enumerate() {
            let here = path.key(host.name.as_str());
            let mut earlier = hosts.iter().take(index);
            if let Some(twin) = earlier.clone().find(|other| is_same_machine(host, other)) {
                let hint = "one worker per host: remove one of the two";
                match host.connection {
                    Connection::Local => {
                        self.report.problem(
                            &here,
                            format!("this machine is already host {}", twin.name),
                            hint,
                        );
                    }
                    Connection::Ssh(_) => {
                        let message =
                            format!("{} is already the address of host {}", host.address, twin.name);
                        self.report.problem(&here.key("address"), message, hint);
                    }
                }
            } else if let Some(twin) = earlier.find(|other| worker_id(host) == worker_id(other)) {
                let (name, port) = worker_id(host);
                let message = format!(
                    "other workers would reach this one as {name}:{port}, and host {} as well",
                    twin.name
                );
                let hint = "set `connect.advertised_name` or another `connect.rest.port` for one of the two";
                self.report.problem(&here.key("address"), message, hint);
            }
        }
    }

    /// Workers must reach each other, and an open REST port must be known.
    fn reach(&mut self, hosts: &[Host], path: &Path) {
        let is_open = |worker: &Worker| worker.rest.bind != Bind::Loopback;
        let open: Vec<&str> =
            hosts.iter().filter(|host| is_open(&host.worker)).map(|host| host.name.as_str()).collect();
        if !open.is_empty() {
            let message = format!(
                "REST has no authentication, and is open on {}: whoever reaches it controls the connectors",
                open.join(", ")
            );
            self.report.warn(&Path::root().keys("connect.rest.bind"), message);
        }
        if hosts.len() < 2 {
            return;
        }
        for host in hosts.iter().filter(|host| !is_open(&host.worker)) {
            let own = path.key(host.name.as_str()).keys("connect.rest.bind");
            let here = if self.report.tree.get(&own).is_some() {
                own
            } else {
                Path::root().keys("connect.rest.bind")
            };
            let message =
                format!("with several hosts the workers must reach each other, {} included", host.name);
            self.report.problem(&here, message, "use `private` or `all`");
        }
        for host in hosts.iter().filter(|host| is_loopback(&host.address)) {
            let worker = &host.worker;
            if worker.rest.bind != Bind::All || worker.advertised_name.is_none() {
                let message =
                    format!("the workers of the other hosts cannot reach this one at {}", host.address);
                let hint = "give the address that the other hosts use";
                self.report.problem(&path.key(host.name.as_str()).key("address"), message, hint);
            }
        }
    }
}

fn is_loopback(address: &Address) -> bool {
    address.as_str() == "localhost" || address.ip().is_some_and(|ip| ip.is_loopback())
}

/// How the workers of a cluster tell each other apart.
fn worker_id(host: &Host) -> (String, Port) {
    let name = host.worker.advertised_name.as_ref().unwrap_or(&host.address);
    (name.as_str().to_ascii_lowercase(), host.worker.rest.port)
}

fn is_same_machine(one: &Host, other: &Host) -> bool {
    match (&one.connection, &other.connection) {
        (Connection::Local, Connection::Local) => true,
        (Connection::Ssh(ssh), Connection::Ssh(other_ssh)) => {
            // One address can lead to several machines through forwarded ports, or behind different jump hosts.
            one.address.as_str().eq_ignore_ascii_case(other.address.as_str())
                && ssh.port.map_or(22, Port::number) == other_ssh.port.map_or(22, Port::number)
                && ssh.jump == other_ssh.jump
        }
        _ => false,
    }
}
