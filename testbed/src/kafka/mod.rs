//! Apache Kafka: one or three KRaft nodes, each broker and controller.
//!
//! Clients come in through one listener: PLAINTEXT, or SASL_SSL with SCRAM-SHA-512. Brokers talk among themselves over
//! two PLAINTEXT listeners nobody else is told about, so that a fault in the certificates is a fault for clients only.
//! The anonymous user is therefore a super user, as is `admin`; on SASL_SSL no client is anonymous.
//!
//! Topics are not made by being asked for (`auto.create.topics.enable=false`), and a group's first join does not wait
//! (`group.initial.rebalance.delay.ms=0`); `KafkaSpec::properties` overrides both.

mod node;
mod properties;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::Rng;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret, SecretString};

use crate::certificates::{Authority, Fault, KeyKind, Leaf};
use crate::docker::Network;
use crate::jars::Jars;
use crate::{Error, owner};

pub use node::Broker;
pub use tools::JavaClient;

/// How long a broker may take from its start to its first answer; two cores start three of them together.
const START_LIMIT: Duration = Duration::from_secs(120);

/// What to start.
#[derive(Debug, Clone)]
pub struct KafkaSpec {
    /// 1 or 3.
    pub brokers: u8,
    /// Where they run, and so who reaches them.
    pub place: Place,
    /// How clients come in.
    pub security: Security,
    /// Whether rights are checked; then only `admin` has any at first.
    pub acls: bool,
    /// Further ways in, on every broker; for [`Place::Loopback`].
    pub listeners: Vec<Listener>,
    /// Broker properties that are added or replaced.
    pub properties: Vec<(String, String)>,
    /// The JVMs that the brokers run in.
    pub jvm: Jvm,
}

impl Default for KafkaSpec {
    /// One broker on loopback, PLAINTEXT, no ACLs.
    fn default() -> Self {
        Self {
            brokers: 1,
            place: Place::Loopback,
            security: Security::Plaintext,
            acls: false,
            listeners: Vec::new(),
            properties: Vec::new(),
            jvm: Jvm::Small,
        }
    }
}

/// What every JVM gets that Kafka's own scripts start, brokers and workers. Source: `bin/kafka-run-class.sh` of 4.3.1.
pub const SCRIPTS_JVM_OPTIONS: &[&str] = &[
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// How a broker's JVM runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jvm {
    /// It starts quickly and stays small, and its code is never compiled at its best: for tests.
    Small,
    /// As `bin/kafka-server-start.sh` of Kafka 4.3.1 runs it: where speed is measured.
    AsShipped,
}

