//! The end state of a lab as a list of lines that two runs have in common: what is drawn by chance is named, not shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use kafka_control::{
    AclFilter, Client, ClientConfig, ConfigResource, ConfigSource, Endpoint, HostnameCheck, Sasl, Security,
    TcpDial, Tls, Trust,
};
use secrecy::SecretString;
use serde_json::Value;
use testbed::wait;

use super::PATIENCE;
use super::lab::Lab;

/// What is where, by a name that sorts.
#[derive(Debug)]
pub(super) struct State(BTreeMap<String, String>);

impl State {
    pub(super) async fn of(lab: &Lab) -> Result<Self> {
        let mut lines = BTreeMap::new();
        let drawn = Drawn::read(&lab.certs())?;
        walk(&lab.state(), &lab.state(), &drawn, &mut lines)?;
        walk(&lab.certs(), &lab.certs(), &drawn, &mut lines)?;
        lines.insert("journal".to_owned(), format!("{:#?}", made(&lab.certs())?));
        kafka(lab, &mut lines).await?;
        connectors(lab, &mut lines).await?;
        let services = lab.services();
        let alive = services.iter().filter(|id| Path::new(&format!("/proc/{id}/cwd")).exists()).count();
        lines.insert("services".to_owned(), format!("{alive} of {} run", services.len()));
        lab.ensure_nothing_runs_unknown().await?;
        Ok(Self(lines))
    }

    /// Fails with every line that differs.
    pub(super) fn ensure_same(&self, wanted: &Self, after: &str) -> Result<()> {
        ensure!(wanted.0.len() > 30, "the search for files is blind: {:#?}", wanted.0);
        let names: BTreeSet<&String> = self.0.keys().chain(wanted.0.keys()).collect();
        let differing: Vec<String> = names
            .into_iter()
            .filter(|name| self.0.get(*name) != wanted.0.get(*name))
            .map(|name| format!("{name}: {:?} instead of {:?}", self.0.get(name), wanted.0.get(name)))
            .collect();
        ensure!(differing.is_empty(), "{after}: {differing:#?}");
        Ok(())
    }
}

/// What is drawn by chance, and how it is called.
struct Drawn {
    texts: Vec<(String, String)>,
    stores: Vec<(Vec<u8>, String)>,
}

impl Drawn {
    fn read(certs: &Path) -> Result<Self> {
        let mut drawn = Self { texts: Vec::new(), stores: Vec::new() };
        let mut text = |path: &Path, name: String| -> Result<()> {
            drawn.texts.push((fs::read_to_string(path)?.trim().to_owned(), name));
            Ok(())
        };
        text(&certs.join("marker"), "<marker>".to_owned())?;
        for entry in fs::read_dir(certs.join("secrets"))? {
            let path = entry?.path();
            let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
            text(&path, format!("<secret {name}>"))?;
        }
        for kind in ["p12", "jks"] {
            let bytes = fs::read(certs.join(format!("stores/truststore.{kind}")))?;
            drawn.stores.push((bytes, format!("<truststore.{kind} as kept>")));
        }
        Ok(drawn)
    }

    /// The content of a file without what is drawn. A store that nobody has drawn shows its bytes.
    fn content(&self, bytes: &[u8]) -> String {
        if let Some((_, name)) = self.stores.iter().find(|(store, _)| store == bytes) {
            return name.clone();
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return format!("{} bytes, {:016x}", bytes.len(), fingerprint(bytes));
        };
        let mut shown = String::new();
        let mut is_in_pem = false;
        for line in text.lines() {
            is_in_pem &= !line.starts_with("-----END");
            if !is_in_pem {
                shown += &format!("{line}\n");
            }
            is_in_pem |= line.starts_with("-----BEGIN");
        }
        for (drawn, name) in &self.texts {
            shown = shown.replace(drawn, name);
        }
        shown
    }
}

