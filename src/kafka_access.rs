//! The way to Kafka: through the hosts, since brokers are often reachable from there only.
//!
//! Clients are made from the inventory, its secrets and its trust; every byte stream to a broker is opened on a host
//! and TLS checks the broker's advertised name as if the stream were direct.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kafka_control::{
    BoxedStream, Client, ClientConfig, Cluster, Dial, Endpoint, HostnameCheck, LoginError, Sasl, Security,
    Stage, Tls, TlsSetupError, Trust,
};
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::desired::trust::{self, TrustError};
use crate::host::Host;
use crate::inventory::model::{Login, Mechanism, NameCheck};
use crate::phases::Context;
use crate::secrets::SecretError;

/// Names of the generated secrets, as kept on the control machine.
pub(crate) const ADMIN_SECRET: &str = "kafka-admin";
pub(crate) const USER_SECRET: &str = "connect-user";

/// How long a broker is given to let us in before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_secs(1);
/// How long a Kafka of our own may refuse its admin user after its listeners are open.
const SETTLE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

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
    #[error("no broker can be reached at the address that it advertises")]
    Advertised(#[source] LoginError),
    /// What stood in the way when Kafka was first asked in this run.
    #[error(transparent)]
    Known(Arc<KafkaAccessError>),
}

impl KafkaAccessError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Kafka(kafka_control::Error::Login(error)) => login_hint(error),
            Self::Kafka(error) => error.hint(),
            Self::Login(error) => login_hint(error),
            Self::Secret(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Tls(_) => Some("check the certificates that `kafka.trust` names".into()),
            Self::NotYet => Some("run `provision apply` first".into()),
            Self::Advertised(LoginError::Dial { .. } | LoginError::TimedOut { .. }) => Some(
                "the hosts must resolve and reach what the brokers' `advertised.listeners` say: mend those, or DNS, \
                 routes and firewalls, or give the names their addresses in `kafka.extra_hosts`"
                    .into(),
            ),
            Self::Advertised(error) => login_hint(error),
            Self::Known(error) => error.hint(),
        }
    }
}

/// What to do about a refused login, in the words of the inventory where it has one.
fn login_hint(error: &LoginError) -> Option<String> {
    let text = match error {
        LoginError::Dial { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
            "is the broker running, and is the port in `kafka.bootstrap` the one of its listener?"
        }
        LoginError::CertificateName { .. } => {
            "connect by a name of the certificate (`kafka.bootstrap`, the brokers' advertised.listeners), or issue one \
             that has this name as a subject alternative name; a common name (CN) does not count. If the brokers cannot \
             be changed, `kafka.verify_names: false` turns the check of the name off"
        }
        LoginError::CertificateIssuer { .. } => {
            "the store that `kafka.trust` names needs the authority that signed the brokers' certificates, and the \
             broker must send its intermediate certificates"
        }
        LoginError::NotTls { .. } => {
            "the listener may be PLAINTEXT or SASL_PLAINTEXT: check `kafka.security` and the port in `kafka.bootstrap`"
        }
        LoginError::TlsRequired { .. }
        | LoginError::HungUp { stage: Stage::ApiVersions, plaintext: true, .. } => {
            "set `kafka.security` to SSL or SASL_SSL, or use another port in `kafka.bootstrap`"
        }
        LoginError::NoSasl { .. } => {
            "set `kafka.security` to PLAINTEXT or SSL, or use the port of a SASL listener in `kafka.bootstrap`"
        }
        LoginError::SaslRequired { .. } => {
            "set `kafka.security` to SASL_SSL or SASL_PLAINTEXT, and give `kafka.admin` or `kafka.user`"
        }
        LoginError::Mechanism { .. } => {
            "choose an enabled `mechanism` in `kafka.admin` or `kafka.user`, or add this one to the brokers' \
             sasl.enabled.mechanisms"
        }
        LoginError::Refused { .. } => {
            "check name and secret of that user in `kafka.admin` or `kafka.user`; a SCRAM user must have been made for \
             this very mechanism"
        }
        error => return error.hint(),
    };
    Some(text.to_owned())
}

/// Keeps the administration client of a run.
#[derive(Default)]
pub(crate) struct KafkaAccess {
    /// What the first look came to. A failure is kept too: it ends the survey, and nobody waits for it twice.
    admin: Mutex<Option<Result<Admin, Arc<KafkaAccessError>>>>,
    /// The bootstrap server that let us in first; the clients that follow begin with it.
    answered: OnceLock<Endpoint>,
}

#[derive(Clone)]
struct Admin {
    client: Client,
    cluster: Arc<Cluster>,
}

impl KafkaAccess {
    /// The administration client. `None` only for a Kafka of our own that does not run yet: then nothing exists in it.
    pub(crate) async fn look(&self, ctx: &Context) -> Result<Option<Client>, KafkaAccessError> {
        Ok(self.look_once(ctx).await?.map(|admin| admin.client))
    }

