//! Makes certificates: a self-signed authority, authorities below it, and leaves.
//!
//! Keys made here are EC P-256. RSA keys are taken wherever a key is given, but not made: ring does not make
//! them, and nothing that `provision` issues needs one.

use rand::RngCore;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::facts::{self, CertificateError, CertificateFacts};
use crate::identity::{Identity, IdentityError};
use crate::key::{self, KeyError};
use crate::pem::{self, PemError};
use crate::{KeyAlgorithm, San, SanError};

/// X.509's upper bound for a common name (RFC 5280, `ub-common-name`), in characters.
const COMMON_NAME_MAX: usize = 64;

/// A certificate authority: a key, its certificate, and the certificates above it.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate first, then each one's issuer.
    chain: Vec<CertificateDer<'static>>,
    facts: CertificateFacts,
    key: PrivatePkcs8KeyDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// What an authority is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritySpec {
    /// 1 to 64 characters.
    pub common_name: String,
    pub validity: Validity,
}

/// What a leaf is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafSpec {
    /// 1 to 64 characters. TLS clients look at `sans` only: a name has to be there too.
    pub common_name: String,
    pub sans: Vec<San>,
    pub usage: KeyUsage,
    pub validity: Validity,
}

/// Which side of a TLS connection a leaf is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUsage {
    Server,
    Client,
    Both,
}

/// A period of validity; both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
}

/// An operation of an authority that failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("common name {name:?}: expected 1 to {COMMON_NAME_MAX} characters")]
    CommonName { name: String },
    #[error("subject alternative name")]
    San(#[source] SanError),
    #[error("validity ends ({not_after}) before it begins ({not_before})")]
    Validity { not_before: OffsetDateTime, not_after: OffsetDateTime },
    #[error("the authority's certificate cannot be read")]
    CertificatePem(#[source] PemError),
    #[error("no certificate in the authority's PEM text")]
    NoCertificate,
    #[error("the authority's certificate cannot be read")]
    Certificate(#[source] CertificateError),
    #[error("{subject} is not a certificate authority")]
    NotAnAuthority { subject: String },
    #[error("{subject} may not issue authorities")]
    PathLength { subject: String },
    #[error("the private key cannot be read")]
    Key(#[source] KeyError),
    #[error("the authority's certificate and private key do not belong together")]
    Identity(#[source] IdentityError),
    #[error("{algorithm} keys cannot sign")]
    SigningKey {
        algorithm: KeyAlgorithm,
        #[source]
        source: rcgen::Error,
    },
    #[error("a certificate for {common_name:?} cannot be made")]
    Issue {
        common_name: String,
        #[source]
        source: rcgen::Error,
    },
    /// The issuer's name cannot be repeated exactly, so that no one could follow the chain.
    #[error("a certificate issued by {issuer} does not lead back to it")]
    Detached { issuer: String },
}

impl AuthorityError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            AuthorityError::NotAnAuthority { .. } => {
                Some("give a certificate with the basic constraint CA:TRUE")
            }
            AuthorityError::PathLength { .. } => Some("issue from the root, or issue a leaf"),
            AuthorityError::Identity(_) => Some("give the key that the certificate was made with"),
            AuthorityError::SigningKey { .. } => {
                Some("use EC P-256, EC P-384, Ed25519 or RSA of 2048 bits or more")
            }
            AuthorityError::Key(source) => source.hint(),
            _ => None,
        }
    }
}

impl Validity {
    /// From five minutes before `now`, for hosts whose clocks are late, until `lifetime` after it.
    pub fn starting(now: OffsetDateTime, lifetime: Duration) -> Validity {
        Validity { not_before: now - Duration::minutes(5), not_after: now + lifetime }
    }
}

impl Authority {
    /// Makes a self-signed authority with a new EC P-256 key.
    pub fn create(spec: &AuthoritySpec) -> Result<Authority, AuthorityError> {
        let key = new_key(&spec.common_name)?;
        let params = authority_params(spec, BasicConstraints::Unconstrained)?;
        let certificate = params.self_signed(&key).map_err(issue(&spec.common_name))?;
        Authority::assemble(vec![certificate.der().clone()], key)
    }

    /// Takes an authority from PEM texts: its certificate first, and any certificates above it after it.
    ///
    /// An authority that is no longer valid is taken too; see [`Authority::facts`].
    pub fn load(certificate_pem: &str, key_pem: &SecretString) -> Result<Authority, AuthorityError> {
        let chain = pem::certificates_from_pem(certificate_pem).map_err(AuthorityError::CertificatePem)?;
        let key = key::private_key_from_pem(key_pem, None).map_err(AuthorityError::Key)?;
        let Some(first) = chain.first().cloned() else { return Err(AuthorityError::NoCertificate) };
        let identity = Identity::new(key, chain).map_err(AuthorityError::Identity)?;
        if identity.chain.first() != Some(&first) {
            return Err(AuthorityError::Identity(IdentityError::Mismatch));
        }
        let algorithm = identity.facts().map_err(AuthorityError::Certificate)?.key_algorithm;
        let key = KeyPair::try_from(&identity.key)
            .map_err(|source| AuthorityError::SigningKey { algorithm, source })?;
        Authority::assemble(identity.chain, key)
    }

    /// Makes an authority below this one, which may issue leaves only.
    pub fn issue_authority(&self, spec: &AuthoritySpec) -> Result<Authority, AuthorityError> {
        if self.facts.path_length == Some(0) {
            return Err(AuthorityError::PathLength { subject: self.facts.subject.clone() });
        }
        let key = new_key(&spec.common_name)?;
        let params = authority_params(spec, BasicConstraints::Constrained(0))?;
        let chain = self.sign(params, &key, &spec.common_name)?;
        Authority::assemble(chain, key)
    }

    /// Makes a leaf with a new EC P-256 key. Its validity is cut to the authority's own.
    pub fn issue(&self, spec: &LeafSpec) -> Result<Identity, AuthorityError> {
        let key = new_key(&spec.common_name)?;
        let chain = self.sign(leaf_params(spec)?, &key, &spec.common_name)?;
        Ok(Identity { key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())), chain })
    }

    /// Makes a leaf for a key that exists already, of any kind that ring signs with.
    pub fn issue_for_key(
        &self,
        spec: &LeafSpec,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Identity, AuthorityError> {
        let key = PrivateKeyDer::Pkcs8(key::to_pkcs8(key).map_err(AuthorityError::Key)?);
        let pair = KeyPair::try_from(&key).map_err(issue(&spec.common_name))?;
        let chain = self.sign(leaf_params(spec)?, &pair, &spec.common_name)?;
        Ok(Identity { key, chain })
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.facts.certificate()
    }

    /// The authority's own certificate first, then each one's issuer up to the root.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// What the authority's own certificate says.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// The whole chain as PEM, the own certificate first: what [`Authority::load`] takes.
    pub fn certificate_pem(&self) -> String {
        pem::certificates_to_pem(&self.chain)
    }

    /// The private key as unencrypted PKCS8 PEM.
    pub fn key_pem(&self) -> SecretString {
        pem::encode("PRIVATE KEY", self.key.secret_pkcs8_der()).into()
    }

    fn assemble(chain: Vec<CertificateDer<'static>>, key: KeyPair) -> Result<Authority, AuthorityError> {
        let own = chain.first().ok_or(AuthorityError::NoCertificate)?;
        let facts = facts::inspect(own).map_err(AuthorityError::Certificate)?;
        if !facts.is_ca {
            return Err(AuthorityError::NotAnAuthority { subject: facts.subject });
        }
        let pkcs8 = PrivatePkcs8KeyDer::from(key.serialize_der());
        let issuer = Issuer::from_ca_cert_der(own, key).map_err(issue(&facts.subject))?;
        Ok(Authority { chain, facts, key: pkcs8, issuer })
    }

    /// Signs, and checks that what was made leads back to this authority.
    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        common_name: &str,
    ) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
        params.use_authority_key_identifier_extension = true;
        params.not_after = params.not_after.min(self.facts.not_after);
        check_validity(&params)?;
        let certificate = params.signed_by(key, &self.issuer).map_err(issue(common_name))?.der().clone();
        let made = facts::inspect(&certificate).map_err(AuthorityError::Certificate)?;
        if !made.is_issued_by(self.certificate()) {
            return Err(AuthorityError::Detached { issuer: self.facts.subject.clone() });
        }
        let mut chain = vec![certificate];
        chain.extend(self.chain.iter().cloned());
        Ok(chain)
    }
}

