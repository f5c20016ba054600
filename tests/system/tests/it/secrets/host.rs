//! The search on a host: every file of every file system, image layers among them, and what journal and engine tell.

use anyhow::{Result, ensure};
use testbed::ssh_host::SshHost;

use crate::search::Canaries;

/// The forms that are searched, on a file system that is not.
const PATTERNS: &str = "/dev/shm/canaries";

/// Where a canary is planted to see the search find it.
const PLANTED: [&str; 3] = ["/root/.bash_history", "/var/tmp/core.1", "/var/lib/docker/planted"];

/// Fails unless the worker's secrets are in the files that it reads them from, and nowhere else.
pub(super) async fn ensure_found_only_where_needed(
    host: &SshHost,
    canaries: &Canaries,
    cluster: &str,
) -> Result<()> {
    host.exec(&format!("cat >{PATTERNS} <<'END-OF-FORMS'\n{}END-OF-FORMS", canaries.lines())).await?;
    let secrets = format!("/etc/provision/{cluster}/worker/secrets/");
    let wanted =
        ["connector", "sasl.jaas.config", "truststore-password"].map(|name| format!("{secrets}{name}"));

    let debug = host.exec("journalctl --no-pager --grep 'debug3: ' | wc -l").await?;
    ensure!(debug.trim().parse::<u32>()? > 100, "sshd tells nothing of its sessions");
    let found = files(host).await?;
    ensure!(found == wanted, "secrets are in {found:#?}");
    let access = host.exec(&format!("stat -c '%a %u %g' {secrets}* | sort -u; stat -c %a {secrets}")).await?;
    ensure!(access.lines().eq(["440 0 65532", "750"]), "the secrets' modes and owners: {access}");
    let told = told(host).await?;
    ensure!(told.is_empty(), "journal or engine tell: {told}");

    // The same searches, with something to find.
    let planted = PLANTED.join(" ");
    host.exec(&format!("for file in {planted}; do sed -n 5p {PATTERNS} >>$file; done")).await?;
    let found = files(host).await?;
    for file in PLANTED {
        ensure!(found.iter().any(|path| path == file), "blind to {file}: {found:#?}");
    }
    host.exec(&format!("rm {planted}")).await?;
    host.exec(&format!(
        "head -n 1 {PATTERNS} | systemd-cat -t planted; journalctl --sync; mkdir /root/layer; \
         head -n 1 {PATTERNS} >/root/layer/planted; tar -C /root/layer -c . | docker import - planted:1 >/dev/null; \
         {{ printf planted=; head -n 1 {PATTERNS}; }} >/root/layer/label; \
         docker create --name planted --label-file /root/layer/label planted:1 true >/dev/null"
    ))
    .await?;
    let shown = self::told(host).await?;
    for place in ["journal", "inspect planted", "image planted:1"] {
        ensure!(shown.lines().any(|line| line == place), "blind to {place}: {shown}");
    }
    host.exec(&format!(
        "docker rm planted >/dev/null; docker rmi planted:1 >/dev/null; rm -r /root/layer {PATTERNS}"
    ))
    .await?;
    Ok(())
}

/// Files that hold a canary, sorted. The test's own login is made of files, too: none holds a secret as it stands.
async fn files(host: &SshHost) -> Result<Vec<String>> {
    let script = format!(
        "roots=; for root in / /run /tmp /var/lib/docker; do [ ! -d $root ] || roots=\"$roots $root\"; done\n\
         find $roots -xdev -type f -size +0 -print0 2>/dev/null | \
         LC_ALL=C xargs -0 grep -lF -f {PATTERNS} -- 2>/dev/null | sort -u || true"
    );
    Ok(host.exec(&script).await?.lines().map(str::to_owned).collect())
}

/// What shows a canary besides files: names, one a line.
async fn told(host: &SshHost) -> Result<String> {
    let script = format!(
        "export LC_ALL=C\n\
         holds() {{ if grep -qaF -f {PATTERNS}; then echo \"$1\"; fi; }}\n\
         {{ journalctl --no-pager -a -o export; journalctl --no-pager -a; }} 2>/dev/null | holds journal\n\
         for name in $(docker ps --all --format '{{{{.Names}}}}'); do\n\
         docker inspect $name | holds \"inspect $name\"; docker logs $name 2>&1 | holds \"logs $name\"\n\
         done\n\
         for name in $(docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}'); do\n\
         docker save $name | holds \"image $name\"; docker history --no-trunc $name | holds \"history $name\"\n\
         done\n\
         docker info 2>/dev/null | holds info\n\
         for core in /var/lib/systemd/coredump/* /core /core.*; do [ ! -e $core ] || cat $core | holds $core; done\n\
         cat /root/.*history /home/*/.*history 2>/dev/null | holds history\n"
    );
    Ok(host.exec(&script).await?)
}
