//! The way to Kafka: through the hosts, since brokers are often reachable from there only.
//!
//! Clients are made from the inventory, its secrets and its trust; every byte stream to a broker is opened on a host
//! and TLS checks the broker's advertised name as if the stream were direct.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use kafka_control::{
    BoxedStream, Client, ClientConfig, Dial, Endpoint, HostnameCheck, LoginError, Sasl, Security, Tls,
    TlsSetupError, Trust,
};
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::desired::trust::{self, TrustError};
use crate::host::Host;
use crate::inventory::model::{Kafka, Login, Mechanism, NameCheck};
use crate::phases::Context;
use crate::secrets::SecretError;

/// Names of the generated secrets, as kept on the control machine.
pub(crate) const ADMIN_SECRET: &str = "kafka-admin";
pub(crate) const USER_SECRET: &str = "connect-user";

#[derive(Debug, thiserror::Error)]
pub(crate) enum KafkaAccessError {
    #[error(transparent)]
    Kafka(#[from] kafka_control::Error),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("the trusted certificates cannot be used")]
    Tls(#[from] TlsSetupError),
    #[error("Kafka is not running yet")]
    NotYet,
}

impl KafkaAccessError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Kafka(error) => error.hint(),
            Self::Login(error) => error.hint(),
            Self::Secret(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Tls(_) => None,
            Self::NotYet => Some("run `provision apply` first".into()),
        }
    }
}

/// Keeps the administration client of a run.
#[derive(Default)]
pub(crate) struct KafkaAccess {
    admin: Mutex<Option<Client>>,
}

impl KafkaAccess {
    /// The administration client. `None` only for a Kafka of our own that does not run yet: then nothing exists in it.
    pub(crate) async fn look(&self, ctx: &Context) -> Result<Option<Client>, KafkaAccessError> {
        let mut admin = self.admin.lock().await;
        if let Some(client) = admin.as_ref() {
            return Ok(Some(client.clone()));
        }
        let kafka = &ctx.inventory.kafka;
        let login = match (&kafka.admin, &kafka.user) {
            (Some(login), _) => Some((ADMIN_SECRET, login)),
            (None, Some(user)) => Some((USER_SECRET, &user.login)),
            (None, None) => None,
        };
        let sasl = match login {
            None => None,
            Some((name, login)) => match ctx.secrets.peek(name, &login.password).await? {
                Some(password) => Some(sasl(login, password)),
                None => return Ok(None),
            },
        };
        let client = match client(ctx, sasl).await {
            Ok(client) => client,
            Err(KafkaAccessError::Trust(TrustError::NoAuthority)) => return Ok(None),
            Err(error) => return Err(error),
        };
        if kafka.managed().is_some() {
            match client.probe_login(&endpoint(kafka)).await {
                Ok(()) => {}
                // Not running, or running with a certificate that the `kafka` phase is about to replace.
                Err(
                    LoginError::Dial { .. }
                    | LoginError::CertificateExpired { .. }
                    | LoginError::CertificateName { .. },
                ) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        *admin = Some(client.clone());
        Ok(Some(client))
    }

    /// The administration client, where Kafka must be running by now.
    pub(crate) async fn admin(&self, ctx: &Context) -> Result<Client, KafkaAccessError> {
        self.look(ctx).await?.ok_or(KafkaAccessError::NotYet)
    }
}

/// A client that logs in with exactly these credentials.
pub(crate) async fn client(ctx: &Context, sasl: Option<Sasl>) -> Result<Client, KafkaAccessError> {
    let kafka = &ctx.inventory.kafka;
    let tls = match kafka.security.tls() {
        None => None,
        Some(tls) => {
            let trust = match trust::certificates(ctx, &tls.trust).await? {
                Some(certificates) => Trust::Certificates(certificates),
                None => Trust::System,
            };
            let names = match tls.names {
                NameCheck::Verify => HostnameCheck::Required,
                NameCheck::Ignore => HostnameCheck::Skipped,
            };
            Some(Tls::new(trust, None, names)?)
        }
    };
    let bootstrap = kafka
        .bootstrap
        .iter()
        .map(|broker| Endpoint::new(broker.host.as_str(), broker.port.number()))
        .collect();
    let mut config = ClientConfig::new(bootstrap, Security { tls, sasl });
    config.client_id = "provision".to_owned();
    let dial = HostsDial {
        hosts: ctx.hosts.values().cloned().collect(),
        extra_hosts: kafka.extra_hosts.iter().map(|(name, ip)| (name.as_str().to_owned(), *ip)).collect(),
    };
    Ok(Client::new(config, Arc::new(dial)))
}

/// The first bootstrap server.
pub(crate) fn endpoint(kafka: &Kafka) -> Endpoint {
    let first = kafka.bootstrap.first().expect("an inventory has at least one bootstrap server");
    Endpoint::new(first.host.as_str(), first.port.number())
}

/// A login of the inventory with its password.
pub(crate) fn sasl(login: &Login, password: SecretString) -> Sasl {
    let username = login.name.as_str().to_owned();
    match login.mechanism {
        Mechanism::Plain => Sasl::Plain { username, password },
        Mechanism::ScramSha256 => Sasl::ScramSha256 { username, password },
        Mechanism::ScramSha512 => Sasl::ScramSha512 { username, password },
    }
}

/// Opens streams on the hosts, the first that can being taken.
struct HostsDial {
    hosts: Vec<Arc<dyn Host>>,
    extra_hosts: BTreeMap<String, IpAddr>,
}

#[async_trait]
impl Dial for HostsDial {
    async fn dial(&self, to: &Endpoint) -> io::Result<BoxedStream> {
        let target = match self.extra_hosts.get(&to.host) {
            Some(address) => Endpoint::new(address.to_string(), to.port),
            None => to.clone(),
        };
        let mut last = io::Error::new(io::ErrorKind::NotConnected, "no host is connected");
        for host in &self.hosts {
            match host.connect(&target).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
