//! The ground of the scenario: two bare hosts, a jump host, and a Kafka that only they reach.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use secrecy::SecretString;
use testbed::docker::image::Debian;
use testbed::docker::{Network, Reach};
use testbed::kafka::{Kafka, KafkaSpec, Place, Security};
use testbed::ssh_host::{HostSpec, SshHost, Sshd, Sudo};

/// Asked by `sudo` on [`Ground::bookworm`].
pub(super) const SUDO_PASSWORD: &str = "canary+sudo/7f3a9c";

pub(super) struct Ground {
    pub(super) kafka: Kafka,
    /// Debian 12, reached directly; its `sudo` asks for [`SUDO_PASSWORD`].
    pub(super) bookworm: SshHost,
    /// Debian 13, reached through [`Ground::jump`] alone.
    pub(super) trixie: SshHost,
    pub(super) jump: SshHost,
    /// Where Kafka stands.
    pub(super) inner: Network,
}

impl Ground {
    pub(super) async fn lay() -> Result<Self> {
        let open = Network::create(Reach::ControlMachine).await?;
        let inner = Network::create(Reach::ContainersOnly).await?;
        let in_both = || HostSpec::in_networks(&[&open, &inner]);
        let kafka = Kafka::start(KafkaSpec {
            brokers: 3,
            place: Place::Network(inner.clone()),
            security: Security::sasl_ssl(),
            acls: true,
            // Without the records that an idle controller writes, every record of the metadata log is a change.
            properties: vec![("metadata.max.idle.interval.ms".to_owned(), "0".to_owned())],
            ..KafkaSpec::default()
        });
        let password = Sudo::Password(SecretString::from(SUDO_PASSWORD));
        let bookworm = SshHost::start(Debian::Debian12, HostSpec { sudo: password, ..in_both() });
        let hidden = HostSpec { sshd: Sshd::Only(inner.clone()), ..in_both() };
        let trixie = SshHost::start(Debian::Debian13, hidden);
        let (kafka, bookworm, trixie, jump) =
            tokio::try_join!(kafka, bookworm, trixie, SshHost::start_jump(in_both()))?;
        Ok(Self { kafka, bookworm, trixie, jump, inner })
    }

    /// Both hosts, with the names that the inventory gives them.
    pub(super) fn hosts(&self) -> [(&'static str, &SshHost); 2] {
        [("bookworm", &self.bookworm), ("trixie", &self.trixie)]
    }

    /// Kafka and the hidden host's sshd are out of reach from here, and the hosts are bare.
    pub(super) async fn assert_premises(&self) -> Result<()> {
        ensure!(!self.inner.is_routed_from_here()?, "this machine has a route to {}", self.inner.subnet());
        for broker in self.kafka.brokers() {
            let refused = connect(SocketAddr::new(broker.ip(), broker.port())).await?;
            ensure!(refused == std::io::ErrorKind::HostUnreachable, "broker {}: {refused}", broker.id());
        }
        let hidden = SocketAddr::new(self.trixie.address().parse()?, self.trixie.port());
        let refused = connect(hidden).await?;
        ensure!(refused == std::io::ErrorKind::HostUnreachable, "{hidden}: {refused}");
        for (name, host) in self.hosts() {
            let found = host.exec("command -v docker dockerd docker-compose || true").await?;
            ensure!(found.is_empty(), "{name} has Docker already: {found}");
        }
        Ok(())
    }
}

/// How a connection from this machine fails; success is an error.
async fn connect(to: SocketAddr) -> Result<std::io::ErrorKind> {
    let error = tokio::net::TcpStream::connect(to).await.err();
    Ok(error.with_context(|| format!("this machine reaches {to}"))?.kind())
}
