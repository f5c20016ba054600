//! The test bed itself: what it starts is real, and nothing of it stays.

use std::fs;
use std::io::ErrorKind::{self, ConnectionRefused, HostUnreachable};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use secrecy::SecretString;
use testbed::built;
use testbed::certificates::{Fault, KeyKind};
use testbed::connect::ConnectJvm;
use testbed::docker::image::Debian;
use testbed::docker::{Network, Reach, docker};
use testbed::kafka::{Kafka, KafkaSpec, Place, Security};
use testbed::postgres::Postgres;
use testbed::process::{Process, Program};
use testbed::ssh_host::{HostSpec, SshHost, Sshd, Sudo};
use testbed::wait;

#[tokio::test]
async fn a_kafka_with_logins_and_acls_takes_its_admin_and_nobody_else() {
    let spec = KafkaSpec { security: Security::sasl_ssl(), acls: true, ..KafkaSpec::default() };
    let kafka = Kafka::start(spec).await.unwrap();
    kafka.create_topic("there", 1).await.unwrap();
    let topics = kafka.admin_tool("org.apache.kafka.tools.TopicCommand", &["--list"]).await.unwrap();
    assert_eq!(topics.trim(), "there");

    kafka.create_user("somebody", &SecretString::from("somebody-password")).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let admin = kafka.admin_properties(dir.path()).unwrap();
    let somebody = admin.replace("\"admin\"", "\"somebody\"").replace(
        &format!("password=\"{}\"", secrecy::ExposeSecret::expose_secret(kafka.admin_password())),
        "password=\"somebody-password\"",
    );
    let seen = kafka.tool("org.apache.kafka.tools.TopicCommand", &["--list"], &somebody).await.unwrap();
    assert_eq!(seen.trim(), "", "a user without rights sees no topic");
    let wrong = somebody.replace("somebody-password", "wrong");
    let refused = kafka.tool("org.apache.kafka.tools.TopicCommand", &["--list"], &wrong).await.unwrap_err();
    assert!(refused.to_string().contains("Authentication failed"), "{refused}");
}

#[tokio::test]
async fn a_broken_certificate_is_refused_by_a_java_client() {
    for (fault, said) in [
        (Fault::Expired, "NotAfter"),
        (Fault::WithoutName, "No subject alternative names"),
        (Fault::OtherName, "No subject alternative names matching"),
    ] {
        let security = Security::SaslSsl { key: KeyKind::Rsa, fault: Some(fault) };
        let kafka = Kafka::start(KafkaSpec { security, ..KafkaSpec::default() }).await.unwrap();
        let refused = kafka
            .admin_tool("org.apache.kafka.tools.TopicCommand", &["--list"])
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(said), "{fault:?}: {refused}");
    }
}

#[tokio::test]
async fn brokers_in_a_network_of_their_own_are_out_of_reach_from_here() {
    let open = Network::create(Reach::ControlMachine).await.unwrap();
    let inner = Network::create(Reach::ContainersOnly).await.unwrap();
    assert!(open.is_routed_from_here().unwrap());
    assert!(!inner.is_routed_from_here().unwrap());

    let place = Place::Network(inner.clone());
    let spec = KafkaSpec { brokers: 3, place, security: Security::sasl_ssl(), ..KafkaSpec::default() };
    let mut kafka = Kafka::start(spec).await.unwrap();
    let (name, ip, port) = {
        let broker = &kafka.brokers()[0];
        (broker.host().to_owned(), broker.ip(), broker.port())
    };
    assert!((name.as_str(), port).to_socket_addrs().is_err(), "{name} must not resolve here");
    assert_eq!(connect_from_here(ip, port), HostUnreachable);

    let host = SshHost::start(Debian::Debian12, HostSpec::in_networks(&[&open, &inner])).await.unwrap();
    host.exec(&format!("timeout 5 bash -c '</dev/tcp/{name}/{port}'")).await.unwrap();
    kafka.create_topic("there", 3).await.unwrap();

    kafka.broker(1).kill().await.unwrap();
    kafka.broker(1).start().await.unwrap();
    host.exec(&format!("timeout 5 bash -c '</dev/tcp/{ip}/{port}'")).await.unwrap();
}

#[tokio::test]
async fn a_host_behind_a_jump_host_is_reached_through_it_alone() {
    let open = Network::create(Reach::ControlMachine).await.unwrap();
    let inner = Network::create(Reach::ContainersOnly).await.unwrap();
    let jump = SshHost::start_jump(HostSpec::in_networks(&[&open, &inner])).await.unwrap();
    let spec = HostSpec {
        sudo: Sudo::Password(SecretString::from("sudo-password")),
        sshd: Sshd::Only(inner.clone()),
        ..HostSpec::in_networks(&[&open, &inner])
    };
    let host = SshHost::start(Debian::Debian13, spec).await.unwrap();
    for network in [&open, &inner] {
        let address = host.address_in(network).await.unwrap();
        let error = connect_from_here(address.parse().unwrap(), host.port());
        let expected =
            if network.is_routed_from_here().unwrap() { ConnectionRefused } else { HostUnreachable };
        assert_eq!(error, expected, "{address}");
    }
    assert_eq!(
        host.exec("command -v docker docker-compose curl nc || echo bare").await.unwrap().trim(),
        "bare"
    );

    let dir = tempfile::tempdir().unwrap();
    let known_hosts = dir.path().join("known_hosts");
    let lines: String =
        [&jump, &host].map(|host| format!("{} {}\n", host.address(), host.host_key_line())).concat();
    fs::write(&known_hosts, lines).unwrap();
    let options = format!(
        "-o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} -i {}",
        known_hosts.display(),
        host.identity().display()
    );
    let proxy = format!("ssh {options} {}@{} -W %h:%p", jump.user(), jump.address());
    let login = format!("{}@{}", host.user(), host.address());
    let script = format!("ssh {options} -o 'ProxyCommand {proxy}' {login} 'sudo --stdin --prompt= id -u'");
    let args = ["-c", &script];
    let out = testbed::command::run_with_input("sh", "dash", &args, b"sudo-password\n").await.unwrap();
    assert_eq!(out.trim(), "0");
}

