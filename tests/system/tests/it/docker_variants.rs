//! Docker as people have it: from the vendor's repository, installed by others, in an odd place, behind a proxy, or
//! not at all because something else has its name.
//!
//! The engines and Composes of both distributions, old and new, are the main job's; locks and broken engines are among
//! the faults of hosts.

mod http;
mod proxy;
mod vendor;

use anyhow::{Context, Result, ensure};
use testbed::docker::image::Debian;
use testbed::docker::{Network, Reach};
use testbed::ssh_host::{HostSpec, SshHost};
use testbed::wait;

use crate::hosts::program::{Entry, Program};
use crate::programs::RUN_LIMIT;
use proxy::Proxy;
use vendor::Vendor;

const PLAN: [&str; 3] = ["plan", "--only", "docker"];
const APPLY: [&str; 4] = ["apply", "--yes", "--only", "docker"];
const DESTROY: [&str; 4] = ["destroy", "--yes", "--only", "docker"];

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_packages_are_taken_when_its_key_signs_them() -> Result<()> {
    let open = Network::create(Reach::ControlMachine).await?;
    let (host, vendor) = tokio::join!(
        SshHost::start(Debian::Debian13, HostSpec::in_networks(&[&open])),
        Vendor::open(&open, Debian::Debian13)
    );
    let (host, vendor) = (host?, vendor?);
    let with = |source: &str, repository: &str, fingerprint: &str| {
        let url = vendor.url(repository);
        let vendor = format!("{{ url: \"{url}\", fingerprint: \"{fingerprint}\" }}");
        Program::new(&host, vec![Entry::new("w1", &host)])?
            .with(&format!("docker: {{ source: {source}, vendor: {vendor} }}\n"))
    };

    let (good, expired) = (vendor.good.as_str(), vendor.expired.as_str());
    let pinned = format!("has the fingerprint {good}, and {expired} is pinned");
    for (case, repository, fingerprint, cause, remedy) in [
        ("a wrong key", "good", expired, pinned.as_str(), "`docker.vendor.fingerprint`"),
        ("an expired key", "expired", expired, "has expired on 2020-01-02", "the repository to renew"),
        (
            "packages that another key signed",
            "forged",
            good,
            "cannot use the packages of",
            "`docker.vendor.url`",
        ),
        ("no repository", "absent", good, "cannot fetch the key of", "its proxy for apt"),
    ] {
        let run = with("vendor", repository, fingerprint)?.expect(5, &APPLY).await.context(case)?;
        ensure!(run.says("error: w1: Docker: "), "{case}: the place is not named");
        ensure!(run.says(cause) && run.says(&vendor.url(repository)), "{case}: the cause is not named");
        ensure!(run.says("  hint: ") && run.says(remedy), "{case}: the remedy is not named");
        let left = "ls /etc/apt/sources.list.d /etc/apt/keyrings 2>/dev/null | grep docker || true; command -v docker || true";
        let left = host.exec(left).await?;
        ensure!(left.is_empty(), "{case} left {left}");
    }

    let program = with("vendor", "good", good)?;
    program.expect(0, &APPLY).await?;
    let packages = "docker-ce docker-ce-cli containerd.io docker-compose-plugin";
    let installed = format!("dpkg-query -W -f '${{db:Status-Abbrev}}\\n' {packages} | sort -u");
    ensure!(host.exec(&installed).await?.trim() == "ii", "the vendor's packages are not installed");

    let before = standing(&host).await?;
    program.expect(0, &PLAN).await?;
    program.expect(0, &APPLY).await?;
    ensure!(standing(&host).await? == before, "a second run has touched Docker");

    // Compose alone, from the source of the engine that is there.
    host.exec("apt-get purge -qy docker-compose-plugin >/dev/null 2>&1").await?;
    let program = program.with_last("docker: { source: auto }\n")?;
    ensure!(program.expect(7, &PLAN).await?.says("Docker Compose"), "the missing Compose is not planned");
    program.expect(0, &APPLY).await?;
    ensure!(host.exec(&installed).await?.trim() == "ii", "Compose does not come from the vendor");
    ensure!(engine(&host).await? == before.engine, "the engine was restarted for Compose");

    let left = program.expect(0, &DESTROY).await?;
    ensure!(left.says("docker-ce") && left.says("apt-get purge"), "what stays is not said");
    ensure!(engine(&host).await? == before.engine, "destroy has touched the engine");

    // From here on the engine is somebody else's.
    host.exec("rm -r /etc/provision").await?;
    let before = standing(&host).await?;
    let program = with("present", "absent", good)?;
    program.expect(0, &PLAN).await?;
    program.expect(0, &APPLY).await?;
    let left = program.expect(0, &DESTROY).await?;
    ensure!(!left.says("apt-get purge"), "destroy takes the engine for ours");
    ensure!(standing(&host).await? == before, "an engine of others was touched");
    Ok(())
}

/// What a run must leave alone: the engine's process, and every package.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    engine: String,
    packages: String,
}

async fn standing(host: &SshHost) -> Result<Standing> {
    let packages = host.exec("sha256sum /var/log/dpkg.log /var/lib/dpkg/status").await?;
    Ok(Standing { engine: engine(host).await?, packages })
}

