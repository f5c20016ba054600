//! A canary in every place where a secret is given or drawn, and a search for it wherever one could show. Each search is
//! first shown to find.

mod host;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use secrecy::{ExposeSecret, SecretString};
use testbed::http;
use testbed::kafka::Kafka;
use testbed::ssh_host::{HostSpec, SshHost, Sudo};

use crate::running::Subject;
use crate::search::canaries::escaped;
use crate::search::{Canaries, Sampler};
use crate::secured;

const CLUSTER: &str = "canaries";
const CHECK_FAILED: i32 = 4;

/// Letters that every format escapes in its own way.
const USER: &str = r#"user"7c1e\40d9 =:#'b{$x}%&+/f2"#;
const STORE: &str = r#"store"93ab\1f=:#'${y}%&+/77"#;
const SUDO: &str = "sudo+4be0/91cf=a6";
const CONNECTOR: &str = r#"connector"55d2\8e =:#'c0"#;
const WRONG: &str = r#"wrong"0a7b\c3 =:#'d4"#;

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_where_they_are_needed_and_nowhere_else() -> Result<()> {
    let (kafka, host) = secured::kafka_and_host(|networks| HostSpec {
        sudo: Sudo::Password(SecretString::from(SUDO)),
        // What sshd is told shows in the host's journal.
        // With the lock held, there is one session left for everything.
        sshd_config: "LogLevel DEBUG3\nMaxSessions 2\n".to_owned(),
        ..HostSpec::in_networks(networks)
    })
    .await?;
    let subject = subject(&kafka, &host)?;
    let mut canaries = Canaries::of(&[
        ("user", USER),
        ("store", STORE),
        ("sudo", SUDO),
        ("connector", CONNECTOR),
        ("admin", kafka.admin_password().expose_secret()),
    ])?;
    // As `ssh-keygen` writes Ed25519: before it are the header and the public key.
    canaries.add_key("identity", host.identity(), 4)?;
    host.exec(CONNECTOR_SECRET).await?;

    let sampler = Sampler::start(Some(subject.runtime()));
    let mut texts = BTreeMap::new();
    for words in [
        &["plan"][..],
        &["plan", "--json"],
        &["apply"],
        &["apply", "--json"],
        &["smoke"],
        &["records", "users"],
    ] {
        let ended = subject.start(words)?.end().await?;
        ensure!(
            ended.exit.is_some_and(|exit| [0, 7].contains(&exit)),
            "{words:?} ended with {:?}",
            ended.exit
        );
        texts.insert(words.join(" "), ended.said() + &ended.stdout);
    }
    let certs = subject.folder().join("certs").join(CLUSTER);
    canaries.add_files(&certs.join("secrets"))?;
    ensure!(certs.join("secrets/truststore").exists(), "the truststore's password was not drawn");

    rest_answers(&host, &canaries).await?;
    host::ensure_found_only_where_needed(&host, &canaries, CLUSTER).await?;

    no_core_files(&subject, &host).await?;

    // What failing runs say: every password in turn is a wrong one.
    canaries.add("wrong", WRONG)?;
    for name in ["sudo", "ADMIN", "STORE"] {
        let subject = match name {
            "sudo" => {
                fs::write(subject.folder().join("sudo"), WRONG)?;
                subject.elsewhere("certs")
            }
            variable => subject.with_variable(variable, WRONG),
        };
        for words in [&["plan"][..], &["apply", "--json"]] {
            let ended = subject.start(words)?.end().await?;
            ensure!(ended.exit == Some(CHECK_FAILED), "wrong {name}: {words:?} ended with {:?}", ended.exit);
            texts.insert(format!("{} with a wrong {name}", words.join(" ")), ended.said() + &ended.stdout);
        }
        fs::write(subject.folder().join("sudo"), SUDO)?;
    }

    for (name, text) in &texts {
        ensure!(text.lines().count() > 1, "{name} said nothing");
        canaries.ensure_absent(name, text)?;
    }
    let planted = format!("{}{}", texts["apply"], escaped(USER));
    ensure!(canaries.ensure_absent("planted", &planted).is_err(), "the search of texts is blind");

    ensure_control_machine_keeps_them_apart(&subject, &canaries)?;
    subject.expect(0, &["destroy", "--yes"]).await?;
    sampler.ensure_found_nothing(canaries)
}

/// A file that the workers read for a connector, as a person places it.
const CONNECTOR_SECRET: &str = r#"
mkdir -p /etc/provision/canaries/worker/secrets
cat >/etc/provision/canaries/worker/secrets/connector <<'END'
connector"55d2\8e =:#'c0
END
chown 0:65532 /etc/provision/canaries/worker/secrets/connector
chmod 440 /etc/provision/canaries/worker/secrets/connector
"#;

