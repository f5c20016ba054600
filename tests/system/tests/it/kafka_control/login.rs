//! Who comes in, who does not, and with which rights.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_control::group::{GroupError, Member};
use kafka_control::scram::{ScramCredential, ScramMechanism};
use kafka_control::{
    Acl, AclFilter, AclOperation, Client, ClientConfig, CreateMode, Endpoint, HostnameCheck, LoginError,
    ResourceType, ResponseError, Sasl, ScramUserUpsertion, Security, TcpDial, Tls, Trust,
};
use secrecy::SecretString;
use testbed::certificates::{Fault, KeyKind};
use testbed::kafka::{Kafka, KafkaSpec};

use super::{admin_security, client, endpoints, member_config, probe, scram, tls, topic};

/// Repeats a login until the broker has heard of the user.
async fn login_with_patience(kafka: &Kafka, security: Security) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match probe(kafka, security.clone()).await {
            Ok(()) => return,
            Err(LoginError::Refused { .. }) if Instant::now() < deadline => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_log_in_with_scram_and_have_only_their_rights() {
    let security = testbed::kafka::Security::sasl_ssl();
    let kafka = Kafka::start(KafkaSpec { security, acls: true, ..KafkaSpec::default() }).await.unwrap();
    let admin = client(&kafka, admin_security(&kafka));
    admin.probe_login(&endpoints(&kafka)[0]).await.unwrap();
    let cluster = admin.describe_cluster().await.unwrap();
    assert_eq!(cluster.cluster_id, kafka.cluster_id());
    assert_eq!(
        cluster.brokers.iter().map(|broker| broker.endpoint.clone()).collect::<Vec<_>>(),
        endpoints(&kafka)
    );
    assert!(cluster.authorized.allows(AclOperation::Alter));

    // Wrong settings, each with its own error.
    let tls_only = || tls(&kafka, HostnameCheck::Required);
    let poison = SecretString::from("poison-value");
    let wrong = probe(&kafka, Security { tls: tls_only(), sasl: scram("admin", &poison) }).await.unwrap_err();
    assert!(matches!(&wrong, LoginError::Refused { username, .. } if username == "admin"), "{wrong:?}");
    assert!(!format!("{wrong:?} {wrong} {:?}", wrong.hint()).contains("poison"));
    let stranger =
        probe(&kafka, Security { tls: tls_only(), sasl: scram("nobody", &poison) }).await.unwrap_err();
    assert!(matches!(stranger, LoginError::Refused { .. }), "{stranger:?}");
    let other = Sasl::ScramSha256 { username: "admin".to_owned(), password: kafka.admin_password().clone() };
    let mechanism = probe(&kafka, Security { tls: tls_only(), sasl: Some(other) }).await.unwrap_err();
    assert!(
        matches!(&mechanism, LoginError::Mechanism { enabled, .. } if enabled == &["SCRAM-SHA-512"]),
        "{mechanism:?}"
    );
    let plaintext = probe(&kafka, Security::default()).await.unwrap_err();
    assert!(matches!(plaintext, LoginError::TlsRequired { .. }), "{plaintext:?}");
    let not_trusted = Tls::new(Trust::System, None, HostnameCheck::Required).unwrap();
    let foreign = probe(&kafka, Security { tls: Some(not_trusted), sasl: None }).await.unwrap_err();
    assert!(matches!(foreign, LoginError::CertificateIssuer { .. }), "{foreign:?}");
    let no_login = probe(&kafka, Security { tls: tls_only(), sasl: None }).await.unwrap_err();
    assert!(matches!(no_login, LoginError::SaslRequired { .. }), "{no_login:?}");

    // A new user.
    assert_eq!(admin.describe_scram_users(Some(&["connect"])).await.unwrap(), []);
    let password = SecretString::from("pass,word=ü");
    let upsert = async |password: &SecretString| {
        let credential =
            ScramCredential::new(ScramMechanism::Sha512, password, 16_384, b"0123456789abcdef".to_vec())
                .unwrap();
        let results = admin
            .upsert_scram_users(&[ScramUserUpsertion { name: "connect".to_owned(), credential }])
            .await
            .unwrap();
        assert_eq!(results["connect"], Ok(()));
    };
    upsert(&password).await;
    let users = admin.describe_scram_users(Some(&["connect", "nobody"])).await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].credentials[0].iterations, 16_384);
    let connect_security = Security { tls: tls_only(), sasl: scram("connect", &password) };
    login_with_patience(&kafka, connect_security.clone()).await;
    let connect = client(&kafka, connect_security);

    // It may do nothing until it is allowed to.
    admin.create_topics(&[topic("data", 1)], CreateMode::Create).await.unwrap()["data"].as_ref().unwrap();
    assert!(!connect.describe_cluster().await.unwrap().authorized.allows(AclOperation::Describe));
    let described = connect.topics(&["data"]).await.unwrap();
    assert_eq!(described["data"].as_ref().unwrap_err().code, ResponseError::TopicAuthorizationFailed);
    let refused = connect.describe_group("connect-cluster").await.unwrap_err();
    assert_eq!(refused.code(), Some(ResponseError::GroupAuthorizationFailed));
    let refused = connect.describe_acls(&AclFilter::default()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ResponseError::ClusterAuthorizationFailed));
    let member = Member::new(connect.clone(), member_config("connect-cluster"));
    let refused = member.join(&[("default", Bytes::new())], "test").await.unwrap_err();
    assert!(matches!(refused, GroupError::GroupAuthorization { .. }), "{refused:?}");

    let rules = [
        Acl::allow("User:connect", AclOperation::Read, ResourceType::Topic, "data"),
        Acl::allow("User:connect", AclOperation::Read, ResourceType::Group, "connect-cluster"),
    ];
    assert_eq!(admin.create_acls(&rules).await.unwrap(), [Ok(()), Ok(())]);
    let listed = admin.describe_acls(&AclFilter::default()).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(rules.iter().all(|rule| listed.contains(rule)), "{listed:?}");
    let authorized = connect.topic("data").await.unwrap().unwrap().authorized;
    assert!(authorized.allows(AclOperation::Read) && authorized.allows(AclOperation::Describe));
    assert!(!authorized.allows(AclOperation::Write));
    let group = connect.describe_group("connect-cluster").await.unwrap();
    assert!(group.authorized.allows(AclOperation::Read) && !group.authorized.allows(AclOperation::Delete));
    assert_eq!(admin.delete_acls(&AclFilter::default()).await.unwrap(), 2);

    // A changed password ends the old one.
    let changed = SecretString::from("changed");
    upsert(&changed).await;
    login_with_patience(&kafka, Security { tls: tls_only(), sasl: scram("connect", &changed) }).await;
    let old =
        probe(&kafka, Security { tls: tls_only(), sasl: scram("connect", &password) }).await.unwrap_err();
    assert!(matches!(old, LoginError::Refused { .. }), "{old:?}");
    let deletion = BTreeMap::from([("connect".to_owned(), ScramMechanism::Sha512)]);
    assert_eq!(admin.delete_scram_users(&deletion).await.unwrap()["connect"], Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_certificates_are_told_apart() {
    for fault in [Fault::Expired, Fault::WithoutName, Fault::OtherName] {
        let security = testbed::kafka::Security::SaslSsl { key: KeyKind::Ec, fault: Some(fault) };
        let kafka = Kafka::start(KafkaSpec { security, ..KafkaSpec::default() }).await.unwrap();
        let error = probe(&kafka, admin_security(&kafka)).await.unwrap_err();
        let is_right = match (fault, &error) {
            (Fault::Expired, LoginError::CertificateExpired { ago: Some(ago), .. }) => ago.as_secs() > 86_400,
            (Fault::WithoutName, LoginError::CertificateName { presented, .. }) => presented.is_empty(),
            (Fault::OtherName, LoginError::CertificateName { presented, .. }) => {
                presented == &["other.kafka.invalid"]
            }
            _ => false,
        };
        assert!(is_right, "{fault:?}: {error:?}");
        let sasl = scram(kafka.admin_username(), kafka.admin_password());
        let lenient = Security { tls: tls(&kafka, HostnameCheck::Skipped), sasl };
        let lenient = probe(&kafka, lenient).await;
        assert_eq!(lenient.is_ok(), fault != Fault::Expired, "{fault:?}: {lenient:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_their_limit() {
    let kafka = Kafka::start(KafkaSpec {
        security: testbed::kafka::Security::sasl_ssl(),
        properties: vec![("connections.max.reauth.ms".to_owned(), "1500".to_owned())],
        ..KafkaSpec::default()
    })
    .await
    .unwrap();
    let dial = Arc::new(CountingDial::default());
    let config = ClientConfig::new(endpoints(&kafka), admin_security(&kafka));
    let admin = Client::new(config, dial.clone());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        admin.describe_cluster().await.unwrap();
    }
    assert_eq!(dial.count(), 1, "the one connection authenticated again, and was not replaced");
}

/// Counts the connections it makes.
#[derive(Default)]
struct CountingDial {
    dialed: std::sync::atomic::AtomicUsize,
}

impl CountingDial {
    fn count(&self) -> usize {
        self.dialed.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl kafka_control::Dial for CountingDial {
    async fn dial(&self, to: &Endpoint) -> std::io::Result<kafka_control::BoxedStream> {
        self.dialed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        TcpDial::default().dial(to).await
    }
}
