//! `security.protocol`, `sasl.*` and `ssl.*` of a Java client, read into one value that both of our Kafka
//! clients can be set up from.
//!
//! Stores are read here once: PEM, PKCS12 and JKS all become PEM in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_control::{
    Client, ClientConfig, Endpoint, HostnameCheck, Identity, Sasl, Security, TcpDial, Tls, TlsSetupError,
    Trust,
};
use secrecy::{ExposeSecret, SecretString};

use crate::causes::chain;
use crate::config::Problem;
use crate::config::jaas::{self, LoginModule};

/// A broker that is given less time to answer is never heard.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// How one client proves itself and whom it trusts. Cheap enough to build per client.
#[derive(Clone, Debug)]
pub(crate) struct ClientSecurity {
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) sasl: Option<Sasl>,
}

#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    /// PEM; none means the authorities of the operating system.
    trust: Option<String>,
    identity: Option<PemIdentity>,
    verify_hostname: bool,
}

#[derive(Clone, Debug)]
struct PemIdentity {
    chain: String,
    key: SecretString,
}

/// Settings that were readable but cannot be used together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecurityError {
    #[error("the truststore's certificates")]
    Trust(#[source] pki::PemError),
    #[error("the key store's certificates")]
    Chain(#[source] pki::PemError),
    #[error("the key store's key")]
    Key(#[source] pki::KeyError),
    #[error("TLS settings")]
    Tls(#[source] TlsSetupError),
}

impl ClientSecurity {
    /// Reads the Java settings of one client; files named by them are read too.
    pub(crate) fn from_java(settings: &BTreeMap<String, String>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let get = |key: &str| settings.get(key).map(|v| v.trim()).filter(|v| !v.is_empty());
        let protocol = get("security.protocol").unwrap_or("PLAINTEXT").to_ascii_uppercase();
        let (with_tls, with_sasl) = match protocol.as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => {
                problems.push(
                    Problem::new("security.protocol", format!("{protocol:?} is not a security protocol"))
                        .with_hint("one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
                );
                (false, false)
            }
        };
        let sasl = if with_sasl { collect(read_sasl(get), &mut problems) } else { None };
        let tls = if with_tls { collect(read_tls(settings, get), &mut problems) } else { None };
        if problems.is_empty() { Ok(Self { tls, sasl }) } else { Err(problems) }
    }

    /// Our wire client, which connects when it is first asked something.
    pub(crate) fn wire_client(
        &self,
        bootstrap: Vec<Endpoint>,
        client_id: String,
        request_timeout: Duration,
    ) -> Result<Client, SecurityError> {
        let tls = self.tls.as_ref().map(TlsSettings::to_wire).transpose()?;
        let mut config = ClientConfig::new(bootstrap, Security { tls, sasl: self.sasl.clone() });
        config.client_id = client_id;
        config.request_timeout = request_timeout.max(SHORTEST_TIMEOUT);
        Ok(Client::new(config, Arc::new(TcpDial::default())))
    }

    /// The same for librdkafka.
    pub(crate) fn apply_to(&self, config: &mut rdkafka::ClientConfig) {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(sasl) = &self.sasl {
            let (Sasl::Plain { username, password }
            | Sasl::ScramSha256 { username, password }
            | Sasl::ScramSha512 { username, password }) = sasl;
            config.set("sasl.mechanism", sasl.mechanism());
            config.set("sasl.username", username);
            config.set("sasl.password", password.expose_secret());
        }
        if let Some(tls) = &self.tls {
            if let Some(trust) = &tls.trust {
                config.set("ssl.ca.pem", trust);
            }
            if let Some(identity) = &tls.identity {
                config.set("ssl.certificate.pem", &identity.chain);
                config.set("ssl.key.pem", identity.key.expose_secret());
            }
            let algorithm = if tls.verify_hostname { "https" } else { "none" };
            config.set("ssl.endpoint.identification.algorithm", algorithm);
        }
    }
}

impl TlsSettings {
    fn to_wire(&self) -> Result<Tls, SecurityError> {
        let trust = match &self.trust {
            Some(pem) => Trust::Certificates(pki::certificates_from_pem(pem).map_err(SecurityError::Trust)?),
            None => Trust::System,
        };
        let identity = match &self.identity {
            Some(identity) => Some(Identity {
                chain: pki::certificates_from_pem(&identity.chain).map_err(SecurityError::Chain)?,
                key: pki::private_key_from_pem(&identity.key, None).map_err(SecurityError::Key)?,
            }),
            None => None,
        };
        let check = if self.verify_hostname { HostnameCheck::Required } else { HostnameCheck::Skipped };
        Tls::new(trust, identity, check).map_err(SecurityError::Tls)
    }
}

fn collect<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn read_sasl<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Sasl, Problem> {
    let mechanism = get("sasl.mechanism").unwrap_or("GSSAPI");
    let text = get("sasl.jaas.config").ok_or_else(|| {
        Problem::new("sasl.jaas.config", "missing, but security.protocol asks for SASL")
            .with_hint("ScramLoginModule required username=\"..\" password=\"..\";")
    })?;
    let login = jaas::parse(text).map_err(|e| Problem::new("sasl.jaas.config", e.to_string()))?;
    let (username, password) = (login.username, login.password);
    match (mechanism, login.module) {
        ("PLAIN", LoginModule::Plain) => Ok(Sasl::Plain { username, password }),
        ("SCRAM-SHA-256", LoginModule::Scram) => Ok(Sasl::ScramSha256 { username, password }),
        ("SCRAM-SHA-512", LoginModule::Scram) => Ok(Sasl::ScramSha512 { username, password }),
        ("PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512", _) => Err(Problem::new(
            "sasl.jaas.config",
            format!("the login module does not belong to sasl.mechanism {mechanism}"),
        )),
        _ => Err(Problem::new("sasl.mechanism", format!("{mechanism} is not supported"))
            .with_hint("one of SCRAM-SHA-512, SCRAM-SHA-256, PLAIN")),
    }
}

fn read_tls<'a>(
    settings: &BTreeMap<String, String>,
    get: impl Fn(&str) -> Option<&'a str>,
) -> Result<TlsSettings, Problem> {
    let trust = match (get("ssl.truststore.certificates"), get("ssl.truststore.location")) {
        (Some(pem), _) => {
            let property = "ssl.truststore.certificates";
            let certificates =
                pki::certificates_from_pem(pem).map_err(|e| Problem::new(property, chain(&e)))?;
            if certificates.is_empty() {
                return Err(Problem::new(property, "there is no certificate in it")
                    .with_hint("one or more blocks in PEM, from BEGIN CERTIFICATE to END CERTIFICATE"));
            }
            Some(pem.to_owned())
        }
        (None, Some(location)) => {
            let property = "ssl.truststore.location";
            let kind = store_kind("ssl.truststore.type", get("ssl.truststore.type"))?;
            let bytes = read_store(property, location)?;
            let password = get("ssl.truststore.password").map(SecretString::from);
            let certificates = pki::read_truststore(kind, &bytes, password.as_ref())
                .map_err(|e| store_problem("truststore", location, &e))?;
            Some(pki::certificates_to_pem(&certificates))
        }
        (None, None) => None,
    };
    let identity = match (get("ssl.keystore.certificate.chain"), get("ssl.keystore.location")) {
        (Some(pem), _) => {
            let property = "ssl.keystore.key";
            let key = get(property).ok_or_else(|| Problem::new(property, "missing"))?;
            Some(pem_identity(property, pem, key, get("ssl.key.password"))?)
        }
        (None, Some(location)) => {
            let property = "ssl.keystore.location";
            let bytes = read_store(property, location)?;
            let kind = store_kind("ssl.keystore.type", get("ssl.keystore.type"))?;
            let secret = |key: &str| get(key).map(SecretString::from);
            let (store_password, key_password) =
                (secret("ssl.keystore.password"), secret("ssl.key.password"));
            let identity = pki::read_keystore(kind, &bytes, store_password.as_ref(), key_password.as_ref())
                .map_err(|e| store_problem("keystore", location, &e))?;
            Some(PemIdentity { chain: identity.chain_pem(), key: identity.key_pem() })
        }
        (None, None) => None,
    };
    let algorithm =
        settings.get("ssl.endpoint.identification.algorithm").map_or("https", |value| value.trim());
    let verify_hostname = match algorithm.to_ascii_lowercase().as_str() {
        "https" => true,
        "" => false,
        _ => {
            let property = "ssl.endpoint.identification.algorithm";
            return Err(Problem::new(property, "expected https, or nothing to skip the check"));
        }
    };
    Ok(TlsSettings { trust, identity, verify_hostname })
}

fn pem_identity(
    property: &str,
    certificates: &str,
    key: &str,
    password: Option<&str>,
) -> Result<PemIdentity, Problem> {
    let wrong = |text: String| Problem::new(property, text);
    let certificates = pki::certificates_from_pem(certificates).map_err(|e| wrong(chain(&e)))?;
    let password = password.map(SecretString::from);
    let key = pki::private_key_from_pem(&SecretString::from(key), password.as_ref())
        .map_err(|e| wrong(chain(&e)))?;
    let identity = pki::Identity::new(key, certificates).map_err(|e| wrong(chain(&e)))?;
    Ok(PemIdentity { chain: identity.chain_pem(), key: identity.key_pem() })
}

fn store_kind(property: &str, text: Option<&str>) -> Result<pki::StoreKind, Problem> {
    match text.unwrap_or("JKS").to_ascii_uppercase().as_str() {
        "PEM" => Ok(pki::StoreKind::Pem),
        "PKCS12" => Ok(pki::StoreKind::Pkcs12),
        "JKS" => Ok(pki::StoreKind::Jks),
        _ => Err(Problem::new(property, "expected PEM, PKCS12 or JKS")),
    }
}

fn read_store(property: &str, location: &str) -> Result<Vec<u8>, Problem> {
    std::fs::read(location).map_err(|e| Problem::new(property, format!("cannot read {location}: {e}")))
}

/// `store`: how the store is called in the names of its properties.
fn store_problem(store: &str, location: &str, error: &pki::StoreError) -> Problem {
    let property = match error {
        pki::StoreError::WrongPassword { .. }
        | pki::StoreError::PasswordNeeded { .. }
        | pki::StoreError::PasswordCharacters { .. } => format!("ssl.{store}.password"),
        pki::StoreError::WrongKeyPassword { .. } => "ssl.key.password".to_owned(),
        pki::StoreError::OtherKind { .. } => format!("ssl.{store}.type"),
        _ => format!("ssl.{store}.location"),
    };
    Problem::new(property, format!("{location}: {}", chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> BTreeMap<String, String> {
        crate::config::properties::Properties::parse(text).unwrap().into_map()
    }

    #[test]
    fn scram_over_tls_reaches_librdkafka() {
        let read = ClientSecurity::from_java(&settings(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n\
             sasl.jaas.config=a.ScramLoginModule required username=\"u\" password=\"p\\\\\"q\";\n\
             ssl.endpoint.identification.algorithm=\n",
        ))
        .unwrap();
        let mut config = rdkafka::ClientConfig::new();
        read.apply_to(&mut config);
        for (key, expected) in [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "u"),
            ("sasl.password", "p\"q"),
            ("ssl.endpoint.identification.algorithm", "none"),
        ] {
            assert_eq!(config.get(key), Some(expected), "{key}");
        }
        assert!(!format!("{read:?}").contains("p\"q"));
    }

    #[test]
    fn problems_name_their_property() {
        let check = |text: &str, expected: &str| {
            let problems = ClientSecurity::from_java(&settings(text)).unwrap_err();
            assert_eq!(problems[0].property, expected, "{text}");
        };
        check("security.protocol=TLS", "security.protocol");
        check("security.protocol=SASL_SSL", "sasl.jaas.config");
        let jaas = "sasl.jaas.config=ScramLoginModule required username=u password=p;";
        check(&format!("security.protocol=SASL_PLAINTEXT\n{jaas}"), "sasl.mechanism");
        check(&format!("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n{jaas}"), "sasl.jaas.config");
        check("security.protocol=SSL\nssl.truststore.location=/absent", "ssl.truststore.location");
        check(
            "security.protocol=SSL\nssl.truststore.type=BKS\nssl.truststore.location=/x",
            "ssl.truststore.type",
        );
        check(
            "security.protocol=SSL\nssl.endpoint.identification.algorithm=x",
            "ssl.endpoint.identification.algorithm",
        );
    }
}
