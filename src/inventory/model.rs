//! What an inventory means. Valid by construction: [`super::parse`] is the only maker, every default is filled in,
//! every per-host override is applied, every name has passed its rule.
//!
//! Plain values without I/O; secrets are references, never values.

mod kafka;

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use serde::{Serialize, Serializer};

pub(crate) use kafka::{
    AclPolicy, BrokerAddress, ConnectUser, Kafka, Login, ManagedKafka, Mechanism, NameCheck, Origin,
    Ownership, Security, StoreFormat, StoreLocation, Tls, Trust, TrustStore,
};

pub(crate) use super::names::{
    AbsolutePath, Address, ClassName, ClusterName, ConnectorName, Fingerprint, GroupId, HostName,
    PrincipalName, RepositoryUrl, TopicName, UnitName, UserName, VariableName, Version,
};
pub(crate) use super::problem::Warning;

/// Everything that one YAML file says.
#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    pub(crate) cluster: ClusterName,
    pub(crate) runtime: Runtime,
    /// In the file's order; at least one.
    pub(crate) hosts: Vec<Host>,
    pub(crate) kafka: Kafka,
    pub(crate) connect: Connect,
    /// Application topics to create; the internal ones are in [`Connect::topics`].
    pub(crate) topics: BTreeMap<TopicName, Topic>,
    pub(crate) connectors: BTreeMap<ConnectorName, Connector>,
    /// systemd units that hold our ports and are stopped for us.
    pub(crate) conflicts: Vec<UnitName>,
    /// What is allowed but should be known.
    pub(crate) warnings: Vec<Warning>,
}

impl Inventory {
    pub(crate) fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == *name)
    }

    /// Names of the environment variables that hold secrets: processes that we start need none of them.
    pub(crate) fn secret_variables(&self) -> Vec<String> {
        let store = match self.kafka.security.tls().map(|tls| &tls.trust) {
            Some(Trust::Store(store)) => store.password.as_ref(),
            _ => None,
        };
        let admin = self.kafka.admin.as_ref().map(|login| &login.password);
        let user = self.kafka.user.as_ref().map(|user| &user.login.password);
        let sudo = self.hosts.iter().filter_map(|host| match &host.connection {
            Connection::Ssh(Ssh { sudo: Sudo::Password(secret), .. }) => Some(secret),
            _ => None,
        });
        let origins = store.into_iter().chain(admin).chain(user).chain(sudo);
        let variables = origins.filter_map(|origin| match origin {
            SecretRef::Env(variable) => Some(variable.to_string()),
            _ => None,
        });
        variables.collect()
    }
}

/// How a worker runs on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Runtime {
    /// A container under Docker Compose.
    Docker,
    /// A supervised process of the current user.
    Process,
}

/// One host, with everything that can differ between hosts.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) name: HostName,
    /// Where the host is reached, by us and by the other workers.
    pub(crate) address: Address,
    pub(crate) connection: Connection,
    pub(crate) worker: Worker,
    pub(crate) docker: Docker,
}

#[derive(Debug, Clone)]
pub(crate) enum Connection {
    /// This machine.
    Local,
    Ssh(Ssh),
}

/// What is known of an SSH connection; `None` leaves it to the user's own `~/.ssh/config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ssh {
    pub(crate) user: Option<UserName>,
    pub(crate) port: Option<Port>,
    /// The private key's file on the control machine.
    pub(crate) identity: Option<PathBuf>,
    /// Hosts to go through, first hop first.
    pub(crate) jump: Vec<Jump>,
    /// Pinned keys; empty means known_hosts decides.
    pub(crate) host_keys: Vec<HostKey>,
    pub(crate) sudo: Sudo,
}

/// One hop of a jump chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Jump {
    pub(crate) user: Option<UserName>,
    pub(crate) address: Address,
    pub(crate) port: Option<Port>,
    pub(crate) identity: Option<PathBuf>,
    pub(crate) host_keys: Vec<HostKey>,
}

