//! The tools: what each is told, how it is started, and how it says that it is done.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::Latency;
use super::ground::{Ground, port};
use crate::bench::{Bench, workspace};
use crate::report::say;

/// Longer than any run takes.
const LIMIT: Duration = Duration::from_secs(900);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Provision,
    Ansible,
    Pyinfra,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Ansible => "ansible-core",
            Self::Pyinfra => "pyinfra",
        }
    }
}

/// Everything that a run needs to know.
pub(crate) struct Case<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) ground: &'a Ground,
    pub(crate) cluster: &'static str,
    pub(crate) count: usize,
    pub(crate) latency: Latency,
    /// Where the peers are installed; `None` when they are left out.
    pub(crate) peers: Option<&'a Path>,
}

impl Case<'_> {
    /// Runs a tool once. Returns the seconds from its start to its end, and what it printed.
    pub(crate) async fn run(&self, tool: Tool, words: &[&str]) -> anyhow::Result<(f64, String)> {
        let mut command = match tool {
            Tool::Provision => self.provision(words)?,
            Tool::Ansible => self.ansible()?,
            Tool::Pyinfra => self.pyinfra()?,
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let began = Instant::now();
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        let took = began.elapsed().as_secs_f64();
        let name = tool.name();
        let output = output.with_context(|| format!("{name} takes too long"))??;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {}\n{}\n{}", output.status, tail(&said), tail(&errors));
        if tool == Tool::Ansible {
            self.end_connections().await;
        }
        Ok((took, said))
    }

    fn provision(&self, words: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(self.bench.program("provision")?);
        command
            .arg("--inventory")
            .arg(self.ground.inventory(self.cluster, self.count, self.latency)?)
            .arg("--certs")
            .arg(self.ground.path("certs"))
            .arg("--yes")
            .args(words)
            .env("CONNECT_WORKER_BIN", self.bench.program("connect-worker")?);
        Ok(command)
    }

    fn ansible(&self) -> anyhow::Result<Command> {
        let about = self.about()?;
        let mut inventory = "[workers]\n".to_owned();
        for worker in about["workers"].as_array().into_iter().flatten() {
            let (name, address) = (worker["name"].as_str(), worker["address"].as_str());
            let (name, address) = (name.context("a name")?, address.context("an address")?);
            inventory += &format!("{name} ansible_host={address} ansible_port={}\n", port(self.latency));
        }
        let (user, identity) = (about["user"].as_str(), about["identity"].as_str());
        inventory += &format!(
            "[workers:vars]\nansible_user={}\nansible_ssh_private_key_file={}\n",
            user.context("a user")?,
            identity.context("an identity")?
        );
        self.ground.write("ansible.ini", &inventory)?;
        let peers = workspace().join("benches/peers/ansible");
        let known_hosts = self.ground.path("known_hosts");
        let mut command = Command::new(self.peer("ansible-playbook")?);
        command
            .arg("--inventory")
            .arg(self.ground.path("ansible.ini"))
            .arg("--extra-vars")
            .arg(format!("@{}", self.ground.path("about.json").display()))
            .arg(peers.join("site.yml"))
            .env("ANSIBLE_CONFIG", peers.join("ansible.cfg"))
            .env("ANSIBLE_HOME", self.ground.path("ansible"))
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.control())
            .env(
                "ANSIBLE_SSH_ARGS",
                format!(
                    "-F none -o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=yes \
                     -o UserKnownHostsFile={}",
                    known_hosts.display()
                ),
            );
        Ok(command)
    }

    fn pyinfra(&self) -> anyhow::Result<Command> {
        let peers = workspace().join("benches/peers/pyinfra");
        let mut command = Command::new(self.peer("pyinfra")?);
        command
            .args(["--yes", "inventory.py", "deploy.py"])
            .current_dir(peers)
            .env("ABOUT", self.ground.path("about.json"))
            .env("SSH_PORT", port(self.latency).to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }

    /// A short folder: a control socket's path has about a hundred characters.
    fn control(&self) -> PathBuf {
        self.ground.path("c")
    }

    /// The next run of Ansible finds no connection of the last one.
    async fn end_connections(&self) {
        for entry in std::fs::read_dir(self.control()).into_iter().flatten().flatten() {
            let mut command = Command::new("ssh");
            command.args(["-O", "exit", "-S"]).arg(entry.path()).arg("host");
            // One that is gone has ended by itself.
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().await.ok();
        }
    }

    fn about(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&std::fs::read_to_string(self.ground.path("about.json"))?)?)
    }

    fn peer(&self, name: &str) -> anyhow::Result<PathBuf> {
        let peers = self.peers.context("the peers are installed")?;
        Ok(peers.join("bin").join(name))
    }
}

/// Installs the peers from PyPI into a folder of the build, once.
pub(crate) async fn install_peers() -> anyhow::Result<PathBuf> {
    let folder = workspace().join("target/benchmarks-peers");
    let wanted = workspace().join("benches/peers/requirements.txt");
    let stamp = folder.join("requirements.txt");
    if std::fs::read(&stamp).ok() == Some(std::fs::read(&wanted)?) {
        return Ok(folder);
    }
    say("installing ansible-core and pyinfra");
    let python = Command::new("python3").args(["-m", "venv"]).arg(&folder).status().await?;
    ensure!(python.success(), "python3 -m venv: {python}; on Debian it is in the package python3-venv");
    let pip = folder.join("bin/pip");
    let pip = Command::new(pip).args(["install", "--quiet", "--requirement"]).arg(&wanted).status().await?;
    ensure!(pip.success(), "pip install: {pip}");
    std::fs::copy(&wanted, &stamp)?;
    Ok(folder)
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
