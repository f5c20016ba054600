//! What is issued and read here serves rustls, on both sides of a connection.

use std::sync::Arc;

use pki::{Identity, KeyUsage, LeafSpec, San, StoreKind, Validity, read_keystore};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use time::Duration;

use crate::made::{NOW, chain_of_three, leaf, password, root, rsa_identity, validity};

/// The time of the certificates, not of the machine.
#[derive(Debug)]
struct Then;

impl TimeProvider for Then {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = NOW.unix_timestamp().unsigned_abs();
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// Shakes hands in memory. Each side trusts the root of the other's chain, and asks for a certificate.
fn connect(server: &Identity, client: &Identity, name: &str) -> Result<(), rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let trust = |identity: &Identity| {
        let mut roots = RootCertStore::empty();
        roots.add(identity.chain.last().unwrap().clone()).unwrap();
        Arc::new(roots)
    };
    let verifier =
        WebPkiClientVerifier::builder_with_provider(trust(client), provider.clone()).build().unwrap();
    let server_config = ServerConfig::builder_with_details(provider.clone(), Arc::new(Then))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(server.chain.clone(), server.key.clone_key())?;
    let client_config = ClientConfig::builder_with_details(provider, Arc::new(Then))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trust(server))
        .with_client_auth_cert(client.chain.clone(), client.key.clone_key())?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client_config), name)?;
    let mut server = ServerConnection::new(Arc::new(server_config))?;
    // Each side in turn says all it has, until neither has anything left.
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut input = bytes.as_slice();
        while !input.is_empty() {
            server.read_tls(&mut input).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut input = bytes.as_slice();
        while !input.is_empty() {
            client.read_tls(&mut input).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

#[test]
fn issued_identities_shake_hands() {
    let (ec, rsa) = (chain_of_three(), rsa_identity());
    for (server, client, name) in
        [(&ec, &rsa, "broker-1.example.com"), (&rsa, &ec, "broker-2.example.com"), (&ec, &ec, "10.0.0.1")]
    {
        connect(server, client, name).unwrap();
    }
}

#[test]
fn wrong_names_sides_and_times_are_refused() {
    let (root, good) = (root(), chain_of_three());
    let issue = |spec: LeafSpec| root.issue(&spec).unwrap();
    let name = "a.example.com";
    let expired = Validity { not_before: NOW - Duration::days(3), not_after: NOW - Duration::days(1) };
    let early = Validity { not_before: NOW + Duration::days(1), not_after: NOW + Duration::days(3) };
    let bad_servers = [
        LeafSpec { sans: vec![San::Dns("b.example.com".to_owned())], ..leaf(name) },
        LeafSpec { sans: Vec::new(), ..leaf(name) },
        LeafSpec { usage: KeyUsage::Client, ..leaf(name) },
        LeafSpec { validity: expired, ..leaf(name) },
        LeafSpec { validity: early, ..leaf(name) },
    ];
    for spec in bad_servers {
        assert!(connect(&issue(spec.clone()), &good, name).is_err(), "{spec:?}");
    }
    assert!(connect(&good, &issue(LeafSpec { usage: KeyUsage::Server, ..leaf(name) }), "10.0.0.1").is_err());
    let one_sided = LeafSpec { usage: KeyUsage::Server, validity: validity(), ..leaf(name) };
    assert!(connect(&issue(one_sided), &good, name).is_ok());
}

#[test]
fn keys_of_keytool_load() {
    let secret = password("changeit");
    let stores: [(&[u8], &str); 2] = [
        (include_bytes!("../data/keytool-ec.jks"), "other-secret"),
        (include_bytes!("../data/keytool-ec384.p12"), "changeit"),
    ];
    for (store, key_secret) in stores {
        let identity =
            read_keystore(StoreKind::Jks, store, Some(&secret), Some(&password(key_secret))).unwrap();
        ring::sign::any_supported_type(&identity.key).unwrap();
    }
}
