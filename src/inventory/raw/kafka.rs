//! The section `kafka`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Secret;

/// Kafka: either an existing cluster (`bootstrap`, …), or one node that is run here (`managed`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::inventory) struct Kafka {
    /// Brokers to start from, each `host:port`.
    #[schemars(length(min = 1))]
    pub(in crate::inventory) bootstrap: Option<Vec<String>>,
    /// How brokers are spoken to. Default: SASL_SSL.
    pub(in crate::inventory) security: Option<Security>,
    /// Whose certificates brokers may show: `system`, or a file. Needed with SSL and SASL_SSL.
    pub(in crate::inventory) trust: Option<Trust>,
    /// Whether a broker's certificate must carry its name (subject alternative name). Default: true.
    pub(in crate::inventory) verify_names: Option<bool>,
    /// Who administers Kafka: users, topics, ACLs. Without it the Connect user does what it may.
    pub(in crate::inventory) admin: Option<Admin>,
    /// Who the workers log in as. Needed with SASL.
    pub(in crate::inventory) user: Option<User>,
    /// Broker names that DNS does not know, with their IP addresses; for hosts and workers.
    pub(in crate::inventory) extra_hosts: Option<BTreeMap<String, String>>,
    /// One Kafka node run by us, for labs and tests, in place of an existing cluster.
    pub(in crate::inventory) managed: Option<Managed>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(in crate::inventory) enum Security {
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
    #[serde(rename = "SSL")]
    Ssl,
    #[serde(rename = "SASL_PLAINTEXT")]
    SaslPlaintext,
    #[serde(rename = "SASL_SSL")]
    SaslSsl,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::inventory) enum Trust {
    Word(TrustWord),
    Store(TrustStore),
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::inventory) enum TrustWord {
    System,
}

/// Exactly one of `pem`, `pkcs12` and `jks`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::inventory) struct TrustStore {
    /// Certificates as text.
    pub(in crate::inventory) pem: Option<StoreFile>,
    /// A PKCS12 store (`.p12`, `.pfx`).
    pub(in crate::inventory) pkcs12: Option<StoreFile>,
    /// A Java key store.
    pub(in crate::inventory) jks: Option<StoreFile>,
    /// The store's password, for `pkcs12` and `jks`.
    pub(in crate::inventory) password: Option<Secret>,
}

/// A file on the control machine (relative to this file), or `{ host_path: … }` for one that is on every host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::inventory) enum StoreFile {
    Control(String),
    Host(HostFile),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::inventory) struct HostFile {
    /// An absolute path.
    #[schemars(required)]
    pub(in crate::inventory) host_path: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(in crate::inventory) enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::inventory) struct Admin {
    /// The administrator's name.
    #[schemars(required)]
    pub(in crate::inventory) username: Option<String>,
    /// `{ env: NAME }`, `{ file: PATH }` or `{ command: [PROGRAM, ARGUMENT] }`.
    #[schemars(required)]
    pub(in crate::inventory) password: Option<Secret>,
    /// Default: SCRAM-SHA-512.
    pub(in crate::inventory) mechanism: Option<Mechanism>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::inventory) struct User {
    /// Default: `connect-<cluster>`.
    pub(in crate::inventory) name: Option<String>,
    /// Default with `manage: true`: generated.
    pub(in crate::inventory) password: Option<Secret>,
    /// Default, and the only one with `manage: true`: SCRAM-SHA-512.
    pub(in crate::inventory) mechanism: Option<Mechanism>,
    /// Whether we create the user and set its password (needs `admin`). Default: true. With false its login is tested.
    pub(in crate::inventory) manage: Option<bool>,
    /// Missing ACLs: `check` (the default) prints them, `create` makes them, `ignore` does not look.
    pub(in crate::inventory) acls: Option<Acls>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::inventory) enum Acls {
    Check,
    Create,
    Ignore,
}

/// One KRaft node, broker and controller in one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::inventory) struct Managed {
    /// The host that it runs on. Default: the first.
    pub(in crate::inventory) host: Option<String>,
    /// Default: 4.3.1.
    pub(in crate::inventory) version: Option<String>,
    /// The port for clients. Default: 9093.
    #[schemars(range(min = 1, max = 65535))]
    pub(in crate::inventory) port: Option<i64>,
    /// The controller's own port. Default: 9094.
    #[schemars(range(min = 1, max = 65535))]
    pub(in crate::inventory) controller_port: Option<i64>,
    /// An unpacked Kafka distribution. Default: KAFKA_HOME, else jars fetched through Maven.
    pub(in crate::inventory) home: Option<String>,
    /// Where it keeps its data, absolute. Default: beside the other files of the process.
    pub(in crate::inventory) data: Option<String>,
}
