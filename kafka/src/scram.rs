//! SCRAM as RFC 5802 and RFC 7677 define it and Kafka speaks it: the client's half of the exchange, and the salted
//! credential that `AlterUserScramCredentials` stores. Pure: nonces and salts come from the caller.
//!
//! Like Kafka, it does not prepare strings (no SASLprep): names and passwords are their UTF-8 bytes. Channel binding is
//! not used.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

/// Kafka refuses more iterations than this.
pub const MAX_ITERATIONS: u32 = 16_384;
/// Kafka refuses fewer iterations than this, and so do we when a server asks for them.
pub const MIN_ITERATIONS: u32 = 4_096;
/// A server that demands more than this wants to keep us busy.
const ITERATIONS_WE_COMPUTE: u32 = 1_000_000;

/// The hash function of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramMechanism {
    Sha256,
    Sha512,
}

impl ScramMechanism {
    /// The SASL name, as in `sasl.mechanism`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, data),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, data),
        }
    }

    fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    /// `Hi(password, salt, iterations)` of RFC 5802, which is PBKDF2 with one block of output.
    fn salted_password(self, password: &SecretString, salt: &[u8], iterations: u32) -> SecretSlice<u8> {
        let password = password.expose_secret().as_bytes();
        match self {
            Self::Sha256 => SecretSlice::from(
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
            ),
            Self::Sha512 => SecretSlice::from(
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec(),
            ),
        }
    }
}

impl fmt::Display for ScramMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// A fresh random nonce of 192 bits, printable and without commas.
pub fn random_nonce() -> String {
    let mut bytes = [0; 24];
    rand::rng().fill_bytes(&mut bytes);
    STANDARD.encode(bytes)
}

/// What Kafka stores for a user: enough to check a password, and to impersonate the server.
pub struct ScramCredential {
    pub mechanism: ScramMechanism,
    pub iterations: u32,
    pub salt: Vec<u8>,
    /// `SaltedPassword` of RFC 5802; as good as the password itself for a login.
    pub salted_password: SecretSlice<u8>,
}
impl ScramCredential {
    /// Salts a password. It takes several milliseconds: that is what iterations are for.
    pub fn new(
        mechanism: ScramMechanism,
        password: &SecretString,
        iterations: u32,
        salt: Vec<u8>,
    ) -> Result<Self, ScramError> {
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(ScramError::Iterations { found: iterations, max: MAX_ITERATIONS });
        }
        let salted_password = mechanism.salted_password(password, &salt, iterations);
        Ok(Self { mechanism, iterations, salt, salted_password })
    }

    /// `StoredKey` of RFC 5802, which the server compares.
    pub fn stored_key(&self) -> Vec<u8> {
        let client_key = self.mechanism.hmac(self.salted_password.expose_secret(), b"Client Key");
        self.mechanism.hash(&client_key)
    }

    /// `ServerKey` of RFC 5802, with which the server proves itself.
    pub fn server_key(&self) -> SecretSlice<u8> {
        SecretSlice::from(self.mechanism.hmac(self.salted_password.expose_secret(), b"Server Key"))
    }
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential")
            .field("mechanism", &self.mechanism)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// One login, from the client's side: `client_first`, then `client_final` with the server's answer, then
/// [`ServerSignature::verify`] with the server's last word.
pub struct ScramLogin<'a> {
    pub mechanism: ScramMechanism,
    pub username: &'a str,
    pub password: &'a SecretString,
    /// Printable, without commas, never used twice: see [`random_nonce`].
    pub nonce: String,
}

const GS2_HEADER: &str = "n,,";

impl ScramLogin<'_> {
    pub fn client_first(&self) -> String {
        format!("{GS2_HEADER}{}", self.client_first_bare())
    }

    /// Answers the server's first message; the signature to expect from the server comes with it.
    pub fn client_final(&self, server_first: &[u8]) -> Result<(String, ServerSignature), ScramError> {
        let server_first = std::str::from_utf8(server_first).map_err(ScramError::NotText)?;
        let ServerFirst { nonce, salt, iterations } = ServerFirst::parse(server_first)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Nonce);
        }
        if !(MIN_ITERATIONS..=ITERATIONS_WE_COMPUTE).contains(&iterations) {
            return Err(ScramError::Iterations { found: iterations, max: ITERATIONS_WE_COMPUTE });
        }
        let mechanism = self.mechanism;
        let salted_password = mechanism.salted_password(self.password, &salt, iterations);
        let client_key = mechanism.hmac(salted_password.expose_secret(), b"Client Key");
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(GS2_HEADER));
        let auth_message = format!("{},{server_first},{without_proof}", self.client_first_bare());
        let client_signature = mechanism.hmac(&mechanism.hash(&client_key), auth_message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&client_signature).map(|(key, sign)| key ^ sign).collect();
        let server_key = mechanism.hmac(salted_password.expose_secret(), b"Server Key");
        let expected = mechanism.hmac(&server_key, auth_message.as_bytes());
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)), ServerSignature(expected)))
    }

    fn client_first_bare(&self) -> String {
        format!("n={},r={}", self.username.replace('=', "=3D").replace(',', "=2C"), self.nonce)
    }
}

