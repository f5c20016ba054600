//! Trust: the cluster's own authority where something of ours serves TLS, and the truststores of the workers.
//!
//! With an existing cluster its own trust comes first: whatever the inventory names is read, judged and written as PEM,
//! PKCS12 and JKS, without Java. Stores are kept on the control machine and written anew only when their
//! certificates differ, so that equal trust stays equal bytes.

use async_trait::async_trait;
use pki::{StoreKind, inspect, same_certificates};
use rustls::pki_types::CertificateDer;
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::{Finding, Phase, PhaseError, Planned, Scope, Scoped, Severity};
use crate::authority;
use crate::control::ControlHome;
use crate::desired::files::{STORE_SECRET, store_file};
use crate::desired::trust::{self, TrustError};
use crate::inventory::model::{SecretRef, Trust as TrustSource};
use crate::kafka_access::KafkaAccessError;
use crate::plan::Change;

const AUTHORITY: &str = "certificate authority";
const STORES: &str = "truststores PEM, PKCS12, JKS";
/// A trusted certificate is warned about when less than this is left of it.
const WARN_BEFORE: Duration = Duration::days(30);

pub(crate) struct Trust;

/// What there is of the cluster's trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TrustFacts {
    /// No TLS: nothing to trust.
    NoTls,
    /// Ours, and not made yet.
    NoAuthority,
    Seen {
        /// Subjects of trusted certificates that are no longer valid, or soon will not be, with the end of validity.
        ending: Vec<(String, OffsetDateTime)>,
        /// How many certificates are trusted in all.
        total: usize,
        now: OffsetDateTime,
        /// Whether the stores on the control machine hold exactly the trusted certificates.
        stores_current: bool,
    },
}

#[async_trait]
impl Phase for Trust {
    type Facts = TrustFacts;

    const ID: &'static str = "trust";
    const TITLE: &'static str = "Certificates and trust";
    const SCOPE: Scope = Scope::Cluster;

    async fn check(&self, at: &Scoped<'_>) -> Result<TrustFacts, PhaseError> {
        let Some(tls) = at.inventory().kafka.security.tls() else { return Ok(TrustFacts::NoTls) };
        let certificates = match certificates(at, &tls.trust).await {
            Ok(certificates) => certificates,
            Err(KafkaAccessError::Trust(TrustError::NoAuthority)) => return Ok(TrustFacts::NoAuthority),
            Err(error) => return Err(error.into()),
        };
        let now = OffsetDateTime::now_utc();
        let ending = certificates
            .iter()
            .filter_map(|certificate| inspect(certificate).ok())
            .filter(|facts| facts.not_after < now + WARN_BEFORE)
            .map(|facts| (facts.subject, facts.not_after))
            .collect();
        // A system's bundle always holds some that have ended.
        let ending = if tls.trust == TrustSource::System { Vec::new() } else { ending };
        let total = certificates.len();
        Ok(TrustFacts::Seen { ending, total, now, stores_current: stores_hold(at, &certificates).await? })
    }

    fn plan(&self, at: &Scoped<'_>, facts: &TrustFacts) -> Planned {
        let mut planned = Planned::default();
        match facts {
            TrustFacts::NoTls => {}
            TrustFacts::NoAuthority => {
                planned.changes.push(
                    Change::create(Self::ID, at.target, AUTHORITY)
                        .irreversible("certificates rest on it; `provision destroy` removes it"),
                );
                planned.changes.push(Change::create(Self::ID, at.target, STORES));
            }
            TrustFacts::Seen { ending, total, now, stores_current } => {
                for (subject, end) in ending {
                    // While authorities are exchanged a store holds the old and the new one.
                    let severity =
                        if ending.len() == *total && end < now { Severity::Error } else { Severity::Warning };
                    let verb = if end < now { "ended" } else { "ends" };
                    planned.findings.push(Finding {
                        severity,
                        place: format!("trusted certificate {subject}"),
                        message: format!("{verb} on {}", end.date()),
                        hint: Some("replace it in the store that `kafka.trust` names".into()),
                    });
                }
                if !stores_current {
                    planned.changes.push(Change::create(Self::ID, at.target, STORES));
                }
            }
        }
        planned
    }

    async fn apply(&self, at: &Scoped<'_>, _facts: &TrustFacts, change: &Change) -> Result<(), PhaseError> {
        if change.subject == AUTHORITY {
            authority::load_or_create(&at.ctx.home, &at.inventory().cluster, OffsetDateTime::now_utc())?;
            return Ok(());
        }
        let tls = at.inventory().kafka.security.tls().expect("stores are planned with TLS only");
        let certificates = certificates(at, &tls.trust).await?;
        if stores_hold(at, &certificates).await? {
            return Ok(());
        }
        let password = at.ctx.secrets.get_or_draw(STORE_SECRET, &SecretRef::Generated).await?;
        for kind in [StoreKind::Pem, StoreKind::Pkcs12, StoreKind::Jks] {
            let bytes = pki::write_truststore(kind, &certificates, &password)
                .map_err(|error| PhaseError::make(STORES, error))?;
            at.ctx.home.write(&store_file(kind), &bytes)?;
        }
        Ok(())
    }
}

/// The trusted certificates; those of the system are read out, since a container has none of its own.
async fn certificates(
    at: &Scoped<'_>,
    source: &TrustSource,
) -> Result<Vec<CertificateDer<'static>>, KafkaAccessError> {
    match trust::certificates(at.ctx, source).await? {
        Some(certificates) => Ok(certificates),
        None => Ok(trust::system()?),
    }
}

/// Whether all three stores are there and hold exactly these certificates.
async fn stores_hold(at: &Scoped<'_>, certificates: &[CertificateDer<'_>]) -> Result<bool, PhaseError> {
    let Some(password) = at.ctx.secrets.peek(STORE_SECRET, &SecretRef::Generated).await? else {
        return Ok(false);
    };
    for kind in [StoreKind::Pem, StoreKind::Pkcs12, StoreKind::Jks] {
        if !store_holds(&at.ctx.home, kind, &password, certificates)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn store_holds(
    home: &ControlHome,
    kind: StoreKind,
    password: &SecretString,
    certificates: &[CertificateDer<'_>],
) -> Result<bool, PhaseError> {
    let Some(bytes) = home.read_bytes(&store_file(kind))? else { return Ok(false) };
    Ok(pki::read_truststore(kind, &bytes, Some(password))
        .is_ok_and(|found| same_certificates(&found, certificates)))
}
