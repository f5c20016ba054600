//! What can be wrong with a store.

use crate::StoreKind;
use crate::facts::CertificateError;
use crate::identity::IdentityError;
use crate::key::KeyError;
use crate::pem::PemError;

/// A store that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Also what an altered store looks like: its signature is made with the password.
    #[error("the {kind} store's password is wrong, or the store was altered")]
    WrongPassword { kind: StoreKind },
    #[error("the password of the private key in the {kind} store is wrong")]
    WrongKeyPassword { kind: StoreKind },
    #[error("the {kind} store needs a password")]
    PasswordNeeded { kind: StoreKind },
    /// Java opens PKCS12 under printable ASCII only; the format itself knows characters up to U+FFFF.
    #[error("a {kind} store's password can only have {allowed}")]
    PasswordCharacters { kind: StoreKind, allowed: &'static str },
    #[error("the {kind} store is empty")]
    Empty { kind: StoreKind },
    #[error("not a {expected} store{}", found.map(|kind| format!(", but {kind}")).unwrap_or_default())]
    OtherKind { expected: StoreKind, found: Option<StoreKind> },
    #[error("JCEKS stores are not supported")]
    Jceks,
    #[error("the {kind} store is corrupt at byte {offset}: {problem}")]
    Corrupt { kind: StoreKind, offset: usize, problem: &'static str },
    #[error("the PKCS12 store is malformed")]
    Malformed(#[source] p12_keystore::error::Error),
    #[error("the PKCS12 store uses an algorithm that is not supported")]
    Algorithm(#[source] p12_keystore::error::Error),
    #[error("certificate {number} of the {kind} store")]
    Certificate {
        kind: StoreKind,
        /// Counted from 1, in the store's order.
        number: usize,
        #[source]
        source: CertificateError,
    },
    #[error("the PEM store cannot be read")]
    Pem(#[source] PemError),
    #[error("no certificates in the {kind} store")]
    NoCertificates { kind: StoreKind },
    #[error("no private key in the {kind} store")]
    NoPrivateKey { kind: StoreKind },
    #[error("the private key cannot be read")]
    Key(#[source] KeyError),
    #[error("the private key and the certificates do not make an identity")]
    Identity(#[source] IdentityError),
    /// Lengths in JKS have 16 or 32 bits.
    #[error("the {what} is too long for a {kind} store")]
    TooLong { kind: StoreKind, what: &'static str },
    #[error("the PKCS12 store cannot be written")]
    Write(#[source] p12_keystore::error::Error),
    #[error("the private key cannot be encoded")]
    Encode(#[source] der::Error),
}

impl StoreError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            StoreError::WrongPassword { .. } => "check the password with `keytool -list -keystore FILE`",
            StoreError::WrongKeyPassword { .. } => "give the key's own password (ssl.key.password)",
            StoreError::PasswordNeeded { .. } => "give the store's password",
            StoreError::PasswordCharacters { .. } => "choose a password of plain letters, digits and signs",
            StoreError::OtherKind { found: Some(found), .. } => {
                return Some(format!("say that the type of the store is {found}"));
            }
            StoreError::OtherKind { found: None, .. } => {
                "a bare certificate becomes PEM with `openssl x509 -inform DER -in FILE -out FILE.pem`"
            }
            StoreError::Jceks => {
                "convert it with `keytool -importkeystore -srckeystore FILE -srcstoretype JCEKS -destkeystore FILE.p12`"
            }
            StoreError::Malformed(_) | StoreError::Algorithm(_) => {
                "write it anew: `keytool -importkeystore -srckeystore FILE -destkeystore NEW.p12 -deststoretype PKCS12`"
            }
            StoreError::NoCertificates { .. } => {
                "put the certificate of the brokers' authority into the store"
            }
            StoreError::NoPrivateKey { .. } => "a trust store holds no key: give the key store",
            StoreError::Key(source) => return source.hint().map(str::to_owned),
            StoreError::Identity(_) => "the store needs the certificate that was issued for its private key",
            StoreError::Empty { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Certificate { .. }
            | StoreError::Pem(_)
            | StoreError::TooLong { .. }
            | StoreError::Write(_)
            | StoreError::Encode(_) => return None,
        };
        Some(hint.to_owned())
    }
}