/// What a server must send last to prove that it knows the user's credential too.
pub struct ServerSignature(Vec<u8>);

impl ServerSignature {
    pub fn verify(&self, server_final: &[u8]) -> Result<(), ScramError> {
        let server_final = std::str::from_utf8(server_final).map_err(ScramError::NotText)?;
        if let Some(reason) = server_final.strip_prefix("e=") {
            return Err(ScramError::Refused { reason: reason.to_owned() });
        }
        let signature = attributes(server_final).find_map(|(name, value)| (name == "v").then_some(value));
        let signature =
            STANDARD.decode(signature.ok_or(ScramError::Missing("v"))?).map_err(ScramError::Base64)?;
        if signature == self.0 { Ok(()) } else { Err(ScramError::ServerSignature) }
    }
}

struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    fn parse(message: &'a str) -> Result<Self, ScramError> {
        let (mut nonce, mut salt, mut iterations) = (None, None, None);
        for (name, value) in attributes(message) {
            match name {
                "r" => nonce = Some(value),
                "s" => salt = Some(STANDARD.decode(value).map_err(ScramError::Base64)?),
                "i" => iterations = Some(value.parse().map_err(ScramError::Number)?),
                "m" => return Err(ScramError::Extension),
                _ => {}
            }
        }
        Ok(Self {
            nonce: nonce.ok_or(ScramError::Missing("r"))?,
            salt: salt.ok_or(ScramError::Missing("s"))?,
            iterations: iterations.ok_or(ScramError::Missing("i"))?,
        })
    }
}

fn attributes(message: &str) -> impl Iterator<Item = (&str, &str)> {
    message.split(',').filter_map(|attribute| attribute.split_once('='))
}

