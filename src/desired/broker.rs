//! The managed Kafka node: its folder, its files, its command line. Pure.
//!
//! One process is broker and controller. Clients and the broker itself log in with SCRAM-SHA-512 over TLS; the
//! controller's listener is on loopback and takes only the node's own certificate, since SCRAM cannot serve there:
//! the credentials are kept in the very log that it replicates.

use std::fmt::Write;

use pki::San;
use secrecy::{ExposeSecret, SecretString};

use crate::host::HostFacts;
use crate::inventory::model::{AclPolicy, Inventory, Login, ManagedKafka};
use crate::shell::files::{Access, Directory, FileToWrite, digest};
use crate::supervise::process::{Place, Program};
use crate::templates;

/// Name of the listener for clients.
const CLIENTS: &str = "CLIENTS";
const CONTROLLER: &str = "CONTROLLER";

/// Options of the node's JVM: one small heap, and no files outside its folder.
const JVM: [&str; 7] = [
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    // Half the processor time of a start; a lab's broker does not run long enough to earn it back.
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
];

/// Options of Kafka's small tools: they end before a compiler pays off.
const TOOL_JVM: [&str; 4] = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];

/// Where the node's things lie on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Absolute; private to the login user.
    pub(crate) folder: String,
    /// Logs and metadata.
    pub(crate) data: String,
}

impl Layout {
    /// `root` is the cluster's folder on the host.
    pub(crate) fn new(root: &str, managed: &ManagedKafka) -> Self {
        let folder = format!("{root}/kafka");
        let data = managed.data.as_ref().map_or_else(|| format!("{folder}/data"), ToString::to_string);
        Self { folder, data }
    }

    pub(crate) fn place(&self) -> Place {
        Place { folder: self.folder.clone(), name: "kafka".to_owned() }
    }

    pub(crate) fn properties(&self) -> String {
        format!("{}/broker.properties", self.folder)
    }

    /// The log that log4j writes; what the JVM itself says is in the process's output.
    pub(crate) fn log(&self) -> String {
        format!("{}/kafka.log", self.folder)
    }

    fn logging(&self) -> String {
        format!("{}/log4j2.properties", self.folder)
    }

    fn keystore(&self) -> String {
        format!("{}/listener.pem", self.folder)
    }

    fn truststore(&self) -> String {
        format!("{}/ca.pem", self.folder)
    }

    fn arguments(&self) -> String {
        format!("{}/broker.args", self.folder)
    }

    /// Exists only while the storage is formatted.
    pub(crate) fn format_arguments(&self) -> String {
        format!("{}/format.args", self.folder)
    }
}

/// Every file of the node that the control machine writes, in the order of [`node`] and [`program`].
pub(crate) fn paths(layout: &Layout) -> [String; 5] {
    [layout.properties(), layout.keystore(), layout.truststore(), layout.logging(), layout.arguments()]
}

/// What only the control machine knows.
#[derive(Debug, Clone)]
pub(crate) struct Material {
    /// Of the login in `kafka.admin`.
    pub(crate) admin_password: SecretString,
    /// The node's key and certificates.
    pub(crate) identity: pki::Identity,
    /// The cluster's authority.
    pub(crate) authority_pem: String,
}

/// Name of the node's certificate, in `leaves/` and as common name.
pub(crate) fn leaf_name(managed: &ManagedKafka) -> String {
    format!("kafka-{}", managed.host)
}

/// Every name under which the node is reached.
pub(crate) fn sans(inventory: &Inventory, managed: &ManagedKafka) -> Vec<San> {
    let host = inventory.host(&managed.host).expect("the node's host is one of the inventory");
    let advertised = inventory.kafka.bootstrap.iter().map(|broker| broker.host.as_str());
    let mut sans: Vec<San> = Vec::new();
    for name in advertised.chain([host.address.as_str(), "localhost", "127.0.0.1"]) {
        let san = match name.parse() {
            Ok(ip) => San::Ip(ip),
            Err(_) => San::Dns(name.to_owned()),
        };
        if !sans.iter().any(|known| known.is_same(&san)) {
            sans.push(san);
        }
    }
    sans
}

