//! What the worker says about properties that it cannot use: each by its name, nothing of a secret, exit code 2.

use std::fs;
use std::path::Path;
use std::process::Command;

use pki::{Authority, AuthoritySpec, StoreKind, Validity};
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use crate::programs;

/// Stands wherever a secret could.
const CANARY: &str = "c4n4ry-hunter2";

fn refused(text: &str) -> String {
    let folder = testbed::owner::dir("worker").unwrap();
    let file = folder.join("worker.properties");
    fs::write(&file, text).unwrap();
    let output = Command::new(programs::connect_worker())
        .arg("distributed")
        .arg(&file)
        .env("CONNECT_LOG", "trace")
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{text}\n{said}");
    assert!(!said.contains(CANARY), "{text}\n{said}");
    said
}

const MINIMAL: &str = "bootstrap.servers=127.0.0.1:1\ngroup.id=g\nconfig.storage.topic=c\noffset.storage.topic=o\n\
    status.storage.topic=s\nkey.converter=StringConverter\nvalue.converter=JsonConverter\n";

#[test]
fn every_wrong_property_is_named_at_once() {
    let text = refused(&format!(
        "bootstrap.servers=nowhere\nconfig.storage.topic=c\noffset.storage.topic=o\nstatus.storage.topic=s\n\
         key.converter=S\nvalue.converter=S\nsession.timeout.ms=poison\nsecurity.protocol=SASL_SSL\n\
         sasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=ScramLoginModule required username=\"u\" password=\"{CANARY}\"\n\
         ssl.truststore.location=/does/not/exist.jks\n",
    ));
    for named in [
        "group.id",
        "bootstrap.servers",
        "session.timeout.ms",
        "sasl.jaas.config",
        "ssl.truststore.location",
        "key.converter",
        "value.converter",
    ] {
        assert!(text.contains(&format!("{named}: ")), "{named} in {text}");
    }
}

