//! Brokers that cannot be reached, are not who they should be, or do not let us in, and trust that cannot be read: all
//! of it found before anything is changed.

use super::ground::{self, Ground};
use super::site::{CHECK_FAILED, Inventory, Site};

/// A name, what is made wrong, and what one of the errors has to say: place, cause and remedy.
type Row = (&'static str, fn(&mut Inventory, &Ground), &'static [&'static str]);

const ROWS: &[Row] = &[
    (
        "nobody listens",
        |it, on| it.bootstrap = vec![on.nowhere()],
        &["127.0.0.1:", "cannot connect", "Connection refused", "is the broker running", "kafka.bootstrap"],
    ),
    (
        "the advertised name does not resolve",
        |it, on| it.bootstrap = on.at(ground::UNRESOLVED),
        &["advertises", "broker-1.kafka.invalid:9092", "lookup", "advertised.listeners", "kafka.extra_hosts"],
    ),
    (
        "the advertised address is not reached",
        |it, on| it.bootstrap = on.at(ground::UNREACHABLE),
        &["advertises", "localhost:", "Connection refused", "advertised.listeners"],
    ),
    (
        "the broker's certificate has expired",
        |it, on| it.bootstrap = on.at(ground::EXPIRED),
        &["127.0.0.1:", "certificate", "has expired", "days ago", "renew"],
    ),
    (
        "the broker's certificate bears no name",
        |it, on| it.bootstrap = on.at(ground::WITHOUT_NAME),
        &["no host name at all", "127.0.0.1", "subject alternative name", "kafka.verify_names"],
    ),
    (
        "the broker's certificate bears another name",
        |it, on| it.bootstrap = on.at(ground::OTHER_NAME),
        &["other.kafka.invalid", "127.0.0.1", "subject alternative name", "kafka.verify_names"],
    ),
    (
        "another authority signed the broker's certificate",
        |it, on| it.bootstrap = on.at(ground::OTHER_AUTHORITY),
        &["signed by an authority that is not trusted", "kafka.trust"],
    ),
    (
        "TLS spoken to a plaintext listener",
        |it, on| it.bootstrap = on.at(ground::PLAIN),
        &["TLS is not spoken there", "PLAINTEXT", "kafka.security"],
    ),
    (
        "plaintext spoken to a TLS listener",
        |it, _| {
            it.security = "PLAINTEXT";
            it.trust.clear();
            it.admin.clear();
            it.user.clear();
        },
        &["TLS is spoken there", "kafka.security", "SASL_SSL"],
    ),
    (
        "SASL without TLS spoken to a TLS listener",
        |it, _| {
            it.security = "SASL_PLAINTEXT";
            it.trust.clear();
        },
        &["TLS is spoken there", "kafka.security", "SASL_SSL"],
    ),
    (
        "no login at a SASL listener",
        |it, _| {
            it.security = "SSL";
            it.admin.clear();
            it.user.clear();
        },
        &["we did not log in", "kafka.security", "SASL_SSL", "kafka.user"],
    ),
    (
        "a login at a listener without SASL",
        |it, on| {
            it.security = "SASL_PLAINTEXT";
            it.trust.clear();
            it.bootstrap = on.at(ground::PLAIN);
        },
        &["has no SASL", "kafka.security", "PLAINTEXT"],
    ),
    (
        "a wrong password of the admin user",
        |it, _| it.admin = "{ username: admin, password: { command: [echo, wrong] } }".to_owned(),
        &["SCRAM-SHA-512 login as `admin` was refused", "kafka.admin"],
    ),
    (
        "an admin user that Kafka does not know",
        |it, _| it.admin = "{ username: nobody, password: { command: [echo, wrong] } }".to_owned(),
        &["login as `nobody` was refused", "kafka.admin"],
    ),
    (
        "a mechanism that is not enabled",
        |it, _| {
            it.admin = "{ username: admin, mechanism: PLAIN, password: { env: ADMIN_PASSWORD } }".to_owned();
        },
        &["PLAIN is not enabled there", "enabled: SCRAM-SHA-512", "mechanism", "kafka.admin"],
    ),
    (
        "a wrong password of a user whom others manage",
        |it, _| {
            it.user =
                "{ manage: false, name: connect-x, password: { command: [echo, wrong] }, acls: ignore }"
                    .to_owned();
        },
        &["user connect-x", "refuses its login", "kafka.user.password"],
    ),
    (
        "a truststore that is not there",
        |it, _| it.trust = "{ pem: missing.pem }".to_owned(),
        &["kafka.trust", "missing.pem", "No such file", "relative to the inventory"],
    ),
    (
        "a PEM truststore that is garbage",
        |it, _| it.trust = "{ pem: inventory.yml }".to_owned(),
        &["kafka.trust", "inventory.yml", "not a PEM store", "openssl x509"],
    ),
    (
        "a PKCS12 truststore that is garbage",
        |it, _| it.trust = "{ pkcs12: inventory.yml, password: { command: [echo, x] } }".to_owned(),
        &["kafka.trust", "inventory.yml", "not a PKCS12 store"],
    ),
    (
        "a JKS truststore that is garbage",
        |it, _| it.trust = "{ jks: inventory.yml, password: { command: [echo, x] } }".to_owned(),
        &["kafka.trust", "inventory.yml", "not a JKS store"],
    ),
    (
        "a wrong password of a PKCS12 truststore",
        |it, on| {
            it.trust =
                format!("{{ pkcs12: {}, password: {{ command: [echo, wrong] }} }}", on.pkcs12.display());
        },
        &["kafka.trust", "truststore.p12", "password"],
    ),
    (
        "a wrong password of a JKS truststore",
        |it, on| {
            it.trust = format!("{{ jks: {}, password: {{ command: [echo, wrong] }} }}", on.jks.display())
        },
        &["kafka.trust", "truststore.jks", "password"],
    ),
];

/// On a cluster that runs: every row changes nothing, neither on the host nor in Kafka, and the run after it has nothing
/// to do.
pub(super) async fn all(site: &Site, ground: &Ground) {
    for (name, wrong, says) in ROWS {
        let mut inventory = site.right.clone();
        wrong(&mut inventory, ground);
        let before = ground.standing(site).await;
        site.apply(&inventory).fails(name, CHECK_FAILED, says);
        before.is_still(ground, site, name).await;
    }
    site.is_converged("strangers");
}
