//! Certificates and stores of crate `pki`, judged by `keytool`, `openssl` and a JVM.
//!
//! Every check runs with EC and with RSA keys, and with chains of three: leaf, intermediate authority, root.

mod foreign;
mod judged;
mod tls;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pki::{
    Authority, AuthoritySpec, Identity, KeyUsage, LeafSpec, San, StoreKind, Validity, private_key_from_pem,
    write_keystore, write_truststore,
};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Ec,
    Rsa,
}

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ec, Algorithm::Rsa];

/// A folder for one test, with a file `password`.
struct Folder {
    dir: TempDir,
    password: SecretString,
}

/// A root and a leaf two steps below it, both with keys of one algorithm; the leaf is good for both sides of a
/// connection to `localhost`.
struct Issued {
    root: Authority,
    identity: Identity,
}

impl Folder {
    fn new(password: &str) -> Folder {
        let dir = tempfile::Builder::new().prefix("stores-").tempdir().unwrap();
        fs::write(dir.path().join("password"), password).unwrap();
        Folder { dir, password: password.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn write_keystore(&self, name: &str, kind: StoreKind, identity: &Identity) {
        self.write(name, write_keystore(kind, identity, &self.password, "broker").unwrap());
    }

    fn write_truststore(&self, name: &str, kind: StoreKind, authorities: &[&Authority]) {
        let certificates: Vec<_> =
            authorities.iter().map(|authority| authority.certificate().clone()).collect();
        self.write(name, write_truststore(kind, &certificates, &self.password).unwrap());
    }

    /// Runs a program in the folder; `line` is split at spaces. The program must succeed.
    fn run(&self, line: &str) -> String {
        let (success, output) = self.try_run(line);
        assert!(success, "`{line}` failed:\n{output}");
        output
    }

    /// Runs a program in the folder: whether it succeeded, and all it printed.
    fn try_run(&self, line: &str) -> (bool, String) {
        let mut words = line.split_whitespace();
        let output = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("`{line}` cannot be started: {error}"));
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

impl Issued {
    fn new(folder: &Folder, algorithm: Algorithm) -> Issued {
        let validity = Validity::starting(OffsetDateTime::now_utc(), Duration::days(1));
        let root = match algorithm {
            Algorithm::Ec => {
                Authority::create(&AuthoritySpec { common_name: "Ec Root".to_owned(), validity })
            }
            // RSA keys are not made by us: an authority of openssl's goes on here.
            Algorithm::Rsa => {
                folder.run(
                    "openssl req -x509 -newkey rsa:3072 -noenc -keyout root.key -out root.pem -days 2 \
                     -subj /O=Example/CN=Root -addext keyUsage=critical,keyCertSign,cRLSign",
                );
                let text = |name| String::from_utf8(folder.read(name)).unwrap();
                Authority::load(&text("root.pem"), &text("root.key").into())
            }
        };
        let root = root.unwrap();
        let intermediate = AuthoritySpec { common_name: format!("{algorithm:?} Intermediate"), validity };
        let intermediate = root.issue_authority(&intermediate).unwrap();
        let leaf = LeafSpec {
            common_name: format!("{algorithm:?} leaf"),
            sans: vec![San::Dns("localhost".to_owned()), San::Ip([127, 0, 0, 1].into())],
            usage: KeyUsage::Both,
            validity,
        };
        let identity = match algorithm {
            Algorithm::Ec => intermediate.issue(&leaf),
            Algorithm::Rsa => {
                let pem = SecretString::from(folder.run("openssl genrsa 3072"));
                let key = private_key_from_pem(&pem, None).unwrap();
                intermediate.issue_for_key(&leaf, &key)
            }
        };
        Issued { root, identity: identity.unwrap() }
    }

    /// What `keytool` and `openssl` print for each certificate of the chain.
    fn fingerprints(&self) -> Vec<String> {
        self.identity.chain.iter().map(|one| pki::inspect(one).unwrap().fingerprint.to_string()).collect()
    }

    /// The public key of the leaf, as `openssl` sees it.
    fn public_key(&self, folder: &Folder) -> String {
        folder.write("leaf-of-chain.pem", self.identity.chain_pem());
        folder.run("openssl x509 -in leaf-of-chain.pem -noout -pubkey")
    }
}

/// The public part of a private key, as `openssl` sees it.
fn public_half(folder: &Folder, key_pem: &SecretString) -> String {
    folder.write("key-to-compare.pem", key_pem.expose_secret());
    folder.run("openssl pkey -in key-to-compare.pem -pubout")
}
