//! Faults that are found before the first change. They change nothing, so one run at the end shows that it converges.

use anyhow::{Context, Result, ensure};
use testbed::docker::image::Debian;
use testbed::docker::{Network, Reach};
use testbed::ssh_host::{HostSpec, SshHost};
use testbed::wait;
use tokio::process::Command;

use super::fault::Told;
use super::leftovers::{digest, leftovers};
use super::program::Program;
use super::{PATIENCE, say};

/// A key that no host has.
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIamYuYpW8NdG2lbeWU6RZmRfhIyGKzwKHRXUSuPvF6g";

/// A fault of the host `w1`, or of what the inventory says of it.
struct Fault {
    name: &'static str,
    /// Made as root on the host.
    make: &'static str,
    undo: &'static str,
    /// In the place of what the inventory would say.
    instead: Instead,
    exit: i32,
    cause: &'static [&'static str],
    remedy: &'static [&'static str],
}

/// What an entry of the inventory says that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instead {
    Nothing,
    Address(&'static str),
    Port(u16),
    User(&'static str),
    /// A private key that is not the login's.
    Identity(&'static str),
    HostKey(Option<&'static str>),
    Sudo(&'static str),
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "nothing listens",
        make: "",
        undo: "",
        instead: Instead::Port(2),
        exit: 3,
        cause: &["cannot be reached over SSH", "Connection refused"],
        remedy: &["port", "firewall"],
    },
    Fault {
        name: "packets are dropped",
        make: "ip route add blackhole $CONTROL/32",
        undo: "ip route del blackhole $CONTROL/32",
        instead: Instead::Nothing,
        exit: 3,
        cause: &["cannot be reached over SSH", "timed out"],
        remedy: &["address", "firewall"],
    },
    Fault {
        name: "a name that nobody knows",
        make: "",
        undo: "",
        instead: Instead::Address("no-such-host.invalid"),
        exit: 3,
        cause: &["cannot be reached over SSH", "no-such-host.invalid", "not resolve"],
        remedy: &["address"],
    },
    Fault {
        name: "a wrong private key",
        make: "",
        undo: "",
        instead: Instead::Identity("other"),
        exit: 3,
        cause: &["login refused", "Permission denied"],
        remedy: &["ssh.user", "ssh.identity"],
    },
    Fault {
        name: "a private key that is not there",
        make: "",
        undo: "",
        instead: Instead::Identity("nowhere"),
        exit: 3,
        cause: &["nowhere", "No such file"],
        remedy: &["ssh.identity"],
    },
    Fault {
        name: "a changed host key",
        make: "",
        undo: "",
        instead: Instead::HostKey(Some(OTHER_KEY)),
        exit: 3,
        cause: &["the host key differs", "it shows SHA256:"],
        remedy: &["reinstalled", "in between"],
    },
    Fault {
        name: "an unknown host key",
        make: "",
        undo: "",
        instead: Instead::HostKey(None),
        exit: 3,
        cause: &["the host key is not known"],
        remedy: &["host_key", "fingerprint"],
    },
    Fault {
        name: "a login without a shell",
        make: "usermod --shell /usr/sbin/nologin plain",
        undo: "usermod --shell /bin/bash plain",
        instead: Instead::User("plain"),
        exit: 4,
        cause: &["This account is currently not available"],
        remedy: &["login shell"],
    },
    Fault {
        name: "no sudo at all",
        make: "",
        undo: "",
        instead: Instead::User("plain"),
        exit: 4,
        cause: &["no way to root for the login user plain"],
        remedy: &["sudo"],
    },
    Fault {
        name: "a wrong sudo password",
        make: "echo 'plain ALL=(ALL:ALL) ALL' >/etc/sudoers.d/plain",
        undo: "rm /etc/sudoers.d/plain",
        instead: Instead::Sudo("{ password: { env: WRONG_PASSWORD } }"),
        exit: 4,
        cause: &["sudo refused the password"],
        remedy: &["ssh.sudo.password"],
    },
    Fault {
        name: "a marker that cannot be read",
        make: "mkdir -p /etc/provision/faults/marker",
        undo: "rm -r /etc/provision",
        instead: Instead::Nothing,
        exit: 4,
        cause: &["/etc/provision/faults/marker cannot be read", "whose host it is"],
        remedy: &["cat /etc/provision/faults/marker"],
    },
    Fault {
        name: "a port taken by a stranger",
        make: "setsid perl -MIO::Socket::INET -e \
               '$s = IO::Socket::INET->new(Listen => 5, LocalPort => 8083) or die; sleep' >/dev/null 2>&1 &
               echo $! >/run/stranger
               until ss -Hltn 'sport = :8083' | grep -q .; do sleep 0.1; done",
        undo: "kill $(cat /run/stranger)",
        instead: Instead::Nothing,
        exit: 4,
        cause: &["port 8083 is taken by perl, process"],
        remedy: &["stop it", "another port"],
    },
    Fault {
        // The kernel's clock is everybody's: what the host says of it is all that can be wrong here.
        name: "a clock an hour ahead",
        make: "printf '#!/bin/sh\\nexec /usr/bin/date -d \"+1 hour\" \"$@\"\\n' >/usr/local/bin/date
               chmod 755 /usr/local/bin/date",
        undo: "rm /usr/local/bin/date",
        instead: Instead::Nothing,
        exit: 4,
        cause: &["its clock is 3", "s ahead of"],
        remedy: &["NTP"],
    },
    Fault {
        name: "a disk that is nearly full",
        make: "mkdir /etc/provision; mount -t tmpfs -o size=64m tmpfs /etc/provision",
        undo: "umount /etc/provision; rmdir /etc/provision",
        instead: Instead::Nothing,
        exit: 4,
        cause: &["/etc/provision has 64 MiB free"],
        remedy: &["make room"],
    },
    Fault {
        name: "a disk without inodes",
        make: "mkdir /etc/provision; mount -t tmpfs -o size=2g,nr_inodes=8 tmpfs /etc/provision",
        undo: "umount /etc/provision; rmdir /etc/provision",
        instead: Instead::Nothing,
        exit: 4,
        cause: &["/etc/provision has room for 7 more files", "inodes"],
        remedy: &["df -i"],
    },
    Fault {
        name: "a full /tmp",
        make: "mount -t tmpfs -o size=1m tmpfs /tmp",
        undo: "umount /tmp",
        instead: Instead::Nothing,
        exit: 4,
        cause: &["/tmp has 1 MiB free"],
        remedy: &["make room"],
    },
    Fault {
        name: "a read-only file system",
        make: "mkdir /etc/provision; mount -t tmpfs -o ro tmpfs /etc/provision",
        undo: "umount /etc/provision; rmdir /etc/provision",
        instead: Instead::Nothing,
        exit: 4,
        cause: &["/etc/provision cannot be written"],
        remedy: &["read-only"],
    },
    Fault {
        name: "package sources out of reach",
        make: "echo 'Acquire::http::Proxy \"http://127.0.0.1:9\";' >/etc/apt/apt.conf.d/99proxy",
        undo: "rm /etc/apt/apt.conf.d/99proxy",
        instead: Instead::Nothing,
        exit: 5,
        cause: &["install Docker", "127.0.0.1:9"],
        remedy: &["package sources", "proxy"],
    },
];

/// Users that log in as the others do: one without rights, one whose shell is slow and talks on both outputs.
const LOGINS: &str = r#"
for user in plain chatty; do
  useradd --create-home --shell /bin/bash $user
  cp -r /home/ubuntu/.ssh /home/$user/
  chown -R $user: /home/$user
done
echo 'plain:right' | chpasswd
echo 'chatty ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/chatty
echo 'sleep 1; echo "Welcome to @provision, provision-begin"; echo careful >&2' >/home/chatty/.bashrc
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_before_the_first_change_changes_nothing() -> Result<()> {
    let open = Network::create(Reach::ControlMachine).await?;
    let host = SshHost::start(Debian::Debian12, HostSpec::in_networks(&[&open])).await?;
    host.exec(LOGINS).await?;
    let control = open.address(1).to_string();
    let on_host = |script: &str| script.replace("$CONTROL", &control);
    let program = Program::new()?;
    let other = program.folder().join("other").display().to_string();
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &other]).status().await?;
    ensure!(made.success(), "ssh-keygen: {made}");

    let mut wrong = Vec::new();
    for fault in FAULTS {
        say(&format!("== {}", fault.name));
        host.exec(&on_host(fault.make)).await?;
        program.set_inventory(&inventory(&host, fault.instead))?;
        let judged = judge(&program, &host, fault).await;
        host.exec(&on_host(fault.undo)).await.with_context(|| fault.name)?;
        wrong.extend(judged.err().map(|error| format!("{}: {error:#}", fault.name)));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));

    for (name, instead) in [("all is well", Instead::Nothing), ("a slow shell", Instead::User("chatty"))] {
        say(&format!("== {name}"));
        program.set_inventory(&inventory(&host, instead))?;
        let run = program.expect(0, RUN).await?;
        ensure!(run.says("0 changes made"), "{name}: something was left to be done");
    }
    Ok(())
}

