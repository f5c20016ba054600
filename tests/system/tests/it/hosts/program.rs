//! `provision` with an inventory of a few hosts and a broker that is no broker: enough for phases that look at hosts.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use testbed::built;
use testbed::ssh_host::SshHost;
use tokio::process::{Child, Command};

use crate::programs::RUN_LIMIT;

/// A host of the inventory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) host_key: Option<String>,
    /// YAML of `ssh.sudo`.
    pub(crate) sudo: String,
    /// YAML of `ssh.jump`.
    pub(crate) jump: String,
}

impl Entry {
    pub(crate) fn new(name: &str, host: &SshHost) -> Self {
        Self {
            name: name.to_owned(),
            address: host.address().to_owned(),
            port: host.port(),
            user: host.user().to_owned(),
            host_key: Some(host.host_key_line().to_owned()),
            sudo: "passwordless".to_owned(),
            jump: "[]".to_owned(),
        }
    }

    /// The same host behind a jump host that is expected to show `host_key`.
    pub(crate) fn through(mut self, jump: &SshHost, host_key: &str) -> Self {
        self.jump = format!(
            "[{{ address: {}, user: {}, identity: {}, host_key: {host_key} }}]",
            jump.address(),
            jump.user(),
            jump.identity().display()
        );
        self
    }
}

/// The program and its inventory, in a folder of their own.
pub(crate) struct Program {
    folder: TempDir,
    program: PathBuf,
    inventory: String,
}

/// How a run ended and all that it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) exit: i32,
    text: String,
}

impl Run {
    pub(crate) fn says(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

impl Program {
    /// `reachable` stands for the broker: its sshd answers.
    pub(crate) fn new(reachable: &SshHost, entries: Vec<Entry>) -> Result<Self> {
        let mut inventory = "cluster: hosts\nhosts:\n".to_owned();
        for entry in entries {
            let Entry { name, address, port, user, host_key, sudo, jump } = entry;
            let host_key = host_key.map(|key| format!(", host_key: {key}")).unwrap_or_default();
            inventory += &format!(
                "  {name}:\n    address: {address}\n    \
                 ssh: {{ port: {port}, user: {user}, sudo: {sudo}, jump: {jump}{host_key} }}\n"
            );
        }
        inventory += &format!(
            "ssh: {{ identity: {} }}\n\
             kafka:\n  bootstrap: [\"broker.test:{}\"]\n  security: PLAINTEXT\n  extra_hosts: {{ broker.test: {} }}\n",
            reachable.identity().display(),
            reachable.port(),
            reachable.address()
        );
        Self::with_inventory(inventory)
    }

    /// The same hosts with more to say.
    pub(crate) fn with(self, more: &str) -> Result<Self> {
        Self::with_inventory(self.inventory + more)
    }

    /// The same folder, and with it everything that was made, with another last section.
    pub(crate) fn with_last(self, section: &str) -> Result<Self> {
        let at = self.inventory.trim_end().rfind('\n').map_or(0, |at| at + 1);
        let inventory = self.inventory[..at].to_owned() + section;
        fs::write(self.folder.path().join("inventory.yml"), &inventory)?;
        Ok(Self { inventory, ..self })
    }

    fn with_inventory(inventory: String) -> Result<Self> {
        let folder = TempDir::new()?;
        fs::write(folder.path().join("inventory.yml"), &inventory)?;
        Ok(Self { folder, program: built::program("provision")?, inventory })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .args(["--inventory", "inventory.yml"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.folder.path())
            // Short, and this test's own: control sockets lie here, so masters of other runs are not taken for its.
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("RIGHT", "right")
            .env("WRONG", "wrong")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) fn start(&self, words: &[&str]) -> Result<Child> {
        Ok(self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    pub(crate) async fn run(&self, words: &[&str]) -> Result<Run> {
        let output = tokio::time::timeout(RUN_LIMIT, self.command(words).output()).await;
        let output =
            output.with_context(|| format!("provision {words:?} takes longer than {RUN_LIMIT:?}"))??;
        let text = String::from_utf8(output.stderr)? + &String::from_utf8(output.stdout)?;
        let exit = output.status.code().with_context(|| output.status.to_string())?;
        say(&format!("$ provision {}\n{text}[exit {exit}]", words.join(" ")));
        Ok(Run { exit, text })
    }

    pub(crate) async fn expect(&self, exit: i32, words: &[&str]) -> Result<Run> {
        let run = self.run(words).await?;
        ensure!(run.exit == exit, "provision {words:?} ended with {}, not {exit}", run.exit);
        Ok(run)
    }

    /// Process ids of SSH masters of this folder's runs.
    pub(crate) fn masters(&self) -> Result<Vec<u32>> {
        let folder = self.folder.path().display().to_string();
        let mut masters = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Ok(id) = entry.file_name().to_string_lossy().parse() else { continue };
            // A process may end while it is looked at.
            let Ok(words) = fs::read(entry.path().join("cmdline")) else { continue };
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            if words.starts_with("ssh ") && words.contains(&folder) {
                masters.push(id);
            }
        }
        Ok(masters)
    }
}

#[expect(clippy::print_stdout, reason = "a failed test shows what the program said")]
fn say(text: &str) {
    println!("{text}");
}