    /// The brokers as they advertise themselves; `None` as for [`Self::look`].
    pub(crate) async fn cluster(&self, ctx: &Context) -> Result<Option<Arc<Cluster>>, KafkaAccessError> {
        Ok(self.look_once(ctx).await?.map(|admin| admin.cluster))
    }

    async fn look_once(&self, ctx: &Context) -> Result<Option<Admin>, KafkaAccessError> {
        let mut known = self.admin.lock().await;
        let seen = match known.as_ref() {
            Some(seen) => seen.clone(),
            None => match self.find(ctx).await {
                Ok(None) => return Ok(None),
                Ok(Some(admin)) => known.insert(Ok(admin)).clone(),
                Err(error) => known.insert(Err(Arc::new(error))).clone(),
            },
        };
        seen.map(Some).map_err(KafkaAccessError::Known)
    }

    async fn find(&self, ctx: &Context) -> Result<Option<Admin>, KafkaAccessError> {
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
        let first = match client(ctx, sasl.clone()).await {
            Ok(client) => client,
            Err(KafkaAccessError::Trust(TrustError::NoAuthority)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let patience = if kafka.managed().is_some() { SETTLE } else { Duration::ZERO };
        let answered = match settled_log_in(&first, patience).await {
            Ok(answered) => answered,
            // Not running, or running with a certificate that the `kafka` phase is about to replace.
            Err(
                LoginError::Dial { .. }
                | LoginError::CertificateExpired { .. }
                | LoginError::CertificateIssuer { .. }
                | LoginError::CertificateName { .. },
            ) if kafka.managed().is_some() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let client = match self.answered.get_or_init(|| answered.clone()) == &first.config().bootstrap[0] {
            true => first,
            false => client(ctx, sasl).await?,
        };
        let cluster = client.describe_cluster().await?;
        let advertised: Vec<Endpoint> =
            cluster.brokers.iter().map(|broker| broker.endpoint.clone()).collect();
        // Where a bootstrap server is a broker under its own address, the way to it is known to work.
        if !advertised.is_empty() && !advertised.contains(&answered) {
            log_in(&client, &advertised).await.map_err(KafkaAccessError::Advertised)?;
        }
        Ok(Some(Admin { client, cluster: Arc::new(cluster) }))
    }

    /// The administration client, where Kafka must be running by now.
    pub(crate) async fn admin(&self, ctx: &Context) -> Result<Client, KafkaAccessError> {
        self.look(ctx).await?.ok_or(KafkaAccessError::NotYet)
    }
}

/// Logs in to the first bootstrap server that lets us in, being refused for `patience` at most: while a Kafka of our own
/// starts, its listeners open before its credentials are read.
async fn settled_log_in(client: &Client, patience: Duration) -> Result<Endpoint, LoginError> {
    let deadline = Instant::now() + patience;
    loop {
        match log_in(client, &client.config().bootstrap).await {
            Err(LoginError::Refused { .. } | LoginError::HungUp { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            settled => return settled,
        }
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
    let mut bootstrap: Vec<Endpoint> = kafka
        .bootstrap
        .iter()
        .map(|broker| Endpoint::new(broker.host.as_str(), broker.port.number()))
        .collect();
    let answered = ctx.kafka.answered.get();
    bootstrap.sort_by_key(|endpoint| Some(endpoint) != answered);
    let mut config = ClientConfig::new(bootstrap, Security { tls, sasl });
    config.client_id = "provision".to_owned();
    let dial = HostsDial {
        hosts: ctx.hosts.values().cloned().collect(),
        extra_hosts: kafka.extra_hosts.iter().map(|(name, ip)| (name.as_str().to_owned(), *ip)).collect(),
    };
    Ok(Client::new(config, Arc::new(dial)))
}

/// Logs in to the first of `brokers` that lets `client` in, and says which. One that is down or silent is passed over;
/// one that refuses us speaks for all.
pub(crate) async fn log_in(client: &Client, brokers: &[Endpoint]) -> Result<Endpoint, LoginError> {
    let mut untried = brokers.iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if let Some(broker) = untried.next() {
            attempts.push(async move { (broker, client.probe_login(broker).await) });
        }
        let has_more = untried.len() > 0;
        let next = async {
            if has_more { tokio::time::sleep(HEAD_START).await } else { std::future::pending().await }
        };
        tokio::select! {
            biased;
            ended = attempts.next() => match ended {
                Some((broker, Ok(()))) => return Ok(broker.clone()),
                Some((_, Err(error))) if !error.is_transient() => return Err(error),
                Some((_, Err(error))) => {
                    failure.get_or_insert(error);
                }
                None => return Err(failure.expect("an inventory has at least one bootstrap server")),
            },
            () = next => {}
        }
    }
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
