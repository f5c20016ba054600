//! What was made, written down where it was made and on the control machine, without secrets.
//!
//! `certs/<cluster>/journal.jsonl` has a line when a change begins and one that says how it ended. On a host,
//! `<root>/journal.jsonl` has the changes of that host that were made, and `<root>/marker` says whose host it is:
//! what is in the journal was made by us, everything else was found.

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::desired::{host_root, privilege};
use crate::host::{Command, HostExt, Privilege};
use crate::phases::{Context, PhaseError};
use crate::plan::{Change, Target};
use crate::shell::quote;

/// Writes down that a change begins, on the control machine: a run that dies in it leaves word of what may be ours.
pub(crate) fn begin(ctx: &Context, change: &Change) -> Result<(), PhaseError> {
    Ok(ctx.home.append_journal(&line(change, "begun"))?)
}

/// Writes one change down: on the control machine always, on the host when it was made there.
pub(crate) async fn record(
    ctx: &Context,
    change: &Change,
    outcome: &Result<(), PhaseError>,
) -> Result<(), PhaseError> {
    let line = line(change, if outcome.is_ok() { "made" } else { "failed" });
    ctx.home.append_journal(&line)?;
    if let (Target::Host(name), Ok(())) = (&change.target, outcome) {
        let host = ctx.hosts.get(name).expect("a change was made on a connected host");
        let marker = ctx.home.marker_or_draw()?;
        let root = host_root(&ctx.inventory, host.as_ref());
        host.check(&write_down(&root.to_string_lossy(), &marker, &line, privilege(&ctx.inventory))).await?;
        ctx.claim(name);
    }
    Ok(())
}

fn line(change: &Change, outcome: &str) -> String {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).expect("the current time has a four-digit year");
    json!({
        "time": now,
        "phase": change.phase,
        "target": change.target.to_string(),
        "action": change.action,
        "subject": change.subject,
        "fields": change.fields,
        "reversal": change.reversal,
        "outcome": outcome,
    })
    .to_string()
}

/// Appends to the host's journal and claims the host.
fn write_down(root: &str, marker: &str, line: &str, privilege: Privilege) -> Command {
    let script = format!(
        "set -eu; umask 022; mkdir -p {root}; cd {root}\n\
         [ -s marker ] || {{ printf '%s\\n' {marker} > marker.new; mv marker.new marker; }}\n\
         printf '%s\\n' {line} >> journal.jsonl\n",
        root = quote(root),
        marker = quote(marker),
        line = quote(line),
    );
    let mut command = Command::new("write the journal", script);
    command.privilege = privilege;
    command
}
