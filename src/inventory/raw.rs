//! The shape of the file, as typed: every key may be absent, unknown keys are refused. The JSON Schema is derived from
//! these types, and with it the check of every file; the comments here are what editors show.
//!
//! Defaults and meaning are not decided here but in `validate`.

mod kafka;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use kafka::{Acls, Kafka, Managed, Mechanism, Security, StoreFile, Trust, TrustWord, User};

/// One Kafka Connect cluster: its hosts, its Kafka, its workers and connectors.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "provision inventory")]
pub(super) struct Inventory {
    /// The cluster's name: a-z, 0-9 and hyphens, such as `orders`.
    #[schemars(required)]
    pub(super) cluster: Option<String>,
    /// How workers run: as containers (the default), or as supervised processes.
    pub(super) runtime: Option<Runtime>,
    /// Hosts by name, such as `connect-1: { address: 10.0.1.11 }`.
    #[schemars(required)]
    pub(super) hosts: Option<BTreeMap<String, Host>>,
    /// How hosts are reached; each host can say otherwise.
    pub(super) ssh: Option<Ssh>,
    /// The Kafka cluster that Connect works with: `bootstrap`, `trust` and `admin` of an existing one, or `managed`.
    #[schemars(required)]
    pub(super) kafka: Option<Kafka>,
    /// The workers; each host can say otherwise.
    pub(super) connect: Option<Connect>,
    /// Application topics by name.
    pub(super) topics: Option<BTreeMap<String, Option<Topic>>>,
    /// Connectors by name, each with its configuration as Connect takes it.
    pub(super) connectors: Option<BTreeMap<String, BTreeMap<String, Option<Text>>>>,
    /// systemd units that hold our ports, to be stopped and disabled. Default: confluent-kafka-connect.
    pub(super) conflicts: Option<Vec<String>>,
    /// Where Docker comes from; each host can say otherwise.
    pub(super) docker: Option<Docker>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Runtime {
    Docker,
    Process,
}

/// A host. What it does not say is taken from the sections `ssh`, `connect` and `docker` of the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    /// Where the host is reached, also by the other workers: a DNS name or an IP address. Not needed with
    /// `connection: local`.
    pub(super) address: Option<String>,
    /// `ssh` (the default), or `local` for this machine.
    pub(super) connection: Option<Connection>,
    /// Overrides for this host.
    pub(super) ssh: Option<Ssh>,
    /// Overrides for this host.
    pub(super) connect: Option<HostConnect>,
    /// Overrides for this host.
    pub(super) docker: Option<Docker>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Connection {
    Ssh,
    Local,
}

/// SSH; what is not said is left to your own ~/.ssh/config.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ssh {
    /// The user to log in as.
    pub(super) user: Option<String>,
    /// The server's port.
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: Option<i64>,
    /// The private key's file. Relative to this file; `~/` is your home.
    pub(super) identity: Option<String>,
    /// Hosts to go through, first hop first; `[]` for none.
    pub(super) jump: Option<Vec<Jump>>,
    /// The host's public key, as `ssh-keyscan` prints it without the name; or several. Without it known_hosts decides.
    pub(super) host_key: Option<Texts>,
    /// How the user becomes root: `none` (it is root), `passwordless` (the default), or `{ password: … }`.
    pub(super) sudo: Option<Sudo>,
}

