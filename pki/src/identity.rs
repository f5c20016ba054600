//! A private key together with the certificates that vouch for it.

use std::fmt;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;

use crate::facts::{self, CertificateError, CertificateFacts, Link};
use crate::key::{self, Fit, KeyError};
use crate::pem;

/// A private key and its certificates, the leaf first, then each one's issuer.
pub struct Identity {
    pub key: PrivateKeyDer<'static>,
    pub chain: Vec<CertificateDer<'static>>,
}

/// A key and certificates that do not make an identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the private key cannot be used")]
    Key(#[source] KeyError),
    #[error("no certificate comes with the private key")]
    NoCertificate,
    #[error("none of the certificates belongs to the private key")]
    Mismatch,
}

impl Identity {
    /// Puts a key and certificates, in any order, into the form above. Certificates that do not lead from the
    /// leaf to its root are left out.
    pub fn new(
        key: PrivateKeyDer<'_>,
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Identity, IdentityError> {
        let key = key::to_pkcs8(&key).map_err(IdentityError::Key)?;
        if certificates.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        let mut possible = None;
        for (index, certificate) in certificates.iter().enumerate() {
            match key::fit(&key, certificate) {
                Fit::Yes(key) => {
                    return Ok(Identity {
                        key: PrivateKeyDer::Pkcs8(key),
                        chain: chain(certificates, index),
                    });
                }
                Fit::Unknown => possible = possible.or(Some(index)),
                Fit::No => {}
            }
        }
        let leaf = possible.ok_or(IdentityError::Mismatch)?;
        Ok(Identity { key: PrivateKeyDer::Pkcs8(key), chain: chain(certificates, leaf) })
    }

    /// What the leaf says.
    pub fn facts(&self) -> Result<CertificateFacts, CertificateError> {
        match self.chain.first() {
            Some(leaf) => facts::inspect(leaf),
            None => facts::inspect(&CertificateDer::from_slice(&[])),
        }
    }

    /// The key as unencrypted PEM.
    pub fn key_pem(&self) -> SecretString {
        let label = match &self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        pem::encode(label, self.key.secret_der()).into()
    }

    /// The certificates as PEM, the leaf first.
    pub fn chain_pem(&self) -> String {
        pem::certificates_to_pem(&self.chain)
    }
}

impl Clone for Identity {
    fn clone(&self) -> Identity {
        Identity { key: self.key.clone_key(), chain: self.chain.clone() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// Follows the signatures from the leaf on.
fn chain(certificates: Vec<CertificateDer<'static>>, leaf: usize) -> Vec<CertificateDer<'static>> {
    let mut rest = certificates;
    let mut chain = vec![rest.remove(leaf)];
    while let Some(next) = chain.last().and_then(|last| issuer_of(last, &rest)) {
        chain.push(rest.remove(next));
    }
    chain
}

/// An authority that was renewed has several certificates under one name: the one whose key signed is meant.
fn issuer_of(certificate: &CertificateDer<'_>, candidates: &[CertificateDer<'_>]) -> Option<usize> {
    if facts::link(certificate, certificate) != Link::None {
        return None;
    }
    let linked =
        |wanted| candidates.iter().position(|candidate| facts::link(certificate, candidate) == wanted);
    linked(Link::Verified).or_else(|| linked(Link::Named))
}
