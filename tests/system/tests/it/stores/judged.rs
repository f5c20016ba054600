//! Stores of ours, opened by `keytool` and `openssl`.

use pki::StoreKind;

use super::{ALGORITHMS, Folder, Issued};

#[test]
fn keytool_lists_what_trust_stores_hold() {
    let folder = Folder::new("changeit");
    let (one, other) = (Issued::new(&folder, ALGORITHMS[0]), Issued::new(&folder, ALGORITHMS[1]));
    for kind in [StoreKind::Jks, StoreKind::Pkcs12] {
        folder.write_truststore("trust", kind, &[&one.root, &other.root]);
        let listing =
            folder.run(&format!("keytool -list -keystore trust -storetype {kind} -storepass:file password"));
        assert_eq!(listing.matches("trustedCertEntry").count(), 2, "{kind}:\n{listing}");
        for root in [&one.root, &other.root] {
            assert!(listing.contains(&root.facts().fingerprint.to_string()), "{kind}:\n{listing}");
        }
    }
}

#[test]
fn keytool_lists_and_uses_the_keys_of_key_stores() {
    for algorithm in ALGORITHMS {
        let folder = Folder::new("changeit");
        let issued = Issued::new(&folder, algorithm);
        for kind in [StoreKind::Jks, StoreKind::Pkcs12] {
            folder.write_keystore("keys", kind, &issued.identity);
            let store = format!("-keystore keys -storetype {kind} -storepass:file password -alias broker");
            let listing = folder.run(&format!("keytool -list -v {store}"));
            assert!(listing.contains("PrivateKeyEntry"), "{kind}:\n{listing}");
            assert!(listing.contains("Certificate chain length: 3"), "{kind}:\n{listing}");
            let places: Vec<_> =
                issued.fingerprints().iter().map(|fingerprint| listing.find(fingerprint.as_str())).collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{kind}:\n{listing}");
            // A request is signed with the private key, and openssl verifies the signature.
            folder.run(&format!("keytool -certreq -file request.pem {store}"));
            let request = folder.run("openssl req -in request.pem -verify -noout -pubkey");
            assert!(request.contains(issued.public_key(&folder).trim()), "{kind}:\n{request}");
        }
    }
}

#[test]
fn keytool_finds_no_key_under_another_password() {
    let folder = Folder::new("changeit");
    let issued = Issued::new(&folder, ALGORITHMS[0]);
    folder.write("wrong", "changeit2");
    for kind in [StoreKind::Jks, StoreKind::Pkcs12] {
        folder.write_keystore("keys", kind, &issued.identity);
        let (success, output) =
            folder.try_run(&format!("keytool -list -keystore keys -storetype {kind} -storepass:file wrong"));
        assert!(!success && output.contains("password was incorrect"), "{kind}:\n{output}");
    }
}

#[test]
fn openssl_opens_pkcs12_under_modern_algorithms() {
    for algorithm in ALGORITHMS {
        let folder = Folder::new("changeit");
        let issued = Issued::new(&folder, algorithm);
        folder.write_keystore("keys.p12", StoreKind::Pkcs12, &issued.identity);
        let opened = "openssl pkcs12 -in keys.p12 -passin file:password";
        let info = folder.run(&format!("{opened} -info -noout"));
        assert!(info.contains("MAC: sha256"), "{info}");
        assert_eq!(info.matches("PBES2, PBKDF2, AES-256-CBC").count(), 2, "certificates and key:\n{info}");
        assert_eq!(info.matches("hmacWithSHA256").count(), 2, "{info}");
        folder.run(&format!("{opened} -nocerts -noenc -out key.pem"));
        let key = folder.run("openssl pkey -in key.pem -pubout");
        assert_eq!(key, issued.public_key(&folder));
        let certificates = folder.run(&format!("{opened} -nokeys"));
        assert_eq!(certificates.matches("BEGIN CERTIFICATE").count(), 3);

        folder.write_truststore("trust.p12", StoreKind::Pkcs12, &[&issued.root]);
        folder.run("openssl pkcs12 -in trust.p12 -passin file:password -nokeys -out trust.pem");
        let fingerprint = folder.run("openssl x509 -in trust.pem -noout -fingerprint -sha256");
        assert!(fingerprint.contains(&issued.root.facts().fingerprint.to_string()), "{fingerprint}");
    }
}

#[test]
fn openssl_verifies_pem_chains_strictly() {
    for algorithm in ALGORITHMS {
        let folder = Folder::new("changeit");
        let issued = Issued::new(&folder, algorithm);
        folder.write_truststore("trust.pem", StoreKind::Pem, &[&issued.root]);
        folder.write_keystore("keys.pem", StoreKind::Pem, &issued.identity);
        folder.run("openssl pkey -in keys.pem -check -noout");
        assert_eq!(folder.run("openssl pkey -in keys.pem -pubout"), issued.public_key(&folder));
        let verify = "openssl verify -x509_strict -CAfile trust.pem -untrusted keys.pem";
        for (purpose, host) in
            [("sslserver", "-verify_hostname localhost"), ("sslclient", "-verify_ip 127.0.0.1")]
        {
            folder.run(&format!("{verify} -purpose {purpose} {host} keys.pem"));
        }
        let (success, output) = folder.try_run(&format!("{verify} -verify_hostname elsewhere keys.pem"));
        assert!(!success && output.contains("hostname mismatch"), "{output}");
    }
}
