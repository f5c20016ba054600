//! The files of a worker on its host: Compose file, properties, truststores, secrets, Prometheus target list.
//!
//! ```text
//! <root>/marker journal.jsonl        whose host this is, what was made (engine)
//! <root>/compose.yml                 Docker runtime
//! <root>/prometheus/targets.json     every worker's metrics listener, for `file_sd_configs`
//! <root>/worker/                     what the container sees as /etc/connect
//!     worker.properties  truststore.pem .p12 .jks  connect-worker (process runtime)
//!     secrets/sasl.jaas.config  secrets/truststore-password
//! ```

use std::path::Path;

use pki::StoreKind;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::properties::{self, Wiring};
use super::{CONTAINER_UID, advertised_name, bind_address, host_root, trust};
use crate::host::Host;
use crate::inventory::model::{Bind, Inventory, Listener, Login, Mechanism, Runtime, SecretRef};
use crate::kafka_access::USER_SECRET;
use crate::phases::{Context, PhaseError};
use crate::shell::files::{Access, Directory, FileToWrite, digest};
use crate::templates::{self, Compose};
use crate::worker_build::Artifact;

/// Name of the generated password of PKCS12 and JKS truststores.
pub(crate) const STORE_SECRET: &str = "truststore";
/// Where a container sees the worker's folder.
const CONTAINER_FOLDER: &str = "/etc/connect";

/// Paths and names of a worker on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    root: String,
    cluster: String,
}

impl Layout {
    pub(crate) fn new(ctx: &Context, host: &dyn Host) -> Self {
        Self {
            root: host_root(&ctx.inventory, host).to_string_lossy().into_owned(),
            cluster: ctx.inventory.cluster.to_string(),
        }
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    pub(crate) fn compose(&self) -> String {
        format!("{}/compose.yml", self.root)
    }

    pub(crate) fn targets(&self) -> String {
        format!("{}/prometheus/targets.json", self.root)
    }

    pub(crate) fn worker_folder(&self) -> String {
        format!("{}/worker", self.root)
    }

    pub(crate) fn properties(&self) -> String {
        format!("{}/worker/worker.properties", self.root)
    }

    /// The worker's program, in the process runtime.
    pub(crate) fn binary(&self) -> String {
        format!("{}/worker/connect-worker", self.root)
    }

    pub(crate) fn truststore(&self, kind: StoreKind) -> String {
        format!("{}/worker/truststore.{}", self.root, kind.extension())
    }

    pub(crate) fn secret(&self, name: &str) -> String {
        format!("{}/worker/secrets/{name}", self.root)
    }

    /// The Compose project, and with it the prefix of its networks.
    pub(crate) fn project(&self) -> String {
        format!("provision-{}", self.cluster)
    }

    pub(crate) fn container(&self) -> String {
        format!("provision-{}-worker", self.cluster)
    }
}

/// The control machine's copy of a truststore, within `certs/<cluster>/`.
pub(crate) fn store_file(kind: StoreKind) -> String {
    format!("stores/truststore.{}", kind.extension())
}

/// What a host should have.
#[derive(Clone)]
pub(crate) struct HostFiles {
    pub(crate) directories: Vec<Directory>,
    pub(crate) files: Vec<FileToWrite>,
    /// Files whose content is not made yet: an earlier phase of the first run makes it.
    pub(crate) undetermined: Vec<String>,
    /// Of everything the worker reads at start, its program included: the label that a running worker must bear.
    pub(crate) digest: String,
}

/// Computes a host's files from the inventory, the secrets and the stores of the control machine. Reads only.
pub(crate) async fn gather(
    ctx: &Context,
    host: &dyn Host,
    artifact: &Artifact,
) -> Result<HostFiles, PhaseError> {
    let layout = Layout::new(ctx, host);
    let runtime = ctx.inventory.runtime;
    let owner = Owner::of(runtime, host);
    let mut wanted = Wanted { owner, files: Vec::new(), undetermined: Vec::new() };

    if let Some(tls) = ctx.inventory.kafka.security.tls() {
        // Stores of what was trusted before are about to be made anew.
        let is_current = trust::is_kept(ctx, &tls.trust).await;
        for kind in [StoreKind::Pem, StoreKind::Pkcs12, StoreKind::Jks] {
            let kept = if is_current { ctx.home.read_bytes(&store_file(kind))? } else { None };
            wanted.readable(layout.truststore(kind), kept);
        }
    }
    if ctx.inventory.kafka.security.tls().is_some() {
        let password = ctx.secrets.peek(STORE_SECRET, &SecretRef::Generated).await?;
        wanted.secret(layout.secret("truststore-password"), password.as_ref());
    }
    if let Some(user) = &ctx.inventory.kafka.user {
        let password = ctx.secrets.peek(USER_SECRET, &user.login.password).await?;
        wanted.secret(layout.secret("sasl.jaas.config"), password.map(|p| jaas(&user.login, &p)).as_ref());
    }
    wanted.readable(layout.properties(), Some(properties(ctx, host, &layout).into_bytes()));

    let mut digest_of = format!("{}\n", artifact.digest);
    for file in &wanted.files {
        digest_of += &format!("{} {}\n", file.path, digest(&file.bytes));
    }
    if runtime == Runtime::Docker {
        // Limits, ports and names of the container count too; its own label cannot.
        digest_of += &compose(ctx, host, &layout, artifact, "");
    }
    let digest = digest(digest_of.as_bytes());

    match runtime {
        Runtime::Docker => {
            let compose = compose(ctx, host, &layout, artifact, &digest);
            if wanted.undetermined.is_empty() {
                wanted.own(layout.compose(), 0o644, compose.into_bytes());
            } else {
                wanted.undetermined.push(layout.compose());
            }
        }
        Runtime::Process => {
            let bytes = std::fs::read(&artifact.path)
                .map_err(|error| PhaseError::make(format!("copy of {}", artifact.path.display()), error))?;
            wanted.own(layout.binary(), 0o755, bytes);
        }
    }
    wanted.own(layout.targets(), 0o644, targets(&ctx.inventory).into_bytes());
    Ok(HostFiles {
        directories: directories(&layout, owner),
        files: wanted.files,
        undetermined: wanted.undetermined,
        digest,
    })
}

/// Who owns files, and who besides root may read those of the worker.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
    /// Group of the worker.
    reader: u32,
}

