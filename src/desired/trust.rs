//! Which certificates a broker's certificate may rest on, from wherever the inventory says they are.

use std::path::PathBuf;

use base64::Engine;
use pki::{StoreError, StoreKind};
use rustls::pki_types::CertificateDer;
use secrecy::SecretString;
use time::OffsetDateTime;

use super::files::store_file;
use crate::authority::{self, ClusterAuthorityError};
use crate::host::{Command, HostError, HostExt};
use crate::inventory::model::{StoreFormat, StoreLocation, Trust};
use crate::phases::Context;
use crate::secrets::SecretError;
use crate::shell::quote;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("the cluster's authority is not made yet")]
    NoAuthority,
    #[error(transparent)]
    Authority(#[from] ClusterAuthorityError),
    #[error("kafka.trust: cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("kafka.trust")]
    Host(#[from] HostError),
    #[error("kafka.trust: no host is connected to read {path} from")]
    NoHost { path: String },
    #[error("kafka.trust: {path} is not sent as base64")]
    Transfer {
        path: String,
        #[source]
        source: base64::DecodeError,
    },
    #[error("kafka.trust: {path} is not usable")]
    Store {
        path: String,
        #[source]
        source: StoreError,
    },
    #[error("kafka.trust: this machine's own trusted certificates cannot be read")]
    System(#[source] rustls_native_certs::Error),
    #[error("kafka.trust: this machine trusts no authority at all")]
    NoSystem,
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl TrustError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoAuthority => Some("run `provision apply` first".into()),
            Self::Authority(error) => error.hint(),
            Self::Read { .. } => {
                Some("paths are relative to the inventory file; check that you may read it".into())
            }
            Self::Host(error) => error.hint(),
            Self::System(_) | Self::NoSystem => {
                Some("install the package ca-certificates, or name a store".into())
            }
            Self::NoHost { .. } | Self::Transfer { .. } => None,
            Self::Store { source, .. } => source.hint(),
            Self::Secret(error) => error.hint(),
        }
    }
}

/// The trusted certificates; `None` stands for the control machine's system store.
pub(crate) async fn certificates(
    ctx: &Context,
    trust: &Trust,
) -> Result<Option<Vec<CertificateDer<'static>>>, TrustError> {
    let store = match trust {
        Trust::System => return Ok(None),
        Trust::Ours => {
            let authority =
                authority::load(&ctx.home, OffsetDateTime::now_utc())?.ok_or(TrustError::NoAuthority)?;
            return Ok(Some(authority.chain().to_vec()));
        }
        Trust::Store(store) => store,
    };
    let (bytes, path) = match &store.location {
        StoreLocation::Control(path) => {
            let bytes =
                std::fs::read(path).map_err(|source| TrustError::Read { path: path.clone(), source })?;
            (bytes, path.display().to_string())
        }
        StoreLocation::Host(path) => (from_host(ctx, path.as_str()).await?, path.to_string()),
    };
    let kind = match store.format {
        StoreFormat::Pem => StoreKind::Pem,
        StoreFormat::Pkcs12 => StoreKind::Pkcs12,
        StoreFormat::Jks => StoreKind::Jks,
    };
    let password = match &store.password {
        Some(origin) => Some(ctx.secrets.get("kafka-truststore", origin).await?),
        None if kind == StoreKind::Pem => None,
        None => Some(SecretString::from("")),
    };
    let certificates = pki::read_truststore(kind, &bytes, password.as_ref())
        .map_err(|source| TrustError::Store { path, source })?;
    Ok(Some(certificates))
}

/// Whether the stores of the control machine hold what is trusted now. Trust that cannot be read says nothing of them:
/// the phase that makes the stores tells why.
pub(crate) async fn is_kept(ctx: &Context, trust: &Trust) -> bool {
    let trusted = match certificates(ctx, trust).await {
        Ok(Some(trusted)) => Ok(trusted),
        Ok(None) => system(),
        Err(error) => Err(error),
    };
    let trusted = match trusted {
        Ok(trusted) => trusted,
        Err(error) => return !matches!(error, TrustError::NoAuthority),
    };
    let Ok(Some(bytes)) = ctx.home.read_bytes(&store_file(StoreKind::Pem)) else { return false };
    pki::read_truststore(StoreKind::Pem, &bytes, None)
        .is_ok_and(|kept| pki::same_certificates(&kept, &trusted))
}

/// The authorities that this machine's system trusts.
pub(crate) fn system() -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    match (found.certs.is_empty(), found.errors.into_iter().next()) {
        (false, _) => Ok(found.certs),
        (true, Some(error)) => Err(TrustError::System(error)),
        (true, None) => Err(TrustError::NoSystem),
    }
}

/// Reads a file of a host; every host is said to have the same, so the first answers.
async fn from_host(ctx: &Context, path: &str) -> Result<Vec<u8>, TrustError> {
    let host = ctx.hosts.values().next().ok_or_else(|| TrustError::NoHost { path: path.to_owned() })?;
    let read = Command::new(format!("read {path}"), format!("base64 < {}", quote(path))).as_root();
    let text: String = host.check(&read).await?.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|source| TrustError::Transfer { path: path.to_owned(), source })
}
