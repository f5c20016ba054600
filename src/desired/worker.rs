//! The worker of a host as a service: what runs it, and the digest of what it runs from.

use std::collections::BTreeMap;

use super::files::{self, Layout};
use crate::host::Host;
use crate::inventory::model::Runtime;
use crate::phases::{Context, PhaseError};
use crate::supervise::process::{Place, Program};
use crate::supervise::{Service, compose};

/// The service in the Compose file, and the name of the process.
const NAME: &str = "connect-worker";
/// The label of the Compose file that bears [`files::HostFiles::digest`].
const DIGEST_LABEL: &str = "provision.digest";

/// The worker of `host` as it should run; `None` while what it reads is not made yet.
pub(crate) async fn service(ctx: &Context, host: &dyn Host) -> Result<Option<Service>, PhaseError> {
    let wanted = files::gather(ctx, host, ctx.artifact().await?).await?;
    if !wanted.undetermined.is_empty() {
        return Ok(None);
    }
    let layout = Layout::new(ctx, host);
    let words = |program: &str, properties: &str, verb: &str| {
        [program, verb, "--config", properties].map(str::to_owned).to_vec()
    };
    Ok(Some(match ctx.inventory.runtime {
        Runtime::Docker => Service::Container {
            service: container(ctx, host),
            labels: BTreeMap::from([(DIGEST_LABEL.to_owned(), wanted.digest)]),
            ready: words("/connect-worker", "/etc/connect/worker.properties", "healthcheck"),
        },
        Runtime::Process => Service::Process {
            place: place(ctx, host),
            program: Program {
                words: words(&layout.binary(), &layout.properties(), "distributed"),
                digest: wanted.digest,
            },
            ready: words(&layout.binary(), &layout.properties(), "healthcheck"),
        },
    }))
}

/// The worker's container on `host`.
pub(crate) fn container(ctx: &Context, host: &dyn Host) -> compose::Service {
    let layout = Layout::new(ctx, host);
    compose::Service {
        project: layout.project(),
        file: layout.compose(),
        service: NAME.to_owned(),
        container: layout.container(),
    }
}

/// The worker's process on `host`.
pub(crate) fn place(ctx: &Context, host: &dyn Host) -> Place {
    Place { folder: Layout::new(ctx, host).root().to_owned(), name: NAME.to_owned() }
}
