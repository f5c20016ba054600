//! SSH hosts: containers with systemd as process 1, sshd, sudo, and a Docker that can be installed inside.
//!
//! They are bare: no Docker, no curl, no package lists. A jump host is a smaller container with nothing but sshd.
//!
//! ```no_run
//! # async fn recipe() -> Result<(), testbed::Error> {
//! use testbed::docker::{Network, Reach, image::Debian};
//! use testbed::ssh_host::{HostSpec, SshHost, Sshd, Sudo};
//!
//! let open = Network::create(Reach::ControlMachine).await?;
//! let inner = Network::create(Reach::ContainersOnly).await?;
//! let jump = SshHost::start_jump(HostSpec::in_networks(&[&open, &inner])).await?;
//! let hidden = SshHost::start(
//!     Debian::Debian13,
//!     HostSpec { sshd: Sshd::Only(inner.clone()), ..HostSpec::in_networks(&[&open, &inner]) },
//! ).await?;
//! // `hidden` reaches package sources through `open`, and its sshd answers in `inner` alone: through `jump`.
//! # Ok(())
//! # }
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use crate::docker::image::{Debian, Image};
use crate::docker::{Container, Network, docker};
use crate::{Error, command, owner, wait};

/// systemd, sshd and two cores that do other things as well.
const START_LIMIT: Duration = Duration::from_secs(90);

/// What systemd, sshd and a nested Docker engine need; `--privileged` would be more than can be given everywhere.
const CAPABILITIES: [&str; 15] = [
    "SYS_ADMIN",
    "NET_ADMIN",
    "SYS_PTRACE",
    "SYS_CHROOT",
    "MKNOD",
    "SYS_MODULE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SYSLOG",
    "SYS_NICE",
    "IPC_LOCK",
    "DAC_READ_SEARCH",
    "LINUX_IMMUTABLE",
    "SYS_BOOT",
    "SETFCAP",
];

/// What kind of host to start.
#[derive(Debug, Clone)]
pub struct HostSpec {
    /// The login; `root` is possible.
    pub user: String,
    /// How the login becomes root.
    pub sudo: Sudo,
    /// The login's shell, an absolute path.
    pub shell: String,
    /// Where it stands; the first network is its default route.
    pub networks: Vec<Network>,
    /// Where sshd answers.
    pub sshd: Sshd,
    /// sshd's port.
    pub port: u16,
    /// Lines added to sshd's configuration.
    pub sshd_config: String,
    /// More options of `docker run`.
    pub options: Vec<String>,
}

impl HostSpec {
    /// User `ubuntu` with sudo and no password, sshd on port 22 in every one of `networks`.
    pub fn in_networks(networks: &[&Network]) -> Self {
        Self {
            user: "ubuntu".to_owned(),
            sudo: Sudo::Passwordless,
            shell: "/bin/bash".to_owned(),
            networks: networks.iter().map(|network| (*network).clone()).collect(),
            sshd: Sshd::Everywhere,
            port: 22,
            sshd_config: String::new(),
            options: Vec::new(),
        }
    }
}

/// How a login becomes root.
#[derive(Debug, Clone)]
pub enum Sudo {
    /// `sudo` asks nothing.
    Passwordless,
    /// `sudo` asks for this password.
    Password(SecretString),
    /// The user is in no sudoers file.
    None,
}

/// Where sshd answers.
#[derive(Debug, Clone)]
pub enum Sshd {
    /// In all of the host's networks.
    Everywhere,
    /// In one of them: a host behind a jump host.
    Only(Network),
}

/// A running host; dropping it removes it.
#[derive(Debug)]
pub struct SshHost {
    container: Container,
    address: String,
    port: u16,
    user: String,
    host_key: String,
    identity: PathBuf,
}

impl SshHost {
    /// Starts a server and returns when systemd is up and sshd listens.
    pub async fn start(release: Debian, spec: HostSpec) -> Result<Self, Error> {
        Self::start_server(Image::Host(release), release, spec).await
    }

    /// The same with Docker and Python installed, and Docker's engine running soon after.
    pub async fn start_with_docker(release: Debian, spec: HostSpec) -> Result<Self, Error> {
        Self::start_server(Image::DockerHost(release), release, spec).await
    }

    async fn start_server(image: Image, release: Debian, spec: HostSpec) -> Result<Self, Error> {
        let mut options: Vec<String> =
            CAPABILITIES.iter().flat_map(|name| ["--cap-add".to_owned(), (*name).to_owned()]).collect();
        for words in [
            ["--security-opt", "seccomp=unconfined"],
            ["--security-opt", "systempaths=unconfined"],
            ["--security-opt", "apparmor=unconfined"],
            ["--tmpfs", "/run"],
            ["--tmpfs", "/tmp:exec"],
            ["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"],
            // overlayfs does not stack on overlayfs: a nested engine keeps its layers in a volume.
            ["--volume", "/var/lib/docker"],
        ] {
            options.extend(words.map(str::to_owned));
        }
        let mut init = vec!["/sbin/init".to_owned()];
        if release == Debian::Debian13 {
            // systemd 257 refuses to start on a machine with the older hierarchy of control groups unless told.
            init.push("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1".to_owned());
        }
        let host = Self::create(image, spec, &options, &init, "systemctl enable --quiet --now ssh").await?;
        Ok(host)
    }

    /// Starts a jump host: nothing but sshd, and a user without rights.
    pub async fn start_jump(spec: HostSpec) -> Result<Self, Error> {
        let wait_for_keys = "until [ -e /run/sshd/keys ]; do sleep 0.1; done; exec /usr/sbin/sshd -D -e";
        let command = ["sh", "-c", wait_for_keys].map(str::to_owned);
        let spec = HostSpec { sudo: Sudo::None, ..spec };
        let release = "mkdir -p /run/sshd; touch /run/sshd/keys";
        Self::create(Image::Host(Debian::Debian12), spec, &[], &command, release).await
    }