impl Owner {
    fn of(runtime: Runtime, host: &dyn Host) -> Self {
        match runtime {
            Runtime::Docker => Self { uid: 0, gid: 0, reader: CONTAINER_UID },
            Runtime::Process => {
                let facts = host.facts();
                Self { uid: facts.login_uid, gid: facts.login_gid, reader: facts.login_gid }
            }
        }
    }
}

/// Files as they are gathered.
struct Wanted {
    owner: Owner,
    files: Vec<FileToWrite>,
    undetermined: Vec<String>,
}

impl Wanted {
    /// A file of root or the login user.
    fn own(&mut self, path: String, mode: u32, bytes: Vec<u8>) {
        let access = Access { mode, uid: self.owner.uid, gid: self.owner.gid };
        self.files.push(FileToWrite { path, access, bytes });
    }

    /// A file that the worker reads.
    fn readable(&mut self, path: String, bytes: Option<Vec<u8>>) {
        let access = Access { mode: 0o440, uid: self.owner.uid, gid: self.owner.reader };
        match bytes {
            Some(bytes) => self.files.push(FileToWrite { path, access, bytes }),
            None => self.undetermined.push(path),
        }
    }

    fn secret(&mut self, path: String, secret: Option<&SecretString>) {
        self.readable(path, secret.map(|secret| secret.expose_secret().as_bytes().to_vec()));
    }
}

fn directories(layout: &Layout, owner: Owner) -> Vec<Directory> {
    let open = Access { mode: 0o755, uid: owner.uid, gid: owner.gid };
    let secrets = Access { mode: 0o750, uid: owner.uid, gid: owner.reader };
    let folder = |path: String, access: Access| Directory { path, access };
    vec![
        folder(layout.root.clone(), open),
        folder(format!("{}/prometheus", layout.root), open),
        folder(layout.worker_folder(), open),
        folder(format!("{}/worker/secrets", layout.root), secrets),
    ]
}