/// Tells contents apart that nobody has made alike on purpose.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Every file and folder with mode, owner and content; logs and their pipes, process ids, Kafka's own data and journals
/// are left out.
fn walk(root: &Path, folder: &Path, drawn: &Drawn, lines: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().context("it has a name")?.to_string_lossy().into_owned();
        let is_passing = [".out", ".out.1", ".pipe", ".log", ".pid"].iter().any(|end| name.ends_with(end))
            || name == "journal.jsonl"
            || name == "data";
        if is_passing {
            continue;
        }
        let metadata = fs::symlink_metadata(&path)?;
        let access = format!("{:o} {} {}", metadata.mode(), metadata.uid(), metadata.gid());
        let line = match metadata.is_dir() {
            true => {
                walk(root, &path, drawn, lines)?;
                access
            }
            false => format!("{access} {}", drawn.content(&fs::read(&path)?)),
        };
        lines.insert(format!("file {}", path.strip_prefix(root.parent().unwrap_or(root))?.display()), line);
    }
    Ok(())
}

/// What the control machine's journal says we made, or have begun to.
fn made(certs: &Path) -> Result<BTreeSet<String>> {
    let journal = fs::read_to_string(certs.join("journal.jsonl"))?;
    let mut made = BTreeSet::new();
    for line in journal.lines() {
        let entry: Value = serde_json::from_str(line)?;
        if entry["outcome"] != "failed" && entry["phase"] != "smoke" {
            made.insert(format!("{} {} {}", entry["phase"], entry["target"], entry["subject"]));
        }
    }
    Ok(made)
}

async fn kafka(lab: &Lab, lines: &mut BTreeMap<String, String>) -> Result<()> {
    let read = |name: &str| fs::read_to_string(lab.certs().join(name));
    let trusted = pki::certificates_from_pem(&read("ca.pem")?)?;
    let tls = Tls::new(Trust::Certificates(trusted), None, HostnameCheck::Required)?;
    let password = SecretString::from(read("secrets/kafka-admin")?);
    let sasl = Sasl::ScramSha512 { username: "admin".to_owned(), password };
    let security = Security { tls: Some(tls), sasl: Some(sasl) };
    let config = ClientConfig::new(Endpoint::parse_list(&lab.bootstrap())?, security);
    let admin = Client::new(config, Arc::new(TcpDial::default()));
    for topic in admin.all_topics().await?.iter().filter(|topic| !topic.is_internal) {
        let entries = admin.describe_configs(&ConfigResource::Topic(topic.name.clone())).await?;
        let own = entries.iter().filter(|entry| entry.source == ConfigSource::Topic);
        let own: BTreeMap<_, _> = own.map(|entry| (&entry.name, &entry.value)).collect();
        let shape = (topic.partitions.len(), topic.replication_factor());
        lines.insert(format!("topic {}", topic.name), format!("{shape:?} {own:?}"));
    }
    let acls: BTreeSet<_> = admin.describe_acls(&AclFilter::default()).await?.into_iter().collect();
    lines.insert("ACLs".to_owned(), format!("{acls:#?}"));
    let mut users = admin.describe_scram_users(None).await?;
    users.sort_by(|a, b| a.name.cmp(&b.name));
    lines.insert("users".to_owned(), format!("{users:?}"));
    Ok(())
}

async fn connectors(lab: &Lab, lines: &mut BTreeMap<String, String>) -> Result<()> {
    let names = lab.get("/connectors").await?.context("the worker answers")?;
    lines.insert("connectors".to_owned(), names.to_string());
    for name in names.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let config = lab.get(&format!("/connectors/{name}/config")).await?.unwrap_or_default();
        lines.insert(format!("connector {name}"), config.to_string());
        let runs = async || {
            let status = lab.get(&format!("/connectors/{name}/status")).await?.unwrap_or_default();
            let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
            let is_running = |instance: &Value| instance["state"] == "RUNNING";
            Ok((is_running(&status["connector"]) && tasks.len() == 1 && tasks.iter().all(is_running))
                .then_some(()))
        };
        wait::until(&format!("connector {name} runs"), PATIENCE, runs, String::new).await?;
    }
    Ok(())
}
