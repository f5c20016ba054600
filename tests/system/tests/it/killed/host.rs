//! What only a host behind SSH has: packages, images, containers, sessions, and other control machines.

use anyhow::{Context, Result, ensure};
use secrecy::ExposeSecret;
use testbed::kafka::Kafka;
use testbed::ssh_host::{HostSpec, SshHost};
use testbed::wait;

use super::PATIENCE;
use crate::running::{Signal, Steps, Subject, TERMINATED, processes_with};
use crate::secured;

const CLUSTER: &str = "killed";
/// Exit code when another run has the cluster.
const LOCKED: i32 = 6;
/// What is kept of the control machine's folder, so that two clusters are alike to the byte.
const DRAWN: [&str; 4] = ["ca.key", "ca.pem", "secrets", "stores"];

#[tokio::test(flavor = "multi_thread")]
async fn host_comes_to_the_same_end_however_often_a_run_is_killed() -> Result<()> {
    let (kafka, host) = secured::kafka_and_host(HostSpec::in_networks).await?;
    let subject = Subject::new(
        &inventory(&kafka, &host),
        vec![("ADMIN_PASSWORD".to_owned(), kafka.admin_password().expose_secret().to_owned())],
    )?;
    std::fs::write(subject.folder().join("kafka-ca.pem"), kafka.ca_pem().context("Kafka has TLS")?)?;

    installations_are_let_finish(&subject, &host).await?;

    // The same installation cut off, and then every step, one run after the other.
    host.exec("DEBIAN_FRONTEND=noninteractive apt-get purge -y docker.io docker-compose >/dev/null").await?;
    let mut struck = Vec::new();
    loop {
        let mut run = subject.start(&["apply"])?;
        let mut last = String::new();
        let is_new = |line: &str| is_step(line) && !struck.iter().any(|seen| seen == line);
        if !run.reaches(is_new, &mut last).await? {
            run.end().await?.ensure(0, &["is as the inventory says"])?;
            break;
        }
        if last.contains("Worker image: image ") {
            run.signal(Signal::STOP)?;
            another_machine_is_refused(&subject).await?;
        }
        run.signal(Signal::KILL)?;
        run.end().await?;
        ensure_nothing_runs(&subject, &host).await?;
        struck.push(last);
    }
    ensure!(struck.len() == 10, "the strikes: {struck:#?}");
    let after_kills = state(&host).await?;

    let certs = subject.folder().join("certs").join(CLUSTER);
    let kept = subject.folder().join("kept");
    copy(&certs, &kept).await?;
    subject.expect(0, &["destroy", "--yes"]).await?;
    copy(&kept, &certs).await?;
    let whole = subject.expect(0, &["apply"]).await?;
    ensure!(Steps::of(&whole).boundaries.len() >= 13, "a phase says nothing when it is done");
    let wanted = state(&host).await?;
    for (ours, theirs) in after_kills.lines().zip(wanted.lines()) {
        ensure!(ours == theirs, "after the kills: {ours}\nwithout them: {theirs}");
    }
    ensure!(after_kills == wanted && wanted.lines().count() > 100, "{wanted}");
    Ok(())
}

/// Begin and end of what is done on hosts; the lab has the rest.
fn is_step(line: &str) -> bool {
    ["Docker", "Worker image", "Worker files", "Services", "Connectors"].iter().any(|title| {
        line == format!("{title}: verified") || line.ends_with('…') && line.contains(&format!(": {title}: "))
    })
}

/// A run that is told to stop while packages are installed waits for them.
async fn installations_are_let_finish(subject: &Subject, host: &SshHost) -> Result<()> {
    let mut run = subject.start(&["apply"])?;
    run.until(|line| line.contains(": Docker: ") && line.ends_with('…')).await?;
    let installs = async || Ok((!host.exec("pgrep -x apt-get || true").await?.is_empty()).then_some(()));
    wait::until("packages are being installed", PATIENCE, installs, String::new).await?;
    run.signal(Signal::TERM)?;
    run.end().await?.ensure(TERMINATED, &["Done:\n  w1: ", "Not reached:\n", "go on  provision apply"])?;
    let broken = host.exec("dpkg --audit; pgrep -x 'apt-get|dpkg' || true").await?;
    ensure!(broken.is_empty(), "half installed: {broken}");
    host.exec("command -v dockerd").await?;
    ensure_nothing_runs(subject, host).await
}

