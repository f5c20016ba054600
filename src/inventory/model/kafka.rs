//! The Kafka cluster, and how it is spoken to.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::{AbsolutePath, Address, HostName, Port, PrincipalName, SecretRef, Version};

/// `host:port` of a broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BrokerAddress {
    pub(crate) host: Address,
    pub(crate) port: Port,
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.ip() {
            Some(IpAddr::V6(_)) => write!(f, "[{}]:{}", self.host, self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The Kafka cluster that Connect works with.
#[derive(Debug, Clone)]
pub(crate) struct Kafka {
    /// At least one; with [`Origin::Managed`] the node's own listener.
    pub(crate) bootstrap: Vec<BrokerAddress>,
    pub(crate) security: Security,
    /// For administration; `None` means that the Connect user's own rights must do.
    pub(crate) admin: Option<Login>,
    /// `None` exactly when `security` has no SASL.
    pub(crate) user: Option<ConnectUser>,
    /// Names that hosts and workers resolve to these addresses.
    pub(crate) extra_hosts: BTreeMap<Address, IpAddr>,
    pub(crate) origin: Origin,
}

impl Kafka {
    /// `bootstrap.servers`.
    pub(crate) fn bootstrap_servers(&self) -> String {
        let servers: Vec<String> = self.bootstrap.iter().map(ToString::to_string).collect();
        servers.join(",")
    }

    pub(crate) fn managed(&self) -> Option<&ManagedKafka> {
        match &self.origin {
            Origin::Existing => None,
            Origin::Managed(managed) => Some(managed),
        }
    }
}

/// `security.protocol`, together with what TLS needs when there is TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Security {
    Plaintext,
    Ssl(Tls),
    SaslPlaintext,
    SaslSsl(Tls),
}

impl Security {
    /// The value of `security.protocol`.
    pub(crate) fn protocol(&self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl(_) => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl(_) => "SASL_SSL",
        }
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Ssl(tls) | Self::SaslSsl(tls) => Some(tls),
            Self::Plaintext | Self::SaslPlaintext => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) trust: Trust,
    /// Whether a broker's certificate must carry the broker's name.
    pub(crate) names: NameCheck,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameCheck {
    Verify,
    /// An empty `ssl.endpoint.identification.algorithm`.
    Ignore,
}

/// Which authorities a broker's certificate may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The authority in `certs/<cluster>/`; only with [`Origin::Managed`].
    Ours,
    /// What the control machine's system trusts.
    System,
    Store(TrustStore),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustStore {
    pub(crate) format: StoreFormat,
    pub(crate) location: StoreLocation,
    /// PKCS12 and JKS only; a JKS or PKCS12 store without it is read with the empty password.
    pub(crate) password: Option<SecretRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFormat {
    Pem,
    Pkcs12,
    Jks,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreLocation {
    /// A file on the control machine.
    Control(PathBuf),
    /// A file that every host already has.
    Host(AbsolutePath),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) name: PrincipalName,
    pub(crate) password: SecretRef,
    pub(crate) mechanism: Mechanism,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    /// The value of `sasl.mechanism`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The principal of the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectUser {
    pub(crate) login: Login,
    pub(crate) ownership: Ownership,
    pub(crate) acls: AclPolicy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// We upsert its SCRAM-SHA-512 credential.
    Managed,
    /// Others do; its login is only probed.
    Foreign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AclPolicy {
    /// Missing ACLs are printed.
    Check,
    /// Missing ACLs are made.
    Create,
    /// The cluster has no authorizer that we may ask.
    Ignore,
}

#[derive(Debug, Clone)]
pub(crate) enum Origin {
    Existing,
    Managed(ManagedKafka),
}

/// One KRaft node, broker and controller in one, run by us.
#[derive(Debug, Clone)]
pub(crate) struct ManagedKafka {
    /// Where it runs.
    pub(crate) host: HostName,
    pub(crate) version: Version,
    /// The listener for clients; also in [`Kafka::bootstrap`].
    pub(crate) port: Port,
    pub(crate) controller_port: Port,
    /// An unpacked Kafka distribution; `None` means `KAFKA_HOME`, and without that the pinned jars.
    pub(crate) home: Option<PathBuf>,
    /// Logs and metadata; `None` means a folder of the process runtime.
    pub(crate) data: Option<AbsolutePath>,
}