fn new_key(common_name: &str) -> Result<KeyPair, AuthorityError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(issue(common_name))
}

fn authority_params(
    spec: &AuthoritySpec,
    constraints: BasicConstraints,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = params(&spec.common_name, spec.validity)?;
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    check_validity(&params)?;
    Ok(params)
}

fn leaf_params(spec: &LeafSpec) -> Result<CertificateParams, AuthorityError> {
    let mut params = params(&spec.common_name, spec.validity)?;
    // rcgen writes a subject key identifier only together with basic constraints.
    params.is_ca = IsCa::ExplicitNoCa;
    // Key encipherment serves the RSA key exchange of TLS 1.2, which some brokers are still set to.
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = match spec.usage {
        KeyUsage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        KeyUsage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        KeyUsage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    };
    for san in &spec.sans {
        san.check().map_err(AuthorityError::San)?;
        params.subject_alt_names.push(match san {
            San::Ip(address) => SanType::IpAddress(*address),
            San::Dns(name) => SanType::DnsName(name.as_str().try_into().map_err(issue(name))?),
        });
    }
    Ok(params)
}

fn params(common_name: &str, validity: Validity) -> Result<CertificateParams, AuthorityError> {
    if common_name.is_empty() || common_name.chars().count() > COMMON_NAME_MAX {
        return Err(AuthorityError::CommonName { name: common_name.to_owned() });
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = validity.not_before.to_offset(UtcOffset::UTC);
    params.not_after = validity.not_after.to_offset(UtcOffset::UTC);
    params.serial_number = Some(random_serial());
    Ok(params)
}

fn check_validity(params: &CertificateParams) -> Result<(), AuthorityError> {
    let (not_before, not_after) = (params.not_before, params.not_after);
    match not_before <= not_after {
        true => Ok(()),
        false => Err(AuthorityError::Validity { not_before, not_after }),
    }
}

/// 126 random bits below a set one: positive, never zero, and 16 bytes long.
fn random_serial() -> SerialNumber {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn issue(common_name: &str) -> impl Fn(rcgen::Error) -> AuthorityError {
    move |source| AuthorityError::Issue { common_name: common_name.to_owned(), source }
}