impl Jvm {
    /// The JVM's own options.
    pub fn options(self) -> Vec<String> {
        let (heap, others): (&[&str], &[&str]) = match self {
            Self::Small => {
                (&["-Xms128m", "-Xmx512m"], &["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
            }
            Self::AsShipped => (&["-Xmx1G", "-Xms1G"], SCRIPTS_JVM_OPTIONS),
        };
        heap.iter().chain(others).map(|option| (*option).to_owned()).collect()
    }
}

/// A further way in for clients, beside the one of [`Security`]: one that is wrong in a way of its own, mostly.
#[derive(Debug, Clone)]
pub struct Listener {
    /// In capitals, as Kafka names listeners.
    pub name: &'static str,
    /// SASL_SSL with this certificate, or PLAINTEXT without login.
    pub certificate: Option<Leaf>,
    /// The `HOST:PORT` that clients are told; `None` for the true one.
    pub advertised: Option<String>,
}

/// Where brokers run.
#[derive(Debug, Clone)]
pub enum Place {
    /// As processes of this machine, on its loopback interface.
    Loopback,
    /// As containers in a network, under the names `broker-N.kafka.test:9092`. With
    /// [`crate::docker::Reach::ContainersOnly`] this machine neither resolves nor reaches them.
    Network(Network),
}

/// How clients come in.
#[derive(Debug, Clone)]
pub enum Security {
    /// No encryption, no login.
    Plaintext,
    /// TLS by certificates of a foreign authority, login by SCRAM-SHA-512.
    SaslSsl {
        /// The algorithm of the brokers' keys.
        key: KeyKind,
        /// What is wrong with the brokers' certificates.
        fault: Option<Fault>,
    },
}

impl Security {
    /// SASL_SSL as it should be.
    pub fn sasl_ssl() -> Self {
        Self::SaslSsl { key: KeyKind::Ec, fault: None }
    }
}

/// A running Kafka; dropping it ends and removes it.
#[derive(Debug)]
pub struct Kafka {
    brokers: Vec<Broker>,
    cluster_id: String,
    bootstrap: String,
    admin_password: SecretString,
    tls: Option<Authority>,
    ca_file: PathBuf,
    place: Place,
    jars: Jars,
}

impl Kafka {
    /// Starts all brokers and returns when each of them is unfenced and serves clients.
    ///
    /// Errors: whatever is missing on the machine, or the end of a broker with the last lines of its log.
    pub async fn start(spec: KafkaSpec) -> Result<Self, Error> {
        let jars = Jars::ensure().await?;
        let dir = owner::dir("kafka")?;
        let tls = match &spec.security {
            Security::Plaintext => None,
            Security::SaslSsl { key, .. } => Some(Authority::root("Kafka authority", *key).await?),
        };
        let ca_file = dir.join("ca.pem");
        if let Some(authority) = &tls {
            crate::paths::write_private(&ca_file, authority.root_pem())?;
        }
        let cluster_id = random_id();
        let admin_password = SecretString::from(random_text(24));
        let mut brokers = Vec::new();
        for id in 1..=spec.brokers {
            brokers.push(Broker::reserve(id, &dir, &spec)?);
        }
        let all: Vec<_> = brokers.iter().map(Broker::endpoints).collect();
        for broker in &mut brokers {
            let certificate = match (&tls, &spec.security) {
                (Some(authority), Security::SaslSsl { fault, .. }) => {
                    Some(authority.issue(&broker.names(), *fault).await?)
                }
                _ => None,
            };
            broker.write_properties(&spec, &all, certificate.as_ref())?;
        }
        for broker in &brokers {
            broker.format(&jars, &cluster_id, tls.is_some().then_some(&admin_password)).await?;
        }
        for broker in &mut brokers {
            broker.launch(&jars).await?;
        }
        for broker in &mut brokers {
            broker.wait_until_started(START_LIMIT).await?;
        }
        let bootstrap = brokers.iter().map(Broker::address).collect::<Vec<_>>().join(",");
        Ok(Self { brokers, cluster_id, bootstrap, admin_password, tls, ca_file, place: spec.place, jars })
    }

    /// `HOST:PORT,…` of every broker, as clients are told.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The brokers, in the order of their ids, which begin at 1.
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// One broker, to be stopped, killed, frozen and started again.
    ///
    /// Panics: when there is no such broker.
    pub fn broker(&mut self, id: u8) -> &mut Broker {
        self.brokers
            .iter_mut()
            .find(|broker| broker.id() == id)
            .expect("the test asks for a broker it started")
    }

    /// Kafka's name for this cluster.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The super user of a cluster with logins.
    pub fn admin_username(&self) -> &str {
        "admin"
    }

    /// The super user's password.
    pub fn admin_password(&self) -> &SecretString {
        &self.admin_password
    }

    /// The certificate that clients trust, in PEM; `None` for PLAINTEXT.
    pub fn ca_pem(&self) -> Option<&str> {
        self.tls.as_ref().map(Authority::root_pem)
    }

    /// The file that holds [`Self::ca_pem`]; it exists for SASL_SSL only.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The properties of a Java client that logs in as `admin`, or as nobody for PLAINTEXT. What it trusts is written
    /// to `dir`.
    pub fn admin_properties(&self, dir: &Path) -> Result<String, Error> {
        let Some(authority) = &self.tls else {
            return Ok("security.protocol=PLAINTEXT\n".to_owned());
        };
        let trusted = dir.join("ca.pem");
        crate::paths::write_private(&trusted, authority.root_pem())?;
        let password = self.admin_password.expose_secret();
        Ok(tools::sasl_ssl_properties("PEM", &trusted, None, self.admin_username(), password))
    }

    /// Ends every broker in order; dropping kills them instead.
    pub async fn stop(mut self) -> Result<(), Error> {
        for broker in &mut self.brokers {
            broker.stop().await?;
        }
        Ok(())
    }
}

/// 16 random bytes in Kafka's base 64 form; the first is a letter, since a leading dash reads as an option.
fn random_id() -> String {
    format!("T{}A", random_text(20))
}

fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}
