//! Docker: an engine that runs and starts at boot, and a Compose that works with it.

use std::borrow::Cow;

use async_trait::async_trait;

use super::{Finding, Phase, PhaseError, Planned, Removed, Scope, Scoped, Severity, package_lock};
use crate::host::{Host, HostError, HostExt, HostFacts, Privilege};
use crate::inventory::model::{self, DockerSource, Runtime};
use crate::plan::{Change, Target};
use crate::shell::containers::{self, Engine};
use crate::shell::docker::{self, Client, Compose, DockerFacts, Origin, Parts, Vendor};

const ENGINE: &str = "Docker engine and Compose";
const COMPOSE: &str = "Docker Compose";
const SERVICE: &str = "Docker service";
const GROUP: &str = "group docker, user ";

/// The first engine that Compose 1.29 cannot recreate containers on.
const FIRST_ENGINE_WITHOUT_OLD_COMPOSE: u32 = 25;

/// The oldest engine and Compose that the Compose file and the health checks are tested with.
const OLDEST_ENGINE: u32 = 20;
const OLDEST_COMPOSE: &str = "1.29";

pub(crate) struct Docker;

#[async_trait]
impl Phase for Docker {
    /// `None` where workers are processes.
    type Facts = Option<DockerFacts>;

    const ID: &'static str = "docker";
    const TITLE: &'static str = "Docker";
    const SCOPE: Scope = Scope::EachHost;

    async fn check(&self, at: &Scoped<'_>) -> Result<Self::Facts, PhaseError> {
        if at.inventory().runtime != Runtime::Docker {
            return Ok(None);
        }
        let facts = look(at).await?;
        if !is_unfinished(&facts) {
            return Ok(Some(facts));
        }
        // Somebody may be installing it, a run whose connection was cut among them.
        package_lock::wait(at).await?;
        Ok(Some(look(at).await?))
    }

    fn plan(&self, at: &Scoped<'_>, facts: &Self::Facts) -> Planned {
        match facts {
            None => Planned::default(),
            Some(facts) => decide(at.target, &at.host_spec().docker, at.host().facts(), facts),
        }
    }

    async fn apply(&self, at: &Scoped<'_>, facts: &Self::Facts, change: &Change) -> Result<(), PhaseError> {
        let host = at.host().as_ref();
        let spec = &at.host_spec().docker;
        match change.subject.as_str() {
            ENGINE => {
                package_lock::wait(at).await?;
                install(host, spec, Parts::EngineAndCompose, false).await
            }
            COMPOSE => {
                package_lock::wait(at).await?;
                let is_from_vendor = facts.as_ref().is_some_and(|facts| facts.is_from_vendor);
                install(host, spec, Parts::ComposeOnly, is_from_vendor).await
            }
            SERVICE => Ok(host.check(&docker::start()).await.map(drop)?),
            subject => {
                let user = subject.strip_prefix(GROUP).expect("a planned change is one of the four");
                Ok(host.check(&docker::add_to_group(user)).await.map(drop)?)
            }
        }
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&Self::Facts>) -> Result<Vec<Finding>, PhaseError> {
        let facts = match seen {
            Some(facts) => Cow::Borrowed(facts),
            None => Cow::Owned(self.check(at).await?),
        };
        let planned = self.plan(at, &facts);
        let mut findings = planned.findings;
        findings.extend(planned.changes.iter().map(|change| {
            let message = format!("{} is not as it should be after it was set up", change.subject);
            error(
                at.target,
                message,
                "run `provision apply` again; `journalctl -u docker` on the host says more",
            )
        }));
        Ok(findings)
    }

    /// Others may use Docker by now, so nothing of it is taken away.
    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let made = at.ctx.home.made(Self::ID, &at.target.to_string())?;
        Ok(Removed { removed: Vec::new(), left: made.iter().map(|subject| left(subject)).collect() })
    }
}

