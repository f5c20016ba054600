//! What a certificate says, as values that callers decide on.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ring::digest;
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::nom;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::San;

/// The contents of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Distinguished name as text, `CN=…, O=…`.
    pub subject: String,
    /// Distinguished name of the issuer as text.
    pub issuer: String,
    /// Serial number in lower-case hexadecimal, without leading zeros.
    pub serial: String,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// DNS names and addresses, in the certificate's order; other kinds of names are left out.
    pub sans: Vec<San>,
    pub is_ca: bool,
    /// How many authorities may follow this one; `None` is any number (and meaningless for a leaf).
    pub path_length: Option<u32>,
    pub key_algorithm: KeyAlgorithm,
    pub fingerprint: Fingerprint,
    der: CertificateDer<'static>,
}

/// The kind of public key a certificate carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAlgorithm {
    EcP256,
    EcP384,
    EcP521,
    Ed25519,
    Rsa {
        bits: usize,
    },
    /// The algorithm's object identifier.
    Other(String),
}

/// SHA-256 of the certificate's DER; printed like `keytool` and `openssl` do, `AB:CD:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Bytes that are not an X.509 certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("not an X.509 certificate")]
    Parse(#[source] X509Error),
    #[error("{excess} bytes follow the certificate")]
    Trailing { excess: usize },
}

/// Reads a certificate's contents; nothing is verified.
pub fn inspect(certificate: &CertificateDer<'_>) -> Result<CertificateFacts, CertificateError> {
    let parsed = parse(certificate)?;
    let basic_constraints = parsed.basic_constraints().ok().flatten();
    let sans = match parsed.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().filter_map(san).collect(),
        _ => Vec::new(),
    };
    Ok(CertificateFacts {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        serial: parsed.serial.to_str_radix(16),
        not_before: parsed.validity().not_before.to_datetime(),
        not_after: parsed.validity().not_after.to_datetime(),
        sans,
        is_ca: basic_constraints.as_ref().is_some_and(|extension| extension.value.ca),
        path_length: basic_constraints.and_then(|extension| extension.value.path_len_constraint),
        key_algorithm: key_algorithm(parsed.public_key()),
        fingerprint: Fingerprint::of(certificate),
        der: certificate.clone().into_owned(),
    })
}

/// Whether both hold the same certificates, whatever their order and however often each appears.
///
/// Stores carry random salts: compare what is in them, never their bytes.
pub fn same_certificates(a: &[CertificateDer<'_>], b: &[CertificateDer<'_>]) -> bool {
    fn set<'a>(certificates: &'a [CertificateDer<'_>]) -> BTreeSet<&'a [u8]> {
        certificates.iter().map(AsRef::as_ref).collect()
    }
    set(a) == set(b)
}

impl CertificateFacts {
    /// Whether `now` lies within the period of validity, both ends included.
    pub fn is_valid_at(&self, now: OffsetDateTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whether every name in `wanted` stands in the certificate literally; a wildcard covers only itself.
    pub fn covers(&self, wanted: &[San]) -> bool {
        wanted.iter().all(|name| self.sans.iter().any(|san| san.is_same(name)))
    }

    /// Whether `issuer`'s name and key made this certificate's signature.
    ///
    /// Anything that cannot be verified (an unknown algorithm, bytes that are no certificate) is a no.
    pub fn is_issued_by(&self, issuer: &CertificateDer<'_>) -> bool {
        link(&self.der, issuer) == Link::Verified
    }

    /// Whether the certificate was signed with its own key.
    pub fn is_self_signed(&self) -> bool {
        self.is_issued_by(&self.der)
    }

    /// The certificate itself.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

impl Fingerprint {
    pub fn of(certificate: &CertificateDer<'_>) -> Fingerprint {
        let digest = digest::digest(&digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Fingerprint(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyAlgorithm::EcP256 => f.write_str("EC P-256"),
            KeyAlgorithm::EcP384 => f.write_str("EC P-384"),
            KeyAlgorithm::EcP521 => f.write_str("EC P-521"),
            KeyAlgorithm::Ed25519 => f.write_str("Ed25519"),
            KeyAlgorithm::Rsa { bits } => write!(f, "RSA {bits}"),
            KeyAlgorithm::Other(oid) => write!(f, "algorithm {oid}"),
        }
    }
}

/// How a certificate stands to a possible issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// The issuer's name and key made the signature.
    Verified,
    /// The name is right, and the signature of a kind that cannot be verified here.
    Named,
    None,
}

pub(crate) fn link(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> Link {
    let (Ok(own), Ok(issuer)) = (parse(certificate), parse(issuer)) else { return Link::None };
    if own.issuer().as_raw() != issuer.subject().as_raw() {
        return Link::None;
    }
    match own.verify_signature(Some(issuer.public_key())) {
        Ok(()) => Link::Verified,
        Err(X509Error::SignatureUnsupportedAlgorithm) => Link::Named,
        Err(_) => Link::None,
    }
}

/// Parses a certificate that fills its bytes exactly.
pub(crate) fn parse<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, CertificateError> {
    match x509_parser::parse_x509_certificate(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        Ok((rest, _)) => Err(CertificateError::Trailing { excess: rest.len() }),
        Err(nom::Err::Error(error) | nom::Err::Failure(error)) => Err(CertificateError::Parse(error)),
        Err(nom::Err::Incomplete(_)) => Err(CertificateError::Parse(X509Error::InvalidCertificate)),
    }
}

fn san(name: &GeneralName<'_>) -> Option<San> {
    match name {
        GeneralName::DNSName(name) => Some(San::Dns((*name).to_owned())),
        GeneralName::IPAddress(octets) => {
            if let Ok(octets) = <[u8; 4]>::try_from(*octets) {
                Some(San::Ip(IpAddr::from(octets)))
            } else {
                <[u8; 16]>::try_from(*octets).ok().map(|octets| San::Ip(IpAddr::from(octets)))
            }
        }
        _ => None,
    }
}

fn key_algorithm(info: &SubjectPublicKeyInfo<'_>) -> KeyAlgorithm {
    let algorithm = &info.algorithm.algorithm;
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        return match info.parsed() {
            Ok(PublicKey::RSA(key)) => KeyAlgorithm::Rsa { bits: key.key_size() },
            _ => KeyAlgorithm::Other(algorithm.to_id_string()),
        };
    }
    if *algorithm == OID_SIG_ED25519 {
        return KeyAlgorithm::Ed25519;
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 => KeyAlgorithm::EcP256,
            Some(curve) if curve == OID_NIST_EC_P384 => KeyAlgorithm::EcP384,
            Some(curve) if curve == OID_NIST_EC_P521 => KeyAlgorithm::EcP521,
            Some(curve) => KeyAlgorithm::Other(curve.to_id_string()),
            None => KeyAlgorithm::Other(algorithm.to_id_string()),
        };
    }
    KeyAlgorithm::Other(algorithm.to_id_string())
}
