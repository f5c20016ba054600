//! The wire client against real Apache Kafka.

mod administration;
mod login;
mod membership;
mod producing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use kafka_control::group::MemberConfig;
use kafka_control::{
    Acks, Client, ClientConfig, Deliveries, Endpoint, HostnameCheck, LoginError, NewTopic, ProduceError,
    Producer, ProducerConfig, RecordToSend, Run, Sasl, Security, Stored, TcpDial, Tls, Trust,
};
use secrecy::SecretString;
use testbed::kafka::Kafka;

fn endpoints(kafka: &Kafka) -> Vec<Endpoint> {
    Endpoint::parse_list(kafka.bootstrap()).unwrap()
}

fn tls(kafka: &Kafka, hostname_check: HostnameCheck) -> Option<Tls> {
    let trusted = pki::certificates_from_pem(kafka.ca_pem()?).unwrap();
    Some(Tls::new(Trust::Certificates(trusted), None, hostname_check).unwrap())
}

fn scram(username: &str, password: &SecretString) -> Option<Sasl> {
    Some(Sasl::ScramSha512 { username: username.to_owned(), password: password.clone() })
}

fn admin_security(kafka: &Kafka) -> Security {
    let tls = tls(kafka, HostnameCheck::Required);
    let sasl = tls.as_ref().and_then(|_| scram(kafka.admin_username(), kafka.admin_password()));
    Security { tls, sasl }
}

fn client(kafka: &Kafka, security: Security) -> Client {
    Client::new(ClientConfig::new(endpoints(kafka), security), Arc::new(TcpDial::default()))
}

fn topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
    }
}

/// Passes on what a producer tells.
struct Told(Sender<Result<Stored, ProduceError>>);

impl Deliveries for Told {
    fn delivered(&self, _run: Run, result: Result<Stored, &ProduceError>) {
        self.0.send(result.map_err(Clone::clone)).unwrap();
    }
}

/// Writes one record, and returns its offset.
async fn write(client: &Client, acks: Acks, topic: &str, record: RecordToSend<'_>) -> i64 {
    let is_idempotent = acks == Acks::All;
    let config = ProducerConfig { acks, is_idempotent, ..ProducerConfig::default() };
    let (told, stored) = channel();
    let producer = Producer::new(client.clone(), config, Arc::new(Told(told)));
    producer.send(topic, &record, 0).await.unwrap();
    let stored = tokio::task::spawn_blocking(move || stored.recv_timeout(Duration::from_secs(60)));
    stored.await.unwrap().expect("the record is told of").unwrap().offset.expect("brokers say where it is")
}

async fn probe(kafka: &Kafka, security: Security) -> Result<(), LoginError> {
    client(kafka, security).probe_login(&endpoints(kafka)[0]).await
}

fn member_config(group: &str) -> MemberConfig {
    MemberConfig {
        group_id: group.to_owned(),
        protocol_type: "connect".to_owned(),
        session_timeout: Duration::from_secs(6),
        rebalance_timeout: Duration::from_secs(20),
        group_instance_id: None,
    }
}
