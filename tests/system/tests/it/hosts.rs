//! Hosts as people have them: how SSH fails, which shells log in, who holds a port, and what a killed run leaves.

pub(crate) mod program;

use std::time::Duration;

use anyhow::{Result, ensure};
use secrecy::SecretString;
use testbed::docker::image::Debian;
use testbed::docker::{Network, Reach};
use testbed::ssh_host::{HostSpec, SshHost, Sshd, Sudo};
use testbed::wait;

use program::{Entry, Program};

const PATIENCE: Duration = Duration::from_secs(60);

/// A key that no host has.
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIamYuYpW8NdG2lbeWU6RZmRfhIyGKzwKHRXUSuPvF6g";

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_fails_hides_no_other() -> Result<()> {
    let open = Network::create(Reach::ControlMachine).await?;
    let host = SshHost::start(Debian::Debian12, HostSpec::in_networks(&[&open])).await?;
    let [changed, closed, ..] = more_addresses(&host, &open).await?;
    let at = |name: &str, address: String| Entry { address, ..Entry::new(name, &host) };
    let changed = Entry { host_key: Some(OTHER_KEY.to_owned()), ..at("changed", changed) };
    let closed = Entry { port: 2, ..at("closed", closed) };
    let program = Program::new(&host, vec![changed, Entry::new("good", &host), closed])?;
    let run = program.expect(3, &["plan", "--only", "preflight"]).await?;
    for said in ["good: connected", "changed: connect: the host key differs", "closed: connect: cannot be"] {
        ensure!(run.says(said), "not said: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_is_held_to_its_key() -> Result<()> {
    let open = Network::create(Reach::ControlMachine).await?;
    let inner = Network::create(Reach::ContainersOnly).await?;
    let both = || HostSpec::in_networks(&[&open, &inner]);
    let hidden = HostSpec { sshd: Sshd::Only(inner.clone()), ..both() };
    let (jump, hidden) =
        tokio::try_join!(SshHost::start_jump(both()), SshHost::start(Debian::Debian13, hidden))?;
    let entry = Entry::new("hidden", &hidden);

    let wrong = entry.clone().through(&jump, OTHER_KEY);
    let program = Program::new(&hidden, vec![wrong])?;
    let run = program.expect(3, &["plan", "--only", "preflight"]).await?;
    ensure!(
        run.says("differs from the one that is known") && run.says(jump.address()),
        "the jump host is not named"
    );

    let right = entry.through(&jump, jump.host_key_line());
    let program = Program::new(&hidden, vec![right])?;
    program.expect(0, &["plan", "--only", "preflight"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_shell_and_sudo_model_is_understood() -> Result<()> {
    let open = Network::create(Reach::ControlMachine).await?;
    let password = Sudo::Password(SecretString::from("right"));
    let host =
        SshHost::start(Debian::Debian12, HostSpec { sudo: password, ..HostSpec::in_networks(&[&open]) })
            .await?;
    host.exec(LOGINS).await?;
    let addresses = more_addresses(&host, &open).await?;
    let shells = ["in-dash", "in-fish", "in-tcsh", "noisy", "recorded", "busy"].into_iter().zip(&addresses);
    let entries = shells.map(|(name, address)| Entry {
        user: name.to_owned(),
        address: address.clone(),
        ..Entry::new(name, &host)
    });

    let program = Program::new(&host, entries.collect())?;
    program.expect(0, &["plan", "--only", "preflight"]).await?;

    let right = Entry { sudo: "{ password: { env: RIGHT } }".to_owned(), ..Entry::new("right", &host) };
    let wrong = Entry { sudo: "{ password: { env: WRONG } }".to_owned(), ..Entry::new("wrong", &host) };
    let none =
        Entry { user: "refused".to_owned(), address: addresses[0].clone(), ..Entry::new("none", &host) };
    let program = Program::new(&host, vec![right.clone()])?;
    // With Docker absent, looking as root works and finds a change.
    program.expect(7, &["plan", "--only", "preflight,docker"]).await?;
    let program = Program::new(&host, vec![wrong, none])?;
    let run = program.run(&["plan", "--only", "preflight"]).await?;
    ensure!(run.exit != 0, "neither host can become root");
    ensure!(run.says("sudo refused the password"), "the wrong password is not named");
    // By preflight, with everything else that the login user sees; a program in the background of the login keeps the
    // outputs open meanwhile.
    ensure!(
        run.says("has no way to root: sudo: a password is required"),
        "the missing password is not named"
    );
    Ok(())
}

/// Gives a host further addresses: an inventory has each address once.
async fn more_addresses(host: &SshHost, network: &Network) -> Result<[String; 6]> {
    let addresses = [101, 102, 103, 104, 105, 106].map(|last| network.address(last).to_string());
    host.exec(&addresses.each_ref().map(|ip| format!("ip address add {ip}/24 dev eth0\n")).concat()).await?;
    Ok(addresses)
}

/// Users with other shells, one with a start-up file that talks, one whose shell keeps a record of what is said and
/// passes it on when the command has ended long since, and one whose start-up file leaves a program in the background; all
/// of them may use sudo.
const LOGINS: &str = r#"
export DEBIAN_FRONTEND=noninteractive
apt-get update >/dev/null
apt-get install -y --no-install-recommends fish tcsh >/dev/null
cat >/usr/local/bin/recorded <<'END'
#!/bin/bash
exec > >(said=$(tee -a ~/record; echo .); tail -s 0.1 --pid=$$ -f /dev/null; printf %s "${said%.}")
exec bash "$@"
END
chmod 755 /usr/local/bin/recorded
login() {
  useradd --create-home --shell "$(command -v "$2")" "$1"
  cp -r /home/ubuntu/.ssh "/home/$1/"
  chown -R "$1:" "/home/$1"
  echo "$1 ALL=(ALL:ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$1"
}
login in-dash dash
login in-fish fish
login in-tcsh tcsh
login noisy bash
login recorded recorded
login busy bash
login refused bash
rm /etc/sudoers.d/refused
for user in busy refused; do echo 'sleep 1000 &' >/home/$user/.bashrc; done
echo 'echo "provision-begin, or welcome"; echo careful >&2' | tee /home/noisy/.bashrc >/home/noisy/.profile
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_taken_until_conflicts_name_its_unit() -> Result<()> {
    let open = Network::create(Reach::ControlMachine).await?;
    let host = SshHost::start(Debian::Debian12, HostSpec::in_networks(&[&open])).await?;
    host.exec(OLD_WORKER).await?;
    let listens = async || Ok((!host.exec("ss -Hltn 'sport = :8083'").await?.is_empty()).then_some(()));
    wait::until("the old worker listens", PATIENCE, listens, String::new).await?;

    let program = Program::new(&host, vec![Entry::new("w1", &host)])?;
    let run = program.expect(4, &["plan", "--only", "preflight"]).await?;
    ensure!(run.says("port 8083 is taken by old-connect.service"), "the holder is not named");

    let program = program.with("conflicts: [old-connect, never-there]\n")?;
    let only = ["--only", "preflight,conflicts"];
    program.expect(7, &[&["plan"], &only[..]].concat()).await?;
    program.expect(0, &[&["apply", "--yes"], &only[..]].concat()).await?;
    let state = host
        .exec("systemctl is-active old-connect || true; systemctl is-enabled old-connect || true")
        .await?;
    ensure!(state.split_whitespace().eq(["inactive", "disabled"]), "the unit is {state}");
    program.expect(0, &[&["plan"], &only[..]].concat()).await?;
    Ok(())
}

/// A unit that holds the port of REST, in what a bare Debian has.
const OLD_WORKER: &str = r#"
cat >/etc/systemd/system/old-connect.service <<'END'
[Service]
ExecStart=/usr/bin/perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 8083) or die; sleep 1 while 1'
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --quiet --now old-connect
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_leaves_no_process_here_or_there() -> Result<()> {
    let open = Network::create(Reach::ControlMachine).await?;
    let host = SshHost::start(Debian::Debian12, HostSpec::in_networks(&[&open])).await?;
    host.exec(HANGING_DOCKER).await?;
    let program = Program::new(&host, vec![Entry::new("w1", &host)])?;
    let mut run = program.start(&["plan", "--only", "docker"])?;
    let hangs = async || Ok((!host.exec("pgrep -x hang || true").await?.is_empty()).then_some(()));
    wait::until("the remote command hangs", PATIENCE, hangs, String::new).await?;
    ensure!(!program.masters()?.is_empty(), "the search for masters is blind");
    run.kill().await?;
    let is_gone = async || Ok(host.exec("pgrep -x hang || true").await?.is_empty().then_some(()));
    wait::until("the remote command is ended", PATIENCE, is_gone, String::new).await?;
    let no_master = async || Ok(program.masters().is_ok_and(|masters| masters.is_empty()).then_some(()));
    wait::until("the master is ended", PATIENCE, no_master, String::new).await?;
    Ok(())
}

/// A `docker` that never answers.
const HANGING_DOCKER: &str = r#"
cp "$(command -v sleep)" /usr/local/bin/hang
printf '#!/bin/sh\nexec hang 3000\n' >/usr/local/bin/docker
chmod 755 /usr/local/bin/docker
"#;
