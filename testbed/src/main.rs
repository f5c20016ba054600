//! Starts one real thing by hand, says how to reach it, and keeps it until Ctrl-C.

use std::io::Write;

use anyhow::Context;
use clap::{Parser, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use testbed::connect::ConnectJvm;
use testbed::docker::image::{self, Debian};
use testbed::docker::{Docker, Network, Reach};
use testbed::kafka::{Kafka, KafkaSpec, Security};
use testbed::postgres::Postgres;
use testbed::ssh_host::{HostSpec, SshHost, Sshd, Sudo};

/// Starts one real thing, prints how to reach it, and keeps it until Ctrl-C.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    thing: Thing,
}

#[derive(Debug, Subcommand)]
enum Thing {
    /// Apache Kafka on loopback.
    Kafka {
        /// 1 or 3.
        #[arg(long, default_value_t = 1)]
        brokers: u8,
        /// SASL_SSL and SCRAM-SHA-512 in place of PLAINTEXT.
        #[arg(long)]
        sasl_ssl: bool,
        /// Check rights; only the admin has any at first.
        #[arg(long)]
        acls: bool,
    },
    /// Apache Kafka's own Connect worker, and a Kafka for it.
    Connect,
    /// PostgreSQL on loopback.
    Postgres,
    /// The Docker engine, if none answers.
    Docker,
    /// Every image, built ahead.
    Images,
    /// A server reached over SSH.
    SshHost {
        /// Debian's release: 12 or 13.
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u8).range(12..=13))]
        debian: u8,
        /// Ask the login for a password in sudo.
        #[arg(long)]
        sudo_password: bool,
        /// Hide it behind a jump host.
        #[arg(long)]
        jump: bool,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match Arguments::parse().thing {
        Thing::Kafka { brokers, sasl_ssl, acls } => {
            let security = if sasl_ssl { Security::sasl_ssl() } else { Security::Plaintext };
            let kafka = Kafka::start(KafkaSpec { brokers, security, acls, ..KafkaSpec::default() }).await?;
            say(&format!("bootstrap.servers={}", kafka.bootstrap()))?;
            if sasl_ssl {
                say(&format!("CA: {}", kafka.ca_file().display()))?;
                let password = kafka.admin_password().expose_secret();
                say(&format!("SCRAM-SHA-512: {} / {password}", kafka.admin_username()))?;
            }
            until_interrupted().await?;
            kafka.stop().await?;
        }
        Thing::Connect => {
            let kafka = Kafka::start(KafkaSpec::default()).await?;
            say(&format!("bootstrap.servers={}", kafka.bootstrap()))?;
            let worker = ConnectJvm::start(&kafka, &[]).await?;
            say(&format!("http://{}/", worker.address()))?;
            until_interrupted().await?;
            worker.stop().await?;
            kafka.stop().await?;
        }
        Thing::Postgres => {
            let server = Postgres::start().await?;
            let (user, password) = (server.username(), server.password().expose_secret());
            say(&format!("postgresql://{user}:{password}@127.0.0.1:{}/postgres", server.port()))?;
            until_interrupted().await?;
        }
        Thing::Docker => {
            Docker::ensure().await?;
            say("docker answers")?;
            until_interrupted().await?;
        }
        Thing::Images => {
            for image in image::ALL {
                say(&image.ensure().await?)?;
            }
        }
        Thing::SshHost { debian, sudo_password, jump } => ssh_host(debian, sudo_password, jump).await?,
    }
    Ok(())
}

async fn ssh_host(debian: u8, sudo_password: bool, jump: bool) -> anyhow::Result<()> {
    let release = if debian == 12 { Debian::Debian12 } else { Debian::Debian13 };
    let sudo = match sudo_password {
        true => Sudo::Password(SecretString::from("sudo-password")),
        false => Sudo::Passwordless,
    };
    let open = Network::create(Reach::ControlMachine).await?;
    let inner = Network::create(Reach::ContainersOnly).await?;
    let (_jump, way, sshd) = if jump {
        let host = SshHost::start_jump(HostSpec::in_networks(&[&open, &inner])).await?;
        say(&format!("jump host {}, host key {}", host.address(), host.host_key_line()))?;
        let way = format!(
            " -o 'ProxyCommand ssh -o StrictHostKeyChecking=no -i {} {}@{} -W %h:%p'",
            host.identity().display(),
            host.user(),
            host.address()
        );
        (Some(host), way, Sshd::Only(inner.clone()))
    } else {
        (None, String::new(), Sshd::Everywhere)
    };
    let host =
        SshHost::start(release, HostSpec { sudo, sshd, ..HostSpec::in_networks(&[&open, &inner]) }).await?;
    say(&format!("host key {}", host.host_key_line()))?;
    if sudo_password {
        say("sudo password: sudo-password")?;
    }
    let (identity, user, address) = (host.identity().display(), host.user(), host.address());
    say(&format!("ssh -i {identity}{way} {user}@{address}"))?;
    until_interrupted().await
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("print")
}

async fn until_interrupted() -> anyhow::Result<()> {
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")
}