/// A SCRAM exchange that ended without trust on both sides.
#[derive(Debug, Error)]
pub enum ScramError {
    #[error("the server's message is not UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    #[error("the server's message lacks the attribute `{0}`")]
    Missing(&'static str),
    #[error("the server's message holds bad base64")]
    Base64(#[source] base64::DecodeError),
    #[error("the server's iteration count is no number")]
    Number(#[source] std::num::ParseIntError),
    #[error("the server demands an extension that we do not know")]
    Extension,
    #[error("the server's nonce does not continue ours")]
    Nonce,
    #[error("{found} iterations are outside {MIN_ITERATIONS} to {max}")]
    Iterations { found: u32, max: u32 },
    #[error("the server refused: {reason}")]
    Refused { reason: String },
    #[error("the server could not prove that it knows the user's credential")]
    ServerSignature,
}

impl ScramError {
    /// What the operator can do about it, when there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { .. } => Some("check user name and password"),
            Self::ServerSignature | Self::Nonce => {
                Some("this may be a wrong server that pretends: check the endpoint and its certificate")
            }
            Self::Iterations { .. } => Some("Kafka takes 4096 to 16384 iterations"),
            Self::NotText(_) | Self::Missing(_) | Self::Base64(_) | Self::Number(_) | Self::Extension => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example exchanges of RFC 7677 (SHA-256) and of the published SHA-512 form of it.
    #[test]
    fn rfc_7677_exchange_is_reproduced() {
        let login = ScramLogin {
            mechanism: ScramMechanism::Sha256,
            username: "user",
            password: &SecretString::from("pencil"),
            nonce: "rOprNGfwEbeRWgbNEkqO".to_owned(),
        };
        assert_eq!(login.client_first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (client_final, server) = login
            .client_final(
                b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            )
            .unwrap();
        assert_eq!(
            client_final,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        server.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        let wrong = server.verify(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(matches!(wrong, Err(ScramError::ServerSignature)));
        assert!(matches!(server.verify(b"e=invalid-proof"), Err(ScramError::Refused { .. })));
        assert!(matches!(server.verify(b""), Err(ScramError::Missing("v"))));
    }

    fn first(server_first: &str) -> Result<(String, ServerSignature), ScramError> {
        let password = SecretString::from("pencil");
        let login = ScramLogin {
            mechanism: ScramMechanism::Sha512,
            username: "user",
            password: &password,
            nonce: "abc".to_owned(),
        };
        login.client_final(server_first.as_bytes())
    }

    #[test]
    fn hostile_first_messages_are_refused() {
        assert!(matches!(first("r=abc,s=AAAA,i=4096"), Err(ScramError::Nonce)));
        assert!(matches!(first("r=xbcd,s=AAAA,i=4096"), Err(ScramError::Nonce)));
        assert!(matches!(first("r=abcd,s=AAAA,i=1"), Err(ScramError::Iterations { found: 1, .. })));
        assert!(matches!(first("r=abcd,s=AAAA,i=4000000000"), Err(ScramError::Iterations { .. })));
        assert!(matches!(first("r=abcd,s=AAAA,i=-1"), Err(ScramError::Number(_))));
        assert!(matches!(first("r=abcd,s=*,i=4096"), Err(ScramError::Base64(_))));
        assert!(matches!(first("r=abcd,i=4096"), Err(ScramError::Missing("s"))));
        assert!(matches!(first("m=x,r=abcd,s=AAAA,i=4096"), Err(ScramError::Extension)));
    }

    #[test]
    fn iterations_outside_what_kafka_takes_are_refused() {
        let salted = |iterations| {
            ScramCredential::new(ScramMechanism::Sha512, &SecretString::from("x"), iterations, vec![1; 16])
        };
        assert!(salted(4_096).is_ok());
        assert!(matches!(salted(4_095), Err(ScramError::Iterations { .. })));
        assert!(matches!(salted(16_385), Err(ScramError::Iterations { .. })));
    }

    #[test]
    fn names_are_escaped_and_secrets_do_not_show() {
        let password = SecretString::from("poison-value");
        let login = ScramLogin {
            mechanism: ScramMechanism::Sha512,
            username: "a=b,c",
            password: &password,
            nonce: "N".to_owned(),
        };
        assert_eq!(login.client_first(), "n,,n=a=3Db=2Cc,r=N");
        let credential =
            ScramCredential::new(ScramMechanism::Sha512, &password, MIN_ITERATIONS, b"salt".to_vec())
                .unwrap();
        assert_eq!(format!("{credential:?}"), "ScramCredential { mechanism: Sha512, iterations: 4096, .. }");
    }

    #[test]
    fn nonces_are_fresh_and_legal() {
        let nonce = random_nonce();
        assert_ne!(nonce, random_nonce());
        assert!(nonce.len() >= 24 && !nonce.contains(','));
    }

    proptest! {
        #[test]
        fn parsing_a_server_message_never_panics(message in "\\PC*") {
            let _ = ServerFirst::parse(&message);
            let _ = ServerSignature(vec![1]).verify(message.as_bytes());
        }
    }

    proptest! {
        // Salting is slow on purpose.
        #![proptest_config(ProptestConfig::with_cases(4))]

        /// A server that holds only what Kafka stores accepts the proof of the right password and no other, and the
        /// client accepts its signature: for any user name, password, salt and nonce.
        #[test]
        fn client_and_stored_credential_agree(
            username in "\\PC{1,12}",
            password in "\\PC{1,12}",
            salt in proptest::collection::vec(any::<u8>(), 1..40),
            sha_512 in any::<bool>(),
        ) {
            let mechanism = if sha_512 { ScramMechanism::Sha512 } else { ScramMechanism::Sha256 };
            let right = SecretString::from(password.clone());
            let stored = ScramCredential::new(mechanism, &right, MIN_ITERATIONS, salt.clone()).unwrap();
            for (typed, is_right) in [(right, true), (SecretString::from(password + "x"), false)] {
                let login = ScramLogin { mechanism, username: &username, password: &typed, nonce: "abc".to_owned() };
                let server_first = format!("r=abcdef,s={},i={MIN_ITERATIONS}", STANDARD.encode(&salt));
                let (client_final, server) = login.client_final(server_first.as_bytes()).unwrap();
                let (without_proof, proof) = client_final.rsplit_once(",p=").unwrap();
                let client_first = login.client_first();
                let auth_message = format!("{},{server_first},{without_proof}", &client_first[GS2_HEADER.len()..]);
                let signature = mechanism.hmac(&stored.stored_key(), auth_message.as_bytes());
                let proof = STANDARD.decode(proof).unwrap();
                let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
                prop_assert_eq!(mechanism.hash(&client_key) == stored.stored_key(), is_right);
                let signature = mechanism.hmac(stored.server_key().expose_secret(), auth_message.as_bytes());
                let server_final = format!("v={}", STANDARD.encode(signature));
                prop_assert_eq!(server.verify(server_final.as_bytes()).is_ok(), is_right);
            }
        }
    }
}
