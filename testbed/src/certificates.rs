//! Foreign certificates: an authority and server certificates made by `openssl`, good ones and bad ones.
//!
//! Nothing here comes from crate `pki`: a program that is tested against its own certificates proves little.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, command, owner, paths};

/// The algorithm of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[default]
    Ec,
    /// RSA with 2048 bits.
    Rsa,
}

/// What is wrong with a certificate, for tests of how that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Valid in 2020 only.
    Expired,
    /// A common name but no subject alternative name.
    WithoutName,
    /// A subject alternative name, of some other host.
    OtherName,
}

/// An authority that lives in a folder of this test bed.
#[derive(Debug, Clone)]
pub struct Authority {
    dir: PathBuf,
    key: KeyKind,
    /// The certificates between a leaf and the root, in PEM, nearest to the leaf first; empty for a root.
    chain: String,
    /// The root's certificate in PEM: what clients trust.
    root: String,
}

/// A certificate with its key, in files.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The private key (PKCS 8, PEM), the certificate, and those between it and the root.
    pub key_and_chain: PathBuf,
    /// The private key alone (PKCS 8, PEM).
    pub key: PathBuf,
    /// The certificate and those between it and the root.
    pub chain: PathBuf,
}

impl Authority {
    /// Makes a self-signed root.
    pub async fn root(name: &str, key: KeyKind) -> Result<Self, Error> {
        let dir = new_dir()?;
        let config = dir.join("ca.cnf");
        let mut request = vec!["req", "-x509", "-new", "-nodes", "-sha256", "-days", "30"];
        request.extend(new_key(key));
        let subject = format!("/O=Kafka test/CN={name}");
        let (key_file, certificate) = (text(&dir.join("ca.key")), text(&dir.join("ca.pem")));
        let config = text(&config);
        request.extend(["-keyout", &key_file, "-out", &certificate, "-subj", &subject]);
        request.extend(["-config", &config, "-extensions", "authority"]);
        openssl(&request).await?;
        let root = read(&dir.join("ca.pem"))?;
        Ok(Self { dir, key, chain: String::new(), root })
    }

    /// Makes an authority that this one has signed: chains of three.
    pub async fn intermediate(&self, name: &str) -> Result<Self, Error> {
        let dir = new_dir()?;
        let subject = format!("/O=Kafka test/CN={name}");
        self.sign(&dir, "ca", &subject, "authority", None).await?;
        let own = read(&dir.join("ca.pem"))?;
        let chain = own + &self.chain;
        Ok(Self { dir, key: self.key, chain, root: self.root.clone() })
    }

    /// Issues a server certificate for DNS names and addresses, or one with a fault.
    pub async fn issue(&self, names: &[String], fault: Option<Fault>) -> Result<Leaf, Error> {
        let dir = new_dir()?;
        let alternative: Vec<String> = names
            .iter()
            .map(|name| match name.parse::<std::net::IpAddr>() {
                Ok(address) => format!("IP:{address}"),
                Err(_) => format!("DNS:{name}"),
            })
            .collect();
        let common_name = names.first().map_or("nobody", String::as_str);
        let extensions = match fault {
            Some(Fault::WithoutName) => "leaf".to_owned(),
            Some(Fault::OtherName) => "leaf\nsubjectAltName=DNS:other.kafka.invalid".to_owned(),
            Some(Fault::Expired) | None => format!("leaf\nsubjectAltName={}", alternative.join(",")),
        };
        let subject = format!("/O=Kafka test/CN={common_name}");
        self.sign(&dir, "leaf", &subject, &extensions, fault).await?;
        let leaf = Leaf {
            key_and_chain: dir.join("key-and-chain.pem"),
            key: dir.join("leaf.key"),
            chain: dir.join("chain.pem"),
        };
        let chain = read(&dir.join("leaf.pem"))? + &self.chain;
        paths::write_private(&leaf.chain, &chain)?;
        paths::write_private(&leaf.key_and_chain, read(&leaf.key)? + &chain)?;
        Ok(leaf)
    }

    /// The root's certificate in PEM.
    pub fn root_pem(&self) -> &str {
        &self.root
    }

    /// Makes a key and a certificate signed by this authority: `NAME.key` and `NAME.pem` in `dir`. `extensions` is the
    /// name of a section, followed by further lines for it.
    async fn sign(
        &self,
        dir: &Path,
        name: &str,
        subject: &str,
        extensions: &str,
        fault: Option<Fault>,
    ) -> Result<(), Error> {
        let (key, request) = (text(&dir.join(format!("{name}.key"))), text(&dir.join(format!("{name}.csr"))));
        let own_config = text(&dir.join("ca.cnf"));
        let mut words = vec!["req", "-new", "-nodes", "-sha256"];
        words.extend(new_key(self.key));
        words.extend(["-keyout", &key, "-out", &request, "-subj", subject, "-config", &own_config]);
        openssl(&words).await?;

        let (section, further) = extensions.split_once('\n').unwrap_or((extensions, ""));
        let config = dir.join("sign.cnf");
        fs::write(&config, signing_config(&self.dir, section, further)).map_err(Error::file(&config))?;
        let (start, end) = match fault {
            Some(Fault::Expired) => ("20200101000000Z", "20201231000000Z"),
            _ => ("20240101000000Z", "20991231000000Z"),
        };
        let (config, out) = (text(&config), text(&dir.join(format!("{name}.pem"))));
        let mut words = vec!["ca", "-batch", "-notext", "-rand_serial", "-md", "sha256", "-config", &config];
        words.extend(["-startdate", start, "-enddate", end, "-in", &request, "-out", &out]);
        openssl(&words).await?;
        Ok(())
    }
}

fn new_dir() -> Result<PathBuf, Error> {
    let dir = owner::dir("certificates")?;
    for (name, content) in
        [("ca.cnf", REQUEST_CONFIG), ("index", ""), ("index.attr", "unique_subject = no\n")]
    {
        paths::write_private(&dir.join(name), content)?;
    }
    Ok(dir)
}

const REQUEST_CONFIG: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
";

fn signing_config(authority: &Path, section: &str, further: &str) -> String {
    let dir = authority.display();
    let usage = match section {
        "authority" => "basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign",
        _ => {
            "basicConstraints = CA:FALSE\nkeyUsage = critical,digitalSignature,keyEncipherment\nextendedKeyUsage = serverAuth,clientAuth"
        }
    };
    format!(
        "\
[ca]
default_ca = this
[this]
database = {dir}/index
serial = {dir}/serial
new_certs_dir = {dir}
certificate = {dir}/ca.pem
private_key = {dir}/ca.key
policy = any
x509_extensions = extensions
[any]
organizationName = optional
commonName = supplied
[extensions]
{usage}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{further}
"
    )
}

fn new_key(kind: KeyKind) -> [&'static str; 4] {
    match kind {
        KeyKind::Ec => ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        KeyKind::Rsa => ["-newkey", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"],
    }
}

async fn openssl(args: &[&str]) -> Result<String, Error> {
    command::run("openssl", "openssl", args).await
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file(path))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
