//! Certificates, good and bad, made here and checked in memory.

use std::sync::Arc;

use kafka_control::{Endpoint, HostnameCheck, Identity, LoginError, Security, Tls, TlsSetupError, Trust};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use crate::scripted::{Reply, Script, bootstrap, client};

struct Leaf {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(issuer: &Issuer<'static, KeyPair>, names: &[&str], change: impl Fn(&mut CertificateParams)) -> Leaf {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "broker-1");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
    Leaf { certificate, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())) }
}

fn broker(leaf: Leaf, clients: Option<&CertificateDer<'static>>) -> Script {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(trusted) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(trusted.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let config = builder.with_single_cert(vec![leaf.certificate], leaf.key).unwrap();
    Script { tls: Some(TlsAcceptor::from(Arc::new(config))), ..Script::new(|_| Reply::Usual) }
}

async fn probe(script: Script, tls: Tls) -> Result<(), LoginError> {
    probe_at(script, tls, &bootstrap()).await
}

async fn probe_at(script: Script, tls: Tls, endpoint: &Endpoint) -> Result<(), LoginError> {
    client(&Arc::new(script), Security { tls: Some(tls), sasl: None }).probe_login(endpoint).await
}

fn trusting(certificate: &CertificateDer<'static>, check: HostnameCheck) -> Tls {
    Tls::new(Trust::Certificates(vec![certificate.clone()]), None, check).unwrap()
}

#[tokio::test]
async fn a_good_certificate_is_accepted_for_names_and_addresses() {
    let ca = authority("ca");
    let tls = || trusting(ca.der(), HostnameCheck::Required);
    let names = ["broker-1", "*.kafka.example", "10.0.0.7", "::1"];
    for host in ["broker-1", "a.kafka.example", "10.0.0.7", "::1"] {
        let broker = broker(leaf(&ca, &names, |_| {}), None);
        probe_at(broker, tls(), &Endpoint::new(host, 9093)).await.unwrap();
    }
    let broker = broker(leaf(&ca, &names, |_| {}), None);
    let error = probe_at(broker, tls(), &Endpoint::new("10.0.0.8", 9093)).await.unwrap_err();
    assert!(matches!(error, LoginError::CertificateName { .. }), "{error:?}");
}

#[tokio::test]
async fn a_wrong_name_lists_the_right_ones() {
    let ca = authority("ca");
    let broker_with = |names: &[&str]| broker(leaf(&ca, names, |_| {}), None);
    let error =
        probe(broker_with(&["kafka-1.example", "10.0.0.7"]), trusting(ca.der(), HostnameCheck::Required))
            .await
            .unwrap_err();
    assert_eq!(
        error.to_string(),
        "broker-1:9092: the broker's certificate is for `kafka-1.example`, `10.0.0.7`, not for `broker-1`"
    );
    // The common name is `broker-1`, and does not count.
    let error = probe(broker_with(&[]), trusting(ca.der(), HostnameCheck::Required)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "broker-1:9092: the broker's certificate is for no host name at all, not for `broker-1`"
    );
    assert!(error.hint().unwrap().contains("common name (CN) alone is not enough"));
    probe(broker_with(&[]), trusting(ca.der(), HostnameCheck::Skipped)).await.unwrap();
}

#[tokio::test]
async fn time_and_issuer_are_checked_whatever_the_name() {
    let ca = authority("ca");
    let expired = || {
        leaf(&ca, &["broker-1"], |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        })
    };
    let early = || leaf(&ca, &["broker-1"], |params| params.not_before = date_time_ymd(2200, 1, 1));
    for check in [HostnameCheck::Required, HostnameCheck::Skipped] {
        let error = probe(broker(expired(), None), trusting(ca.der(), check)).await.unwrap_err();
        assert!(matches!(error, LoginError::CertificateExpired { ago: Some(_), .. }), "{error:?}");
        let error = probe(broker(early(), None), trusting(ca.der(), check)).await.unwrap_err();
        assert!(matches!(error, LoginError::CertificateNotYetValid { .. }), "{error:?}");
        let stranger = broker(leaf(&authority("other"), &["broker-1"], |_| {}), None);
        let error = probe(stranger, trusting(ca.der(), check)).await.unwrap_err();
        assert!(matches!(error, LoginError::CertificateIssuer { .. }), "{error:?}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_broker_certificate_that_is_itself_trusted_needs_no_authority() {
    let own = authority("self");
    let leaf = leaf(&own, &["broker-1"], |_| {});
    let tls = trusting(&leaf.certificate, HostnameCheck::Required);
    probe(broker(leaf, None), tls).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_wants_a_client_certificate_says_so() {
    let ca = authority("ca");
    let strict = || broker(leaf(&ca, &["broker-1"], |_| {}), Some(ca.der()));
    let error = probe(strict(), trusting(ca.der(), HostnameCheck::Required)).await.unwrap_err();
    assert!(matches!(error, LoginError::ClientCertificate { .. }), "{error:?}");

    let other = authority("other");
    let identity = |issuer| {
        let Leaf { certificate, key } = leaf(issuer, &["client"], |_| {});
        Identity { chain: vec![certificate], key }
    };
    let with = |identity| {
        Tls::new(Trust::Certificates(vec![ca.der().clone()]), Some(identity), HostnameCheck::Required)
            .unwrap()
    };
    probe(strict(), with(identity(&ca))).await.unwrap();
    let error = probe(strict(), with(identity(&other))).await.unwrap_err();
    assert!(matches!(error, LoginError::ClientCertificate { .. }), "{error:?}");
    assert_eq!(
        format!("{:?}", with(identity(&ca))),
        "Tls { hostname_check: Required, has_identity: true, .. }"
    );
}

#[tokio::test]
async fn tls_to_a_listener_without_it_is_told_apart() {
    let ca = authority("ca");
    for reply in [|| Reply::HangUp, || Reply::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())] {
        let script = Arc::new(crate::scripted::Deaf(reply()));
        let security = Security { tls: Some(trusting(ca.der(), HostnameCheck::Required)), sasl: None };
        let config = kafka_control::ClientConfig::new(vec![bootstrap()], security);
        let error = kafka_control::Client::new(config, script).probe_login(&bootstrap()).await.unwrap_err();
        assert!(matches!(error, LoginError::NotTls { .. }), "{error:?}");
    }
}

#[test]
fn trusting_nobody_is_refused_at_once() {
    let nothing = Tls::new(Trust::Certificates(Vec::new()), None, HostnameCheck::Required);
    assert!(matches!(nothing, Err(TlsSetupError::NothingTrusted)));
    let garbage = Trust::Certificates(vec![CertificateDer::from(vec![1, 2, 3])]);
    let garbage = Tls::new(garbage, None, HostnameCheck::Required);
    assert!(matches!(garbage, Err(TlsSetupError::Certificate { index: 0, .. })));
}
