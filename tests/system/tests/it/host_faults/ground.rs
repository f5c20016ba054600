//! Two bare hosts and one broker, for faults that strike while changes are made.

use anyhow::{Result, ensure};
use testbed::docker::image::Debian;
use testbed::docker::{Network, Reach};
use testbed::kafka::{Kafka, KafkaSpec, Place};
use testbed::ssh_host::{HostSpec, SshHost};
use testbed::wait;

use super::PATIENCE;
use super::leftovers::{Digest, digest, leftovers};
use super::program::Program;

pub(super) const BOOKWORM: &str = "bookworm";
pub(super) const TRIXIE: &str = "trixie";

pub(super) struct Ground {
    pub(super) bookworm: SshHost,
    /// Its files lie on a file system of their own.
    pub(super) trixie: SshHost,
    pub(super) program: Program,
    _kafka: Kafka,
}

impl Ground {
    pub(super) async fn lay() -> Result<Self> {
        let open = Network::create(Reach::ControlMachine).await?;
        // A host that loses its power comes back at the same address.
        let at = |last: u8| HostSpec {
            options: vec!["--ip".to_owned(), open.address(last).to_string()],
            ..HostSpec::in_networks(&[&open])
        };
        let spec = KafkaSpec { place: Place::Network(open.clone()), ..KafkaSpec::default() };
        let (kafka, bookworm, trixie) = tokio::try_join!(
            Kafka::start(spec),
            SshHost::start(Debian::Debian12, at(50)),
            SshHost::start(Debian::Debian13, at(51)),
        )?;
        trixie.exec("mount -t tmpfs -o size=1g tmpfs /srv").await?;
        let ground = Self { bookworm, trixie, program: Program::new()?, _kafka: kafka };
        ground.program.set_inventory(&ground.inventory())?;
        Ok(ground)
    }

    /// Both hosts, with the names that the inventory gives them.
    pub(super) fn hosts(&self) -> [(&'static str, &SshHost); 2] {
        [(BOOKWORM, &self.bookworm), (TRIXIE, &self.trixie)]
    }

    pub(super) fn host(&self, name: &str) -> &SshHost {
        if name == BOOKWORM { &self.bookworm } else { &self.trixie }
    }

    fn inventory(&self) -> String {
        let Self { bookworm, trixie, _kafka: kafka, .. } = self;
        let broker = kafka.brokers().first().expect("there is one broker");
        format!(
            "\
cluster: faults
hosts:
  {BOOKWORM}: {{ address: {}, ssh: {{ host_key: {} }} }}
  {TRIXIE}: {{ address: {}, ssh: {{ host_key: {} }}, connect: {{ directory: /srv/provision }} }}
ssh: {{ user: {}, identity: {} }}
kafka:
  bootstrap: [{}]
  security: PLAINTEXT
  extra_hosts: {{ {}: {} }}
connect:
  topics: {{ config: {{ replication: 1 }}, offset: {{ replication: 1 }}, status: {{ replication: 1 }} }}
",
            bookworm.address(),
            bookworm.host_key_line(),
            trixie.address(),
            trixie.host_key_line(),
            bookworm.user(),
            bookworm.identity().display(),
            broker.address(),
            broker.host(),
            broker.ip(),
        )
    }

    /// What lies on both hosts.
    pub(super) async fn digests(&self) -> Result<[Digest; 2]> {
        Ok([digest(&self.bookworm).await?, digest(&self.trixie).await?])
    }

    /// Fails if a run left anything behind, here or there. What the hosts notice by themselves that we are gone, they
    /// notice a moment later.
    pub(super) async fn ensure_clean(&self) -> Result<()> {
        self.program.ensure_clean().await?;
        for (name, host) in self.hosts() {
            let mut last = Vec::new();
            let is_clean = async || {
                last = leftovers(host).await.unwrap_or_else(|error| vec![error.to_string()]);
                Ok(last.is_empty().then_some(()))
            };
            let clean = wait::until("nothing is left", PATIENCE, is_clean, String::new).await;
            ensure!(clean.is_ok(), "left on {name}: {last:?}");
        }
        Ok(())
    }

    /// Runs until everything is as it should be, and once more, which changes nothing.
    pub(super) async fn converge(&self) -> Result<()> {
        self.program.expect(0, &["--yes"]).await?;
        let run = self.program.expect(0, &["--yes"]).await?;
        ensure!(run.says("0 changes made"), "the second run has something to do");
        Ok(())
    }
}
