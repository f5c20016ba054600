//! PKCS12 as Java 17 and openssl 3 make it: PBES2 with AES-256 and PBKDF2, HMAC-SHA256 over everything.
//!
//! Java sees a certificate as trusted only if its bag carries Oracle's attribute; stores written here have it.
//! Reading takes certificates without it as well, and says which.

use p12_keystore::error::Error;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKey, PrivateKeyChain};
use ring::digest;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret, SecretString};

use super::{StoreError, StoreKind, Truststore};
use crate::facts;
use crate::identity::{Identity, IdentityError};
use crate::key;

const KIND: StoreKind = StoreKind::Pkcs12;

/// Whether the bytes begin like a PFX: a sequence whose first element is the integer 3.
pub(super) fn is_pfx(bytes: &[u8]) -> bool {
    let length_size = match bytes {
        [0x30, 0x80, ..] => 1,
        [0x30, first, ..] if *first > 0x80 => 1 + usize::from(first & 0x7f),
        [0x30, ..] => 1,
        _ => return false,
    };
    bytes.get(1 + length_size..).is_some_and(|body| body.starts_with(&[0x02, 0x01, 0x03]))
}

pub(super) fn read_trust(bytes: &[u8], password: Option<&SecretString>) -> Result<Truststore, StoreError> {
    let archive = open(bytes, password)?;
    let mut store = Truststore::default();
    for (index, bag) in archive.certs.iter().enumerate() {
        let certificate = CertificateDer::from(bag.cert.as_der().to_vec());
        facts::parse(&certificate).map_err(|source| StoreError::Certificate {
            kind: KIND,
            number: index + 1,
            source,
        })?;
        // Java trusts marked certificates, and the leaf of every private key. Where there is no key, unmarked
        // certificates can only be meant as trusted.
        let belongs_to_key = bag.local_key_id.as_ref().is_some_and(|id| {
            archive
                .keys
                .iter()
                .any(|key| key.local_key_id.as_ref().is_some_and(|own| own.as_ref() == id.as_slice()))
        });
        if bag.trusted || belongs_to_key {
            store.certificates.push(certificate);
        } else if archive.keys.is_empty() {
            store.ignored_by_java.push(certificate.clone());
            store.certificates.push(certificate);
        }
    }
    Ok(store)
}

pub(super) fn read_identity(bytes: &[u8], password: Option<&SecretString>) -> Result<Identity, StoreError> {
    let archive = open(bytes, password)?;
    let certificates: Vec<_> =
        archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    let mut failed = None;
    for bag in &archive.keys {
        let key = key::from_pkcs8(bag.key.as_der()).map_err(StoreError::Key)?;
        match Identity::new(key.into(), certificates.clone()) {
            Ok(identity) => return Ok(identity),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) => Err(StoreError::Identity(error)),
        None => Err(StoreError::NoPrivateKey { kind: KIND }),
    }
}

pub(super) fn write_trust(
    certificates: &[&CertificateDer<'_>],
    password: &SecretString,
) -> Result<Vec<u8>, StoreError> {
    let mut store = KeyStore::new();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add_entry(&trust_alias(index), KeyStoreEntry::Certificate(bag(index, certificate)?));
    }
    write(&store, password)
}

pub(super) fn write_identity(
    key: &PrivatePkcs8KeyDer<'_>,
    chain: &[CertificateDer<'_>],
    password: &SecretString,
    alias: &str,
) -> Result<Vec<u8>, StoreError> {
    let leaf = chain.first().ok_or(StoreError::Identity(IdentityError::NoCertificate))?;
    // The id joins key and leaf within the file; openssl uses SHA-1 of the certificate in the same place.
    let id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, leaf);
    let key = PrivateKey::from_der(key.secret_pkcs8_der()).map_err(StoreError::Write)?;
    let bags = chain.iter().enumerate().map(|(index, certificate)| bag(index, certificate));
    let chain = PrivateKeyChain::new(id.as_ref(), key, bags.collect::<Result<Vec<_>, _>>()?);
    let mut store = KeyStore::new();
    store.add_entry(alias, KeyStoreEntry::PrivateKeyChain(chain));
    write(&store, password)
}

/// The alias of a trusted certificate: the crate writes entries in the order of their aliases.
pub(super) fn trust_alias(index: usize) -> String {
    format!("ca-{:04}", index + 1)
}

fn bag(index: usize, certificate: &CertificateDer<'_>) -> Result<Certificate, StoreError> {
    facts::parse(certificate).map_err(|source| StoreError::Certificate {
        kind: KIND,
        number: index + 1,
        source,
    })?;
    Certificate::from_der(certificate).map_err(StoreError::Write)
}

fn open(bytes: &[u8], password: Option<&SecretString>) -> Result<Pkcs12Archive, StoreError> {
    let text = password.map(|password| password.expose_secret()).unwrap_or_default();
    if text.chars().any(|character| u32::from(character) > 0xffff) {
        return Err(StoreError::PasswordCharacters { kind: KIND, allowed: "characters up to U+FFFF" });
    }
    Pkcs12Archive::from_pkcs12(bytes, text).map_err(|error| match error {
        Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError if password.is_none() => {
            StoreError::PasswordNeeded { kind: KIND }
        }
        Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError => {
            StoreError::WrongPassword { kind: KIND }
        }
        Error::UnsupportedEncryptionScheme
        | Error::UnsupportedMacAlgorithm
        | Error::UnsupportedContentType => StoreError::Algorithm(error),
        _ => StoreError::Malformed(error),
    })
}

fn write(store: &KeyStore, password: &SecretString) -> Result<Vec<u8>, StoreError> {
    // Java refuses PBES2 under any other password ("Password is not ASCII").
    if !password.expose_secret().chars().all(|character| (' '..='~').contains(&character)) {
        return Err(StoreError::PasswordCharacters { kind: KIND, allowed: "printable ASCII" });
    }
    store.writer(password.expose_secret()).write().map_err(StoreError::Write)
}
