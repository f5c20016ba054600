//! One Kafka for a table of faults: a right listener, and beside it one for each way in which a broker's certificate or
//! advertised address can be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use kafka_control::{
    Acl, AclFilter, Client, ClientConfig, Endpoint, HostnameCheck, NewTopic, Sasl, Security as Login,
    TcpDial, Tls, Trust,
};
use pki::StoreKind;
use secrecy::ExposeSecret;
use testbed::certificates::{Authority, Fault, KeyKind};
use testbed::kafka::{Kafka, KafkaSpec, Listener, Security};
use testbed::ports::Port;

use super::site::{Inventory, Site};

/// The names of the wrong listeners.
pub(super) const EXPIRED: &str = "EXPIRED";
pub(super) const WITHOUT_NAME: &str = "NONAME";
pub(super) const OTHER_NAME: &str = "OTHERNAME";
pub(super) const OTHER_AUTHORITY: &str = "OTHERCA";
pub(super) const PLAIN: &str = "PLAIN";
/// Clients are told a name that nobody knows.
pub(super) const UNRESOLVED: &str = "UNRESOLVED";
/// Clients are told an address where nobody listens.
pub(super) const UNREACHABLE: &str = "UNREACHABLE";

pub(super) struct Ground {
    pub(super) kafka: Kafka,
    /// Trusted certificates of every listener but [`OTHER_AUTHORITY`].
    pub(super) trusted: PathBuf,
    /// The same certificates in stores whose password is `changeit`.
    pub(super) pkcs12: PathBuf,
    pub(super) jks: PathBuf,
    nowhere: Port,
}

/// Everything that a run which is refused must not change.
#[derive(Debug)]
pub(super) struct Standing {
    topics: BTreeMap<String, usize>,
    acls: Vec<Acl>,
    users: BTreeSet<String>,
    /// Path -> length, mode and time of change, on the host and on the control machine.
    files: BTreeMap<PathBuf, (u64, u32, SystemTime)>,
}

impl Ground {
    pub(super) async fn lay() -> Self {
        let nowhere = Port::reserve().unwrap();
        let ours = Authority::root("Second authority", KeyKind::Ec).await.unwrap();
        let other = Authority::root("Unknown authority", KeyKind::Ec).await.unwrap();
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let right = ours.issue(&names, None).await.unwrap();
        let mut listeners = vec![
            Listener { name: PLAIN, certificate: None, advertised: None },
            Listener {
                name: UNRESOLVED,
                certificate: Some(right.clone()),
                advertised: Some("broker-1.kafka.invalid:9092".to_owned()),
            },
            Listener {
                name: UNREACHABLE,
                certificate: Some(right),
                advertised: Some(format!("localhost:{}", nowhere.number())),
            },
        ];
        for (name, authority, fault) in [
            (EXPIRED, &ours, Some(Fault::Expired)),
            (WITHOUT_NAME, &ours, Some(Fault::WithoutName)),
            (OTHER_NAME, &ours, Some(Fault::OtherName)),
            (OTHER_AUTHORITY, &other, None),
        ] {
            let certificate = Some(authority.issue(&names, fault).await.unwrap());
            listeners.push(Listener { name, certificate, advertised: None });
        }
        let spec =
            KafkaSpec { security: Security::sasl_ssl(), acls: true, listeners, ..KafkaSpec::default() };
        Self::over(Kafka::start(spec).await.unwrap(), &ours, nowhere)
    }

    /// Three brokers that nothing is wrong with.
    pub(super) async fn of_three_brokers() -> Self {
        let spec =
            KafkaSpec { brokers: 3, security: Security::sasl_ssl(), acls: true, ..KafkaSpec::default() };
        let ours = Authority::root("Second authority", KeyKind::Ec).await.unwrap();
        Self::over(Kafka::start(spec).await.unwrap(), &ours, Port::reserve().unwrap())
    }

    fn over(kafka: Kafka, ours: &Authority, nowhere: Port) -> Self {
        let folder = testbed::owner::dir("trust").unwrap();
        let trusted = folder.join("ca.pem");
        let pem = format!("{}{}", kafka.ca_pem().unwrap(), ours.root_pem());
        fs::write(&trusted, &pem).unwrap();
        let certificates = pki::certificates_from_pem(&pem).unwrap();
        let store = |kind, name: &str| {
            let path = folder.join(name);
            fs::write(&path, pki::write_truststore(kind, &certificates, &"changeit".into()).unwrap())
                .unwrap();
            path
        };
        let pkcs12 = store(StoreKind::Pkcs12, "truststore.p12");
        let jks = store(StoreKind::Jks, "truststore.jks");
        Self { kafka, trusted, pkcs12, jks, nowhere }
    }