/// `cluster.id` of Kafka, from the cluster's marker: the same 128 bits in Kafka's form.
pub(crate) fn cluster_id(marker: &str) -> String {
    use base64::Engine;
    let bytes: Vec<u8> = (0..marker.len() / 2)
        .filter_map(|index| u8::from_str_radix(marker.get(index * 2..index * 2 + 2)?, 16).ok())
        .collect();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// The node as it should be: files, and the program that reads them.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) directories: Vec<Directory>,
    pub(crate) files: Vec<FileToWrite>,
}

/// The node's files.
pub(crate) fn node(
    inventory: &Inventory,
    managed: &ManagedKafka,
    layout: &Layout,
    material: &Material,
    owner: &HostFacts,
) -> Node {
    let access = |mode| Access { mode, uid: owner.login_uid, gid: owner.login_gid };
    let identity = &material.identity;
    let keystore = format!("{}{}", identity.key_pem().expose_secret(), identity.chain_pem());
    let properties = properties(inventory, managed, layout, material);
    let file = |path, text: String| FileToWrite { path, access: access(0o600), bytes: text.into_bytes() };
    Node {
        directories: vec![
            Directory { path: layout.folder.clone(), access: access(0o700) },
            Directory { path: layout.data.clone(), access: access(0o700) },
        ],
        files: vec![
            file(layout.properties(), properties),
            file(layout.keystore(), keystore),
            file(layout.truststore(), material.authority_pem.clone()),
            file(layout.logging(), logging(&layout.log())),
        ],
    }
}

/// The node's process, given where Java and the jars are.
pub(crate) fn program(layout: &Layout, node: &Node, java: &str, libs: &str) -> (FileToWrite, Program) {
    let mut words: Vec<String> = JVM.iter().map(|word| (*word).to_owned()).collect();
    words.push(format!("-Dlog4j2.configurationFile={}", layout.logging()));
    words.extend(["-cp".to_owned(), format!("{libs}/*"), "kafka.Kafka".to_owned(), layout.properties()]);
    let access = node.files.first().expect("a node has files").access;
    let arguments =
        FileToWrite { path: layout.arguments(), access, bytes: java_arguments(&words).into_bytes() };
    let all: String = node.files.iter().chain([&arguments]).map(|file| digest(&file.bytes) + "\n").collect();
    let program = Program {
        words: vec![java.to_owned(), format!("@{}", layout.arguments())],
        digest: digest(format!("{java}\n{all}").as_bytes()),
    };
    (arguments, program)
}

/// Arguments of the tool that formats the storage, with the admin user's credential salted.
pub(crate) fn format_arguments(
    layout: &Layout,
    libs: &str,
    cluster_id: &str,
    admin: &Login,
    credential: &kafka_control::scram::ScramCredential,
) -> SecretString {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD;
    let scram = format!(
        "{}=[name={},salt=\"{}\",saltedpassword=\"{}\",iterations={}]",
        credential.mechanism.name(),
        admin.name,
        base64.encode(&credential.salt),
        base64.encode(credential.salted_password.expose_secret()),
        credential.iterations,
    );
    let mut words: Vec<String> = TOOL_JVM.iter().map(|word| (*word).to_owned()).collect();
    words.extend(["-cp".to_owned(), format!("{libs}/*"), "kafka.tools.StorageTool".to_owned()]);
    // The id may begin with a dash, hence the form with `=`.
    words.extend(["format".to_owned(), format!("--cluster-id={cluster_id}")]);
    words.extend(["--config".to_owned(), layout.properties(), "--add-scram".to_owned(), scram]);
    java_arguments(&words).into()
}