async fn look(at: &Scoped<'_>) -> Result<DockerFacts, PhaseError> {
    let host = at.host();
    let users = || at.host_spec().docker.group_users.iter().map(|user| user.as_str());
    let (look, engine) = (docker::look(users()), containers::look(Privilege::Root));
    let (answer, engine) = tokio::try_join!(host.check(&look), host.check(&engine))?;
    let facts = docker::parse(&answer);
    match Engine::parse(&engine) {
        Engine::Silent { said } if facts.engine.is_some() => {
            let facts = docker::parse(&host.check(&docker::look_beside_engine(users())).await?);
            Ok(DockerFacts { engine_error: said, ..facts })
        }
        _ => Ok(facts),
    }
}

/// What stays of a change, and how to remove it by hand.
fn left(subject: &str) -> String {
    match subject {
        ENGINE | COMPOSE => format!(
            "{subject}; remove it with `apt-get purge` of docker.io and docker-compose, or of docker-ce and \
             docker-compose-plugin with {} and {}",
            docker::VENDOR_LIST,
            docker::VENDOR_KEY
        ),
        SERVICE => format!("{subject}, enabled and running; stop it with `systemctl disable --now docker`"),
        subject => match subject.strip_prefix(GROUP) {
            Some(user) => format!("user {user} in the group docker; `gpasswd -d {user} docker` takes it out"),
            None => subject.to_owned(),
        },
    }
}

async fn install(
    host: &dyn Host,
    spec: &model::Docker,
    parts: Parts,
    is_from_vendor: bool,
) -> Result<(), PhaseError> {
    let facts = host.facts();
    let origin = match spec.source {
        DockerSource::Vendor => Origin::Vendor,
        // Compose belongs to the engine that is there.
        _ if is_from_vendor => Origin::Vendor,
        DockerSource::Distribution => Origin::Distribution,
        DockerSource::Auto | DockerSource::Present => Origin::Either,
    };
    let vendor = Vendor {
        url: spec.vendor.url.as_str(),
        fingerprint: spec.vendor.fingerprint.as_str(),
        distribution: if facts.os == "ubuntu" { "ubuntu" } else { "debian" },
        codename: &facts.os_codename,
    };
    let command = docker::install(origin, parts, &vendor);
    let output = host.run(&command).await?;
    let hint = match output.status {
        0 => return Ok(()),
        docker::KEY_REFUSED => {
            "compare `docker.vendor.fingerprint` with what the vendor publishes: whoever has the key is root on the \
             host; an expired key is for the repository to renew"
        }
        docker::VENDOR_REFUSED => {
            "check `docker.vendor.url` and who signs it, the host's clock, and its proxy for apt"
        }
        _ => return Err(HostError::failed(host.name(), &command, output).into()),
    };
    let (message, said) = output.stderr.split_once('\n').unwrap_or((&output.stderr, ""));
    Err(PhaseError::Refused {
        place: host.name().to_string(),
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
        tail: said.lines().map(str::to_owned).collect(),
    })
}

/// What has to happen for Docker to be there, or why it cannot.
fn decide(target: &Target, spec: &model::Docker, host: &HostFacts, facts: &DockerFacts) -> Planned {
    let mut planned = Planned { findings: refusals(target, spec, host, facts), ..Planned::default() };
    if !planned.findings.is_empty() {
        return planned;
    }
    match missing(facts) {
        Some(Parts::EngineAndCompose) => planned.changes.push(installed(target, ENGINE)),
        Some(Parts::ComposeOnly) => planned.changes.push(installed(target, COMPOSE)),
        None => {}
    }
    if facts.client == Client::Docker && facts.has_unit {
        let mut fields = Vec::new();
        if !facts.is_enabled {
            fields.push("enabled");
        }
        if !facts.is_active {
            fields.push("running");
        }
        if !fields.is_empty() {
            planned.changes.push(Change::update(Docker::ID, target, SERVICE, fields));
        }
    }
    for (user, _) in &facts.outside_group {
        planned.changes.push(Change::create(Docker::ID, target, format!("{GROUP}{user}")));
    }
    planned
}

fn installed(target: &Target, subject: &str) -> Change {
    Change::create(Docker::ID, target, subject)
        .irreversible("installed packages stay; others may use them by then")
}

/// Whether parts of a Docker are there and others are not.
fn is_unfinished(facts: &DockerFacts) -> bool {
    facts.client == Client::Docker && (facts.engine.is_none() || facts.compose == Compose::Absent)
}

