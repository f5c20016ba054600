//! The properties file of one node.

use std::fmt::Write;
use std::path::Path;

use super::{KafkaSpec, Security};

/// Where a node listens, and under which name clients reach it.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) id: u8,
    /// The address it binds.
    pub(super) bind: String,
    /// The name that clients are told.
    pub(super) advertised: String,
    /// The address that the other nodes use.
    pub(super) internal: String,
    pub(super) client_port: u16,
    pub(super) internal_port: u16,
    pub(super) controller_port: u16,
    /// Names and ports of the further listeners.
    pub(super) further: Vec<(&'static str, u16)>,
}

/// `server.properties` of the node `own` among `all`.
pub(super) fn render(
    spec: &KafkaSpec,
    own: &Endpoints,
    all: &[Endpoints],
    data: &Path,
    keystore: Option<&Path>,
) -> String {
    let voters: Vec<String> =
        all.iter().map(|node| format!("{}@{}:{}", node.id, node.internal, node.controller_port)).collect();
    let client_protocol = match spec.security {
        Security::Plaintext => "PLAINTEXT",
        Security::SaslSsl { .. } => "SASL_SSL",
    };
    let replication = all.len().min(3);
    let Endpoints { id, bind, advertised, internal, client_port, internal_port, controller_port, further } =
        own;
    let mut rows = vec![
        ("process.roles".to_owned(), "broker,controller".to_owned()),
        ("node.id".to_owned(), id.to_string()),
        ("controller.quorum.voters".to_owned(), voters.join(",")),
        (
            "listeners".to_owned(),
            format!(
                "CLIENT://{bind}:{client_port},INTERNAL://{bind}:{internal_port},CONTROLLER://{bind}:{controller_port}"
            ),
        ),
        (
            "advertised.listeners".to_owned(),
            format!("CLIENT://{advertised}:{client_port},INTERNAL://{internal}:{internal_port}"),
        ),
        (
            "listener.security.protocol.map".to_owned(),
            format!("CLIENT:{client_protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ),
        ("inter.broker.listener.name".to_owned(), "INTERNAL".to_owned()),
        ("controller.listener.names".to_owned(), "CONTROLLER".to_owned()),
        ("log.dirs".to_owned(), data.display().to_string()),
        ("auto.create.topics.enable".to_owned(), "false".to_owned()),
        ("group.initial.rebalance.delay.ms".to_owned(), "0".to_owned()),
        ("default.replication.factor".to_owned(), replication.to_string()),
        ("min.insync.replicas".to_owned(), replication.min(2).to_string()),
        ("offsets.topic.num.partitions".to_owned(), "5".to_owned()),
        ("offsets.topic.replication.factor".to_owned(), replication.to_string()),
        ("transaction.state.log.num.partitions".to_owned(), "5".to_owned()),
        ("transaction.state.log.replication.factor".to_owned(), replication.to_string()),
        ("transaction.state.log.min.isr".to_owned(), replication.min(2).to_string()),
        // The index files of a test's many small partitions, not the default 10 MiB each.
        ("log.index.size.max.bytes".to_owned(), "1048576".to_owned()),
    ];
    if let Some(keystore) = keystore {
        rows.push(("sasl.enabled.mechanisms".to_owned(), "SCRAM-SHA-512".to_owned()));
        rows.extend(sasl_ssl("CLIENT", keystore));
    }
    for (listener, (name, port)) in spec.listeners.iter().zip(further) {
        let true_address = format!("{advertised}:{port}");
        let told = listener.advertised.as_ref().unwrap_or(&true_address);
        let protocol = if listener.certificate.is_some() { "SASL_SSL" } else { "PLAINTEXT" };
        for (key, entry) in [
            ("listeners", format!("{name}://{bind}:{port}")),
            ("advertised.listeners", format!("{name}://{told}")),
            ("listener.security.protocol.map", format!("{name}:{protocol}")),
        ] {
            let row = rows.iter_mut().find(|(present, _)| present == key);
            let (_, list) = row.expect("listeners are named above");
            list.push(',');
            list.push_str(&entry);
        }
        if let Some(leaf) = &listener.certificate {
            rows.extend(sasl_ssl(name, &leaf.key_and_chain));
        }
    }
    if spec.acls {
        rows.extend([
            (
                "authorizer.class.name".to_owned(),
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
            ),
            ("super.users".to_owned(), "User:admin;User:ANONYMOUS".to_owned()),
        ]);
    }
    for (key, value) in &spec.properties {
        rows.retain(|(present, _)| present != key);
        rows.push((key.clone(), value.clone()));
    }
    let mut text = String::new();
    for (key, value) in rows {
        writeln!(text, "{key}={value}").expect("writing to a string cannot fail");
    }
    text
}

/// What a SASL_SSL listener needs besides its entry in the lists.
fn sasl_ssl(name: &str, keystore: &Path) -> [(String, String); 3] {
    let listener = format!("listener.name.{}", name.to_lowercase());
    [
        (
            format!("{listener}.scram-sha-512.sasl.jaas.config"),
            "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        ),
        (format!("{listener}.ssl.keystore.type"), "PEM".to_owned()),
        (format!("{listener}.ssl.keystore.location"), keystore.display().to_string()),
    ]
}