/// Process and start of the engine.
async fn engine(host: &SshHost) -> Result<String> {
    let ask = "systemctl show -P MainPID -P ActiveEnterTimestampMonotonic docker.service";
    let engine = host.exec(ask).await?;
    ensure!(!engine.starts_with('0'), "the engine does not run: {engine}");
    Ok(engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_comes_through_a_proxy_to_a_data_root_of_its_own() -> Result<()> {
    let open = Network::create(Reach::ControlMachine).await?;
    let host = SshHost::start(Debian::Debian12, HostSpec::in_networks(&[&open])).await?;
    let proxy = Proxy::start(open.address(1).into()).await?;
    host.exec(&format!("proxy=http://{}\n{CUT_OFF}{ENGINE_PROXY}", proxy.address())).await?;
    let program = Program::new(&host, vec![Entry::new("w1", &host)])?;

    for (case, arrange, cause, remedy, undo) in IN_THE_WAY {
        host.exec(arrange).await.context(case)?;
        let run = program.expect(4, &PLAN).await.context(case)?;
        ensure!(run.says(cause) && run.says(remedy), "{case}: cause or remedy is not named");
        host.exec(undo).await.context(case)?;
    }

    host.exec(SMALL_DATA_ROOT).await?;
    let run = program.expect(4, &["plan", "--only", "preflight"]).await?;
    ensure!(run.says("w1: /srv/small has 64 MiB free"), "the small data root is not named");
    host.exec(LARGE_DATA_ROOT).await?;
    program.expect(0, &["plan", "--only", "preflight"]).await?;

    host.exec(CLOUD_INIT).await?;
    let mut run = program.start(&APPLY)?;
    let is_asked =
        async || Ok((!host.exec("cat /run/cloud-init.asked || true").await?.is_empty()).then_some(()));
    wait::until("cloud-init is asked", RUN_LIMIT, is_asked, String::new).await?;
    let packages = host.exec("dpkg-query -W docker.io 2>/dev/null || true").await?;
    ensure!(packages.is_empty(), "packages are installed while cloud-init works");
    host.exec("touch /run/cloud-init.done").await?;
    let status = tokio::time::timeout(RUN_LIMIT, run.wait()).await.context("the run does not end")??;
    ensure!(status.success(), "the run after cloud-init ended with {status}");

    let engine = host.exec("docker info --format '{{.DockerRootDir}} {{.HTTPProxy}}'").await?;
    let expected = format!("/srv/docker http://{}", proxy.address());
    ensure!(engine.trim() == expected, "data root and proxy of the engine are {engine}");
    ensure!(proxy.hosts().contains("deb.debian.org"), "the proxy saw {:?}", proxy.hosts());
    program.expect(0, &PLAN).await?;
    Ok(())
}

/// Takes away the way to everywhere and the resolver; leaves the proxy.
const CUT_OFF: &str = r#"
ip route del default
: >/etc/resolv.conf
if timeout 5 bash -c 'exec 3<>/dev/tcp/deb.debian.org/80' 2>/dev/null; then echo 'not cut off' >&2; exit 1; fi
echo "Acquire::http::Proxy \"$proxy\";" >/etc/apt/apt.conf.d/90proxy
"#;

/// What has Docker's name: the case, how it comes about, what is said of cause and remedy, how it goes.
const IN_THE_WAY: [(&str, &str, &str, &str, &str); 2] = [
    (
        "Docker as a snap",
        // As snapd lays it out; its store cannot be reached. The folder is in no path of Debian's.
        "install -d /snap/bin; touch /usr/bin/snap; chmod 755 /usr/bin/snap; ln -s /usr/bin/snap /snap/bin/docker",
        "w1: Docker is installed as a snap",
        "`snap remove docker`",
        "rm -r /snap /usr/bin/snap",
    ),
    (
        "Podman under Docker's name",
        // The package as it is; Podman itself is not needed to be in the way.
        "cd /tmp; apt-get -q update >/dev/null; apt-get -q download podman-docker >/dev/null 2>&1; \
         dpkg --force-depends -i podman-docker_*.deb >/dev/null 2>&1; command -v docker >/dev/null",
        "w1: `docker` is Podman under another name",
        "`podman-docker`",
        "dpkg --purge podman-docker >/dev/null 2>&1; rm -rf /var/lib/apt/lists/*",
    ),
];

const SMALL_DATA_ROOT: &str = r#"
mkdir -p /etc/docker /srv/small /srv/docker
mount -t tmpfs -o size=64m tmpfs /srv/small
printf '{\n  "log-driver": "json-file",\n  "data-root": "/srv/small"\n}\n' >/etc/docker/daemon.json
"#;

const LARGE_DATA_ROOT: &str = r#"
umount /srv/small
mount -t tmpfs -o size=1g tmpfs /srv/docker
sed -i 's:/srv/small:/srv/docker:' /etc/docker/daemon.json
"#;

/// An engine that is told to pull through the proxy, which a worker's image never needs.
const ENGINE_PROXY: &str = r#"
mkdir -p /etc/systemd/system/docker.service.d
printf '[Service]\nEnvironment=HTTP_PROXY=%s HTTPS_PROXY=%s\n' "$proxy" "$proxy" >/etc/systemd/system/docker.service.d/proxy.conf
systemctl daemon-reload
"#;

/// A machine that is still being set up, until a file says otherwise.
const CLOUD_INIT: &str = r#"
cat >/usr/local/bin/cloud-init <<'END'
#!/bin/sh
echo "$@" >>/run/cloud-init.asked
if [ "$1 $2" = 'status --wait' ]; then until [ -e /run/cloud-init.done ]; do sleep 0.1; done; fi
if [ -e /run/cloud-init.done ]; then echo 'status: done'; else echo 'status: running'; fi
END
chmod 755 /usr/local/bin/cloud-init
"#;
