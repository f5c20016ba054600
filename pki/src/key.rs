//! Private keys in all their encodings, brought to the one form that everything reads: PKCS8 that carries its
//! public key.
//!
//! Java writes EC keys without the public part, which ring (and so rustls) refuses; the certificate that goes
//! with the key has it, so the two are joined here, and the same step tells whether they belong together.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use pkcs8::pkcs5::{self, EncryptionScheme, pbes2::Kdf};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::facts;
use crate::pem::{self, Block, PemError};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const PBKDF2_ITERATIONS_MAX: u32 = 5_000_000;
const SCRYPT_BYTES_MAX: u64 = 256 << 20;

/// A private key that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("no private key in the PEM text")]
    Missing,
    #[error("the PEM text cannot be read")]
    Pem(#[source] PemError),
    #[error("malformed {form} private key")]
    Malformed {
        form: &'static str,
        #[source]
        source: der::Error,
    },
    #[error("the EC key does not name its curve")]
    UnnamedCurve,
    #[error("the private key is encrypted and no password is given")]
    PasswordNeeded,
    #[error("the private key's password is wrong")]
    WrongPassword,
    #[error("the private key's encryption cannot be undone")]
    Encryption(#[source] pkcs5::Error),
    #[error("the private key's encryption asks for too much work or memory")]
    Costly,
    /// Encryption that OpenSSL applies to the PEM text itself (`Proc-Type: 4,ENCRYPTED`).
    #[error("the private key is encrypted in the old form of OpenSSL")]
    OldEncryption,
}

impl KeyError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            KeyError::Missing => Some("the file needs a block that begins with -----BEGIN PRIVATE KEY-----"),
            KeyError::UnnamedCurve => Some("convert the key with `openssl pkcs8 -topk8 -nocrypt`"),
            KeyError::OldEncryption | KeyError::Encryption(_) | KeyError::Costly => {
                Some("convert the key with `openssl pkcs8 -topk8 -v2 aes-256-cbc`")
            }
            KeyError::PasswordNeeded => Some("give the password that the key was encrypted with"),
            KeyError::Pem(_) | KeyError::Malformed { .. } | KeyError::WrongPassword => None,
        }
    }
}

/// RFC 5915.
#[derive(Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    parameters: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public_key: Option<BitStringRef<'a>>,
}

/// RFC 8017, A.1.2.
#[derive(Sequence)]
struct RsaPrivateKey<'a> {
    version: u8,
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
    private_exponent: UintRef<'a>,
    prime1: UintRef<'a>,
    prime2: UintRef<'a>,
    exponent1: UintRef<'a>,
    exponent2: UintRef<'a>,
    coefficient: UintRef<'a>,
}

/// RFC 8017, A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

/// Whether a private key belongs to a certificate.
pub(crate) enum Fit {
    /// It does; the key as it is best handed on.
    Yes(PrivatePkcs8KeyDer<'static>),
    No,
    /// The algorithm is not one that can be compared here.
    Unknown,
}

/// The first private key in a PEM text, as PKCS8: `PRIVATE KEY`, `RSA PRIVATE KEY`, `EC PRIVATE KEY`, or
/// `ENCRYPTED PRIVATE KEY` (PBES2) with its password.
pub fn private_key_from_pem(
    text: &SecretString,
    password: Option<&SecretString>,
) -> Result<PrivateKeyDer<'static>, KeyError> {
    let blocks = pem::blocks(text.expose_secret().as_bytes()).map_err(KeyError::Pem)?;
    Ok(PrivateKeyDer::Pkcs8(from_blocks(&blocks, password)?))
}

pub(crate) fn from_blocks(
    blocks: &[Block],
    password: Option<&SecretString>,
) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    for block in blocks {
        let contents = block.contents.as_slice();
        match block.label.as_str() {
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" if block.is_encrypted => {
                return Err(KeyError::OldEncryption);
            }
            "PRIVATE KEY" => return from_pkcs8(contents),
            "RSA PRIVATE KEY" => return from_pkcs1(contents),
            "EC PRIVATE KEY" => return from_sec1(contents),
            "ENCRYPTED PRIVATE KEY" => return from_encrypted_pkcs8(contents, password),
            _ => {}
        }
    }
    Err(KeyError::Missing)
}

/// Any encoding as plain PKCS8 version 1, without attributes.
pub(crate) fn to_pkcs8(key: &PrivateKeyDer<'_>) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    match key {
        PrivateKeyDer::Pkcs1(key) => from_pkcs1(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => from_sec1(key.secret_sec1_der()),
        other => from_pkcs8(other.secret_der()),
    }
}

pub(crate) fn from_pkcs8(der: &[u8]) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(malformed("PKCS8"))?;
    // Version 2 holds the public key in a field of its own, which Ed25519 keys need and others do not have.
    if info.algorithm.oid == ED25519 {
        return Ok(PrivatePkcs8KeyDer::from(der.to_vec()));
    }
    wrap(info.algorithm, info.private_key.as_bytes(), "PKCS8")
}