#[tokio::test]
async fn the_reference_worker_runs_a_connector() {
    let kafka = Kafka::start(KafkaSpec::default()).await.unwrap();
    let worker = ConnectJvm::start(&kafka, &[("group.id", "reference")]).await.unwrap();
    let plugins = worker.request("GET", "/connector-plugins", "").await.unwrap();
    assert!(plugins.body.contains("FileStreamSourceConnector"), "{plugins:?}");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lines");
    fs::write(&file, "one\ntwo\n").unwrap();
    kafka.create_topic("lines", 1).await.unwrap();
    let config = format!(
        r#"{{"connector.class": "FileStreamSource", "file": "{}", "topic": "lines",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter"}}"#,
        file.display()
    );
    let created = worker.request("PUT", "/connectors/lines/config", &config).await.unwrap();
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(kafka.console_consume("lines", None, 2).await.unwrap(), ["one", "two"]);
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn postgres_answers() {
    let server = Postgres::start().await.unwrap();
    let answer = server.sql("create table t (a int); insert into t values (1), (2); select sum(a) from t;");
    assert_eq!(answer.await.unwrap().trim(), "3");
}

#[tokio::test]
async fn a_panic_leaves_no_process_and_no_folder() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let panicked = tokio::task::spawn_blocking(move || {
        let body = AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let process = sleeper().await;
                sender.send(process.id().unwrap()).unwrap();
                panic!("a failed assertion");
            })
        });
        std::panic::catch_unwind(body).is_err()
    });
    assert!(panicked.await.unwrap());
    let id = receiver.recv().unwrap();
    assert!(!is_running(id), "process {id} outlived the panic");
}

#[tokio::test]
async fn sigkill_leaves_no_process_container_network_or_folder() {
    for (thing, ready) in [("kafka", "bootstrap.servers="), ("ssh-host", "ssh -i ")] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut victim = std::process::Command::new(built::program("testbed").unwrap())
            .arg(thing)
            .stdout(fs::File::create(&out).unwrap())
            .spawn()
            .unwrap();
        let is_ready = async || Ok(fs::read_to_string(&out).unwrap().contains(ready).then_some(()));
        wait::until(thing, Duration::from_secs(180), is_ready, String::new).await.unwrap();
        let before = marks_of(victim.id()).await;
        assert!(before.len() >= 2, "{before:?}");
        victim.kill().unwrap();
        victim.wait().unwrap();

        let is_gone = async || Ok(marks_of(victim.id()).await.is_empty().then_some(()));
        wait::until("nothing is left", Duration::from_secs(60), is_gone, || format!("{before:?}"))
            .await
            .unwrap();
    }
}

/// Everything that an owner with this process id has: processes, folders, containers, networks.
async fn marks_of(id: u32) -> Vec<String> {
    let mark = format!("owner-{id}-");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let command = fs::read_to_string(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        // The reaper names the folder too: it is gone when everything else is.
        found.extend(command.contains(&mark).then_some(command));
    }
    let run = testbed::owner::run_folder().unwrap();
    for entry in fs::read_dir(run).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        found.extend(name.starts_with(&mark).then_some(name));
    }
    let format = "{{.Name}} {{.Label \"provision-testbed.owner\"}}";
    let networks = docker(&["network", "ls", "--format", format]).await.unwrap();
    let format = "{{.Names}} {{.Label \"provision-testbed.owner\"}}";
    let containers = docker(&["ps", "--all", "--format", format]).await.unwrap();
    for line in networks.lines().chain(containers.lines()) {
        found.extend(line.contains(&format!(" {id}-")).then(|| line.to_owned()));
    }
    found
}

/// How a connection from this machine fails.
fn connect_from_here(ip: IpAddr, port: u16) -> ErrorKind {
    TcpStream::connect_timeout(&(ip, port).into(), Duration::from_secs(2)).unwrap_err().kind()
}

/// A process that would run for an hour.
async fn sleeper() -> Process {
    let dir = testbed::owner::dir("sleeper").unwrap();
    let program = Program {
        program: "sleep".into(),
        package: "coreutils",
        args: vec!["3600".to_owned()],
        env: Vec::new(),
        log: dir.join("log"),
    };
    let process = Process::start(&program).unwrap();
    let has_id = async || Ok(process.id());
    wait::until("sleep runs", Duration::from_secs(10), has_id, String::new).await.unwrap();
    process
}

fn is_running(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with("sleep\0"))
}
