//! One run at a time changes a host, whatever machine it comes from.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::event::{Failure, FailureKind};
use super::failure;
use crate::host::lock_file;
use crate::inventory::model::{Connection, HostName};
use crate::phases::{Context, PhaseError};
use crate::plan::Target;

/// Locks every host that is reached over SSH, for as long as its session lasts; says which could not be. This machine
/// itself needs none: the lock beside the cluster's folder does.
pub(crate) async fn take(ctx: &Context) -> Vec<Failure> {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).expect("the current time has a four-digit year");
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let owner = format!("{user}@{} since {now}", machine.trim());
    let (name, owner) = (&name(ctx), &owner);
    let is_remote = |host: &HostName| matches!(ctx.spec(host).connection, Connection::Ssh(_));
    let hosts = ctx.hosts.iter().filter(|(host, _)| is_remote(host));
    let locks = hosts.map(|(host, session)| async move {
        let error = PhaseError::from(session.lock(name, owner).await.err()?);
        Some(failure(&Target::Host(host.clone()), "lock", FailureKind::Check, &error))
    });
    futures::future::join_all(locks).await.into_iter().flatten().collect()
}

/// The file that locks a host, for whoever holds the lock and removes everything of the cluster.
pub(crate) fn file(ctx: &Context) -> String {
    lock_file(&name(ctx))
}

fn name(ctx: &Context) -> String {
    format!("provision-{}", ctx.inventory.cluster)
}
