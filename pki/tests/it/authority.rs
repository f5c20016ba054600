use pki::{
    Authority, AuthorityError, AuthoritySpec, Identity, KeyAlgorithm, KeyUsage, LeafSpec, San, Validity,
    inspect, private_key_from_pem,
};
use secrecy::{ExposeSecret, SecretString};
use time::Duration;
use x509_parser::extensions::ParsedExtension;

use crate::made::{NOW, chain_of_three, leaf, root, rsa_identity, rsa_key_pem, validity};

/// The extensions of a certificate as text: name, criticality, and what matters of the value.
fn extensions(certificate: &[u8]) -> Vec<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let mut lines: Vec<String> = parsed
        .extensions()
        .iter()
        .map(|extension| {
            let value = match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(value) => {
                    format!("constraints ca={} path={:?}", value.ca, value.path_len_constraint)
                }
                ParsedExtension::KeyUsage(value) => format!("usage {value}"),
                ParsedExtension::ExtendedKeyUsage(value) => {
                    format!("extended server={} client={}", value.server_auth, value.client_auth)
                }
                ParsedExtension::SubjectAlternativeName(value) => {
                    format!("sans {}", value.general_names.len())
                }
                ParsedExtension::SubjectKeyIdentifier(_) => "subject key".to_owned(),
                ParsedExtension::AuthorityKeyIdentifier(_) => "authority key".to_owned(),
                other => format!("{other:?}"),
            };
            format!("{value}{}", if extension.critical { " critical" } else { "" })
        })
        .collect();
    lines.sort();
    lines
}

/// (subject key identifier, authority key identifier)
fn key_identifiers(certificate: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let (mut subject, mut authority) = (None, None);
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => subject = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                authority = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    (subject, authority)
}

#[test]
fn certificates_carry_the_extensions_of_their_role() {
    let identity = chain_of_three();
    let expected: [&[&str]; 3] = [
        &[
            "authority key",
            "constraints ca=false path=None critical",
            "extended server=true client=true",
            "sans 2",
            "subject key",
            "usage Digital Signature, Key Encipherment critical",
        ],
        &[
            "authority key",
            "constraints ca=true path=Some(0) critical",
            "subject key",
            "usage Key Cert Sign, CRL Sign critical",
        ],
        &["constraints ca=true path=None critical", "subject key", "usage Key Cert Sign, CRL Sign critical"],
    ];
    for (certificate, expected) in identity.chain.iter().zip(expected) {
        assert_eq!(extensions(certificate), expected);
    }
    for pair in identity.chain.windows(2) {
        let (_, wanted) = key_identifiers(&pair[0]);
        let (found, _) = key_identifiers(&pair[1]);
        assert!(wanted.is_some());
        assert_eq!(wanted, found);
    }
}

#[test]
fn usage_decides_the_side_of_the_connection() {
    let root = root();
    let cases = [
        (KeyUsage::Server, "extended server=true client=false"),
        (KeyUsage::Client, "extended server=false client=true"),
        (KeyUsage::Both, "extended server=true client=true"),
    ];
    for (usage, expected) in cases {
        let identity = root.issue(&LeafSpec { usage, ..leaf("a.example.com") }).unwrap();
        assert!(extensions(&identity.chain[0]).iter().any(|line| line == expected), "{usage:?}");
    }
}

#[test]
fn facts_tell_what_was_issued() {
    let identity = chain_of_three();
    let facts = identity.facts().unwrap();
    assert_eq!(facts.subject, "CN=broker-1.example.com");
    assert_eq!(facts.issuer, "CN=Test Intermediate");
    assert_eq!(facts.serial.len(), 32);
    assert_eq!(facts.key_algorithm, KeyAlgorithm::EcP256);
    assert!(!facts.is_ca);
    assert!(facts.covers(&[San::Dns("BROKER-1.example.com".to_owned())]));
    assert!(facts.covers(&["10.0.0.1".parse().unwrap()]));
    assert!(!facts.covers(&["10.0.0.2".parse().unwrap()]));
    assert!(!facts.covers(&["broker-1.example.com".parse().unwrap(), "other".parse().unwrap()]));
    assert!(facts.is_issued_by(&identity.chain[1]));
    assert!(!facts.is_issued_by(&identity.chain[2]));
    assert!(!facts.is_issued_by(root().certificate()));
    assert!(inspect(&identity.chain[2]).unwrap().is_self_signed());
    assert_eq!(rsa_identity().facts().unwrap().key_algorithm, KeyAlgorithm::Rsa { bits: 2048 });
}

