//! The program under test with the inventory of this ground.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use secrecy::ExposeSecret;
use testbed::ssh_host::SshHost;

use super::CLUSTER;
use super::ground::{Ground, SUDO_PASSWORD};
use crate::running::Subject;
use crate::search::Canaries;

/// [`Subject`] with what belongs to the cluster.
pub(super) struct Provision {
    subject: Subject,
    admin_password: String,
}

impl Deref for Provision {
    type Target = Subject;

    fn deref(&self) -> &Subject {
        &self.subject
    }
}

impl Provision {
    pub(super) fn new(ground: &Ground) -> Result<Self> {
        let admin_password = ground.kafka.admin_password().expose_secret().to_owned();
        let variable = ("KAFKA_ADMIN_PASSWORD".to_owned(), admin_password.clone());
        let subject = Subject::new(&inventory(ground), vec![variable])?;
        let folder = subject.folder();
        fs::write(folder.join("kafka-ca.pem"), ground.kafka.ca_pem().context("Kafka has TLS")?)?;
        fs::write(folder.join("sudo"), format!("{SUDO_PASSWORD}\n"))?;
        Ok(Self { subject, admin_password })
    }

    /// Where the run keeps what belongs to the cluster.
    pub(super) fn certs(&self) -> PathBuf {
        self.folder().join("certs")
    }

    /// A file below `certs/<cluster>/`.
    pub(super) fn kept(&self, name: &str) -> PathBuf {
        self.certs().join(CLUSTER).join(name)
    }

    /// Every file of the cluster's folder, with what it holds.
    pub(super) fn kept_files(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut folders = vec![self.certs()];
        let mut files = BTreeMap::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = fs::read(&path)?;
                    files.insert(path, bytes);
                }
            }
        }
        Ok(files)
    }

    /// Every secret of the cluster, in the forms in which one could slip out.
    pub(super) fn canaries(&self) -> Result<Canaries> {
        let mut canaries = Canaries::of(&[("admin", &self.admin_password), ("sudo", SUDO_PASSWORD)])?;
        canaries.add_files(&self.kept("secrets"))?;
        Ok(canaries)
    }
}

/// The inventory: what a person would write for this ground.
fn inventory(ground: &Ground) -> String {
    let Ground { kafka, bookworm, trixie, jump, .. } = ground;
    let brokers: Vec<String> = kafka.brokers().iter().map(|broker| broker.address()).collect();
    let brokers = brokers.join(", ");
    let at = |host: &SshHost| (host.address().to_owned(), host.host_key_line().to_owned());
    let ((bookworm_at, bookworm_key), (trixie_at, trixie_key)) = (at(bookworm), at(trixie));
    let (jump_at, jump_key) = at(jump);
    let (user, jump_user) = (bookworm.user(), jump.user());
    let identity = Path::display(bookworm.identity());
    let last = kafka.brokers().last().expect("there are three brokers");
    let (last_name, last_ip) = (last.host(), last.ip());
    format!(
        "\
cluster: {CLUSTER}
hosts:
  bookworm:
    address: {bookworm_at}
    ssh: {{ host_key: {bookworm_key}, sudo: {{ password: {{ file: ./sudo }} }} }}
  trixie:
    address: {trixie_at}
    ssh:
      host_key: {trixie_key}
      jump: [{{ address: {jump_at}, user: {jump_user}, identity: {identity}, host_key: {jump_key} }}]
ssh: {{ user: {user}, identity: {identity} }}
kafka:
  bootstrap: [{brokers}]
  security: SASL_SSL
  trust: {{ pem: ./kafka-ca.pem }}
  admin: {{ username: admin, password: {{ env: KAFKA_ADMIN_PASSWORD }} }}
  user: {{ acls: create }}
  extra_hosts: {{ {last_name}: {last_ip} }}
topics:
  users: {{ partitions: 4, replication: 3 }}
connectors:
  users:
    connector.class: io.confluent.kafka.connect.datagen.DatagenConnector
    kafka.topic: users
    quickstart: users
    max.interval: 10
    tasks.max: 4
"
    )
}