#[test]
fn each_wrong_property_is_named_with_what_is_right() {
    let folder = testbed::owner::dir("stores").unwrap();
    let truststore = truststore(&folder);
    let (truststore, scram) =
        (truststore.as_str(), "org.apache.kafka.common.security.scram.ScramLoginModule");
    let jaas = |text: &str| {
        format!("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config={text}")
    };
    let store = |text: &str| format!("security.protocol=SSL\nssl.truststore.location={truststore}\n{text}");
    for (lines, property, says) in [
        ("group.id=".to_owned(), "group.id", "must not be empty"),
        ("bootstrap.servers=kafka".into(), "bootstrap.servers", "kafka"),
        ("session.timeout.ms=99999999999".into(), "session.timeout.ms", "no more than 2147483647"),
        ("session.timeout.ms=0".into(), "session.timeout.ms", "at least 1"),
        ("session.timeout.ms=10s".into(), "session.timeout.ms", "Not a number"),
        ("heartbeat.interval.ms=10000".into(), "heartbeat.interval.ms", "lower than session.timeout.ms"),
        ("config.storage.replication.factor=70000".into(), "config.storage.replication.factor", "32767"),
        ("offset.storage.partitions=0".into(), "offset.storage.partitions", "be -1"),
        ("offset.storage.topic=c".into(), "offset.storage.topic", "config.storage.topic already"),
        ("status.storage.topic=a/b".into(), "status.storage.topic", "not the name of a topic"),
        ("topic.tracking.enable=yes".into(), "topic.tracking.enable", "true or false"),
        ("listeners=8083".into(), "listeners", "http://HOST:PORT"),
        ("listeners=https://:8443".into(), "listeners", "not supported"),
        ("listeners=http://a:1,http://a:1".into(), "listeners", "taken by a:1"),
        ("metrics.listener=http://:8083".into(), "metrics.listener", "taken by 0.0.0.0:8083 of listeners"),
        ("rest.advertised.port=70000".into(), "rest.advertised.port", "65535"),
        ("key.converter=com.example.Avro".into(), "key.converter", "JsonConverter"),
        ("value.converter.schemas.enable=maybe".into(), "value.converter", "schemas.enable"),
        (
            "connector.client.config.override.policy=Some".into(),
            "connector.client.config.override.policy",
            "Allowlist",
        ),
        ("exactly.once.source.support=enabled".into(), "exactly.once.source.support", "disabled"),
        ("connect.protocol=lazy".into(), "connect.protocol", "sessioned"),
        ("rest.extension.classes=X".into(), "rest.extension.classes", "not supported"),
        (
            "config.providers=v\nconfig.providers.v.class=com.example.Vault".into(),
            "config.providers",
            "Vault",
        ),
        (
            "config.providers=file\n\
             config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n\
             client.id=${file:/does/not/exist:k}"
                .into(),
            "client.id",
            "/does/not/exist",
        ),
        ("security.protocol=TLS".into(), "security.protocol", "SASL_SSL"),
        ("security.protocol=SASL_SSL".into(), "sasl.jaas.config", "missing"),
        (jaas(CANARY), "sasl.jaas.config", "LoginModule required"),
        (
            jaas(&format!("{scram} username=\"u\" password=\"{CANARY}\";")),
            "sasl.jaas.config",
            "one of required",
        ),
        (jaas(&format!("{scram} required {CANARY};")), "sasl.jaas.config", "LoginModule required"),
        (
            jaas(&format!("{scram} required username=\"u\" password=\"{CANARY};")),
            "sasl.jaas.config",
            "not closed",
        ),
        (
            jaas(&format!("{scram} required username=\"u\" pass=\"{CANARY}\";")),
            "sasl.jaas.config",
            "\"password\"",
        ),
        (
            jaas(&format!("a.Krb5LoginModule required password=\"{CANARY}\";")),
            "sasl.jaas.config",
            "Krb5LoginModule",
        ),
        (
            store(&format!("ssl.truststore.type=PKCS12\nssl.truststore.password={CANARY}")),
            "ssl.truststore.password",
            "wrong",
        ),
        (store("ssl.truststore.type=PKCS12"), "ssl.truststore.password", "needs a password"),
        (store("ssl.truststore.type=PEM"), "ssl.truststore.type", "PKCS12"),
        (store("ssl.truststore.type=BKS"), "ssl.truststore.type", "PEM, PKCS12 or JKS"),
        ("security.protocol=SSL\nssl.truststore.location=/".into(), "ssl.truststore.location", "cannot read"),
        (
            "security.protocol=SSL\nssl.truststore.certificates=none".into(),
            "ssl.truststore.certificates",
            "no certificate",
        ),
        ("producer.acks=maybe".into(), "producer.acks", "maybe"),
        ("consumer.fetch.max.wait.ms=-5".into(), "consumer.fetch.max.wait.ms", "range"),
        ("consumer.security.protocol=SASL_SSL".into(), "consumer.sasl.jaas.config", "missing"),
        ("producer.interceptor.classes=X".into(), "producer.interceptor.classes", "Java class"),
        (
            format!(
                "producer.confluent.monitoring.interceptor.sasl.jaas.config={scram} required password=\"{CANARY}\";"
            ),
            "producer.confluent.monitoring.interceptor.sasl.jaas.config",
            "not a setting of Kafka's producer",
        ),
        (
            format!("consumer.sasl_jaas_config={CANARY}"),
            "consumer.sasl_jaas_config",
            "No such configuration property",
        ),
    ] {
        let text = refused(&format!("{MINIMAL}{lines}\n"));
        let place = text.find(&format!("{property}: ")).unwrap_or_else(|| panic!("{property} in {text}"));
        assert!(text[place..].contains(says), "{says:?} in {text}");
    }
}

/// A store whose password is not the one that the cases give.
fn truststore(folder: &Path) -> String {
    let validity = Validity::starting(OffsetDateTime::now_utc(), Duration::days(1));
    let authority = Authority::create(&AuthoritySpec { common_name: "Kafka".to_owned(), validity }).unwrap();
    let password = SecretString::from("another-password");
    let certificates = [authority.certificate().clone()];
    let bytes = pki::write_truststore(StoreKind::Pkcs12, &certificates, &password).unwrap();
    let file = folder.join("truststore.p12");
    fs::write(&file, bytes).unwrap();
    file.display().to_string()
}
