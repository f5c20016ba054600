//! Java and Maven, on the host of a managed Kafka. Maven only as long as it has jars to bring.

use std::borrow::Cow;

use async_trait::async_trait;

use super::{Finding, Phase, PhaseError, Planned, Removed, Scope, Scoped, Severity, package_lock};
use crate::host::{HostExt, Sudo};
use crate::kafka_home::{self, Found, JAVA_MINIMUM};
use crate::plan::{Change, Target};
use crate::shell::packages;

const JAVA: &str = "Java";
const MAVEN: &str = "Maven";

/// What a person runs who has root where we do not.
const BY_HAND: &str = "apt-get install default-jre-headless maven";

pub(crate) struct Java;

/// What the host of the managed Kafka has; `None` on every other host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JavaFacts(Option<Seen>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    found: Found,
    /// Whether packages can be installed: Debian's tools, and root.
    can_install: bool,
}

#[async_trait]
impl Phase for Java {
    type Facts = JavaFacts;

    const ID: &'static str = "java";
    const TITLE: &'static str = "Java and Maven";
    const SCOPE: Scope = Scope::EachHost;

    async fn check(&self, at: &Scoped<'_>) -> Result<JavaFacts, PhaseError> {
        let host = at.host();
        let Some(managed) = at.inventory().kafka.managed().filter(|managed| managed.host == *host.name())
        else {
            return Ok(JavaFacts(None));
        };
        let found = kafka_home::find(host.as_ref(), managed.home.as_deref()).await?;
        let facts = host.facts();
        let has_apt = facts.os == "debian" || facts.os_like.iter().any(|like| like == "debian");
        let can_install = has_apt && !matches!(host.sudo(), Sudo::Unavailable { .. });
        Ok(JavaFacts(Some(Seen { found, can_install })))
    }

    fn plan(&self, at: &Scoped<'_>, facts: &JavaFacts) -> Planned {
        facts.0.as_ref().map(|seen| decide(at.target, seen)).unwrap_or_default()
    }

    async fn apply(&self, at: &Scoped<'_>, _: &JavaFacts, change: &Change) -> Result<(), PhaseError> {
        let candidates = match change.subject.as_str() {
            MAVEN => "maven",
            // Distributions differ in which of them they have; the oldest that is new enough is the best tested.
            _ => {
                "openjdk-17-jre-headless openjdk-21-jre-headless openjdk-25-jre-headless default-jre-headless"
            }
        };
        let body = format!(
            "update\n\
             for package in {candidates}; do\n\
                 if has_candidate \"$package\"; then install \"$package\"; exit; fi\n\
             done\n\
             fail 'no package source of this host has any of: {candidates}'\n"
        );
        package_lock::wait(at).await?;
        at.host().check(&packages::apt_script(format!("install {}", change.subject), &body)).await?;
        Ok(())
    }

    /// Nothing is removed: others may use it by now.
    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let made = at.ctx.home.made(Self::ID, &at.target.to_string())?;
        let left = |subject: String| match subject.as_str() {
            MAVEN => format!("{subject}; remove it with `apt-get purge maven`"),
            _ => format!(
                "{subject}; remove it with `apt-get purge` of its package, see `dpkg -l '*jre-headless'`"
            ),
        };
        Ok(Removed { removed: Vec::new(), left: made.into_iter().map(left).collect() })
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&Self::Facts>) -> Result<Vec<Finding>, PhaseError> {
        let facts = match seen {
            Some(facts) => Cow::Borrowed(facts),
            None => Cow::Owned(self.check(at).await?),
        };
        let missing = facts.0.as_ref().is_some_and(|seen| !seen.found.has_java());
        Ok(missing
            .then(|| Finding {
                severity: Severity::Error,
                place: at.target.to_string(),
                message: format!("there is still no Java {JAVA_MINIMUM} or later"),
                hint: Some("set JAVA_HOME to a Java runtime that is new enough".to_owned()),
            })
            .into_iter()
            .collect())
    }
}

fn decide(target: &Target, Seen { found, can_install }: &Seen) -> Planned {
    let mut planned = Planned::default();
    let mut need = |subject: &str, wanted: &str| {
        if *can_install {
            let change = Change::create(Java::ID, target, subject);
            planned.changes.push(change.irreversible("installed packages stay; others may use them by then"));
        } else {
            planned.findings.push(Finding {
                severity: Severity::Error,
                place: target.to_string(),
                message: format!("{wanted} is missing, and only root could install it"),
                hint: Some(format!("install it: {BY_HAND}")),
            });
        }
    };
    if !found.has_java() {
        need(JAVA, &format!("a Java runtime, {JAVA_MINIMUM} or later,"));
    }
    if found.needs_maven() && !found.has_maven {
        need(MAVEN, "Maven, which brings Kafka's jars,");
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(java_major: u32, has_maven: bool, libs: Option<&str>) -> Found {
        let libs = libs.map(str::to_owned);
        Found { java: Some("java".into()), java_major: Some(java_major), has_maven, libs, unpacked: None }
    }

    #[test]
    fn only_what_is_missing_and_needed_is_installed() {
        let check = |found: Found, expected: &[&str]| {
            let planned = decide(&Target::Cluster, &Seen { found, can_install: true });
            let subjects: Vec<&str> = planned.changes.iter().map(|change| change.subject.as_str()).collect();
            assert_eq!((subjects.as_slice(), planned.findings.as_slice()), (expected, [].as_slice()));
        };
        check(Found::default(), &[JAVA, MAVEN]);
        check(found(11, true, None), &[JAVA]);
        check(found(21, false, None), &[MAVEN]);
        check(found(17, false, Some("/cache/libs")), &[]);
    }

    #[test]
    fn without_root_the_line_that_installs_is_named_at_once() {
        let planned = decide(&Target::Cluster, &Seen { found: Found::default(), can_install: false });
        assert_eq!(planned.changes, []);
        assert_eq!(planned.findings.len(), 2);
        let names_it = |finding: &Finding| finding.hint.as_ref().is_some_and(|hint| hint.contains(BY_HAND));
        assert!(planned.findings.iter().all(|found| found.severity == Severity::Error && names_it(found)));
    }
}
