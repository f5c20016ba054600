//! JKS, Java's own format of key store before Java 9.
//!
//! Integers are big-endian, texts are Java's modified UTF-8 behind a length of 16 bits:
//!
//! ```text
//! magic FEEDFEED, version 2 (1 is read too), number of entries
//! each: tag 1: alias, time in ms, length + protected key, number of certificates, certificates
//!       tag 2: alias, time in ms, certificate
//! certificate: type "X.509" (version 2 only), length + DER
//! SHA-1 of: password as UTF-16BE, "Mighty Aphrodite", everything above
//! ```
//!
//! A protected key is PKCS8 exclusive-ored with a chain of SHA-1 values, behind a salt and before a SHA-1 of the
//! plain bytes. Both are as weak as they sound: the file's mode is what guards it.
//! Source: `sun.security.provider.JavaKeyStore` and `KeyProtector` in OpenJDK.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Sequence};
use pkcs8::spki::AlgorithmIdentifierRef;
use rand::RngCore;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::pkcs12::trust_alias;
use super::{StoreError, StoreKind, Truststore};
use crate::facts;
use crate::identity::Identity;
use crate::key;

pub(super) const MAGIC: u32 = 0xfeed_feed;
pub(super) const JCEKS_MAGIC: u32 = 0xcece_cece;

const KIND: StoreKind = StoreKind::Jks;
const PRIVATE_KEY: u32 = 1;
const TRUSTED_CERTIFICATE: u32 = 2;
const WHITENER: &[u8] = b"Mighty Aphrodite";
const DIGEST_SIZE: usize = SHA1_OUTPUT_LEN;
/// Sun's proprietary key protection (`iso.org.dod.internet.private.enterprise.sun.2.17.1.1`).
const KEY_PROTECTOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.42.2.17.1.1");

enum Entry<'a> {
    PrivateKey { offset: usize, protected: &'a [u8], chain: Vec<CertificateDer<'static>> },
    TrustedCertificate(CertificateDer<'static>),
}

#[derive(Sequence)]
struct ProtectedKey<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    data: &'a OctetStringRef,
}

pub(super) fn read_trust(bytes: &[u8], password: Option<&SecretString>) -> Result<Truststore, StoreError> {
    let mut store = Truststore::default();
    for entry in read(bytes, password)? {
        match entry {
            Entry::TrustedCertificate(certificate) => store.certificates.push(certificate),
            // Java trusts the leaves of private keys too.
            Entry::PrivateKey { chain, .. } => store.certificates.extend(chain.into_iter().next()),
        }
    }
    Ok(store)
}

pub(super) fn read_identity(
    bytes: &[u8],
    store_password: Option<&SecretString>,
    key_password: Option<&SecretString>,
) -> Result<Identity, StoreError> {
    for entry in read(bytes, store_password)? {
        let Entry::PrivateKey { offset, protected, chain } = entry else { continue };
        let password = key_password.ok_or(StoreError::PasswordNeeded { kind: KIND })?;
        let plain = unprotect(protected, offset, password)?;
        let key = key::from_pkcs8(&plain).map_err(StoreError::Key)?;
        return Identity::new(key.into(), chain).map_err(StoreError::Identity);
    }
    Err(StoreError::NoPrivateKey { kind: KIND })
}

