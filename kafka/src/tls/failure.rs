//! The TLS handshake, and what a failed one means.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use tokio_rustls::TlsConnector;

use crate::dial::BoxedStream;
use crate::endpoint::Endpoint;
use crate::login_error::LoginError;
use crate::tls::Tls;

/// Wraps a stream in TLS. The certificate is checked against the host name of `endpoint`.
pub(crate) async fn handshake(
    tls: &Tls,
    endpoint: &Endpoint,
    stream: BoxedStream,
) -> Result<BoxedStream, LoginError> {
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|source| LoginError::ServerName { endpoint: endpoint.clone(), source })?;
    match TlsConnector::from(tls.config.clone()).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(explain(endpoint, error)),
    }
}

/// Turns an error of a TLS stream into what it means for the operator. Also used after the handshake, because a broker
/// refuses a client certificate of TLS 1.3 only then.
pub(crate) fn explain(endpoint: &Endpoint, error: io::Error) -> LoginError {
    let endpoint = endpoint.clone();
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(problem)) => match explain_certificate(&endpoint, problem) {
            Some(explained) => explained,
            None => LoginError::Certificate { endpoint, source: error },
        },
        Some(rustls::Error::InvalidMessage(_)) => LoginError::NotTls { endpoint, source: error },
        Some(rustls::Error::AlertReceived(alert)) if is_about_our_certificate(*alert) => {
            LoginError::ClientCertificate { endpoint, source: error }
        }
        Some(_) => LoginError::Tls { endpoint, source: error },
        None if is_hang_up(&error) => LoginError::NotTls { endpoint, source: error },
        None => LoginError::Tls { endpoint, source: error },
    }
}

/// Whether TLS itself failed, not the stream below it.
pub(crate) fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// Whether the other side went away, in any of the ways a stream has to say so.
pub(crate) fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

fn is_about_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
    )
}

fn explain_certificate(endpoint: &Endpoint, problem: &CertificateError) -> Option<LoginError> {
    let endpoint = endpoint.clone();
    let explained = match problem {
        CertificateError::NotValidForNameContext { presented, .. } => {
            let presented = presented.iter().map(|name| plain_name(name)).collect();
            LoginError::CertificateName { endpoint, presented }
        }
        CertificateError::NotValidForName => LoginError::CertificateName { endpoint, presented: Vec::new() },
        CertificateError::Expired => LoginError::CertificateExpired { endpoint, ago: None },
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = Duration::from_secs(time.as_secs().saturating_sub(not_after.as_secs()));
            LoginError::CertificateExpired { endpoint, ago: Some(ago) }
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            LoginError::CertificateNotYetValid { endpoint }
        }
        // A signature is only tried against an authority of the right name: one made anew keeps its name, not its key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            LoginError::CertificateIssuer { endpoint }
        }
        _ => return None,
    };
    Some(explained)
}

/// `DnsName("broker")` and `IpAddress(10.0.0.1)`, as the verifier lists names, without the wrapping.
fn plain_name(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"').to_owned()
}