#[test]
fn validity_begins_before_now_and_ends_with_the_authority() {
    let root = root();
    let long = LeafSpec { validity: Validity::starting(NOW, Duration::days(4000)), ..leaf("a.example.com") };
    let facts = root.issue(&long).unwrap().facts().unwrap();
    assert_eq!(facts.not_before, NOW - Duration::minutes(5));
    assert_eq!(facts.not_after, root.facts().not_after);
    assert!(facts.is_valid_at(facts.not_before) && facts.is_valid_at(facts.not_after));
    assert!(!facts.is_valid_at(facts.not_before - Duration::seconds(1)));
    assert!(!facts.is_valid_at(facts.not_after + Duration::seconds(1)));

    let expired = Validity { not_before: NOW - Duration::days(3), not_after: NOW - Duration::days(1) };
    let facts =
        root.issue(&LeafSpec { validity: expired, ..leaf("a.example.com") }).unwrap().facts().unwrap();
    assert!(!facts.is_valid_at(NOW));
}

#[test]
fn what_cannot_be_issued_is_an_error() {
    let root = root();
    let issue = |spec: LeafSpec| root.issue(&spec).map(|_| ()).unwrap_err();
    let backwards = Validity { not_before: NOW, not_after: NOW - Duration::seconds(1) };
    let late = Validity::starting(NOW + Duration::days(5000), Duration::days(1));
    assert!(matches!(
        issue(LeafSpec { common_name: String::new(), ..leaf("a") }),
        AuthorityError::CommonName { .. }
    ));
    assert!(matches!(
        issue(LeafSpec { common_name: "a".repeat(65), ..leaf("a") }),
        AuthorityError::CommonName { .. }
    ));
    assert!(matches!(
        issue(LeafSpec { sans: vec![San::Dns("a b".to_owned())], ..leaf("a") }),
        AuthorityError::San(_)
    ));
    assert!(matches!(issue(LeafSpec { validity: backwards, ..leaf("a") }), AuthorityError::Validity { .. }));
    assert!(matches!(issue(LeafSpec { validity: late, ..leaf("a") }), AuthorityError::Validity { .. }));
    let below = AuthoritySpec { common_name: "Below".to_owned(), validity: validity() };
    let intermediate = root.issue_authority(&below).unwrap();
    assert!(matches!(intermediate.issue_authority(&below), Err(AuthorityError::PathLength { .. })));
}

#[test]
fn a_loaded_authority_issues_as_before() {
    let below = AuthoritySpec { common_name: "Below".to_owned(), validity: validity() };
    let root = root();
    for authority in [root.issue_authority(&below).unwrap(), root] {
        let loaded = Authority::load(&authority.certificate_pem(), &authority.key_pem()).unwrap();
        assert_eq!(loaded.chain(), authority.chain());
        let identity = loaded.issue(&leaf("a.example.com")).unwrap();
        assert_eq!(&identity.chain[1..], authority.chain());
        assert!(identity.facts().unwrap().is_issued_by(authority.certificate()));
    }
}

#[test]
fn an_rsa_authority_in_any_encoding_issues() {
    // Self-signed by `openssl req -x509`, with an organization beside the common name.
    let certificate = include_str!("../data/rsa.crt");
    let authority = Authority::load(certificate, &rsa_key_pem()).unwrap();
    let identity = authority.issue(&leaf("a.example.com")).unwrap();
    let facts = identity.facts().unwrap();
    assert!(facts.is_issued_by(authority.certificate()));
    assert_eq!(facts.issuer, authority.facts().subject);
}

#[test]
fn authorities_that_are_none_are_refused() {
    let (root, other) = (root(), root());
    let leaf = root.issue(&leaf("a.example.com")).unwrap();
    let key = root.key_pem();
    assert!(matches!(Authority::load(&other.certificate_pem(), &key), Err(AuthorityError::Identity(_))));
    assert!(matches!(
        Authority::load(&leaf.chain_pem(), &leaf.key_pem()),
        Err(AuthorityError::NotAnAuthority { .. })
    ));
    assert!(matches!(Authority::load("", &key), Err(AuthorityError::NoCertificate)));
    assert!(matches!(
        Authority::load(&root.certificate_pem(), &SecretString::from("")),
        Err(AuthorityError::Key(_))
    ));
}

#[test]
fn an_identity_sorts_its_certificates_and_drops_strangers() {
    let identity = chain_of_three();
    let mut shuffled = vec![root().certificate().clone()];
    shuffled.extend(identity.chain.iter().rev().cloned());
    let sorted = Identity::new(identity.key.clone_key(), shuffled).unwrap();
    assert_eq!(sorted.chain, identity.chain);
    let strangers = vec![root().certificate().clone()];
    assert!(Identity::new(identity.key.clone_key(), strangers).is_err());
    assert!(Identity::new(identity.key.clone_key(), Vec::new()).is_err());
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let root = root();
    let identity = root.issue(&leaf("a.example.com")).unwrap();
    for (printed, key) in
        [(format!("{root:?}"), root.key_pem()), (format!("{identity:?}"), identity.key_pem())]
    {
        let der = private_key_from_pem(&key, None).unwrap();
        let start = format!("{:?}", &der.secret_der()[..8]);
        assert!(!printed.contains(start.trim_matches(['[', ']'])), "{printed}");
        assert!(key.expose_secret().contains("PRIVATE KEY"));
    }
}
