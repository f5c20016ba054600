//! A Kafka wire client over any byte stream: SCRAM users, ACLs and all other administration, membership in a group of any
//! protocol type (Connect's is `connect`), and records by the batch, both ways.
//!
//! Start at [`Client`]: it is given bootstrap endpoints, a [`Security`] and a [`Dial`] that makes byte streams (plain
//! TCP, or channels forwarded through SSH), and finds the rest of the cluster by itself. [`Client::probe_login`] tries
//! one broker's TLS and SASL and says precisely what is wrong. [`group::Member`] takes part in a group.
//!
//! [`Fetcher`] reads partitions for the worker, those of its sinks and its internal topics; [`Producer`] writes what its
//! sources have read. There are no transactions, and deliberately no assignor: what the members of a group tell each
//! other is bytes here.
//!
//! Inside, each broker has one task that owns its connection (`link`), a connection is opened and authenticated in
//! `connection`, and `client` sends requests along a `route` (any broker, controller, coordinator, leader) and repeats
//! those that met the wrong broker.

mod admin;
mod batch;
mod client;
mod connection;
mod dial;
mod endpoint;
mod error;
mod fetch;
mod link;
mod login_error;
mod produce;
mod records;
mod retry;
mod route;
mod sasl;
mod tls;
mod wire;

pub mod group;
pub mod scram;

pub use kafka_protocol::ResponseError;
pub use kafka_protocol::messages::ApiKey;

pub use crate::admin::ItemResults;
pub use crate::admin::acls::{Acl, AclFilter, AclPermission, PatternType};
pub use crate::admin::cluster::{Broker, Cluster};
pub use crate::admin::configs::{
    ConfigAlteration, ConfigEntry, ConfigOperation, ConfigResource, ConfigSource,
};
pub use crate::admin::groups::{GroupDescription, GroupListing, GroupMember};
pub use crate::admin::offsets::{CommittedOffset, OffsetSpec};
pub use crate::admin::operations::{AclOperation, AuthorizedOperations, ResourceType};
pub use crate::admin::scram_users::{ScramMechanismInfo, ScramUser, ScramUserUpsertion};
pub use crate::admin::topics::{CreateMode, NewPartitions, NewTopic, Partition, Topic};
pub use crate::batch::{Compression, RecordToSend};
pub use crate::client::{Client, ClientConfig};
pub use crate::dial::{BoxedStream, Dial, Stream, TcpDial};
pub use crate::endpoint::{BrokerId, Endpoint, EndpointError, TopicPartition};
pub use crate::error::{ApiRefusal, Error, TheirVersions, UnsupportedApi, WireError};
pub use crate::fetch::{FetchConfig, FetchError, Fetcher, Isolation, OffsetReset, RecordSet, RecordsError};
pub use crate::login_error::{LoginError, Stage};
pub use crate::produce::{Deliveries, ProduceError, Producer, ProducerConfig, Run, Stored};
pub use crate::records::{Acks, Record, TimestampType};
pub use crate::sasl::{Sasl, Security};
pub use crate::tls::{HostnameCheck, Identity, Tls, TlsSetupError, Trust};
