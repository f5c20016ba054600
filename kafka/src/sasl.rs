//! How a client secures its connections, and the SASL messages of each mechanism.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::scram::ScramMechanism;
use crate::tls::Tls;

/// `security.protocol` and all that belongs to it: neither is PLAINTEXT, both are SASL_SSL.
#[derive(Debug, Clone, Default)]
pub struct Security {
    pub tls: Option<Tls>,
    pub sasl: Option<Sasl>,
}

/// A user and how it proves itself.
#[derive(Debug, Clone)]
pub enum Sasl {
    Plain { username: String, password: SecretString },
    ScramSha256 { username: String, password: SecretString },
    ScramSha512 { username: String, password: SecretString },
}

impl Sasl {
    pub fn username(&self) -> &str {
        match self {
            Self::Plain { username, .. }
            | Self::ScramSha256 { username, .. }
            | Self::ScramSha512 { username, .. } => username,
        }
    }

    /// The name of the mechanism, as in `sasl.mechanism`.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::ScramSha256 { .. } => ScramMechanism::Sha256.name(),
            Self::ScramSha512 { .. } => ScramMechanism::Sha512.name(),
        }
    }
}

impl fmt::Display for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as `{}`", self.mechanism(), self.username())
    }
}

/// The one message of PLAIN (RFC 4616).
pub(crate) fn plain_message(username: &str, password: &SecretString) -> Vec<u8> {
    let mut message = vec![0];
    message.extend_from_slice(username.as_bytes());
    message.push(0);
    message.extend_from_slice(password.expose_secret().as_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_show() {
        let password = || SecretString::from("poison-value");
        for sasl in [
            Sasl::Plain { username: "u".to_owned(), password: password() },
            Sasl::ScramSha256 { username: "u".to_owned(), password: password() },
            Sasl::ScramSha512 { username: "u".to_owned(), password: password() },
        ] {
            assert!(plain_message("u", &password()).ends_with(b"poison-value"));
            let security = Security { tls: None, sasl: Some(sasl.clone()) };
            assert!(!format!("{security:?} {sasl}").contains("poison"), "{sasl}");
        }
    }
}