/// One hop: `host`, `user@host:port`, or a mapping.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Jump {
    Short(String),
    Full(JumpHost),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JumpHost {
    /// A DNS name or an IP address.
    #[schemars(required)]
    pub(super) address: Option<String>,
    /// Who logs in there.
    pub(super) user: Option<String>,
    /// The hop's SSH port.
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: Option<i64>,
    /// The private key's file.
    pub(super) identity: Option<String>,
    /// The hop's public key, or several.
    pub(super) host_key: Option<Texts>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Texts {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Sudo {
    Word(SudoWord),
    Full(SudoPassword),
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SudoWord {
    None,
    Passwordless,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SudoPassword {
    /// `{ env: NAME }`, `{ file: PATH }` or `{ command: [PROGRAM, ARGUMENT] }`.
    #[schemars(required)]
    pub(super) password: Option<Secret>,
}

/// A reference to a secret, never the secret itself: `{ env: NAME }`, `{ file: PATH }`, `{ command: [PROGRAM, ARG] }`,
/// or `generated`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("x-secret" = true))]
pub(super) enum Secret {
    Word(SecretWord),
    Source(SecretSource),
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SecretWord {
    Generated,
}

/// Exactly one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretSource {
    /// An environment variable of the run.
    pub(super) env: Option<String>,
    /// A file on the control machine. Relative to this file; `~/` is your home.
    pub(super) file: Option<String>,
    /// A program and its arguments; it prints the secret. No shell is involved.
    #[schemars(length(min = 1))]
    pub(super) command: Option<Vec<String>>,
}

/// The workers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    /// The group id that the workers share. Default: `connect-<cluster>`.
    pub(super) group: Option<String>,
    /// The three topics in which Connect keeps its state.
    pub(super) topics: Option<InternalTopics>,
    /// How records are written and read when a connector does not say.
    pub(super) converters: Option<Converters>,
    /// The REST interface. Default: port 8083.
    pub(super) rest: Option<Listener>,
    /// Metrics for Prometheus. Default: port 8079.
    pub(super) metrics: Option<Listener>,
    /// A worker's memory limit, such as 512M or 2G. Default: 512M.
    pub(super) memory: Option<Text>,
    /// A worker's CPU limit, such as 1.5. Default: none.
    pub(super) cpus: Option<Text>,
    /// The most threads a worker may have. Default: 1024.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub(super) pids: Option<i64>,
    /// Where a worker's files are put on its host, absolute. Default: `/etc/provision/<cluster>`, or a folder of the
    /// user's state (XDG) with `runtime: process`.
    pub(super) directory: Option<String>,
    /// Further worker properties by Kafka's names.
    pub(super) properties: Option<BTreeMap<String, Text>>,
}

/// What a host's worker has of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HostConnect {
    /// As `connect.rest`.
    pub(super) rest: Option<Listener>,
    /// As `connect.metrics`.
    pub(super) metrics: Option<Listener>,
    /// The name or address under which other workers reach this one. Default: what `rest.bind` leads to.
    pub(super) advertised_name: Option<String>,
    /// As `connect.memory`.
    pub(super) memory: Option<Text>,
    /// As `connect.cpus`.
    pub(super) cpus: Option<Text>,
    /// As `connect.pids`.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub(super) pids: Option<i64>,
    /// As `connect.directory`.
    pub(super) directory: Option<String>,
    /// Merged into `connect.properties`.
    pub(super) properties: Option<BTreeMap<String, Text>>,
}

/// A TCP port and who can reach it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    /// The port on the host.
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: Option<i64>,
    /// `loopback` (the default of one host), `private` (of several: the host's own address), or `all`.
    pub(super) bind: Option<Bind>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Bind {
    Loopback,
    Private,
    All,
}

/// Names default to `<group>-configs`, `<group>-offsets` and `<group>-status`, replication to 3 (1 with `managed`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InternalTopics {
    /// Has one partition, always.
    pub(super) config: Option<ConfigTopic>,
    /// Default: 25 partitions.
    pub(super) offset: Option<InternalTopic>,
    /// Default: 5 partitions.
    pub(super) status: Option<InternalTopic>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigTopic {
    /// Default: `<group>-configs`.
    pub(super) name: Option<String>,
    /// Replicas of each partition.
    #[schemars(range(min = 1, max = 32767))]
    pub(super) replication: Option<i64>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InternalTopic {
    /// Default: `<group>-offsets`, `<group>-status`.
    pub(super) name: Option<String>,
    /// Default: 25 for offsets, 5 for status.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) partitions: Option<i64>,
    /// Replicas of each partition.
    #[schemars(range(min = 1, max = 32767))]
    pub(super) replication: Option<i64>,
}

/// Class names. Default for both: org.apache.kafka.connect.json.JsonConverter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Converters {
    /// Of record keys.
    pub(super) key: Option<String>,
    /// Of record values.
    pub(super) value: Option<String>,
}

/// A topic to create. One that exists is checked, never altered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    /// Default: 1.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) partitions: Option<i64>,
    /// Default: 3 (1 with `kafka.managed`).
    #[schemars(range(min = 1, max = 32767))]
    pub(super) replication: Option<i64>,
    /// Topic configuration by Kafka's names.
    pub(super) config: Option<BTreeMap<String, Text>>,
}

/// Docker on the hosts; for `runtime: docker`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Docker {
    /// `auto` (the default): what is there, else what the host can reach. `distribution`, `vendor`, or `present` (never
    /// installed by us).
    pub(super) source: Option<DockerSource>,
    /// The vendor's package repository.
    pub(super) vendor: Option<Vendor>,
    /// Users to put into the group `docker`. It makes them root in all but name. Default: none.
    pub(super) group_users: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DockerSource {
    Auto,
    Distribution,
    Vendor,
    Present,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Vendor {
    /// The distribution's name is appended. Default: <https://download.docker.com/linux>.
    pub(super) url: Option<String>,
    /// Of the key that signs the repository: 40 hexadecimal digits. Default: Docker's own.
    pub(super) fingerprint: Option<String>,
}

/// Text; a number or a boolean stands for what was written: `1.10` is the text 1.10.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Text(pub(super) String);

impl JsonSchema for Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}
