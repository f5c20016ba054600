use pki::{
    Identity, StoreError, StoreKind, Truststore, read_keystore, read_truststore, same_certificates,
    write_keystore, write_truststore,
};
use rustls_pki_types::CertificateDer;

use crate::made::{chain_of_three, password, root, rsa_identity};

const KINDS: [StoreKind; 3] = [StoreKind::Pem, StoreKind::Pkcs12, StoreKind::Jks];

fn authorities(count: usize) -> Vec<CertificateDer<'static>> {
    (0..count).map(|_| root().certificate().clone()).collect()
}

#[test]
fn trust_survives_every_kind_of_store_in_order() {
    let mut certificates = authorities(12);
    let secret = password("changeit");
    for kind in KINDS {
        let bytes = write_truststore(kind, &certificates, &secret).unwrap();
        assert_eq!(StoreKind::sniff(&bytes), Some(kind));
        let store = Truststore::read(kind, &bytes, Some(&secret)).unwrap();
        assert_eq!(store, Truststore { certificates: certificates.clone(), ignored_by_java: Vec::new() });
    }
    let expected = certificates.clone();
    certificates.extend(expected.iter().rev().cloned());
    for kind in KINDS {
        let bytes = write_truststore(kind, &certificates, &secret).unwrap();
        assert_eq!(read_truststore(kind, &bytes, Some(&secret)).unwrap(), expected, "{kind}: duplicates");
    }
}

#[test]
fn identities_survive_every_kind_of_store() {
    let secret = password("changeit");
    for identity in [chain_of_three(), rsa_identity()] {
        for kind in KINDS {
            let bytes = write_keystore(kind, &identity, &secret, "Broker").unwrap();
            assert_eq!(StoreKind::sniff(&bytes), Some(kind));
            let read = read_keystore(kind, &bytes, Some(&secret), None).unwrap();
            assert_eq!(read.chain, identity.chain, "{kind}");
            assert_eq!(read.key, identity.key, "{kind}");
        }
    }
}

#[test]
fn passwords_of_any_characters_guard_jks_and_ascii_ones_pkcs12() {
    let certificates = authorities(1);
    for text in ["", "pässwörd", "пароль", "🔑🔑"] {
        let secret = password(text);
        let bytes = write_truststore(StoreKind::Jks, &certificates, &secret).unwrap();
        assert!(read_truststore(StoreKind::Jks, &bytes, Some(&secret)).is_ok(), "{text}");
        let bytes = write_keystore(StoreKind::Jks, &chain_of_three(), &secret, "a").unwrap();
        assert!(read_keystore(StoreKind::Jks, &bytes, Some(&secret), None).is_ok(), "{text}");
    }
    // Java opens no PBES2 store under such a password, so none is written.
    let refused = write_truststore(StoreKind::Pkcs12, &certificates, &password("pässwörd"));
    assert!(matches!(refused, Err(StoreError::PasswordCharacters { .. })));
}

#[test]
fn a_wrong_password_is_told_from_a_missing_one() {
    let identity = chain_of_three();
    let (secret, wrong) = (password("changeit"), password("changeit2"));
    for kind in [StoreKind::Pkcs12, StoreKind::Jks] {
        let trust = write_truststore(kind, &identity.chain, &secret).unwrap();
        let keys = write_keystore(kind, &identity, &secret, "a").unwrap();
        let trust_error = read_truststore(kind, &trust, Some(&wrong)).unwrap_err();
        assert!(matches!(trust_error, StoreError::WrongPassword { .. }), "{trust_error:?}");
        assert!(trust_error.hint().is_some());
        let key_error = read_keystore(kind, &keys, Some(&wrong), None).unwrap_err();
        assert!(matches!(key_error, StoreError::WrongPassword { .. }), "{key_error:?}");
        let missing = read_keystore(kind, &keys, None, None).unwrap_err();
        assert!(matches!(missing, StoreError::PasswordNeeded { .. }), "{missing:?}");
    }
    let keys = write_keystore(StoreKind::Jks, &identity, &secret, "a").unwrap();
    let error = read_keystore(StoreKind::Jks, &keys, Some(&secret), Some(&wrong)).unwrap_err();
    assert!(matches!(error, StoreError::WrongKeyPassword { .. }));
    let trust = write_truststore(StoreKind::Jks, &identity.chain, &secret).unwrap();
    assert!(read_truststore(StoreKind::Jks, &trust, None).is_ok(), "as Java does");
}

