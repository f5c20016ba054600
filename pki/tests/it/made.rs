//! Certificates and keys that the tests share.

use pki::{Authority, AuthoritySpec, Identity, KeyUsage, LeafSpec, San, Validity, private_key_from_pem};
use secrecy::SecretString;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub(crate) const NOW: OffsetDateTime = datetime!(2030-05-04 12:00:00 UTC);

pub(crate) fn validity() -> Validity {
    Validity::starting(NOW, Duration::days(90))
}

pub(crate) fn root() -> Authority {
    let spec = AuthoritySpec { common_name: "Test Root".to_owned(), validity: validity() };
    Authority::create(&spec).unwrap()
}

pub(crate) fn leaf(common_name: &str) -> LeafSpec {
    let sans = vec![San::Dns(common_name.to_owned()), San::Ip("10.0.0.1".parse().unwrap())];
    LeafSpec { common_name: common_name.to_owned(), sans, usage: KeyUsage::Both, validity: validity() }
}

/// An EC leaf, its intermediate authority and the root.
pub(crate) fn chain_of_three() -> Identity {
    let spec = AuthoritySpec { common_name: "Test Intermediate".to_owned(), validity: validity() };
    root().issue_authority(&spec).unwrap().issue(&leaf("broker-1.example.com")).unwrap()
}

/// An RSA leaf and the root.
pub(crate) fn rsa_identity() -> Identity {
    let key = private_key_from_pem(&rsa_key_pem(), None).unwrap();
    root().issue_for_key(&leaf("broker-2.example.com"), &key).unwrap()
}

/// An RSA key of 2048 bits, PKCS1.
pub(crate) fn rsa_key_pem() -> SecretString {
    include_str!("../data/rsa-pkcs1.pem").into()
}

pub(crate) fn password(text: &str) -> SecretString {
    text.into()
}