/// What has to be installed. A Compose that the engine is too new for counts as none.
fn missing(facts: &DockerFacts) -> Option<Parts> {
    if facts.client == Client::Absent {
        return Some(Parts::EngineAndCompose);
    }
    let is_engine_new =
        facts.engine.as_ref().is_some_and(|engine| engine.major() >= FIRST_ENGINE_WITHOUT_OLD_COMPOSE);
    match &facts.compose {
        Compose::Absent => Some(Parts::ComposeOnly),
        Compose::Standalone(version) if version.major() < 2 && is_engine_new => Some(Parts::ComposeOnly),
        Compose::Standalone(_) | Compose::Plugin(_) => None,
    }
}

/// Everything that stands against a Docker made or completed by us.
fn refusals(target: &Target, spec: &model::Docker, host: &HostFacts, facts: &DockerFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut refuse = |message: String, hint: &str| findings.push(error(target, message, hint));
    match facts.client {
        Client::Snap => refuse(
            "Docker is installed as a snap, which cannot read the files of the worker".to_owned(),
            "remove it with `snap remove docker`; its containers and volumes go with it, so look first",
        ),
        Client::Podman => refuse(
            "`docker` is Podman under another name".to_owned(),
            "remove the package `podman-docker`; Podman itself may stay",
        ),
        Client::Docker | Client::Absent => {}
    }
    for (user, _) in facts.outside_group.iter().filter(|(_, exists)| !exists) {
        refuse(
            format!("the user {user} of `docker.group_users` does not exist"),
            "create the user first, or take it out of the inventory",
        );
    }
    if let Some(engine) = facts.engine.as_ref().filter(|engine| engine.major() < OLDEST_ENGINE) {
        refuse(format!("Docker {engine} is too old"), "upgrade it to 20.10 or later");
    }
    let oldest = docker::DottedVersion::parse(OLDEST_COMPOSE);
    if let (Compose::Standalone(version), Some(oldest)) = (&facts.compose, oldest)
        && *version < oldest
    {
        refuse(
            format!("docker-compose {version} is too old"),
            "upgrade it to 1.29 or install the Compose plugin",
        );
    }
    if facts.is_masked {
        refuse(
            "docker.service is masked: an administrator forbids it to start".to_owned(),
            "`systemctl unmask docker.service docker.socket` on the host brings it back",
        );
    } else if facts.client == Client::Docker && facts.engine.is_none() && (facts.is_active || !facts.has_unit)
    {
        refuse(
            format!("Docker is installed and its engine does not answer: {}", facts.engine_error),
            "`journalctl -u docker` on the host says more; `systemctl restart docker` restarts its containers, too",
        );
    }
    let is_in_the_way = matches!(facts.client, Client::Snap | Client::Podman);
    if missing(facts).is_none() || is_in_the_way {
        return findings;
    }
    let is_known = host.os == "debian" || host.os_like.iter().any(|os| os == "debian");
    if spec.source == DockerSource::Present {
        let message = match &facts.compose {
            Compose::Standalone(version) => {
                format!("docker-compose {version} cannot recreate containers on this engine")
            }
            Compose::Absent | Compose::Plugin(_) => "Docker or its Compose is not installed".to_owned(),
        };
        refuse(message, "install it, or let provision do it with `docker.source: auto`");
    } else if !(is_known && facts.has_apt) {
        refuse(
            format!("Docker is not complete, and provision does not install packages on `{}`", host.os),
            "install Docker 20.10 or later with the Compose plugin, then run again",
        );
    }
    findings
}