/// A public key as in `known_hosts`, without host patterns: `ssh-ed25519 AAAA…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostKey {
    pub(crate) algorithm: String,
    /// Base64.
    pub(crate) key: String,
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.key)
    }
}

/// How the SSH user becomes root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sudo {
    /// It is root.
    None,
    /// `sudo` asks for nothing.
    Passwordless,
    Password(SecretRef),
}

/// Where a secret comes from. Fetched by whoever needs it, as late as possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretRef {
    Env(VariableName),
    /// A file on the control machine; one line feed at its end is not part of the secret.
    File(PathBuf),
    /// A program and its arguments, run on the control machine without a shell; at least one word.
    Command(Vec<String>),
    /// Drawn once by us and kept in `certs/<cluster>/`.
    Generated,
}

/// A TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Port(NonZeroU16);

impl Port {
    pub(crate) fn new(number: NonZeroU16) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.number())
    }
}

/// What all workers of the cluster share.
#[derive(Debug, Clone)]
pub(crate) struct Connect {
    pub(crate) group: GroupId,
    pub(crate) topics: InternalTopics,
    pub(crate) key_converter: ClassName,
    pub(crate) value_converter: ClassName,
}

/// The three topics in which Connect keeps its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InternalTopics {
    /// Always one partition.
    pub(crate) config: InternalTopic,
    pub(crate) offset: InternalTopic,
    pub(crate) status: InternalTopic,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InternalTopic {
    pub(crate) name: TopicName,
    pub(crate) partitions: NonZeroU32,
    pub(crate) replication: NonZeroU16,
}

/// The worker of one host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Worker {
    pub(crate) rest: Listener,
    pub(crate) metrics: Listener,
    /// The name under which other workers reach this one; `None` means what `rest.bind` leads to.
    pub(crate) advertised_name: Option<Address>,
    pub(crate) memory: ByteSize,
    /// `None` sets no limit.
    pub(crate) cpus: Option<Cpus>,
    pub(crate) pids: NonZeroU32,
    /// Files of the worker on its host; `None` means the runtime's own place.
    pub(crate) directory: Option<AbsolutePath>,
    /// Further worker properties, none of which is ours to set.
    pub(crate) properties: BTreeMap<String, String>,
}

/// A port and the interfaces it is open on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) port: Port,
    pub(crate) bind: Bind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bind {
    Loopback,
    /// The host's `address` if that is an IP address, else the source address of its route to the first broker.
    Private,
    All,
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

/// Thousandths of a processor; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cpus(pub(crate) NonZeroU32);

impl fmt::Display for Cpus {
    /// As Compose wants it: `1.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0.get() / 1000, self.0.get() % 1000);
        let text = format!("{whole}.{thousandths:03}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A topic of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) partitions: NonZeroU32,
    pub(crate) replication: NonZeroU16,
    /// Topic configuration by Kafka's names.
    pub(crate) config: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connector {
    pub(crate) name: ConnectorName,
    /// The full class name, also when the inventory gave an alias.
    pub(crate) class: ClassName,
    /// As sent to Connect: with `connector.class` as the inventory spells it, without `name`.
    pub(crate) config: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Docker {
    pub(crate) source: DockerSource,
    pub(crate) vendor: VendorRepository,
    /// Users to put into the group `docker`, which makes them root in all but name.
    pub(crate) group_users: Vec<UserName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DockerSource {
    /// Present, else the distribution's packages, else the vendor's: the first that the host can reach.
    Auto,
    Distribution,
    Vendor,
    /// Installed by others; never touched.
    Present,
}

/// The vendor's package repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VendorRepository {
    /// Without the last step, which is the `ID` of the host's `/etc/os-release`: `<url>/debian`.
    pub(crate) url: RepositoryUrl,
    /// Of the key that signs it.
    pub(crate) fingerprint: Fingerprint,
}
