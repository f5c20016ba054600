//! The three kinds of store that Kafka knows, behind one pair of verbs for trust and one for identities.
//!
//! - **PEM**: blocks of text. A key store is the private key and its chain in one file, unencrypted when
//!   written here: its file mode is its guard.
//! - **PKCS12**: what Java and openssl make today, through the crate `p12-keystore`.
//! - **JKS**: Java's old format, written and read in [`jks`].
//!
//! Java opens JKS and PKCS12 files under either name (`keystore.type.compat`), and Kafka's default type is JKS
//! while keytool's files are PKCS12. So reading takes either name for either; only PEM is strict.

mod error;
mod jks;
mod pkcs12;

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use secrecy::SecretString;

pub use error::StoreError;

use crate::identity::Identity;
use crate::{key, pem};

/// A kind of store, under Kafka's names (`ssl.truststore.type`, `ssl.keystore.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreKind {
    Pem,
    Pkcs12,
    Jks,
}

/// A name that is no kind of store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("store type {name:?}: expected JKS, PKCS12 or PEM")]
pub struct StoreKindError {
    pub name: String,
}

/// The contents of a trust store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truststore {
    /// Never empty when read.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Those among `certificates` that a JVM would not see: PKCS12 entries without Oracle's attribute for
    /// trusted keys, as `openssl pkcs12 -export -nokeys` writes them.
    pub ignored_by_java: Vec<CertificateDer<'static>>,
}

/// Reads the certificates that a trust store vouches for, in the store's order.
///
/// Without a password JKS is read unverified, as Java does; PKCS12 is read if it is neither signed nor encrypted.
/// See [`Truststore::read`] for what a JVM would not see.
pub fn read_truststore(
    kind: StoreKind,
    bytes: &[u8],
    password: Option<&SecretString>,
) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    Ok(Truststore::read(kind, bytes, password)?.certificates)
}

/// Reads the first private key of a store with its chain.
///
/// `key_password` is the store's own when absent. PKCS12 has one password for everything, PEM none for the
/// file: there `store_password` is not looked at, and an encrypted key is opened with `key_password`.
pub fn read_keystore(
    kind: StoreKind,
    bytes: &[u8],
    store_password: Option<&SecretString>,
    key_password: Option<&SecretString>,
) -> Result<Identity, StoreError> {
    match resolve(kind, bytes)? {
        StoreKind::Jks => jks::read_identity(bytes, store_password, key_password.or(store_password)),
        StoreKind::Pkcs12 => pkcs12::read_identity(bytes, store_password.or(key_password)),
        StoreKind::Pem => {
            let blocks = pem::blocks(bytes).map_err(StoreError::Pem)?;
            let key = key::from_blocks(&blocks, key_password).map_err(StoreError::Key)?;
            let certificates = pem::certificates(&blocks).map_err(StoreError::Pem)?;
            Identity::new(key.into(), certificates).map_err(StoreError::Identity)
        }
    }
}

