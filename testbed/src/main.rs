//! Starts one real thing by hand, says how to reach it, and keeps it until Ctrl-C.

use std::io::Write;

use anyhow::Context;
use clap::{Parser, Subcommand};
use secrecy::ExposeSecret;
use testbed::kafka::{Kafka, KafkaSpec, Security};

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
        brokers: u16,
        /// SASL_SSL and SCRAM-SHA-512 in place of PLAINTEXT.
        #[arg(long)]
        sasl_ssl: bool,
        /// Check rights; only the admin has any at first.
        #[arg(long)]
        acls: bool,
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
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("print")
}

async fn until_interrupted() -> anyhow::Result<()> {
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")
}