pub(super) fn write_trust(
    certificates: &[&CertificateDer<'_>],
    password: &SecretString,
) -> Result<Vec<u8>, StoreError> {
    let mut writer = Writer::new(certificates.len())?;
    for (index, certificate) in certificates.iter().enumerate() {
        writer.u32(TRUSTED_CERTIFICATE);
        writer.text(&trust_alias(index), "alias")?;
        writer.created(certificate, index + 1)?;
        writer.certificate(certificate, index + 1)?;
    }
    Ok(writer.sealed(password))
}

pub(super) fn write_identity(
    key: &PrivatePkcs8KeyDer<'_>,
    chain: &[CertificateDer<'_>],
    password: &SecretString,
    alias: &str,
) -> Result<Vec<u8>, StoreError> {
    let leaf = chain.first().ok_or(StoreError::NoCertificates { kind: KIND })?;
    let mut salt = [0; DIGEST_SIZE];
    rand::rng().fill_bytes(&mut salt);
    let mut writer = Writer::new(1)?;
    writer.u32(PRIVATE_KEY);
    writer.text(alias, "alias")?;
    writer.created(leaf, 1)?;
    writer.block(&protect(key.secret_pkcs8_der(), salt, password)?, "private key")?;
    writer.u32(length(chain.len(), "chain")?);
    for (index, certificate) in chain.iter().enumerate() {
        writer.certificate(certificate, index + 1)?;
    }
    Ok(writer.sealed(password))
}

/// Reads every entry, then verifies the signature if there is a password to do it with.
fn read<'a>(bytes: &'a [u8], password: Option<&SecretString>) -> Result<Vec<Entry<'a>>, StoreError> {
    let mut reader = Reader { bytes, position: 0, certificates: 0, version: 0 };
    if reader.u32()? != MAGIC {
        return Err(StoreError::OtherKind { expected: KIND, found: StoreKind::sniff(bytes) });
    }
    reader.version = reader.u32()?;
    if !(1..=2).contains(&reader.version) {
        return Err(reader.corrupt(4, "unknown version"));
    }
    let count = reader.u32()?;
    // Nothing is reserved by a number from the file: each entry read takes bytes that are there.
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(reader.entry()?);
    }
    let end = reader.position;
    let digest = reader.take(DIGEST_SIZE)?;
    if reader.position != bytes.len() {
        return Err(reader.corrupt(reader.position, "bytes after the signature"));
    }
    match password {
        Some(password) if signature(&bytes[..end], password)[..] != *digest => {
            Err(StoreError::WrongPassword { kind: KIND })
        }
        _ => Ok(entries),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    /// How many certificates were read, to name the one that is wrong.
    certificates: usize,
    version: u32,
}

