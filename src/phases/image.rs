//! Worker image: built here, loaded over the session, known by the digest label of our own.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use super::{Finding, Phase, PhaseError, Planned, Removed, Scope, Scoped, Severity};
use crate::host::{Command, HostExt, Privilege, Stdin};
use crate::image::DIGEST_LABEL;
use crate::inventory::model::Runtime;
use crate::plan::Change;
use crate::shell::containers::{self, Engine};
use crate::shell::fields::Fields;
use crate::shell::quote;

/// A dozen megabytes over a slow line, and an engine on a slow disk.
const LOAD_LIMIT: Duration = Duration::from_secs(600);

pub(crate) struct Image;

/// The image that the host should have, and whether it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageFacts {
    reference: String,
    digest: String,
    /// What the worker runs on, as `uname -m` says it.
    machine: &'static str,
    /// Digest label of the image of that name; empty for an image without one, `None` without an image.
    found: Option<String>,
}

#[async_trait]
impl Phase for Image {
    /// `None` where workers are processes.
    type Facts = Option<ImageFacts>;

    const ID: &'static str = "image";
    const TITLE: &'static str = "Worker image";
    const SCOPE: Scope = Scope::EachHost;

    async fn check(&self, at: &Scoped<'_>) -> Result<Self::Facts, PhaseError> {
        if at.inventory().runtime != Runtime::Docker {
            return Ok(None);
        }
        let artifact = at.ctx.artifact().await?;
        let (reference, digest) = (artifact.image(), artifact.image_digest().to_owned());
        let seen = Engine::parse(&at.host().check(&containers::look(Privilege::Root)).await?);
        // A container that was made from it, and that still calls it by its name, says what an image is.
        let made = seen.containers().iter().find(|container| container.image == reference);
        let found = match made.and_then(|container| container.labels.get(DIGEST_LABEL)) {
            Some(digest) => Some(digest.clone()),
            None => {
                let answer = at.host().check(&look(&reference)).await?;
                Fields::parse(&answer).all("image").first().map(ToString::to_string)
            }
        };
        Ok(Some(ImageFacts { reference, digest, machine: artifact.image_machine(), found }))
    }

    fn plan(&self, at: &Scoped<'_>, facts: &Self::Facts) -> Planned {
        let mut planned = Planned::default();
        let machine = &at.host().facts().architecture;
        if let Some(facts) = facts.as_ref().filter(|facts| facts.machine != machine) {
            planned.findings.push(Finding {
                severity: Severity::Error,
                place: at.target.to_string(),
                message: format!("is a {machine} machine, and the worker is built for {}", facts.machine),
                hint: Some(
                    "give a worker built for that machine with --worker, or take the host out".to_owned(),
                ),
            });
            return planned;
        }
        if let Some(facts) = facts.as_ref().filter(|facts| facts.found.as_ref() != Some(&facts.digest)) {
            planned.changes.push(Change::create(
                Self::ID,
                at.target,
                format!("{SUBJECT}{}", facts.reference),
            ));
        }
        planned
    }

    async fn apply(&self, at: &Scoped<'_>, _: &Self::Facts, _: &Change) -> Result<(), PhaseError> {
        let archive = at.ctx.artifact().await?.image_archive();
        let load = Command::new("load the worker image", "docker load --quiet >/dev/null")
            .as_root()
            .stdin(Stdin::Bytes(archive.into()))
            .timeout(LOAD_LIMIT);
        at.host().check(&load).await?;
        Ok(())
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&Self::Facts>) -> Result<Vec<Finding>, PhaseError> {
        let facts = match seen {
            Some(facts) => Cow::Borrowed(facts),
            None => Cow::Owned(self.check(at).await?),
        };
        let Some(facts) = facts.as_ref() else { return Ok(Vec::new()) };
        if facts.found.as_ref() == Some(&facts.digest) {
            return Ok(Vec::new());
        }
        Ok(vec![Finding {
            severity: Severity::Error,
            place: at.target.to_string(),
            message: format!("the engine does not have the image {} that was loaded", facts.reference),
            hint: Some("check the free space of Docker's data folder, then run again".to_owned()),
        }])
    }

    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let made = at.ctx.home.made(Self::ID, &at.target.to_string())?;
        let references =
            made.iter().filter_map(|subject| subject.strip_prefix(SUBJECT)).map(str::to_owned).collect();
        if at.inventory().runtime != Runtime::Docker {
            return Ok(Removed::default());
        }
        let answer = at.host().check(&remove(&references)).await?;
        let removed =
            Fields::parse(&answer).all("removed").iter().map(|image| format!("{SUBJECT}{image}")).collect();
        Ok(Removed { removed, left: Vec::new() })
    }
}

const SUBJECT: &str = "image ";

/// Removes images by name; one that a container of another cluster uses stays.
fn remove(references: &BTreeSet<String>) -> Command {
    let mut script = String::from("command -v docker >/dev/null 2>&1 || exit 0\n");
    for reference in references {
        let reference = quote(reference);
        script +=
            &format!("if docker image rm {reference} >/dev/null 2>&1; then echo removed={reference}; fi\n");
    }
    Command::new("remove the worker image", script).as_root()
}

/// Says which digest label the image has; nothing without Docker, its engine or the image.
fn look(reference: &str) -> Command {
    let format = format!("image={{{{index .Config.Labels {DIGEST_LABEL:?}}}}}");
    let script = format!(
        "command -v docker >/dev/null 2>&1 || exit 0\n\
         timeout 20 docker image inspect --format {} {} 2>/dev/null || true\n",
        quote(&format),
        quote(reference)
    );
    Command::look("look at the worker image", script).as_root()
}