fn error(target: &Target, message: String, hint: &str) -> Finding {
    Finding { severity: Severity::Error, place: target.to_string(), message, hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::model::{Fingerprint, HostName, RepositoryUrl, VendorRepository};

    fn target() -> Target {
        Target::Host(HostName::parse("w1").unwrap())
    }

    fn spec(source: DockerSource) -> model::Docker {
        let vendor = VendorRepository {
            url: RepositoryUrl::parse("https://download.docker.com/linux").unwrap(),
            fingerprint: Fingerprint::parse("9DC858229FC7DD38854AE2D88D81803C0EBFCD88").unwrap(),
        };
        model::Docker { source, vendor, group_users: Vec::new() }
    }

    fn debian() -> HostFacts {
        HostFacts { os: "debian".to_owned(), os_version: "12".to_owned(), ..HostFacts::default() }
    }

    fn decide_on(answer: &str, source: DockerSource, host: &HostFacts) -> (Vec<String>, Vec<String>) {
        let planned = decide(&target(), &spec(source), host, &docker::parse(answer));
        let subjects = planned.changes.into_iter().map(|change| change.subject).collect();
        (subjects, planned.findings.into_iter().map(|finding| finding.message).collect())
    }

    const RUNNING: &str = "client=docker\nunit=yes\nenabled=yes\nactive=yes\napt=yes\n";

    #[test]
    fn a_bare_host_gets_docker_and_a_complete_one_nothing() {
        let check = |answer: &str, expected: &[&str]| {
            let (changes, findings) = decide_on(answer, DockerSource::Auto, &debian());
            assert_eq!(changes, expected, "{answer}");
            assert!(findings.is_empty(), "{findings:?}");
        };
        check("client=absent\napt=yes\n", &[ENGINE]);
        check(&format!("{RUNNING}engine=20.10.24\nstandalone=1.29.2\n"), &[]);
        check(&format!("{RUNNING}engine=26.1.5\nplugin=2.26.1\n"), &[]);
        check(&format!("{RUNNING}engine=26.1.5\n"), &[COMPOSE]);
        check(&format!("{RUNNING}engine=26.1.5\nstandalone=1.29.2\n"), &[COMPOSE]);
        check("client=docker\nplugin=2.26.1\nunit=yes\nenabled=yes\napt=yes\n", &[SERVICE]);
        check(
            &format!("{RUNNING}engine=26.1.5\nplugin=2.26.1\noutside_group=ann\n"),
            &["group docker, user ann"],
        );
    }

    #[test]
    fn what_is_in_the_way_is_refused_with_its_reason() {
        let check = |answer: &str, source, host: &HostFacts, expected: &str| {
            let (changes, findings) = decide_on(answer, source, host);
            assert!(changes.is_empty(), "{answer}: {changes:?}");
            assert!(findings.len() == 1 && findings[0].contains(expected), "{answer}: {findings:?}");
        };
        let auto = DockerSource::Auto;
        check("client=snap\napt=yes\n", auto, &debian(), "snap");
        check("client=podman\napt=yes\n", auto, &debian(), "Podman");
        check("client=absent\napt=yes\n", DockerSource::Present, &debian(), "not installed");
        check(
            &format!("{RUNNING}engine=26.1.5\nstandalone=1.29.2\n"),
            DockerSource::Present,
            &debian(),
            "cannot recreate",
        );
        check(
            "client=absent\n",
            auto,
            &HostFacts { os: "fedora".to_owned(), ..HostFacts::default() },
            "fedora",
        );
        check(&format!("{RUNNING}engine=19.3.1\nplugin=2.0.0\n"), auto, &debian(), "too old");
        check(&format!("{RUNNING}engine=20.10.1\nstandalone=1.25.0\n"), auto, &debian(), "too old");
        check(
            &format!("{RUNNING}engine_error=permission denied\nplugin=2.0.0\n"),
            auto,
            &debian(),
            "permission denied",
        );
        check(&format!("{RUNNING}engine=20.10.1\nplugin=2.0.0\nunknown_user=ann\n"), auto, &debian(), "ann");
        check("client=docker\nplugin=2.0.0\nunit=yes\nmasked=yes\napt=yes\n", auto, &debian(), "masked");
    }

    #[test]
    fn every_refusal_is_told_at_once() {
        let answer = "client=podman\nengine=19.3.1\nplugin=2.0.0\nunknown_user=ann\nunknown_user=bob\n";
        let (changes, findings) = decide_on(answer, DockerSource::Auto, &debian());
        assert!(changes.is_empty() && findings.len() == 4, "{findings:?}");
    }
}
