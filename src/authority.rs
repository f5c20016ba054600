//! The cluster's certificate authority and its leaves, as the control machine keeps them.
//!
//! The authority's key never leaves `certs/<cluster>/`. Nothing is reissued while it is valid: a leaf is made anew only
//! when it is missing, does not cover a wanted name, was issued by another authority, or is near its end.

use pki::{Authority, AuthorityError, AuthoritySpec, Identity, KeyUsage, LeafSpec, San, Validity};
use secrecy::ExposeSecret;
use time::{Duration, OffsetDateTime};

use crate::control::{ControlError, ControlHome};
use crate::inventory::model::ClusterName;

const AUTHORITY_LIFETIME: Duration = Duration::days(3650);
const LEAF_LIFETIME: Duration = Duration::days(397);
/// A leaf is renewed when less than this is left of it.
const RENEW_BEFORE: Duration = Duration::days(30);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterAuthorityError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("the cluster's authority in {folder} is not usable")]
    Unusable {
        folder: String,
        #[source]
        source: AuthorityError,
    },
    #[error("the cluster's authority in {folder} expired on {date}")]
    Expired { folder: String, date: time::Date },
    #[error("{folder} has the authority's certificate and not its key")]
    NoKey { folder: String },
    #[error("cannot issue a certificate for {name}")]
    Issue {
        name: String,
        #[source]
        source: AuthorityError,
    },
}

impl ClusterAuthorityError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Control(error) => error.hint(),
            Self::Unusable { source, .. } => source.hint().map(str::to_owned),
            Self::Expired { folder, .. } => Some(format!(
                "move {folder}/ca.pem and {folder}/ca.key away; the next run makes a new authority and new certificates"
            )),
            Self::NoKey { folder } => Some(format!(
                "bring {folder}/ca.key back: certificates in use rest on it, so it is not made anew in silence"
            )),
            Self::Issue { source, .. } => source.hint().map(str::to_owned),
        }
    }
}

/// The authority, if it was made before. One that has expired is an error, not an absence.
pub(crate) fn load(
    home: &ControlHome,
    now: OffsetDateTime,
) -> Result<Option<Authority>, ClusterAuthorityError> {
    let folder = home.folder().display().to_string();
    let (certificate, key) = match (home.read("ca.pem")?, home.read("ca.key")?) {
        (Some(certificate), Some(key)) => (certificate, key),
        // A key alone is what a run leaves that died between the two files; nothing rests on it yet.
        (None, _) => return Ok(None),
        (Some(_), None) => return Err(ClusterAuthorityError::NoKey { folder }),
    };
    let authority = Authority::load(&certificate, &key.into())
        .map_err(|source| ClusterAuthorityError::Unusable { folder: folder.clone(), source })?;
    let end = authority.facts().not_after;
    if end < now {
        return Err(ClusterAuthorityError::Expired { folder, date: end.date() });
    }
    Ok(Some(authority))
}

/// The authority, made on first use.
pub(crate) fn load_or_create(
    home: &ControlHome,
    cluster: &ClusterName,
    now: OffsetDateTime,
) -> Result<Authority, ClusterAuthorityError> {
    if let Some(authority) = load(home, now)? {
        return Ok(authority);
    }
    let common_name = format!("{cluster} authority");
    let spec = AuthoritySpec {
        common_name: common_name.clone(),
        validity: Validity::starting(now, AUTHORITY_LIFETIME),
    };
    let authority = Authority::create(&spec)
        .map_err(|source| ClusterAuthorityError::Issue { name: common_name, source })?;
    // The key first: a certificate without its key would look like a lost one.
    home.write("ca.key", authority.key_pem().expose_secret().as_bytes())?;
    home.write("ca.pem", authority.certificate_pem().as_bytes())?;
    Ok(authority)
}

/// A leaf that was issued before and can still be used for `sans`.
pub(crate) fn current_leaf(
    home: &ControlHome,
    authority: &Authority,
    name: &str,
    sans: &[San],
    now: OffsetDateTime,
) -> Result<Option<Identity>, ClusterAuthorityError> {
    let chain = home.read(&format!("leaves/{name}/chain.pem"))?;
    let key = home.read(&format!("leaves/{name}/key.pem"))?;
    let (Some(chain), Some(key)) = (chain, key) else { return Ok(None) };
    let Ok(key) = pki::private_key_from_pem(&key.into(), None) else { return Ok(None) };
    let Ok(chain) = pki::certificates_from_pem(&chain) else { return Ok(None) };
    let Ok(identity) = Identity::new(key, chain) else { return Ok(None) };
    let Ok(facts) = identity.facts() else { return Ok(None) };
    let usable = facts.covers(sans)
        && facts.is_valid_at(now)
        && facts.is_valid_at(now + RENEW_BEFORE)
        && facts.is_issued_by(authority.certificate());
    Ok(usable.then_some(identity))
}

/// The leaf `name` for `sans`: the one there is, or a new one.
pub(crate) fn leaf(
    home: &ControlHome,
    authority: &Authority,
    name: &str,
    sans: &[San],
    now: OffsetDateTime,
) -> Result<Identity, ClusterAuthorityError> {
    if let Some(identity) = current_leaf(home, authority, name, sans, now)? {
        return Ok(identity);
    }
    let spec = LeafSpec {
        common_name: name.to_owned(),
        sans: sans.to_vec(),
        usage: KeyUsage::Both,
        validity: Validity::starting(now, LEAF_LIFETIME),
    };
    let identity = authority
        .issue(&spec)
        .map_err(|source| ClusterAuthorityError::Issue { name: name.to_owned(), source })?;
    home.write(&format!("leaves/{name}/key.pem"), identity.key_pem().expose_secret().as_bytes())?;
    home.write(&format!("leaves/{name}/chain.pem"), identity.chain_pem().as_bytes())?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2030-01-01 00:00 UTC);

    fn home() -> (tempfile::TempDir, ControlHome, ClusterName) {
        let folder = tempfile::tempdir().unwrap();
        let cluster = ClusterName::parse("orders").unwrap();
        let home = ControlHome::new(folder.path(), &cluster);
        (folder, home, cluster)
    }

    #[test]
    fn nothing_is_reissued_while_it_is_valid() {
        let (_folder, home, cluster) = home();
        assert!(load(&home, NOW).unwrap().is_none());
        let first = load_or_create(&home, &cluster, NOW).unwrap();
        let again = load_or_create(&home, &cluster, NOW + Duration::days(300)).unwrap();
        assert_eq!(first.certificate(), again.certificate());

        let sans = [San::Dns("localhost".into())];
        let leaf_at = |sans: &[San], now| leaf(&home, &again, "broker", sans, now).unwrap().chain;
        let issued = leaf_at(&sans, NOW);
        assert_eq!(leaf_at(&sans, NOW + Duration::days(300)), issued);
        assert_ne!(leaf_at(&sans, NOW + Duration::days(380)), issued, "near its end");
        let wider = [San::Dns("localhost".into()), San::Dns("broker".into())];
        let before = leaf_at(&sans, NOW + Duration::days(380));
        assert_ne!(leaf_at(&wider, NOW + Duration::days(380)), before, "another name");
    }

    #[test]
    fn an_expired_authority_is_an_error_with_a_way_out() {
        let (_folder, home, cluster) = home();
        load_or_create(&home, &cluster, NOW).unwrap();
        let error = load(&home, NOW + Duration::days(4000)).unwrap_err();
        assert!(matches!(error, ClusterAuthorityError::Expired { .. }));
        assert!(error.hint().unwrap().contains("ca.key"));
    }
}
