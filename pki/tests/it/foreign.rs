//! Stores and keys that `keytool` 17 and `openssl` 3 made.

use pki::{
    KeyAlgorithm, KeyError, StoreError, StoreKind, Truststore, certificates_from_pem, private_key_from_pem,
    read_keystore, read_truststore,
};

use crate::made::password;

fn rsa_certificate() -> rustls_pki_types::CertificateDer<'static> {
    certificates_from_pem(include_str!("../data/rsa.crt")).unwrap().remove(0)
}

#[test]
fn keytool_trust_is_read() {
    let cases: [(StoreKind, &[u8], &str); 2] = [
        (StoreKind::Jks, include_bytes!("../data/keytool-trust.jks"), "pässwörd-1"),
        (StoreKind::Pkcs12, include_bytes!("../data/keytool-trust.p12"), "changeit"),
    ];
    for (kind, bytes, secret) in cases {
        let store = Truststore::read(kind, bytes, Some(&password(secret))).unwrap();
        assert_eq!(store.certificates, [rsa_certificate()], "{kind}");
        assert!(store.ignored_by_java.is_empty());
        // Kafka's default type is JKS, whatever keytool made.
        assert!(read_truststore(StoreKind::Jks, bytes, Some(&password(secret))).is_ok());
    }
}

#[test]
fn keytool_keys_are_read_and_completed() {
    let store = include_bytes!("../data/keytool-ec.jks");
    let (secret, key_secret) = (password("changeit"), password("other-secret"));
    let identity = read_keystore(StoreKind::Jks, store, Some(&secret), Some(&key_secret)).unwrap();
    assert_eq!(identity.facts().unwrap().subject, "O=Example, CN=ec.example.com");
    // Java leaves the public part out, and ring takes no EC key without it.
    let algorithm = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let random = ring::rand::SystemRandom::new();
    let pair = ring::signature::EcdsaKeyPair::from_pkcs8(algorithm, identity.key.secret_der(), &random);
    assert!(pair.is_ok());
    let error = read_keystore(StoreKind::Jks, store, Some(&secret), None).unwrap_err();
    assert!(matches!(error, StoreError::WrongKeyPassword { .. }));

    let store = include_bytes!("../data/keytool-ec384.p12");
    let identity = read_keystore(StoreKind::Pkcs12, store, Some(&secret), None).unwrap();
    assert_eq!(identity.facts().unwrap().key_algorithm, KeyAlgorithm::EcP384);
}

#[test]
fn openssl_trust_is_read_with_a_warning() {
    let store = include_bytes!("../data/openssl-untrusted.p12");
    let store = Truststore::read(StoreKind::Pkcs12, store, Some(&password("changeit"))).unwrap();
    assert_eq!(store.certificates, [rsa_certificate()]);
    assert_eq!(store.ignored_by_java, [rsa_certificate()]);
}

#[test]
fn old_encryption_of_openssl_is_read() {
    let store = include_bytes!("../data/openssl-legacy.p12");
    let identity = read_keystore(StoreKind::Pkcs12, store, Some(&password("changeit")), None).unwrap();
    assert_eq!(identity.chain, [rsa_certificate()]);
    let trusted = read_truststore(StoreKind::Pkcs12, store, Some(&password("changeit"))).unwrap();
    assert_eq!(trusted, [rsa_certificate()], "Java trusts the leaf of a key");
}

#[test]
fn keys_of_every_encoding_are_read() {
    let read =
        |text: &str, secret: Option<&str>| private_key_from_pem(&text.into(), secret.map(password).as_ref());
    let sec1 = read(include_str!("../data/ec-sec1.pem"), None).unwrap();
    let encrypted = include_str!("../data/ec-encrypted.pem");
    assert_eq!(read(encrypted, Some("changeit")).unwrap(), sec1);
    assert!(matches!(read(encrypted, None), Err(KeyError::PasswordNeeded)));
    assert!(matches!(read(encrypted, Some("wrong")), Err(KeyError::WrongPassword)));
    let old = include_str!("../data/ec-old-encryption.pem");
    assert!(matches!(read(old, Some("changeit")), Err(KeyError::OldEncryption)));
    let stored = read_keystore(StoreKind::Pem, old.as_bytes(), None, Some(&password("changeit")));
    assert!(matches!(stored, Err(StoreError::Key(KeyError::OldEncryption))));
    assert!(matches!(read("", None), Err(KeyError::Missing)));
    assert!(read(include_str!("../data/rsa-pkcs1.pem"), None).is_ok());
}

#[test]
fn pem_is_read_as_leniently_as_kafka_reads_it() {
    let text = include_str!("../data/rsa.crt");
    let variants = [
        text.replace('\n', " "),
        text.replace('\n', "\r\n"),
        format!("subject=CN = example\n\n{text}\ntrailing words\n"),
        text.replacen("-----\n", "-----\nComment: made by hand\n", 1),
    ];
    for variant in variants {
        assert_eq!(certificates_from_pem(&variant).unwrap(), [rsa_certificate()], "{variant}");
        let read = read_truststore(StoreKind::Pem, variant.as_bytes(), None).unwrap();
        assert_eq!(read, [rsa_certificate()]);
    }
}