/// A second control machine with the cluster's folder may not change a host while a run has it.
async fn another_machine_is_refused(subject: &Subject) -> Result<()> {
    let folder = subject.folder();
    let copied =
        tokio::process::Command::new("cp").args(["-r", "certs", "others"]).current_dir(folder).status();
    ensure!(copied.await?.success(), "cp failed");
    let ended = subject.elsewhere("others").start(&["apply"])?.end().await?;
    ended
        .ensure(LOCKED, &["w1: lock: another run is changing this host: ada@", "wait until it has ended"])?;
    ended.ensure(LOCKED, &["0 changes made"])
}

/// Neither here nor there, as soon as what was begun is ended.
async fn ensure_nothing_runs(subject: &Subject, host: &SshHost) -> Result<()> {
    // Every script of ours has this word in its command line.
    let remote =
        async || Ok(host.exec("pgrep -f '[p]rovision-begin' || true").await?.is_empty().then_some(()));
    let limit = PATIENCE * 3;
    wait::until("no script of ours runs on the host", limit, remote, String::new).await?;
    let runtime = subject.runtime().display().to_string();
    let masters = async || Ok(processes_with(&runtime)?.is_empty().then_some(()));
    Ok(wait::until("no SSH master runs", PATIENCE, masters, || format!("{:?}", processes_with(&runtime)))
        .await?)
}

/// Everything of ours on a host, a line each: files with their content, packages, images, containers.
async fn state(host: &SshHost) -> Result<String> {
    let script = r#"
find /etc/provision -printf '%M %U %G %p\n' | sort
find /etc/provision -type f ! -name marker ! -name journal.jsonl -exec sha256sum {} + | sort -k 2
find / -xdev -name '*.provision-new' -o -xdev -path '/tmp/*' ! -path '/tmp/systemd-*' | sort
dpkg-query -W -f '${Package} ${Version} ${Status}\n'
systemctl is-enabled docker; systemctl is-active docker
docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort
docker network ls --format '{{.Name}} {{.Driver}}' | sort
docker volume ls --quiet | sort
for container in $(docker ps --all --format '{{.Names}}' | sort); do
  docker inspect --format '{{.Name}} {{.State.Status}} {{.Image}} {{json .HostConfig}} {{json .Config.Labels}} {{json .Config.Env}} {{.Config.User}}' "$container"
done
"#;
    Ok(host.exec(script).await?)
}

async fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for name in DRAWN {
        // A cluster on a Kafka of others has no authority of its own.
        if from.join(name).exists() {
            let copied = tokio::process::Command::new("cp").arg("-r").arg(from.join(name)).arg(to).status();
            ensure!(copied.await?.success(), "cp failed");
        }
    }
    Ok(())
}

fn inventory(kafka: &Kafka, host: &SshHost) -> String {
    let broker = &kafka.brokers()[0];
    let (address, key, user) = (host.address(), host.host_key_line(), host.user());
    let (name, ip, bootstrap) = (broker.host(), broker.ip(), broker.address());
    let identity = host.identity().display();
    format!(
        "cluster: {CLUSTER}\nhosts:\n  w1:\n    address: {address}\n    ssh: {{ host_key: {key} }}\n\
         ssh: {{ user: {user}, identity: {identity} }}\n\
         kafka:\n  bootstrap: [\"{bootstrap}\"]\n  security: SASL_SSL\n  trust: {{ pem: ./kafka-ca.pem }}\n  \
         admin: {{ username: admin, password: {{ env: ADMIN_PASSWORD }} }}\n  user: {{ acls: create }}\n  \
         extra_hosts: {{ {name}: {ip} }}\n\
         connect:\n  topics: {{ config: {{ replication: 1 }}, offset: {{ replication: 1 }}, status: {{ replication: 1 }} }}\n\
         topics:\n  users: {{ partitions: 2, replication: 1 }}\n\
         connectors:\n  users:\n    connector.class: DatagenConnector\n    kafka.topic: users\n    \
         quickstart: users\n    max.interval: 20\n    tasks.max: 1\n"
    )
}