fn properties(inventory: &Inventory, managed: &ManagedKafka, layout: &Layout, material: &Material) -> String {
    let admin = inventory.kafka.admin.as_ref().expect("a managed Kafka has an admin user");
    let advertised = inventory.kafka.bootstrap.first().expect("a managed Kafka has its own bootstrap server");
    let bind = match advertised.host.as_str() {
        "localhost" => "127.0.0.1".to_owned(),
        host => host.parse().map_or_else(
            |_| "0.0.0.0".to_owned(),
            |ip: std::net::IpAddr| match ip {
                std::net::IpAddr::V4(ip) => ip.to_string(),
                std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            },
        ),
    };
    let controller = format!("127.0.0.1:{}", managed.controller_port);
    let login = templates::jaas(
        "org.apache.kafka.common.security.scram.ScramLoginModule",
        admin.name.as_str(),
        material.admin_password.expose_secret(),
    );
    let mechanism = admin.mechanism.name();
    let own = format!("listener.name.{}", CLIENTS.to_lowercase());
    let mut rows: Vec<(String, String)> = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@{controller}")),
        ("listeners", format!("{CLIENTS}://{bind}:{},{CONTROLLER}://{controller}", managed.port)),
        ("advertised.listeners", format!("{CLIENTS}://{advertised},{CONTROLLER}://{controller}")),
        ("listener.security.protocol.map", format!("{CLIENTS}:SASL_SSL,{CONTROLLER}:SSL")),
        ("inter.broker.listener.name", CLIENTS.to_owned()),
        ("controller.listener.names", CONTROLLER.to_owned()),
        ("sasl.enabled.mechanisms", mechanism.to_owned()),
        ("sasl.mechanism.inter.broker.protocol", mechanism.to_owned()),
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.location", layout.keystore()),
        ("ssl.truststore.type", "PEM".to_owned()),
        ("ssl.truststore.location", layout.truststore()),
        ("log.dirs", layout.data.clone()),
        ("auto.create.topics.enable", "false".to_owned()),
        ("default.replication.factor", "1".to_owned()),
        ("min.insync.replicas", "1".to_owned()),
        ("offsets.topic.num.partitions", "5".to_owned()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("transaction.state.log.num.partitions", "5".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
        ("share.coordinator.state.topic.num.partitions", "1".to_owned()),
        ("share.coordinator.state.topic.replication.factor", "1".to_owned()),
        ("share.coordinator.state.topic.min.isr", "1".to_owned()),
        // A node that was killed may register again only after its last session; controller and broker being one
        // process, a stall that ends the session early hits both.
        ("broker.session.timeout.ms", "4000".to_owned()),
        ("broker.heartbeat.interval.ms", "500".to_owned()),
        // One worker joins at a time here; waiting for more would only make every start three seconds longer.
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    rows.push((format!("{own}.{}.sasl.jaas.config", mechanism.to_lowercase()), login));
    rows.push((
        format!("listener.name.{}.ssl.client.auth", CONTROLLER.to_lowercase()),
        "required".to_owned(),
    ));
    let user = inventory.kafka.user.as_ref();
    if user.is_some_and(|user| user.acls != AclPolicy::Ignore) {
        let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
        rows.push(("authorizer.class.name".to_owned(), authorizer.to_owned()));
        rows.push(("super.users".to_owned(), format!("User:{};User:CN={}", admin.name, leaf_name(managed))));
    }
    let mut text = String::new();
    for (key, value) in rows {
        writeln!(text, "{key}={}", templates::properties_value(&value))
            .expect("writing to a string cannot fail");
    }
    text
}

fn logging(file: &str) -> String {
    format!(
        "appender.file.type = RollingFile\n\
         appender.file.name = file\n\
         appender.file.fileName = {file}\n\
         appender.file.filePattern = {file}.%i\n\
         appender.file.layout.type = PatternLayout\n\
         appender.file.layout.pattern = %d %p %c{{1}}: %m%n\n\
         appender.file.policies.type = Policies\n\
         appender.file.policies.size.type = SizeBasedTriggeringPolicy\n\
         appender.file.policies.size.size = 10MB\n\
         appender.file.strategy.type = DefaultRolloverStrategy\n\
         appender.file.strategy.max = 3\n\
         rootLogger.level = INFO\n\
         rootLogger.appenderRef.file.ref = file\n"
    )
}

/// An argument file of the Java launcher, one quoted word a line.
fn java_arguments(words: &[String]) -> String {
    words.iter().map(|word| format!("\"{}\"\n", word.replace('\\', r"\\").replace('"', "\\\""))).collect()
}

#[cfg(test)]
mod tests {
    use kafka_control::scram::{ScramCredential, ScramMechanism};
    use pki::{Authority, AuthoritySpec, KeyUsage, LeafSpec, Validity};
    use time::Duration;

    use super::*;
    use crate::inventory;

    const NOW: time::OffsetDateTime = time::macros::datetime!(2030-01-01 00:00 UTC);

    fn material(inventory: &Inventory, managed: &ManagedKafka) -> Material {
        let validity = Validity::starting(NOW, Duration::days(10));
        let authority = Authority::create(&AuthoritySpec { common_name: "ca".into(), validity }).unwrap();
        let spec = LeafSpec {
            common_name: leaf_name(managed),
            sans: sans(inventory, managed),
            usage: KeyUsage::Both,
            validity,
        };
        Material {
            admin_password: "poison\"value".into(),
            identity: authority.issue(&spec).unwrap(),
            authority_pem: authority.certificate_pem(),
        }
    }

    fn owner() -> HostFacts {
        HostFacts { login_uid: 1000, login_gid: 1000, ..HostFacts::default() }
    }

    #[test]
    fn the_lab_node_speaks_scram_over_tls_and_keeps_its_controller_to_itself() {
        let inventory = inventory::lab();
        let managed = inventory.kafka.managed().unwrap();
        let layout = Layout::new("/state/lab", managed);
        let node = node(&inventory, managed, &layout, &material(&inventory, managed), &owner());
        let text = String::from_utf8(node.files[0].bytes.clone()).unwrap();
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap();
        assert_eq!(value("listener.security.protocol.map"), "CLIENTS:SASL_SSL,CONTROLLER:SSL");
        assert!(value("listeners").ends_with(",CONTROLLER://127.0.0.1:9094"));
        assert_eq!(value("listener.name.controller.ssl.client.auth"), "required");
        assert_eq!(value("log.dirs"), "/state/lab/kafka/data");
        assert!(
            value("listener.name.clients.scram-sha-512.sasl.jaas.config").contains(r#"\\"value""#),
            "{text}"
        );
    }

    #[test]
    fn every_file_is_private_and_no_secret_is_on_the_command_line() {
        let inventory = inventory::lab();
        let managed = inventory.kafka.managed().unwrap();
        let layout = Layout::new("/state/lab", managed);
        let node = node(&inventory, managed, &layout, &material(&inventory, managed), &owner());
        let (arguments, program) = program(&layout, &node, "/usr/bin/java", "/cache/libs");
        let written: Vec<&str> =
            node.files.iter().chain([&arguments]).map(|file| file.path.as_str()).collect();
        assert_eq!(written, paths(&layout));
        assert!(node.files.iter().chain([&arguments]).all(|file| file.access.mode == 0o600));
        assert!(node.directories.iter().all(|folder| folder.access.mode == 0o700));
        assert_eq!(program.words, ["/usr/bin/java", "@/state/lab/kafka/broker.args"]);
        let arguments = String::from_utf8(arguments.bytes).unwrap();
        assert!(arguments.contains("\"/cache/libs/*\"\n\"kafka.Kafka\"\n") && !arguments.contains("poison"));
    }

    #[test]
    fn another_certificate_is_another_digest_and_the_same_one_is_not() {
        let inventory = inventory::lab();
        let managed = inventory.kafka.managed().unwrap();
        let layout = Layout::new("/state/lab", managed);
        let digest = |material: &Material| {
            let node = node(&inventory, managed, &layout, material, &owner());
            program(&layout, &node, "java", "libs").1.digest
        };
        let first = material(&inventory, managed);
        assert_eq!(digest(&first), digest(&first.clone()));
        assert_ne!(digest(&first), digest(&material(&inventory, managed)));
    }

    #[test]
    fn the_storage_is_formatted_with_a_salted_credential() {
        let inventory = inventory::lab();
        let managed = inventory.kafka.managed().unwrap();
        let layout = Layout::new("/state/lab", managed);
        let admin = inventory.kafka.admin.as_ref().unwrap();
        let credential =
            ScramCredential::new(ScramMechanism::Sha512, &"poison".into(), 4096, b"salt".to_vec()).unwrap();
        let arguments = format_arguments(&layout, "/cache/libs", "-id", admin, &credential);
        let arguments = arguments.expose_secret();
        assert!(arguments.contains("\"--cluster-id=-id\"\n"));
        assert!(arguments.contains("\"SCRAM-SHA-512=[name=admin,salt=\\\"c2FsdA==\\\",saltedpassword="));
        assert!(!arguments.contains("poison"));
    }

    #[test]
    fn a_cluster_id_is_the_marker_in_kafkas_form() {
        assert_eq!(cluster_id("00000000000000000000000000000001"), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(cluster_id("ffffffffffffffffffffffffffffffff"), "_____________________w");
    }
}
