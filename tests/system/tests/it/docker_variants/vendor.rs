//! The vendor's package repository in small: the distribution's packages under the vendor's names, and keys.

use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;
use testbed::docker::image::{Debian, Image};
use testbed::docker::{Container, Network};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::http::Server;

/// Three repositories with the same packages: `good`; `expired`, whose key has; and `forged`, which shows the key of
/// the first and is signed with the other.
pub(super) struct Vendor {
    server: Server,
    _folder: TempDir,
    /// Fingerprint of the key that signs `good`.
    pub(super) good: String,
    /// Fingerprint of the key that signs the others.
    pub(super) expired: String,
}

impl Vendor {
    /// Packages are made in a container, and served from this machine's address in the network.
    pub(super) async fn open(network: &Network, release: Debian) -> Result<Self> {
        let folder = TempDir::new()?;
        let image = Image::Host(release).ensure().await?;
        let options = ["--volume".to_owned(), format!("{}:/vendor", folder.path().display())];
        let wait = ["sh", "-c", "sleep infinity & wait"].map(str::to_owned);
        let workshop = Container::run("vendor", &image, &[network], &[], &options, &wait).await?;
        let script = format!("codename={}\n{REPOSITORIES}", release.code_name());
        let printed = workshop.exec(&script).await?;
        let fingerprint = |name: &str| {
            let line =
                printed.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned());
            line.with_context(|| format!("no fingerprint {name} in {printed}"))
        };
        let (good, expired) = (fingerprint("good ")?, fingerprint("expired ")?);
        let root = folder.path().to_owned();
        let ip = network.address(1).into();
        let server = Server::start(ip, move |stream, head| send(stream, head, root.clone())).await?;
        Ok(Self { server, _folder: folder, good, expired })
    }

    /// What stands as `docker.vendor.url`.
    pub(super) fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.server.address())
    }
}

async fn send(mut stream: TcpStream, head: String, root: PathBuf) -> io::Result<()> {
    let path = head.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let is_plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let found = if is_plain { tokio::fs::read(root.join(path)).await.ok() } else { None };
    let (status, body) = match found {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

/// Makes the repositories, and prints the keys' fingerprints.
const REPOSITORIES: &str = r#"
cd /vendor
architecture=$(dpkg --print-architecture)
export GNUPGHOME=/tmp/keys
mkdir -m 700 "$GNUPGHOME"
key() {
  name=$1; shift
  gpg --batch --quiet --pinentry-mode loopback --passphrase '' "$@" 2>/dev/null
  gpg --armor --export "$name@vendor.test" >"$name.key"
  echo "$name $(gpg --with-colons --list-keys "$name@vendor.test" 2>/dev/null | sed -n '/^pub:/{n;s/^fpr:*\([0-9A-F]*\):.*/\1/p}')"
}
past=20200101T000000
key good --quick-generate-key good@vendor.test ed25519 sign never
key expired --faked-system-time "$past!" --quick-generate-key expired@vendor.test ed25519 sign 1d

apt-get -q update >/dev/null
mkdir pool downloads
# The vendor's name, and the distribution's. What the one says against the other is left out.
package() {
  (cd downloads; apt-get -q download "$2" >/dev/null 2>&1)
  dpkg-deb --raw-extract downloads/"$2"_*.deb "/tmp/$1"
  sed -i -e "s/^Package: .*/Package: $1/" -e '/^\(Conflicts\|Breaks\|Replaces\|Provides\|Suggests\|Recommends\|Built-Using\|Static-Built-Using\):/d' \
    -e '/^Depends:/{s/docker-cli\>/docker-ce-cli/g;s/\<containerd\>/containerd.io/g}' "/tmp/$1/DEBIAN/control"
  dpkg-deb -Znone --build "/tmp/$1" "pool/$1.deb" >/dev/null
  cat "/tmp/$1/DEBIAN/control"
  printf '%s\n' "Filename: pool/$1.deb" "Size: $(stat -c %s "pool/$1.deb")" \
    "SHA256: $(sha256sum "pool/$1.deb" | cut -d ' ' -f 1)" ''
}
{
  package docker-ce docker.io
  package docker-ce-cli docker-cli
  package containerd.io containerd
  package docker-compose-plugin docker-compose
} >packages

# Name, the key that is shown, the key that signs and when.
repository() {
  name=$1 shown=$2 signer=$3; shift 3
  folder=$name/debian/dists/$codename
  index=stable/binary-$architecture/Packages
  mkdir -p "$folder/${index%/*}"
  ln -s ../../pool "$name/debian/pool"
  cp "$shown.key" "$name/debian/gpg"
  cp packages "$folder/$index"
  printf '%s\n' 'Origin: test' "Suite: $codename" "Codename: $codename" "Architectures: $architecture" \
    'Components: stable' "Date: $(date -Ru)" 'SHA256:' \
    " $(sha256sum packages | cut -d ' ' -f 1) $(stat -c %s packages) $index" >"$folder/Release"
  gpg --batch --quiet --local-user "$signer@vendor.test" "$@" --clearsign --output "$folder/InRelease" "$folder/Release" 2>/dev/null
}
repository good good good
repository expired expired expired --faked-system-time "$past!"
repository forged good expired --faked-system-time "$past!"
"#;