    async fn create(
        image: Image,
        spec: HostSpec,
        options: &[String],
        command: &[String],
        start_sshd: &str,
    ) -> Result<Self, Error> {
        let tag = image.ensure().await?;
        let identity = identity().await?;
        let networks: Vec<&Network> = spec.networks.iter().collect();
        let options: Vec<String> = options.iter().chain(&spec.options).cloned().collect();
        let container = Container::run("host", &tag, &networks, &[], &options, command).await?;
        let is_server = start_sshd.starts_with("systemctl");
        if is_server {
            wait_until_booted(&container).await?;
        }
        let reached_in = match &spec.sshd {
            Sshd::Everywhere => spec.networks.first().expect("a host stands in at least one network"),
            Sshd::Only(network) => network,
        };
        let address = container.address(reached_in).await?;
        let script = set_up(&spec, &address, &public_key(&identity)?, start_sshd);
        let host_key = container.exec(&script).await?.trim().to_owned();
        let (user, port) = (spec.user, spec.port);
        let listening = format!("ss -Hltn 'sport = :{port}'");
        wait::until(
            "sshd listens",
            START_LIMIT,
            async || Ok((!container.exec(&listening).await?.is_empty()).then_some(())),
            String::new,
        )
        .await?;
        Ok(Self { container, address, port, user, host_key, identity })
    }

    /// Where sshd answers.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// sshd's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The login.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The private key that the login takes; every host of this test bed takes the same.
    pub fn identity(&self) -> &Path {
        &self.identity
    }

    /// The host's public key as `ssh-ed25519 BASE64`, without a host in front.
    pub fn host_key_line(&self) -> &str {
        &self.host_key
    }

    /// The host's address in one of its networks.
    pub async fn address_in(&self, network: &Network) -> Result<String, Error> {
        self.container.address(network).await
    }

    /// The container, for faults: freeze it, cut it off, look into it.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Runs a shell script on the host as root, past SSH; for assertions. Returns stdout.
    pub async fn exec(&self, script: &str) -> Result<String, Error> {
        self.container.exec(script).await
    }

    /// Takes the host out of a network, as a cut cable would.
    pub async fn disconnect(&self, network: &Network) -> Result<(), Error> {
        docker(&["network", "disconnect", network.name(), self.container.name()]).await.map(drop)
    }
}

async fn wait_until_booted(container: &Container) -> Result<(), Error> {
    let mut last = String::new();
    let ask = "systemctl is-system-running || true";
    let booted = wait::until(
        "systemd is up",
        START_LIMIT,
        async || {
            last = container.exec(ask).await?.trim().to_owned();
            Ok(matches!(last.as_str(), "running" | "degraded").then_some(()))
        },
        String::new,
    )
    .await;
    match booted {
        Err(Error::NotReady { what, waited, .. }) => {
            Err(Error::NotReady { what, waited, log: format!("systemctl is-system-running: {last}") })
        }
        other => other,
    }
}

/// The script that makes the host's own keys and its login; prints the host's public key.
fn set_up(spec: &HostSpec, address: &str, public_key: &str, start_sshd: &str) -> String {
    let HostSpec { user, shell, port, sshd_config, .. } = spec;
    let (password, sudoers) = match &spec.sudo {
        Sudo::None => (None, None),
        Sudo::Passwordless => (None, Some("NOPASSWD: ALL")),
        Sudo::Password(password) => (Some(password.expose_secret()), Some("ALL")),
    };
    let login = match password {
        None => String::new(),
        Some(password) => format!("chpasswd <<'END'\n{user}:{password}\nEND\n"),
    };
    let sudo = match sudoers {
        None => String::new(),
        Some(rights) => {
            format!("printf '%s ALL=(ALL:ALL) %s\\n' {user} '{rights}' > /etc/sudoers.d/testbed\n")
        }
    };
    let listen = match spec.sshd {
        Sshd::Everywhere => String::new(),
        Sshd::Only(_) => format!("ListenAddress {address}\n"),
    };
    format!(
        "\
ssh-keygen -A >/dev/null
id {user} >/dev/null 2>&1 || useradd --create-home --shell {shell} {user}
{login}{sudo}home=$(getent passwd {user} | cut -d: -f6)
install -d -m 700 -o {user} \"$home/.ssh\"
cat > \"$home/.ssh/authorized_keys\" <<'END'
{public_key}
END
chmod 600 \"$home/.ssh/authorized_keys\"; chown {user}: \"$home/.ssh/authorized_keys\"
cat >> /etc/ssh/sshd_config.d/testbed.conf <<'END'
Port {port}
{listen}{sshd_config}
END
{start_sshd}
cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub
"
    )
}

/// The key pair of this test bed, made once.
async fn identity() -> Result<PathBuf, Error> {
    static IDENTITY: OnceCell<PathBuf> = OnceCell::const_new();
    let made = IDENTITY.get_or_try_init(|| async {
        let path = owner::dir("identity")?.join("id_ed25519");
        let text = path.display().to_string();
        let args = ["-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", &text];
        command::run("ssh-keygen", "openssh-client", &args).await?;
        Ok(path)
    });
    made.await.cloned()
}

fn public_key(identity: &Path) -> Result<String, Error> {
    let path = identity.with_extension("pub");
    Ok(std::fs::read_to_string(&path).map_err(Error::file(&path))?.trim().to_owned())
}