/// Writes a trust store. Duplicates are written once; the order is kept. PEM has no password.
pub fn write_truststore(
    kind: StoreKind,
    certificates: &[CertificateDer<'_>],
    password: &SecretString,
) -> Result<Vec<u8>, StoreError> {
    let mut distinct: Vec<&CertificateDer<'_>> = Vec::new();
    for certificate in certificates {
        if !distinct.contains(&certificate) {
            distinct.push(certificate);
        }
    }
    if distinct.is_empty() {
        return Err(StoreError::NoCertificates { kind });
    }
    match kind {
        StoreKind::Jks => jks::write_trust(&distinct, password),
        StoreKind::Pkcs12 => pkcs12::write_trust(&distinct, password),
        StoreKind::Pem => Ok(distinct
            .iter()
            .flat_map(|certificate| pem::encode("CERTIFICATE", certificate).into_bytes())
            .collect()),
    }
}

/// Writes a key store with one entry, whose key has the store's password. PEM is written unencrypted and
/// without alias.
pub fn write_keystore(
    kind: StoreKind,
    identity: &Identity,
    password: &SecretString,
    alias: &str,
) -> Result<Vec<u8>, StoreError> {
    // Java looks entries up in lower case, and finds them in JKS only if they were written so.
    let alias = alias.to_lowercase();
    let key = key::to_pkcs8(&identity.key).map_err(StoreError::Key)?;
    if identity.chain.is_empty() {
        return Err(StoreError::NoCertificates { kind });
    }
    match kind {
        StoreKind::Jks => jks::write_identity(&key, &identity.chain, password, &alias),
        StoreKind::Pkcs12 => pkcs12::write_identity(&key, &identity.chain, password, &alias),
        StoreKind::Pem => {
            let mut text = pem::encode("PRIVATE KEY", key.secret_pkcs8_der());
            text.push_str(&pem::certificates_to_pem(&identity.chain));
            Ok(text.into_bytes())
        }
    }
}

impl Truststore {
    /// As [`read_truststore`], with what a JVM would make of it.
    pub fn read(
        kind: StoreKind,
        bytes: &[u8],
        password: Option<&SecretString>,
    ) -> Result<Truststore, StoreError> {
        let store = match resolve(kind, bytes)? {
            StoreKind::Jks => jks::read_trust(bytes, password)?,
            StoreKind::Pkcs12 => pkcs12::read_trust(bytes, password)?,
            StoreKind::Pem => {
                let blocks = pem::blocks(bytes).map_err(StoreError::Pem)?;
                let certificates = pem::certificates(&blocks).map_err(StoreError::Pem)?;
                Truststore { certificates, ignored_by_java: Vec::new() }
            }
        };
        match store.certificates.is_empty() {
            true => Err(StoreError::NoCertificates { kind }),
            false => Ok(store),
        }
    }
}

impl StoreKind {
    /// Tells the kind from the first bytes; `None` when they are of none.
    pub fn sniff(bytes: &[u8]) -> Option<StoreKind> {
        if bytes.starts_with(&jks::MAGIC.to_be_bytes()) {
            return Some(StoreKind::Jks);
        }
        if pkcs12::is_pfx(bytes) {
            return Some(StoreKind::Pkcs12);
        }
        let begin = b"-----BEGIN ";
        bytes.windows(begin.len()).any(|window| window == begin).then_some(StoreKind::Pem)
    }

    /// The ending that files of this kind go by, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            StoreKind::Pem => "pem",
            StoreKind::Pkcs12 => "p12",
            StoreKind::Jks => "jks",
        }
    }
}

impl FromStr for StoreKind {
    type Err = StoreKindError;

    fn from_str(name: &str) -> Result<StoreKind, StoreKindError> {
        let kinds = [StoreKind::Pem, StoreKind::Pkcs12, StoreKind::Jks];
        let named = kinds.into_iter().find(|kind| kind.to_string().eq_ignore_ascii_case(name.trim()));
        named.ok_or_else(|| StoreKindError { name: name.to_owned() })
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreKind::Pem => "PEM",
            StoreKind::Pkcs12 => "PKCS12",
            StoreKind::Jks => "JKS",
        })
    }
}

/// Which reader the bytes are for, given what they are said to be.
fn resolve(kind: StoreKind, bytes: &[u8]) -> Result<StoreKind, StoreError> {
    if bytes.is_empty() {
        return Err(StoreError::Empty { kind });
    }
    let found = StoreKind::sniff(bytes);
    match (kind, found) {
        (StoreKind::Pem, Some(StoreKind::Pem)) => Ok(StoreKind::Pem),
        (StoreKind::Jks | StoreKind::Pkcs12, Some(found @ (StoreKind::Jks | StoreKind::Pkcs12))) => Ok(found),
        _ if bytes.starts_with(&jks::JCEKS_MAGIC.to_be_bytes()) => Err(StoreError::Jceks),
        _ => Err(StoreError::OtherKind { expected: kind, found }),
    }
}