/// Compares a private key with the certificate's public key.
pub(crate) fn fit(key: &PrivatePkcs8KeyDer<'static>, certificate: &CertificateDer<'_>) -> Fit {
    let Ok(certificate) = facts::parse(certificate) else { return Fit::No };
    let Ok(info) = PrivateKeyInfoRef::from_der(key.secret_pkcs8_der()) else { return Fit::No };
    let Ok(public) = SubjectPublicKeyInfoRef::from_der(certificate.public_key().raw) else { return Fit::No };
    let public_key = public.subject_public_key.raw_bytes();
    let kept = |fits: bool| if fits { Fit::Yes(key.clone_key()) } else { Fit::No };
    if info.algorithm.oid != public.algorithm.oid {
        return Fit::No;
    }
    match info.algorithm.oid {
        RSA => {
            let own = RsaPrivateKey::from_der(info.private_key.as_bytes());
            let other = RsaPublicKey::from_der(public_key);
            kept(matches!((own, other), (Ok(own), Ok(other))
                if own.modulus == other.modulus && own.public_exponent == other.public_exponent))
        }
        EC => {
            let curve = public.algorithm.parameters_oid().ok();
            if curve != info.algorithm.parameters_oid().ok() {
                return Fit::No;
            }
            fit_ec(&info, curve, public_key)
        }
        ED25519 => match Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der()) {
            Ok(pair) => kept(pair.public_key().as_ref() == public_key),
            Err(_) => Fit::No,
        },
        _ => Fit::Unknown,
    }
}

/// Gives the key the certificate's public part; ring accepts the result only if the two are one pair.
fn fit_ec(info: &PrivateKeyInfoRef<'_>, curve: Option<ObjectIdentifier>, public_key: &[u8]) -> Fit {
    let Ok(own) = EcPrivateKey::from_der(info.private_key.as_bytes()) else { return Fit::No };
    let Ok(bits) = BitStringRef::from_bytes(public_key) else { return Fit::No };
    let joined =
        EcPrivateKey { version: 1, private_key: own.private_key, parameters: None, public_key: Some(bits) };
    let joined = match encode(&joined, "EC").and_then(|inner| wrap(info.algorithm, &inner, "EC")) {
        Ok(joined) => joined,
        Err(_) => return Fit::No,
    };
    let algorithm = match curve {
        Some(P256) => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        Some(P384) => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => {
            return match own.public_key {
                Some(own) if own.raw_bytes() == public_key => Fit::Yes(joined),
                Some(_) => Fit::No,
                None => Fit::Unknown,
            };
        }
    };
    match EcdsaKeyPair::from_pkcs8(algorithm, joined.secret_pkcs8_der(), &SystemRandom::new()) {
        Ok(_) => Fit::Yes(joined),
        Err(_) => Fit::No,
    }
}

fn from_pkcs1(der: &[u8]) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    RsaPrivateKey::from_der(der).map_err(malformed("PKCS1"))?;
    wrap(AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) }, der, "PKCS1")
}

fn from_sec1(der: &[u8]) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    let key = EcPrivateKey::from_der(der).map_err(malformed("SEC1"))?;
    let curve = key.parameters.ok_or(KeyError::UnnamedCurve)?;
    if curve.decode_as::<ObjectIdentifier>().is_err() {
        return Err(KeyError::UnnamedCurve);
    }
    let inner = EcPrivateKey { parameters: None, ..key };
    let inner = encode(&inner, "SEC1")?;
    wrap(AlgorithmIdentifierRef { oid: EC, parameters: Some(curve) }, &inner, "SEC1")
}

fn from_encrypted_pkcs8(
    der: &[u8],
    password: Option<&SecretString>,
) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    let password = password.ok_or(KeyError::PasswordNeeded)?.expose_secret();
    let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(malformed("encrypted PKCS8"))?;
    if !is_affordable(&info.encryption_algorithm) {
        return Err(KeyError::Costly);
    }
    let plain =
        info.encryption_algorithm.decrypt(password, info.encrypted_data.as_bytes()).map(Zeroizing::new);
    match plain {
        // Bytes decrypted with a wrong password sometimes end in what looks like padding.
        Ok(plain) => from_pkcs8(&plain).map_err(|_| KeyError::WrongPassword),
        Err(pkcs5::Error::DecryptFailed) => Err(KeyError::WrongPassword),
        Err(error) => Err(KeyError::Encryption(error)),
    }
}

/// Files name their own costs: refuses those that would keep the reader busy for long or take its memory.
fn is_affordable(algorithm: &EncryptionScheme) -> bool {
    match algorithm {
        EncryptionScheme::Pbes2(pbes2) => match &pbes2.kdf {
            Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= PBKDF2_ITERATIONS_MAX,
            Kdf::Scrypt(scrypt) => {
                let block = 128 * u64::from(scrypt.block_size) * u64::from(scrypt.parallelization);
                scrypt.cost_parameter.checked_mul(block).is_some_and(|bytes| bytes <= SCRYPT_BYTES_MAX)
            }
            _ => false,
        },
        // Parsed only: decrypting says that it is not supported.
        _ => true,
    }
}

fn wrap(
    algorithm: AlgorithmIdentifierRef<'_>,
    inner: &[u8],
    form: &'static str,
) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    let inner = OctetStringRef::new(inner).map_err(malformed(form))?;
    let info = PrivateKeyInfoRef::new(algorithm, inner);
    Ok(PrivatePkcs8KeyDer::from(info.to_der().map_err(malformed(form))?))
}

fn encode(value: &impl Encode, form: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    Ok(Zeroizing::new(value.to_der().map_err(malformed(form))?))
}

fn malformed(form: &'static str) -> impl Fn(der::Error) -> KeyError {
    move |source| KeyError::Malformed { form, source }
}