#[test]
fn java_names_open_either_java_format_and_pem_only_pem() {
    let certificates = authorities(2);
    let secret = password("changeit");
    for written in KINDS {
        let bytes = write_truststore(written, &certificates, &secret).unwrap();
        for named in KINDS {
            let read = read_truststore(named, &bytes, Some(&secret));
            match (written == StoreKind::Pem) == (named == StoreKind::Pem) {
                true => assert!(same_certificates(&read.unwrap(), &certificates)),
                false => {
                    let error = read.unwrap_err();
                    assert!(
                        matches!(error, StoreError::OtherKind { expected, found: Some(found) }
                            if expected == named && found == written),
                        "{error:?}"
                    );
                    assert_eq!(error.hint().unwrap(), format!("say that the type of the store is {written}"));
                }
            }
        }
    }
}

#[test]
fn stores_that_cannot_serve_are_refused() {
    let identity = chain_of_three();
    let secret = password("changeit");
    let nobody = Identity { key: identity.key.clone_key(), chain: Vec::new() };
    for kind in KINDS {
        assert!(matches!(write_truststore(kind, &[], &secret), Err(StoreError::NoCertificates { .. })));
        let refused = write_keystore(kind, &nobody, &secret, "a");
        assert!(matches!(refused, Err(StoreError::NoCertificates { .. })));
        let trust = write_truststore(kind, &identity.chain, &secret).unwrap();
        let error = read_keystore(kind, &trust, Some(&secret), None).unwrap_err();
        assert!(matches!(error, StoreError::NoPrivateKey { .. } | StoreError::Key(_)), "{error:?}");
        assert!(matches!(read_truststore(kind, b"", None), Err(StoreError::Empty { .. })));
        let der = &identity.chain[0];
        let error = read_truststore(kind, der, None).unwrap_err();
        assert!(matches!(error, StoreError::OtherKind { found: None, .. }), "{error:?}");
    }
    let jceks = read_truststore(StoreKind::Jks, &[0xce, 0xce, 0xce, 0xce, 0, 0], None);
    assert!(matches!(jceks, Err(StoreError::Jceks)));
}

#[test]
fn equal_trust_gives_equal_jks_bytes() {
    let certificates = authorities(3);
    let secret = password("changeit");
    let write = |kind| write_truststore(kind, &certificates, &secret).unwrap();
    assert_eq!(write(StoreKind::Jks), write(StoreKind::Jks));
    assert_eq!(write(StoreKind::Pem), write(StoreKind::Pem));
    assert_ne!(write(StoreKind::Pkcs12), write(StoreKind::Pkcs12), "salted: compare certificates instead");
}

#[test]
fn certificates_are_compared_as_sets() {
    let certificates = authorities(2);
    let reversed: Vec<_> = certificates.iter().rev().chain(&certificates).cloned().collect();
    assert!(same_certificates(&certificates, &reversed));
    assert!(!same_certificates(&certificates, &certificates[..1]));
    assert!(same_certificates(&[], &[]));
}

#[test]
fn kafkas_names_are_read_in_any_case() {
    for (name, expected) in [
        ("JKS", Some(StoreKind::Jks)),
        ("jks", Some(StoreKind::Jks)),
        ("PKCS12", Some(StoreKind::Pkcs12)),
        ("Pkcs12", Some(StoreKind::Pkcs12)),
        (" pem ", Some(StoreKind::Pem)),
        ("BCFKS", None),
        ("", None),
    ] {
        assert_eq!(name.parse::<StoreKind>().ok(), expected, "{name:?}");
    }
}
