//! The ground that most clusters stand on: a Kafka with TLS, logins and rights that only the host reaches.

use testbed::docker::image::Debian;
use testbed::docker::{Network, Reach};
use testbed::kafka::{Kafka, KafkaSpec, Place, Security};
use testbed::ssh_host::{HostSpec, SshHost};

/// A broker, and a bare Debian 12 that `spec` makes of the networks it is in.
pub(crate) async fn kafka_and_host(
    spec: impl FnOnce(&[&Network]) -> HostSpec,
) -> Result<(Kafka, SshHost), testbed::Error> {
    let open = Network::create(Reach::ControlMachine).await?;
    let inner = Network::create(Reach::ContainersOnly).await?;
    let kafka = Kafka::start(KafkaSpec {
        place: Place::Network(inner.clone()),
        security: Security::sasl_ssl(),
        acls: true,
        ..KafkaSpec::default()
    });
    tokio::try_join!(kafka, SshHost::start(Debian::Debian12, spec(&[&open, &inner])))
}
