//! TLS to brokers: what is trusted, whom we say we are, and whether the broker's name is checked.

mod failure;
mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

pub(crate) use crate::tls::failure::{explain, handshake, is_hang_up, is_tls};
use crate::tls::verifier::BrokerVerifier;

/// Whose signatures on broker certificates are accepted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// These authorities, or exactly these certificates when a broker presents one of them itself.
    Certificates(Vec<CertificateDer<'static>>),
    /// The authorities of the operating system.
    System,
}

/// Whether the certificate must bear the broker's advertised host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostnameCheck {
    /// `ssl.endpoint.identification.algorithm=https`, Kafka's default.
    Required,
    /// An empty `ssl.endpoint.identification.algorithm`: the chain is verified, the name is not.
    Skipped,
}

/// The client's own certificate, leaf first, and its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Ready-made TLS settings for every connection of a client. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    hostname_check: HostnameCheck,
}

impl Tls {
    pub fn new(
        trust: Trust,
        identity: Option<Identity>,
        hostname_check: HostnameCheck,
    ) -> Result<Self, TlsSetupError> {
        let provider = Arc::new(ring::default_provider());
        let (roots, trusted) = match trust {
            Trust::Certificates(certificates) => {
                let mut roots = RootCertStore::empty();
                for (index, certificate) in certificates.iter().enumerate() {
                    roots
                        .add(certificate.clone())
                        .map_err(|source| TlsSetupError::Certificate { index, source })?;
                }
                (roots, certificates)
            }
            Trust::System => {
                let found = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.certs);
                if let (true, Some(source)) = (roots.is_empty(), found.errors.into_iter().next()) {
                    return Err(TlsSetupError::SystemStore(source));
                }
                (roots, Vec::new())
            }
        };
        if roots.is_empty() {
            return Err(TlsSetupError::NothingTrusted);
        }
        let verifier = BrokerVerifier {
            roots,
            trusted,
            hostname_check,
            algorithms: provider.signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::Provider)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match identity {
            Some(Identity { chain, key }) => {
                builder.with_client_auth_cert(chain, key).map_err(TlsSetupError::Identity)?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self { config: Arc::new(config), hostname_check })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("hostname_check", &self.hostname_check)
            .field("has_identity", &self.config.client_auth_cert_resolver.has_certs())
            .finish_non_exhaustive()
    }
}

/// TLS settings that cannot work with any broker.
#[derive(Debug, Error)]
pub enum TlsSetupError {
    #[error("no trusted certificate is given, so no broker could be verified")]
    NothingTrusted,
    #[error("trusted certificate number {index} (counted from 0) cannot be used")]
    Certificate { index: usize, source: rustls::Error },
    #[error("the trusted certificates of the operating system cannot be read")]
    SystemStore(#[source] rustls_native_certs::Error),
    #[error("the client's certificate and key cannot be used together")]
    Identity(#[source] rustls::Error),
    #[error("the TLS provider has no usable protocol version")]
    Provider(#[source] rustls::Error),
}