    /// An address where nobody listens.
    pub(super) fn nowhere(&self) -> String {
        format!("127.0.0.1:{}", self.nowhere.number())
    }

    pub(super) async fn standing(&self, site: &Site) -> Standing {
        let admin = self.admin();
        let topics = admin.all_topics().await.unwrap();
        let users = admin.describe_scram_users(None).await.unwrap();
        let mut files = BTreeMap::new();
        for folder in [site.state(), site.kept()] {
            list(&folder, &mut files);
        }
        // The worker goes on logging, and some faults end it.
        files.retain(|path, _| path.extension().is_none_or(|it| it != "out" && it != "pipe"));
        Standing {
            topics: topics.into_iter().map(|topic| (topic.name, topic.partitions.len())).collect(),
            acls: admin.describe_acls(&AclFilter::default()).await.unwrap(),
            users: users.into_iter().map(|user| user.name).collect(),
            files,
        }
    }

    /// The address of a wrong listener.
    pub(super) fn at(&self, listener: &str) -> Vec<String> {
        vec![self.kafka.brokers()[0].listener(listener)]
    }

    pub(super) fn admin_password(&self) -> String {
        self.kafka.admin_password().expose_secret().to_owned()
    }

    /// An inventory that nothing is wrong with, of a cluster with a topic and a connector.
    pub(super) fn inventory(&self, cluster: &str) -> Inventory {
        let replication = self.kafka.brokers().len();
        Inventory {
            bootstrap: self.kafka.bootstrap().split(',').map(str::to_owned).collect(),
            security: "SASL_SSL",
            trust: format!("{{ pem: {} }}", self.trusted.display()),
            admin: "{ username: admin, password: { env: ADMIN_PASSWORD } }".to_owned(),
            user: "{ acls: create }".to_owned(),
            connect: format!(
                "  topics:\n    config: {{ replication: {replication} }}\n    \
                 offset: {{ replication: {replication}, partitions: 2 }}\n    \
                 status: {{ replication: {replication}, partitions: 1 }}\n"
            ),
            topics: format!("  {cluster}-users: {{ partitions: 1, replication: {replication} }}\n"),
            connectors: format!(
                "  {cluster}-users:\n    connector.class: DatagenConnector\n    kafka.topic: {cluster}-users\n    \
                 quickstart: users\n    max.interval: 100\n    tasks.max: 1\n"
            ),
            ..Inventory::default()
        }
    }

    /// A client of the cluster's super user.
    pub(super) fn admin(&self) -> Client {
        let trusted = pki::certificates_from_pem(self.kafka.ca_pem().unwrap()).unwrap();
        let tls = Tls::new(Trust::Certificates(trusted), None, HostnameCheck::Required).unwrap();
        let sasl = Sasl::ScramSha512 {
            username: self.kafka.admin_username().to_owned(),
            password: self.kafka.admin_password().clone(),
        };
        let security = Login { tls: Some(tls), sasl: Some(sasl) };
        let bootstrap = Endpoint::parse_list(self.kafka.bootstrap()).unwrap();
        Client::new(ClientConfig::new(bootstrap, security), Arc::new(TcpDial::default()))
    }
}

impl Standing {
    pub(super) async fn is_still(&self, ground: &Ground, site: &Site, name: &str) {
        let now = ground.standing(site).await;
        let in_kafka = |it: &Standing| (it.topics.clone(), it.acls.clone(), it.users.clone());
        assert_eq!(in_kafka(self), in_kafka(&now), "{name}: a refused run changes nothing in Kafka");
        let differs = |path: &&PathBuf| self.files.get(*path) != now.files.get(*path);
        let differing: Vec<&PathBuf> = self.files.keys().chain(now.files.keys()).filter(differs).collect();
        assert_eq!(differing, Vec::<&PathBuf>::new(), "{name}: a refused run changes no file");
    }
}

fn list(folder: &Path, into: &mut BTreeMap<PathBuf, (u64, u32, SystemTime)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let facts = entry.metadata().unwrap();
        if facts.is_dir() {
            list(&entry.path(), into);
        } else {
            into.insert(entry.path(), (facts.len(), facts.permissions().mode(), facts.modified().unwrap()));
        }
    }
}

/// A topic of one replica.
pub(super) fn topic(name: &str, partitions: i32, policy: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs: BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]),
    }
}