/// The login of the workers as the value of `sasl.jaas.config`.
fn jaas(login: &Login, password: &SecretString) -> SecretString {
    let module = match login.mechanism {
        Mechanism::Plain => "org.apache.kafka.common.security.plain.PlainLoginModule",
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            "org.apache.kafka.common.security.scram.ScramLoginModule"
        }
    };
    SecretString::from(templates::jaas(module, login.name.as_str(), password.expose_secret()))
}

fn properties(ctx: &Context, host: &dyn Host, layout: &Layout) -> String {
    let spec = ctx.spec(host.name());
    let route = ctx.routes.get(host.name()).copied();
    let listener = |listener: Listener| match ctx.inventory.runtime {
        // Inside a container every interface is the container's own; Compose publishes on the right one.
        Runtime::Docker => format!("http://0.0.0.0:{}", listener.port),
        Runtime::Process => {
            format!("http://{}", endpoint(&bind_address(spec, listener, route).to_string(), listener))
        }
    };
    let folder = match ctx.inventory.runtime {
        Runtime::Docker => CONTAINER_FOLDER.to_owned(),
        Runtime::Process => layout.worker_folder(),
    };
    let wiring = Wiring {
        folder: &folder,
        rest_listener: listener(spec.worker.rest),
        metrics_listener: listener(spec.worker.metrics),
        advertised_name: advertised_name(spec, route),
    };
    templates::worker_properties(&properties::worker(&ctx.inventory, spec, &wiring))
}

/// `HOST:PORT`, an IPv6 address in brackets.
fn endpoint(host: &str, listener: Listener) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{}", listener.port),
        false => format!("{host}:{}", listener.port),
    }
}

fn compose(ctx: &Context, host: &dyn Host, layout: &Layout, artifact: &Artifact, digest: &str) -> String {
    let spec = ctx.spec(host.name());
    let route = ctx.routes.get(host.name()).copied();
    let publish = |listener: Listener| {
        let port = listener.port;
        match (listener.bind, bind_address(spec, listener, route).to_string()) {
            (Bind::All, _) => format!("{port}:{port}"),
            (_, address) if address.contains(':') => format!("[{address}]:{port}:{port}"),
            (_, address) => format!("{address}:{port}:{port}"),
        }
    };
    templates::compose(&Compose {
        cluster: ctx.inventory.cluster.to_string(),
        image: artifact.image(),
        container: layout.container(),
        uid: CONTAINER_UID,
        memory: spec.worker.memory.0,
        cpus: spec.worker.cpus.map(|cpus| cpus.to_string()),
        pids: spec.worker.pids.get(),
        worker_folder: layout.worker_folder(),
        ports: vec![publish(spec.worker.rest), publish(spec.worker.metrics)],
        extra_hosts: ctx
            .inventory
            .kafka
            .extra_hosts
            .iter()
            .map(|(name, ip)| format!("{name}:{ip}"))
            .collect(),
        digest: digest.to_owned(),
    })
}

/// Prometheus' `file_sd_configs` document: the metrics listeners of all workers.
fn targets(inventory: &Inventory) -> String {
    let targets: Vec<String> = inventory
        .hosts
        .iter()
        .map(|spec| {
            let listener = spec.worker.metrics;
            match listener.bind {
                Bind::Private | Bind::All => endpoint(spec.address.as_ref(), listener),
                Bind::Loopback => endpoint("127.0.0.1", listener),
            }
        })
        .collect();
    let document = json!([{
        "targets": targets,
        "labels": { "job": "kafka-connect", "kafka_connect_cluster_id": inventory.connect.group.as_str() },
    }]);
    format!("{document:#}\n")
}

/// The last step of a path.
pub(crate) fn name_of(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_is_a_target_in_brackets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inventory.yml");
        let text = "cluster: orders\nhosts:\n  w1: { address: 'fd00::1' }\n  w2: { address: w2.test }\n\
                    kafka:\n  bootstrap: [broker-1:9092]\n  security: PLAINTEXT\n";
        std::fs::write(&file, text).unwrap();
        let inventory = crate::inventory::load(&file).unwrap_or_else(|problems| panic!("{problems}"));
        let document: serde_json::Value = serde_json::from_str(&targets(&inventory)).unwrap();
        assert_eq!(document[0]["targets"], json!(["[fd00::1]:8079", "w2.test:8079"]));
    }
}