/// Whether it may change something is not asked: what is wrong stops it.
const RUN: &[&str] = &["apply", "--yes", "--only", "preflight"];

async fn judge(program: &Program, host: &SshHost, fault: &Fault) -> Result<()> {
    let before = (digest(host).await?, leftovers(host).await?);
    let run = program.run(&["apply", "--yes", "--only", "preflight,docker"]).await?;
    ensure!(run.exit == fault.exit, "ended with {}, not {}", run.exit, fault.exit);
    Told { place: "w1", cause: fault.cause, remedy: fault.remedy }.judge(&run)?;
    // What holds the host's lock ends a moment after its session.
    let has_ended = async || Ok(leftovers(host).await.is_ok_and(|left| left == before.1).then_some(()));
    wait::until("nothing of ours runs there", PATIENCE, has_ended, String::new).await?;
    let after = digest(host).await?;
    ensure!(before.0 == after, "the host was changed: {before:?}, {after:?}");
    let docker = host.exec("command -v docker || true").await?;
    ensure!(docker.is_empty(), "Docker was installed");
    program.ensure_clean().await
}

/// One host, and its sshd in the place of a broker: it is reached, and nobody asks it more.
fn inventory(host: &SshHost, instead: Instead) -> String {
    let port = if let Instead::Port(port) = instead { port } else { host.port() };
    let address = if let Instead::Address(address) = instead { address } else { host.address() };
    let user = match instead {
        Instead::User(user) => user,
        Instead::Sudo(_) => "plain",
        _ => host.user(),
    };
    let right_identity = host.identity().display().to_string();
    let identity = if let Instead::Identity(identity) = instead { identity } else { &right_identity };
    let key = if let Instead::HostKey(key) = instead { key } else { Some(host.host_key_line()) };
    let key = key.map(|key| format!(", host_key: {key}")).unwrap_or_default();
    let sudo = if let Instead::Sudo(sudo) = instead { sudo } else { "passwordless" };
    format!(
        "cluster: faults\nhosts:\n  w1:\n    address: {address}\n    \
         ssh: {{ port: {port}, user: {user}, identity: {identity}, sudo: {sudo}{key} }}\n\
         kafka:\n  bootstrap: [\"broker.test:{}\"]\n  security: PLAINTEXT\n  extra_hosts: {{ broker.test: {} }}\n",
        host.port(),
        host.address()
    )
}
