//! The control machine: an account with a home folder, an agent, and the program under test.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::docker::image::{Debian, Image};
use testbed::docker::{Container, Network};
use testbed::{built, wait};

const PATIENCE: Duration = Duration::from_secs(60);

/// A container with the account `ann`, whose files are written relative to the folder she works in.
pub(super) struct Control {
    container: Container,
    /// Public half of her key, which has a passphrase.
    pub(super) public_key: String,
}

/// How a run ended and all that it said.
pub(super) struct Run {
    command: String,
    exit: i32,
    text: String,
}

impl Run {
    pub(super) fn expect(&self, exit: i32, says: &[&str]) -> Result<()> {
        let Self { command, text, .. } = self;
        ensure!(self.exit == exit, "{command} ended with {}, not {exit}:\n{text}", self.exit);
        for said in says {
            ensure!(text.contains(said), "{command} does not say `{said}`:\n{text}");
        }
        Ok(())
    }
}

impl Control {
    pub(super) async fn start(network: &Network) -> Result<Self> {
        // The newer libc, so that a program built on either release runs.
        let image = Image::Host(Debian::Debian13).ensure().await?;
        let program = built::program("provision")?;
        let options = [
            "--volume".to_owned(),
            format!("{}:/usr/local/bin/provision:ro", program.display()),
            "--cap-add".to_owned(),
            "NET_ADMIN".to_owned(),
            "--sysctl".to_owned(),
            "net.ipv6.conf.all.disable_ipv6=0".to_owned(),
        ];
        // A shell that waits takes care of processes whose parents are gone.
        let command = ["sh", "-c", "sleep infinity & wait"].map(str::to_owned);
        let container = Container::run("control", &image, &[network], &[], &options, &command).await?;
        let public_key = container.exec(ACCOUNT).await?.trim().to_owned();
        Ok(Self { container, public_key })
    }

    /// Runs a script as root.
    pub(super) async fn exec(&self, script: &str) -> Result<String> {
        Ok(self.container.exec(script).await?)
    }

    /// Runs a script as the account, in the folder it works in.
    async fn as_ann(&self, script: &str) -> Result<String> {
        Ok(self
            .container
            .exec(&format!("su - ann -s /bin/sh <<'AS_ANN'\nset -e\ncd work\n{script}\nAS_ANN"))
            .await?)
    }

    pub(super) async fn write(&self, path: &str, text: &str) -> Result<()> {
        self.as_ann(&format!("cat >{path} <<'END_OF_FILE'\n{}\nEND_OF_FILE", text.trim_end())).await?;
        Ok(())
    }

    pub(super) async fn append(&self, path_in_home: &str, line: &str) -> Result<()> {
        self.as_ann(&format!("echo '{line}' >>~/{path_in_home}")).await?;
        Ok(())
    }

    pub(super) async fn read(&self, path_in_home: &str) -> Result<String> {
        self.as_ann(&format!("cat ~/{path_in_home}")).await
    }

    /// Takes a host out of the known ones; names are hashed there.
    pub(super) async fn forget_host(&self, address: &str) -> Result<()> {
        let before = self.read(".ssh/known_hosts").await?;
        ensure!(!before.contains(address), "{address} is not hashed in known_hosts");
        self.as_ann(&format!("ssh-keygen -R {address} 2>/dev/null")).await?;
        ensure!(self.read(".ssh/known_hosts").await? != before, "{address} was not in known_hosts");
        Ok(())
    }

    /// Hashes the names that stand in known_hosts.
    pub(super) async fn hash_known_hosts(&self) -> Result<()> {
        self.as_ann("ssh-keygen -H -f ~/.ssh/known_hosts 2>/dev/null; rm -f ~/.ssh/known_hosts.old").await?;
        Ok(())
    }

    /// Starts an agent and gives it the key.
    pub(super) async fn start_agent(&self) -> Result<()> {
        self.as_ann(AGENT).await?;
        Ok(())
    }

    pub(super) async fn run(&self, inventory: &str, words: &[&str]) -> Result<Run> {
        let command = format!("provision {} --inventory {inventory}", words.join(" "));
        let script =
            format!("export SSH_AUTH_SOCK=$HOME/agent\nset +e\n{command} 2>&1 </dev/null\necho \"exit=$?\"");
        let answer = self.as_ann(&script).await?;
        let (text, exit) = answer.trim_end().rsplit_once("exit=").context(answer.clone())?;
        say(&format!("$ {command}\n{text}[exit {exit}]"));
        Ok(Run { exit: exit.parse()?, text: text.to_owned(), command })
    }

    /// Waits until no ssh of hers runs and no folder of a run is left.
    pub(super) async fn ensure_nothing_left(&self, after: &str) -> Result<()> {
        let mut left = String::new();
        let look =
            "pgrep -u ann -a -x ssh || true; find /tmp /run/user -name 'provision-ssh-*' 2>/dev/null || true";
        let is_clean = async || {
            left = self.container.exec(look).await?;
            Ok(left.trim().is_empty().then_some(()))
        };
        let what = format!("no ssh is left on the control machine after {after}");
        let clean = wait::until(&what, PATIENCE, is_clean, String::new).await;
        clean.with_context(|| left)
    }
}

/// Makes the account and its key; prints the public half.
const ACCOUNT: &str = r#"
useradd --create-home --shell /bin/bash ann
install -d -m 700 -o ann -g ann /home/ann/.ssh /home/ann/.ssh/conf.d
install -d -o ann -g ann /home/ann/work
su ann -s /bin/sh -c 'ssh-keygen -q -t ed25519 -N "correct horse" -C ann -f /home/ann/.ssh/id_ed25519'
cat /home/ann/.ssh/id_ed25519.pub
"#;

const AGENT: &str = r#"
ssh-agent -a "$HOME/agent" >/dev/null
export SSH_AUTH_SOCK=$HOME/agent
printf '#!/bin/sh\necho "correct horse"\n' >"$HOME/askpass"
chmod 700 "$HOME/askpass"
SSH_ASKPASS=$HOME/askpass SSH_ASKPASS_REQUIRE=force ssh-add "$HOME/.ssh/id_ed25519" 2>/dev/null
rm "$HOME/askpass"
"#;

#[expect(clippy::print_stdout, reason = "a failed test shows what the program said")]
fn say(text: &str) {
    println!("{text}");
}
