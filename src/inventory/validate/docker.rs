//! The `docker` section of the file, and of a host.

use super::Validator;
use crate::inventory::model::{Docker, DockerSource, Fingerprint, RepositoryUrl, UserName, VendorRepository};
use crate::inventory::problem::Path;
use crate::inventory::raw;

const VENDOR_URL: &str = "https://download.docker.com/linux";
/// "Docker Release (CE deb) <docker@docker.com>".
const VENDOR_FINGERPRINT: &str = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88";

/// One section; what it does not say comes from the next one.
#[derive(Debug, Clone, Default)]
pub(super) struct DockerPart {
    source: Option<DockerSource>,
    url: Option<RepositoryUrl>,
    fingerprint: Option<Fingerprint>,
    group_users: Option<Vec<UserName>>,
}

impl DockerPart {
    pub(super) fn or(self, shared: &Self) -> Docker {
        let shared = shared.clone();
        let default_url = || RepositoryUrl::parse(VENDOR_URL).expect("a URL");
        let default_fingerprint = || Fingerprint::parse(VENDOR_FINGERPRINT).expect("40 digits");
        Docker {
            source: self.source.or(shared.source).unwrap_or(DockerSource::Auto),
            vendor: VendorRepository {
                url: self.url.or(shared.url).unwrap_or_else(default_url),
                fingerprint: self.fingerprint.or(shared.fingerprint).unwrap_or_else(default_fingerprint),
            },
            group_users: self.group_users.or(shared.group_users).unwrap_or_default(),
        }
    }
}

impl Validator<'_, '_> {
    pub(super) fn docker(&mut self, raw: Option<&raw::Docker>, path: &Path) -> DockerPart {
        let Some(raw) = raw else { return DockerPart::default() };
        let vendor = raw.vendor.as_ref();
        let fingerprint = vendor.and_then(|vendor| vendor.fingerprint.as_deref());
        // People copy fingerprints in groups of four, in either case.
        let fingerprint = fingerprint.map(|text| text.replace(' ', "").to_uppercase());
        let url = vendor.and_then(|vendor| vendor.url.as_deref()).map(|url| url.trim_end_matches('/'));
        DockerPart {
            source: raw.source.map(|source| match source {
                raw::DockerSource::Auto => DockerSource::Auto,
                raw::DockerSource::Distribution => DockerSource::Distribution,
                raw::DockerSource::Vendor => DockerSource::Vendor,
                raw::DockerSource::Present => DockerSource::Present,
            }),
            url: self.name(url, &path.keys("vendor.url")),
            fingerprint: self.name(fingerprint.as_deref(), &path.keys("vendor.fingerprint")),
            group_users: raw.group_users.as_ref().map(|users| {
                let path = path.key("group_users");
                users
                    .iter()
                    .enumerate()
                    .filter_map(|(index, user)| self.name(Some(user), &path.index(index)))
                    .collect()
            }),
        }
    }
}
