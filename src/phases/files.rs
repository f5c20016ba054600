//! Files of the workers: compared by digest, owner and mode, written in one transfer per host, each whole or not at all.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Phase, PhaseError, Planned, Removed, Scope, Scoped};
use crate::desired::files::{HostFiles, Layout, gather, name_of};
use crate::desired::privilege;
use crate::host::{Command, HostExt};
use crate::plan::Change;
use crate::shell::files::{FileKind, FileState, digest, parse_states, states, write_files};
use crate::shell::quote;

const SUBJECT: &str = "worker files";

pub(crate) struct Files;

/// What should be there, and what is.
pub(crate) struct FileFacts {
    wanted: HostFiles,
    found: BTreeMap<String, FileState>,
    root: String,
}

#[async_trait]
impl Phase for Files {
    type Facts = FileFacts;

    const ID: &'static str = "files";
    const TITLE: &'static str = "Worker files";
    const SCOPE: Scope = Scope::EachHost;

    async fn check(&self, at: &Scoped<'_>) -> Result<FileFacts, PhaseError> {
        let host = at.host().as_ref();
        let wanted = gather(at.ctx, host, at.ctx.artifact().await?).await?;
        let directories = wanted.directories.iter().map(|directory| directory.path.as_str());
        let files = wanted.files.iter().map(|file| file.path.as_str());
        let undetermined = wanted.undetermined.iter().map(String::as_str);
        let mut look = states("look at the worker's files", directories.chain(files).chain(undetermined));
        look.privilege = privilege(at.inventory());
        let found = parse_states(&host.check(&look).await?);
        let root = Layout::new(at.ctx, host).root().to_owned();
        Ok(FileFacts { wanted, found, root })
    }

    fn plan(&self, at: &Scoped<'_>, facts: &FileFacts) -> Planned {
        let mut planned = Planned::default();
        let stale = stale(facts);
        if !stale.is_empty() {
            let subject = format!("{SUBJECT} in {}", facts.root);
            let mut change = if facts.found.values().any(|state| matches!(state.kind, FileKind::File { .. }))
            {
                Change::update(Self::ID, at.target, subject, stale)
            } else {
                let mut change = Change::create(Self::ID, at.target, subject);
                change.fields = stale;
                change
            };
            change.fields.dedup();
            planned.changes.push(change);
        }
        planned
    }

    async fn apply(&self, at: &Scoped<'_>, facts: &FileFacts, _change: &Change) -> Result<(), PhaseError> {
        if let Some(path) = facts.wanted.undetermined.first() {
            return Err(PhaseError::refused(
                at.target,
                format!("{path} has no content yet"),
                "run without --only and --skip, so that the phases it rests on run first",
            ));
        }
        let mut write =
            write_files("write the worker's files", &facts.wanted.directories, &facts.wanted.files);
        write.privilege = privilege(at.inventory());
        at.host().check(&write).await?;
        Ok(())
    }

    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let layout = Layout::new(at.ctx, at.host().as_ref());
        let root = quote(layout.root());
        let script = format!(
            "cd {root} 2>/dev/null || exit 0\nls -d compose.yml worker prometheus 2>/dev/null || :\n\
             rm -rf compose.yml worker prometheus\n"
        );
        let mut command = Command::new("remove the worker's files", script);
        command.privilege = privilege(at.inventory());
        let answer = at.host().check(&command).await?;
        let removed = answer.lines().map(|name| format!("{}/{name}", layout.root())).collect();
        Ok(Removed { removed, left: Vec::new() })
    }
}

/// Names of files and folders that are missing or differ, in the order they are written.
fn stale(facts: &FileFacts) -> Vec<String> {
    let folders = facts.wanted.directories.iter().filter(|folder| {
        let wanted = FileState { access: folder.access, kind: FileKind::Directory };
        facts.found.get(&folder.path) != Some(&wanted)
    });
    let files = facts.wanted.files.iter().filter(|file| {
        let wanted = FileState { access: file.access, kind: FileKind::File { digest: digest(&file.bytes) } };
        facts.found.get(&file.path) != Some(&wanted)
    });
    folders
        .map(|folder| format!("{}/", name_of(&folder.path)))
        .chain(files.map(|file| name_of(&file.path)))
        .chain(facts.wanted.undetermined.iter().map(|path| name_of(path)))
        .collect()
}
