//! The program under test, run as people run it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use testbed::built;
use testbed::ssh_host::SshHost;
use tokio::process::Command;

use super::CLUSTER;
use super::ground::{Ground, SUDO_PASSWORD};

/// Longer than any run takes here; one that hangs ends the test with what it has said.
const LIMIT: Duration = Duration::from_secs(300);

/// `provision` with one inventory, in a folder of its own.
pub(super) struct Provision {
    folder: TempDir,
    program: PathBuf,
    worker: PathBuf,
    admin_password: String,
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) exit: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Provision {
    pub(super) fn new(ground: &Ground) -> Result<Self> {
        let folder = TempDir::new()?;
        fs::write(folder.path().join("kafka-ca.pem"), ground.kafka.ca_pem().context("Kafka has TLS")?)?;
        fs::write(folder.path().join("sudo"), format!("{SUDO_PASSWORD}\n"))?;
        fs::write(folder.path().join("inventory.yml"), inventory(ground))?;
        Ok(Self {
            folder,
            program: built::program("provision")?,
            worker: built::program("connect-worker")?,
            admin_password: ground.kafka.admin_password().expose_secret().to_owned(),
        })
    }

    /// Where the run keeps what belongs to the cluster.
    pub(super) fn certs(&self) -> PathBuf {
        self.in_folder("certs")
    }

    /// A path in the folder of the runs.
    pub(super) fn in_folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
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

    /// Runs a command of `provision` with the inventory, and shows what it said if the test fails.
    pub(super) async fn run(&self, words: &[&str]) -> Result<Run> {
        let child = Command::new(&self.program)
            .args(words)
            .args(["--inventory", "inventory.yml"])
            .current_dir(self.folder.path())
            // Nothing of this machine's user has a part in it: no agent, no known hosts, no configuration.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.folder.path())
            .env("CONNECT_WORKER_BIN", &self.worker)
            .env("KAFKA_ADMIN_PASSWORD", &self.admin_password)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
        let output = output.with_context(|| format!("provision {words:?} takes longer than {LIMIT:?}"))??;
        let run = Run {
            exit: output.status.code().with_context(|| format!("{}", output.status))?,
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        };
        super::say(&format!(
            "$ provision {}\n{}{}[exit {}]",
            words.join(" "),
            run.stderr,
            run.stdout,
            run.exit
        ));
        Ok(run)
    }

    /// The same, for a run that has to end with `exit`.
    pub(super) async fn expect(&self, exit: i32, words: &[&str]) -> Result<Run> {
        let run = self.run(words).await?;
        ensure!(run.exit == exit, "provision {words:?} ended with {}, not {exit}", run.exit);
        Ok(run)
    }

    /// Every secret of the cluster, in the forms in which one could slip out.
    pub(super) fn canaries(&self) -> Result<BTreeSet<String>> {
        let mut secrets = vec![self.admin_password.clone(), SUDO_PASSWORD.to_owned()];
        for entry in fs::read_dir(self.kept("secrets"))? {
            secrets.push(fs::read_to_string(entry?.path())?.trim().to_owned());
        }
        ensure!(secrets.len() > 2, "no secret was drawn");
        ensure!(secrets.iter().all(|secret| secret.len() >= 16), "a secret is short");
        Ok(secrets.iter().flat_map(|secret| forms(secret)).collect())
    }
}

/// A text as it stands, and as it shows inside base 64 whatever stands before it.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    for before in 0..3 {
        let bytes: Vec<u8> = std::iter::repeat_n(b' ', before).chain(text.bytes()).collect();
        let encoded = base64(&bytes);
        // The outermost characters depend on the neighbours.
        forms.push(encoded.chars().skip(4).take(bytes.len() / 3 * 4 - 4).collect());
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let number =
            (0..3).fold(0, |number, index| number << 8 | usize::from(*chunk.get(index).unwrap_or(&0)));
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[number >> shift & 63]))
    };
    bytes.chunks(3).flat_map(group).collect()
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
