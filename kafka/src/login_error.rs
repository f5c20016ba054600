//! Why a broker did not let us in.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::pki_types::InvalidDnsNameError;
use thiserror::Error;

use crate::endpoint::Endpoint;
use crate::error::{UnsupportedApi, WireError, kafka_name};
use crate::scram::ScramError;

/// How far a login had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Connect,
    TlsHandshake,
    ApiVersions,
    SaslHandshake,
    SaslAuthenticate,
    /// Without SASL, the first request shows whether we are let in.
    FirstRequest,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::TlsHandshake => "the TLS handshake",
            Self::ApiVersions => "asking for API versions",
            Self::SaslHandshake => "choosing the SASL mechanism",
            Self::SaslAuthenticate => "SASL authentication",
            Self::FirstRequest => "the first request",
        })
    }
}

/// A connection that could not be opened, secured and authenticated.
#[derive(Debug, Error)]
pub enum LoginError {
    #[error("{endpoint}: cannot connect")]
    Dial { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint}: no answer within {after:?} while {stage} was under way")]
    TimedOut { endpoint: Endpoint, stage: Stage, after: Duration },
    #[error("{endpoint}: the host is no name that a certificate could bear")]
    ServerName { endpoint: Endpoint, source: InvalidDnsNameError },
    #[error("{endpoint}: the broker's certificate is for {}, not for `{}`", names(.presented), .endpoint.host)]
    CertificateName { endpoint: Endpoint, presented: Vec<String> },
    #[error("{endpoint}: the broker's certificate, or one it rests on, has expired{}", since(.ago))]
    CertificateExpired { endpoint: Endpoint, ago: Option<Duration> },
    #[error("{endpoint}: the broker's certificate is not valid yet")]
    CertificateNotYetValid { endpoint: Endpoint },
    #[error("{endpoint}: the broker's certificate is signed by an authority that is not trusted")]
    CertificateIssuer { endpoint: Endpoint },
    #[error("{endpoint}: the broker's certificate is not acceptable")]
    Certificate { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint}: the broker does not accept our certificate")]
    ClientCertificate { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint}: TLS is not spoken there")]
    NotTls { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint}: TLS is spoken there, and we were told to use none")]
    TlsRequired { endpoint: Endpoint },
    #[error("{endpoint}: TLS failed")]
    Tls { endpoint: Endpoint, source: io::Error },
    #[error("{endpoint}: the broker hung up during {stage}")]
    HungUp { endpoint: Endpoint, stage: Stage, plaintext: bool, source: WireError },
    #[error("{endpoint}: the exchange failed during {stage}")]
    Exchange { endpoint: Endpoint, stage: Stage, source: WireError },
    #[error("{endpoint}: the broker is too old or too new for us")]
    Versions { endpoint: Endpoint, source: UnsupportedApi },
    #[error("{endpoint}: {mechanism} is not enabled there; enabled: {}", .enabled.join(", "))]
    Mechanism { endpoint: Endpoint, mechanism: &'static str, enabled: Vec<String> },
    #[error("{endpoint}: the listener has no SASL, and we were told to log in as a user")]
    NoSasl { endpoint: Endpoint },
    #[error("{endpoint}: the broker hung up on us because we did not log in as a user")]
    SaslRequired { endpoint: Endpoint },
    #[error("{endpoint}: {mechanism} login as `{username}` was refused: {message}")]
    Refused { endpoint: Endpoint, mechanism: &'static str, username: String, message: String },
    #[error("{endpoint}: {mechanism} login as `{username}` failed")]
    Scram { endpoint: Endpoint, mechanism: &'static str, username: String, source: ScramError },
    #[error("{endpoint}: the broker answered {stage} with {}", kafka_name(*.code))]
    Broker { endpoint: Endpoint, stage: Stage, code: kafka_protocol::ResponseError },
}

impl LoginError {
    /// What the operator can do about it, when there is something to say.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Dial { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => {
                    "is the broker running, and is this the port of its listener?"
                }
                io::ErrorKind::TimedOut => "a firewall may drop the packets, or the host is down",
                _ => "check the name, the route and the firewall",
            },
            Self::TimedOut { stage: Stage::Connect, .. } => {
                "a firewall may drop the packets, or the host is down"
            }
            Self::TimedOut { .. } => {
                "something else than a Kafka broker may listen there, or it is overloaded"
            }
            Self::ServerName { .. } => "use the name that the broker's certificate bears",
            Self::CertificateName { presented, .. } if presented.is_empty() => {
                "the certificate needs the host as a subject alternative name; a common name (CN) alone is not \
                 enough. If the brokers cannot be changed, an empty ssl.endpoint.identification.algorithm turns the \
                 check of the name off"
            }
            Self::CertificateName { .. } => {
                "connect to the broker by a name of its certificate (see advertised.listeners), or issue a \
                 certificate with this name as a subject alternative name; a common name (CN) does not count"
            }
            Self::CertificateExpired { .. } => {
                "renew the broker's certificate, and check this machine's clock"
            }
            Self::CertificateNotYetValid { .. } => "check this machine's clock and the broker's",
            Self::CertificateIssuer { .. } => {
                "the truststore needs the authority that signed the brokers' certificates, and the broker must send \
                 its intermediate certificates"
            }
            Self::Certificate { .. } => return None,
            Self::ClientCertificate { .. } => {
                "the listener asks for a client certificate (ssl.client.auth): give one that the broker trusts"
            }
            Self::NotTls { .. } => {
                "the listener may be PLAINTEXT or SASL_PLAINTEXT: check security.protocol and the port"
            }
            Self::TlsRequired { .. } => "set security.protocol to SSL or SASL_SSL, or use another port",
            Self::Tls { .. } => "the broker and we may have no TLS version or cipher in common",
            Self::HungUp { stage: Stage::ApiVersions, plaintext: true, .. } => {
                "the listener may expect TLS: check security.protocol and the port"
            }
            Self::HungUp { stage: Stage::ApiVersions, plaintext: false, .. } => {
                "the listener may ask for a client certificate, or something else than Kafka listens there"
            }
            Self::HungUp { .. } | Self::Exchange { .. } => "see the broker's log of this moment",
            Self::Versions { .. } => "brokers from Kafka 2.8 on are supported",
            Self::Mechanism { .. } => {
                "choose an enabled mechanism, or add this one to sasl.enabled.mechanisms"
            }
            Self::NoSasl { .. } => {
                "set security.protocol to PLAINTEXT or SSL, or use the port of a SASL listener"
            }
            Self::SaslRequired { .. } => {
                "set security.protocol to SASL_SSL or SASL_PLAINTEXT, and give a user"
            }
            Self::Refused { .. } => {
                "check user name and password; a SCRAM user must have been made for this very mechanism, and a \
                 new one takes a moment to reach every broker"
            }
            Self::Scram { source, .. } => return source.hint().map(str::to_owned),
            Self::Broker { .. } => "see the broker's log of this moment",
        };
        Some(text.to_owned())
    }

    /// Whether the same attempt could succeed a moment later, without anybody changing a setting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dial { .. }
            | Self::TimedOut { .. }
            | Self::SaslRequired { .. }
            | Self::HungUp { .. }
            | Self::Exchange { .. }
            | Self::Broker { .. } => true,
            // A restarting broker, or a proxy before it, also hangs up in the middle of a handshake.
            Self::NotTls { source, .. } => crate::tls::is_hang_up(source),
            Self::ServerName { .. }
            | Self::CertificateName { .. }
            | Self::CertificateExpired { .. }
            | Self::CertificateNotYetValid { .. }
            | Self::CertificateIssuer { .. }
            | Self::Certificate { .. }
            | Self::ClientCertificate { .. }
            | Self::TlsRequired { .. }
            | Self::Tls { .. }
            | Self::Versions { .. }
            | Self::Mechanism { .. }
            | Self::NoSasl { .. }
            | Self::Refused { .. }
            | Self::Scram { .. } => false,
        }
    }
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        "no host name at all".to_owned()
    } else {
        format!("`{}`", presented.join("`, `"))
    }
}

fn since(ago: &Option<Duration>) -> String {
    match ago {
        Some(ago) if ago.as_secs() >= 2 * 86_400 => format!(" ({} days ago)", ago.as_secs() / 86_400),
        Some(ago) if ago.as_secs() >= 2 * 3_600 => format!(" ({} hours ago)", ago.as_secs() / 3_600),
        Some(ago) => format!(" ({} seconds ago)", ago.as_secs()),
        None => String::new(),
    }
}
