//! Stores that `keytool` and `openssl` made, read by us.

use pki::{
    Identity, KeyAlgorithm, StoreError, StoreKind, Truststore, certificates_from_pem, read_keystore,
    same_certificates,
};

use super::{ALGORITHMS, Algorithm, Folder, public_half};

/// Makes a chain of three with openssl alone: `root.pem`, `chain.pem` (leaf first) and `leaf.key`.
fn openssl_chain(folder: &Folder, algorithm: Algorithm) {
    let new_key = match algorithm {
        Algorithm::Ec => "-newkey ec -pkeyopt ec_paramgen_curve:P-256",
        Algorithm::Rsa => "-newkey rsa:2048",
    };
    folder.write("authority.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n");
    folder.write("leaf.ext", "subjectAltName=DNS:localhost\n");
    folder.run(&format!(
        "openssl req -x509 {new_key} -noenc -keyout root.key -out root.pem -days 2 -subj /CN=Root"
    ));
    for (name, issuer, extensions) in [("middle", "root", "authority.ext"), ("leaf", "middle", "leaf.ext")] {
        folder.run(&format!(
            "openssl req {new_key} -noenc -keyout {name}.key -out {name}.csr -subj /O=Example/CN={name}"
        ));
        folder.run(&format!(
            "openssl x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -days 2 \
             -extfile {extensions} -out {name}.pem"
        ));
    }
    let chain: Vec<_> =
        ["leaf.pem", "middle.pem", "root.pem"].iter().flat_map(|name| folder.read(name)).collect();
    folder.write("chain.pem", chain);
}

/// The identity is the one that openssl made, and its key is fit for use.
fn assert_same_identity(folder: &Folder, identity: &Identity, what: &str) {
    let chain = String::from_utf8(folder.read("chain.pem")).unwrap();
    assert_eq!(identity.chain, certificates_from_pem(&chain).unwrap(), "{what}");
    let expected = folder.run("openssl pkey -in leaf.key -pubout");
    assert_eq!(public_half(folder, &identity.key_pem()), expected, "{what}");
}

#[test]
fn key_stores_of_openssl_and_keytool_are_read() {
    for algorithm in ALGORITHMS {
        let folder = Folder::new("changeit");
        openssl_chain(&folder, algorithm);
        let export =
            "openssl pkcs12 -export -inkey leaf.key -in chain.pem -name Broker -passout file:password";
        let import = "keytool -importkeystore -srckeystore openssl.p12 -srcstorepass:file password \
                      -deststorepass:file password";
        folder.run(&format!("{export} -out openssl.p12"));
        folder.run(&format!("{export} -legacy -out legacy.p12"));
        folder.run(&format!("{import} -deststoretype JKS -destkeystore keytool.jks"));
        folder.run(&format!("{import} -deststoretype PKCS12 -destkeystore keytool.p12"));
        for (kind, name) in [
            (StoreKind::Pkcs12, "openssl.p12"),
            (StoreKind::Pkcs12, "legacy.p12"),
            (StoreKind::Pkcs12, "keytool.p12"),
            (StoreKind::Jks, "keytool.jks"),
            (StoreKind::Jks, "keytool.p12"),
        ] {
            let identity = read_keystore(kind, &folder.read(name), Some(&folder.password), None).unwrap();
            assert_same_identity(&folder, &identity, name);
        }
        let pem = [folder.read("chain.pem"), folder.read("leaf.key")].concat();
        assert_same_identity(&folder, &read_keystore(StoreKind::Pem, &pem, None, None).unwrap(), "PEM");
        folder.run(
            "openssl pkcs8 -topk8 -in leaf.key -v2 aes-256-cbc -passout file:password -out encrypted.key",
        );
        let pem = [folder.read("encrypted.key"), folder.read("chain.pem")].concat();
        let identity = read_keystore(StoreKind::Pem, &pem, None, Some(&folder.password)).unwrap();
        assert_same_identity(&folder, &identity, "encrypted PEM");
    }
}

#[test]
fn keys_that_keytool_made_itself_are_read() {
    for (algorithm, expected) in [
        ("EC -groupname secp256r1", KeyAlgorithm::EcP256),
        ("EC -groupname secp384r1", KeyAlgorithm::EcP384),
        ("RSA -keysize 2048", KeyAlgorithm::Rsa { bits: 2048 }),
    ] {
        for kind in [StoreKind::Jks, StoreKind::Pkcs12] {
            let folder = Folder::new("changeit");
            folder.run(&format!(
                "keytool -genkeypair -keyalg {algorithm} -alias Broker -dname CN=made-by-keytool -storetype {kind} \
                 -keystore keys -storepass:file password"
            ));
            let identity = read_keystore(kind, &folder.read("keys"), Some(&folder.password), None).unwrap();
            let facts = identity.facts().unwrap();
            assert_eq!((facts.subject.as_str(), &facts.key_algorithm), ("CN=made-by-keytool", &expected));
            let listing = folder.run("keytool -list -keystore keys -storepass:file password");
            assert!(listing.contains(&facts.fingerprint.to_string()), "{listing}");
            folder.write("leaf.pem", identity.chain_pem());
            let public_key = folder.run("openssl x509 -in leaf.pem -noout -pubkey");
            assert_eq!(public_half(&folder, &identity.key_pem()), public_key, "{kind} {algorithm}");
        }
    }
}

#[test]
fn trust_stores_of_keytool_are_read() {
    let folder = Folder::new("changeit");
    openssl_chain(&folder, Algorithm::Ec);
    let pem = [folder.read("root.pem"), folder.read("middle.pem")].concat();
    let expected = certificates_from_pem(&String::from_utf8(pem).unwrap()).unwrap();
    for kind in [StoreKind::Jks, StoreKind::Pkcs12] {
        for name in ["root", "middle"] {
            folder.run(&format!(
                "keytool -importcert -noprompt -alias {name} -file {name}.pem -storetype {kind} \
                 -keystore {kind} -storepass:file password"
            ));
        }
        let bytes = folder.read(&kind.to_string());
        let store = Truststore::read(kind, &bytes, Some(&folder.password)).unwrap();
        assert!(same_certificates(&store.certificates, &expected), "{kind}");
        assert!(store.ignored_by_java.is_empty(), "{kind}");
        let wrong = Truststore::read(kind, &bytes, Some(&"changeit2".into()));
        assert!(matches!(wrong, Err(StoreError::WrongPassword { .. })));
    }
}

#[test]
fn trust_that_java_overlooks_is_read_and_reported() {
    let folder = Folder::new("changeit");
    openssl_chain(&folder, Algorithm::Ec);
    folder.run("openssl pkcs12 -export -nokeys -in root.pem -passout file:password -out trust.p12");
    let listing = folder.run("keytool -list -keystore trust.p12 -storepass:file password");
    assert!(listing.contains("contains 0 entries"), "{listing}");
    let store =
        Truststore::read(StoreKind::Pkcs12, &folder.read("trust.p12"), Some(&folder.password)).unwrap();
    let root = certificates_from_pem(&String::from_utf8(folder.read("root.pem")).unwrap()).unwrap();
    assert_eq!(store, Truststore { certificates: root.clone(), ignored_by_java: root });
}