impl<'a> Reader<'a> {
    fn entry(&mut self) -> Result<Entry<'a>, StoreError> {
        let start = self.position;
        let tag = self.u32()?;
        self.text()?;
        self.take(8)?;
        match tag {
            TRUSTED_CERTIFICATE => Ok(Entry::TrustedCertificate(self.certificate()?)),
            PRIVATE_KEY => {
                let offset = self.position;
                let protected = self.block()?;
                let count = self.u32()?;
                let mut chain = Vec::new();
                for _ in 0..count {
                    chain.push(self.certificate()?);
                }
                Ok(Entry::PrivateKey { offset, protected, chain })
            }
            _ => Err(self.corrupt(start, "unknown kind of entry")),
        }
    }

    fn certificate(&mut self) -> Result<CertificateDer<'static>, StoreError> {
        let start = self.position;
        if self.version == 2 && self.text()? != b"X.509" {
            return Err(self.corrupt(start, "certificate that is not X.509"));
        }
        let certificate = CertificateDer::from(self.block()?.to_vec());
        self.certificates += 1;
        match facts::parse(&certificate) {
            Ok(_) => Ok(certificate),
            Err(source) => Err(StoreError::Certificate { kind: KIND, number: self.certificates, source }),
        }
    }

    fn text(&mut self) -> Result<&'a [u8], StoreError> {
        let size = self.take(2)?;
        self.take(usize::from(u16::from_be_bytes([size[0], size[1]])))
    }

    fn block(&mut self) -> Result<&'a [u8], StoreError> {
        let start = self.position;
        let size = self.u32()?;
        let size = usize::try_from(size).map_err(|_| self.corrupt(start, "length beyond the end"))?;
        self.take(size)
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Exactly `size` bytes.
    fn take(&mut self, size: usize) -> Result<&'a [u8], StoreError> {
        let end = self.position.checked_add(size);
        match end.and_then(|end| self.bytes.get(self.position..end)) {
            Some(bytes) => {
                self.position += size;
                Ok(bytes)
            }
            None => Err(self.corrupt(self.position, "the end comes too early")),
        }
    }

    fn corrupt(&self, offset: usize, problem: &'static str) -> StoreError {
        StoreError::Corrupt { kind: KIND, offset, problem }
    }
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn new(entries: usize) -> Result<Writer, StoreError> {
        let mut writer = Writer { bytes: Vec::new() };
        writer.u32(MAGIC);
        writer.u32(2);
        writer.u32(length(entries, "list of entries")?);
        Ok(writer)
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// The time of an entry: when its certificate begins, so that equal contents give equal bytes.
    fn created(&mut self, certificate: &CertificateDer<'_>, number: usize) -> Result<(), StoreError> {
        let parsed = facts::parse(certificate).map_err(|source| StoreError::Certificate {
            kind: KIND,
            number,
            source,
        })?;
        let seconds = parsed.validity().not_before.timestamp();
        self.bytes.extend_from_slice(&seconds.saturating_mul(1000).to_be_bytes());
        Ok(())
    }

    fn certificate(&mut self, certificate: &CertificateDer<'_>, number: usize) -> Result<(), StoreError> {
        facts::parse(certificate).map_err(|source| StoreError::Certificate { kind: KIND, number, source })?;
        self.text("X.509", "certificate type")?;
        self.block(certificate, "certificate")
    }

    fn text(&mut self, text: &str, what: &'static str) -> Result<(), StoreError> {
        let encoded = modified_utf8(text);
        let size = u16::try_from(encoded.len()).map_err(|_| StoreError::TooLong { kind: KIND, what })?;
        self.bytes.extend_from_slice(&size.to_be_bytes());
        self.bytes.extend_from_slice(&encoded);
        Ok(())
    }

    fn block(&mut self, bytes: &[u8], what: &'static str) -> Result<(), StoreError> {
        self.u32(length(bytes.len(), what)?);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sealed(mut self, password: &SecretString) -> Vec<u8> {
        let digest = signature(&self.bytes, password);
        self.bytes.extend_from_slice(&digest);
        self.bytes
    }
}

/// Java's lengths are signed.
fn length(size: usize, what: &'static str) -> Result<u32, StoreError> {
    match i32::try_from(size) {
        Ok(size) => Ok(size.unsigned_abs()),
        Err(_) => Err(StoreError::TooLong { kind: KIND, what }),
    }
}

fn signature(body: &[u8], password: &SecretString) -> [u8; DIGEST_SIZE] {
    sha1(&[&utf16(password), WHITENER, body])
}

fn protect(plain: &[u8], salt: [u8; DIGEST_SIZE], password: &SecretString) -> Result<Vec<u8>, StoreError> {
    let password = utf16(password);
    let mut data = salt.to_vec();
    data.extend(whitened(plain, &salt, &password).iter());
    data.extend(sha1(&[&password, plain]));
    let data = OctetStringRef::new(&data).map_err(StoreError::Encode)?;
    let algorithm = AlgorithmIdentifierRef { oid: KEY_PROTECTOR, parameters: Some(AnyRef::NULL) };
    ProtectedKey { algorithm, data }.to_der().map_err(StoreError::Encode)
}

fn unprotect(
    protected: &[u8],
    offset: usize,
    password: &SecretString,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let corrupt = |problem| StoreError::Corrupt { kind: KIND, offset, problem };
    let info = ProtectedKey::from_der(protected).map_err(|_| corrupt("malformed private key"))?;
    if info.algorithm.oid != KEY_PROTECTOR {
        return Err(corrupt("private key under an unknown protection"));
    }
    let Some((salt, rest)) = info.data.as_bytes().split_first_chunk::<DIGEST_SIZE>() else {
        return Err(corrupt("private key that is too short"));
    };
    let Some((hidden, digest)) = rest.split_last_chunk::<DIGEST_SIZE>() else {
        return Err(corrupt("private key that is too short"));
    };
    let password = utf16(password);
    let plain = whitened(hidden, salt, &password);
    match sha1(&[&password, &plain]) == *digest {
        true => Ok(plain),
        false => Err(StoreError::WrongKeyPassword { kind: KIND }),
    }
}

/// Exclusive-or with SHA-1(password, previous value), beginning with the salt; its own inverse.
fn whitened(bytes: &[u8], salt: &[u8; DIGEST_SIZE], password: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut result = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut mask = Zeroizing::new(*salt);
    for part in bytes.chunks(DIGEST_SIZE) {
        *mask = sha1(&[password, &mask[..]]);
        result.extend(part.iter().zip(mask.iter()).map(|(byte, mask)| byte ^ mask));
    }
    result
}

fn sha1(parts: &[&[u8]]) -> [u8; DIGEST_SIZE] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; DIGEST_SIZE];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Java's characters: UTF-16, high byte first.
fn utf16(password: &SecretString) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(password.expose_secret().encode_utf16().flat_map(u16::to_be_bytes).collect())
}

/// `java.io.DataOutput.writeUTF`: each UTF-16 unit on its own, and zero in two bytes.
fn modified_utf8(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for unit in text.encode_utf16() {
        let [high, low] = unit.to_be_bytes();
        match unit {
            0x01..=0x7f => bytes.push(low),
            0x00 | 0x80..=0x7ff => bytes.extend([0xc0 | (high << 2) | (low >> 6), 0x80 | (low & 0x3f)]),
            _ => bytes.extend([
                0xe0 | (high >> 4),
                0x80 | ((high & 0x0f) << 2) | (low >> 6),
                0x80 | (low & 0x3f),
            ]),
        }
    }
    bytes
}