fn subject(kafka: &Kafka, host: &SshHost) -> Result<Subject> {
    let admin = kafka.admin_password().expose_secret().to_owned();
    let variables = [("ADMIN", admin.as_str()), ("STORE", STORE), ("PROVISION_LOG", "trace")];
    let variables = [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")].into_iter().chain(variables);
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let subject = Subject::new(&inventory(kafka, host), variables)?;
    let folder = subject.folder();
    let trusted = pki::certificates_from_pem(kafka.ca_pem().context("Kafka has TLS")?)?;
    let store = pki::write_truststore(pki::StoreKind::Pkcs12, &trusted, &SecretString::from(STORE))?;
    fs::write(folder.join("kafka-ca.p12"), store)?;
    fs::write(folder.join("user"), format!("{USER}\n"))?;
    fs::write(folder.join("sudo"), format!("{SUDO}\n"))?;
    Ok(subject)
}

fn inventory(kafka: &Kafka, host: &SshHost) -> String {
    let broker = &kafka.brokers()[0];
    let (address, key, user) = (host.address(), host.host_key_line(), host.user());
    let (name, ip, bootstrap) = (broker.host(), broker.ip(), broker.address());
    let identity = host.identity().display();
    format!(
        "cluster: {CLUSTER}\nhosts:\n  w1:\n    address: {address}\n    \
         ssh: {{ host_key: {key}, sudo: {{ password: {{ command: [cat, sudo] }} }} }}\n\
         ssh: {{ user: {user}, identity: {identity} }}\n\
         kafka:\n  bootstrap: [\"{bootstrap}\"]\n  security: SASL_SSL\n  \
         trust: {{ pkcs12: ./kafka-ca.p12, password: {{ env: STORE }} }}\n  \
         admin: {{ username: admin, password: {{ env: ADMIN }} }}\n  \
         user: {{ password: {{ file: ./user }}, acls: create }}\n  extra_hosts: {{ {name}: {ip} }}\n\
         connect:\n  topics: {{ config: {{ replication: 1 }}, offset: {{ replication: 1 }}, status: {{ replication: 1 }} }}\n  rest: {{ bind: all }}\n\
         topics:\n  users: {{ partitions: 2, replication: 1 }}\n\
         connectors:\n  users:\n    connector.class: DatagenConnector\n    kafka.topic: users\n    \
         quickstart: users\n    max.interval: 20\n    tasks.max: 1\n    \
         database.password: ${{secrets:/etc/connect/secrets:connector}}\n"
    )
}

/// Everything that the REST API tells of connectors, as it stands.
async fn rest_answers(host: &SshHost, canaries: &Canaries) -> Result<()> {
    let rest = format!("{}:8083", host.address());
    let paths = ["", "/config", "/status", "/tasks", "/tasks-config", "/topics", "/offsets"];
    let read = async |name: &str| -> Result<String> {
        let mut told = String::new();
        for path in paths {
            let answer = http::request(&rest, "GET", &format!("/connectors/{name}{path}"), "").await?;
            told += &format!("{} {}\n", answer.head, answer.body);
        }
        for path in ["/", "/connectors?expand=info&expand=status", "/admin/loggers"] {
            told += &http::request(&rest, "GET", path, "").await?.body;
        }
        Ok(told)
    };
    let told = read("users").await?;
    ensure!(told.contains("${secrets:/etc/connect/secrets:connector}"), "the reference is told: {told}");
    canaries.ensure_absent("REST", &told)?;

    // A secret that somebody has put into a config by hand is told, and found.
    let config = serde_json::json!({
        "connector.class": "DatagenConnector", "kafka.topic": "users", "quickstart": "users", "password": USER,
    });
    http::request(&rest, "PUT", "/connectors/careless/config", &config.to_string()).await?;
    let told = read("careless").await?;
    http::request(&rest, "DELETE", "/connectors/careless", "").await?;
    ensure!(canaries.ensure_absent("REST", &told).is_err(), "the search of answers is blind: {told}");
    Ok(())
}

/// Neither program leaves an image of its memory behind, whatever the machine's limits say.
async fn no_core_files(subject: &Subject, host: &SshHost) -> Result<()> {
    let limit = |limits: &str| -> Option<String> {
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
        line.split_whitespace().next().map(str::to_owned)
    };
    let mut run = subject.start(&["plan"])?;
    run.until(|line| line.ends_with(": connected")).await?;
    let ours = fs::read_to_string(format!("/proc/{}/limits", run.id()?))?;
    run.end().await?;
    let worker = format!(
        "cat /proc/$(docker inspect --format '{{{{.State.Pid}}}}' provision-{CLUSTER}-worker)/limits"
    );
    let theirs = host.exec(&worker).await?;
    // One byte: a core file does not fit, and a program that takes cores is not started for it either.
    ensure!(limit(&ours).as_deref() == Some("1"), "provision may leave a core file: {ours}");
    ensure!(limit(&theirs).as_deref() == Some("1"), "the worker may leave a core file: {theirs}");
    Ok(())
}

/// On the control machine secrets are in the files they came from and in the cluster's `secrets/`.
fn ensure_control_machine_keeps_them_apart(subject: &Subject, canaries: &Canaries) -> Result<()> {
    let mut found = Vec::new();
    let mut folders = vec![subject.folder().to_owned(), subject.runtime().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && canaries.first_in(&fs::read(&path)?).is_some() {
                found.push(path);
            }
        }
    }
    let secrets = subject.folder().join("certs").join(CLUSTER).join("secrets");
    let is_source = |path: &Path| ["user", "sudo"].iter().any(|name| path == subject.folder().join(name));
    ensure!(found.iter().any(|path| path.starts_with(&secrets)), "the search of files is blind: {found:?}");
    found.retain(|path| !is_source(path) && !path.starts_with(&secrets));
    ensure!(found.is_empty(), "a secret is in {found:?}");
    Ok(())
}
