//! The worker image, made without Docker: one static program on nothing, as an archive that every engine loads.
//!
//! The same program gives the same bytes: times are zero, order and owners are fixed. Image ids differ between engines
//! and their stores, so an image is known by a label with a digest of ours. `templates/Dockerfile.tera` makes the same
//! image for people who build elsewhere.

mod archive;

use serde_json::{Value, json};

pub(crate) use archive::write;

use crate::shell::files::digest;

/// Label that holds [`Image::digest`].
pub(crate) const DIGEST_LABEL: &str = "provision.image-digest";

/// Name of the image, without its tag.
pub(crate) const REPOSITORY: &str = "provision/connect-worker";

/// Where the worker's properties are in the container.
const PROPERTIES: &str = "/etc/connect/worker.properties";

/// The program in the container.
const PROGRAM: &str = "connect-worker";

/// User and group that the program runs as; it owns nothing else on a host.
pub(crate) const UID: u32 = 65532;

/// Ports that the image exposes: documentation of the image, not what a host publishes.
pub(crate) const REST_PORT: u16 = 8083;
pub(crate) const METRICS_PORT: u16 = 8079;

const SECOND: u64 = 1_000_000_000;

/// Processor architectures that the worker is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// From `uname -m`.
    pub(crate) fn from_machine(machine: &str) -> Option<Self> {
        match machine {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// As `uname -m` says it.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// As Docker and OCI name it.
    fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// An image, complete but for its outer archive.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Digest of all that the image is, in hexadecimal; on the image as [`DIGEST_LABEL`].
    pub(crate) digest: String,
    pub(crate) architecture: Architecture,
    /// The layer, a tar archive with the program.
    layer: Vec<u8>,
    /// The image's configuration as JSON.
    config: Vec<u8>,
}

impl Image {
    /// The image of a static program.
    pub(crate) fn new(program: &[u8], architecture: Architecture) -> Self {
        let layer = archive::layer(PROGRAM, program);
        let diff_id = format!("sha256:{}", digest(&layer));
        let unlabeled = config(architecture, &diff_id, &json!({}));
        let digest = digest(unlabeled.to_string().as_bytes());
        let labels = json!({ DIGEST_LABEL: digest });
        let config = config(architecture, &diff_id, &labels).to_string().into_bytes();
        Self { digest, architecture, layer, config }
    }

    /// Name and tag: `provision/connect-worker:0123456789ab`.
    pub(crate) fn reference(&self) -> String {
        format!("{REPOSITORY}:{}", &self.digest[..12])
    }
}

/// The image configuration (OCI image specification 1.1, with Docker's health check).
fn config(architecture: Architecture, diff_id: &str, labels: &Value) -> Value {
    let port = |number: u16| format!("{number}/tcp");
    json!({
        "architecture": architecture.name(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": format!("{UID}:{UID}"),
            "ExposedPorts": { port(REST_PORT): {}, port(METRICS_PORT): {} },
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": [format!("/{PROGRAM}")],
            "Cmd": ["distributed", "--config", PROPERTIES],
            "Healthcheck": {
                "Test": ["CMD", format!("/{PROGRAM}"), "healthcheck", "--config", PROPERTIES],
                "Interval": 30 * SECOND,
                "Timeout": 5 * SECOND,
                "StartPeriod": 30 * SECOND,
                "Retries": 2,
            },
            "WorkingDir": "/",
            "Labels": labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "provision" }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_follows_program_and_architecture() {
        let image = Image::new(b"program", Architecture::Amd64);
        assert_eq!(image.digest, Image::new(b"program", Architecture::Amd64).digest);
        assert_ne!(image.digest, Image::new(b"other", Architecture::Amd64).digest);
        assert_ne!(image.digest, Image::new(b"program", Architecture::Arm64).digest);
        assert_eq!(image.reference(), format!("provision/connect-worker:{}", &image.digest[..12]));
    }

    #[test]
    fn configuration_runs_the_worker_without_root() {
        let image = Image::new(b"program", Architecture::Amd64);
        let config: Value = serde_json::from_slice(&image.config).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Labels"][DIGEST_LABEL], image.digest);
        assert_eq!(config["config"]["Entrypoint"][0], "/connect-worker");
    }
}
