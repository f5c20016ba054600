//! A container under Docker Compose, of either generation.
//!
//! Compose decides what to recreate: it compares each service with the file, labels included, so a digest label that
//! differs recreates exactly that container. Waiting is ours, through `docker ps`, because Compose 1.29 cannot.

use std::time::Duration;

use super::process::Unready;
use crate::host::{Command, Host, HostError, HostExt, Privilege};
use crate::shell::containers::{self, Container, Engine};
use crate::shell::docker::COMPOSE;
use crate::shell::quote;

/// The container ended, or does so again and again.
const ENDED: i32 = 3;
/// It runs and does not become healthy.
const NOT_READY: i32 = 4;

/// A service of a Compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) project: String,
    /// The Compose file on the host.
    pub(crate) file: String,
    /// Its name in the file.
    pub(crate) service: String,
    /// Its `container_name`.
    pub(crate) container: String,
}

/// Whether a container does its work, or has not been found not to.
pub(super) fn is_up(container: &Container) -> bool {
    container.status == "running" && container.health != "unhealthy"
}

/// Looks at the container. `None` when there is none, or no Docker.
pub(crate) async fn look(host: &dyn Host, container: &str) -> Result<Option<Container>, HostError> {
    let answer = host.check(&containers::look(Privilege::Root)).await?;
    Ok(Engine::parse(&answer).containers().iter().find(|found| found.name == container).cloned())
}

/// What `up` is to do with a container that is as the file says, and does not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unchanged {
    Keep,
    Restart,
}

/// Creates, recreates or starts the service and waits on the host until it is ready, in one round trip.
///
/// `ready` is a command inside the container. It is asked directly: Docker itself first asks after a whole interval.
pub(crate) async fn up(
    host: &dyn Host,
    service: &Service,
    unchanged: Unchanged,
    ready: &[String],
    patience: Duration,
) -> Result<Result<(), Unready>, HostError> {
    let Service { project, file, service: name, container } = service;
    let restart = match unchanged {
        Unchanged::Keep => "",
        Unchanged::Restart => "docker restart \"$container\" >/dev/null || exit 1",
    };
    let script = format!(
        "{COMPOSE}container={}\npatience={}\n\
         before=$(docker inspect --type container --format '{{{{.Id}}}}' \"$container\" 2>/dev/null)\n\
         said=$(compose -p {} -f {} up -d {} 2>&1 </dev/null) || {{ echo \"$said\" >&2; exit 1; }}\n\
         after=$(docker inspect --type container --format '{{{{.Id}}}}' \"$container\") || exit 1\n\
         if [ \"$before\" = \"$after\" ]; then {}\ntrue; fi\nset -- {}\n{WAIT}",
        quote(container),
        patience.as_secs(),
        quote(project),
        quote(file),
        quote(name),
        restart,
        ready.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
    );
    let limit = patience + Duration::from_secs(120);
    let command = Command::new(format!("start container {container}"), script).as_root().timeout(limit);
    let output = host.run(&command).await?;
    match output.status {
        0 => Ok(Ok(())),
        ENDED => Ok(Err(Unready::Ended { tail: tail(host, container).await? })),
        NOT_READY => Ok(Err(Unready::NotInTime { tail: tail(host, container).await? })),
        _ => Err(HostError::failed(host.name(), &command, output)),
    }
}

/// A container that restarts again and again is running most of the time; its count tells.
const WAIT: &str = r#"
state() {
    docker inspect --type container --format '{{.RestartCount}} {{.State.Status}}' "$container"
}
deadline=$(($(date +%s) + patience))
was=$(state)
while :; do
    is=$(state)
    case $is in
    *" running") timeout 10 docker exec "$container" "$@" >/dev/null 2>&1 && exit 0 ;;
    *" exited"|*" dead"|*" removing") exit 3 ;;
    esac
    [ "$((${is%% *} - ${was%% *}))" -le 2 ] || exit 3
    [ "$(date +%s)" -lt "$deadline" ] || exit 4
    sleep 0.2
done
"#;

/// Removes the service's container and the project's network. Says whether there was a container.
pub(crate) async fn down(host: &dyn Host, service: &Service) -> Result<bool, HostError> {
    let Service { project, file, container, .. } = service;
    let script = format!(
        "command -v docker >/dev/null 2>&1 || exit 0\n{COMPOSE}container={}\nfile={}\n\
         docker inspect --type container \"$container\" >/dev/null 2>&1 && echo found\n\
         if [ -e \"$file\" ]; then\n\
             said=$(compose -p {} -f \"$file\" down --remove-orphans 2>&1 </dev/null) || {{ echo \"$said\" >&2; exit 1; }}\n\
         fi\n\
         docker rm --force --volumes \"$container\" >/dev/null 2>&1 || true\n",
        quote(container),
        quote(file),
        quote(project),
    );
    let command = Command::new(format!("remove container {container}"), script).as_root();
    let output = host.check(&command.timeout(Duration::from_secs(120))).await?;
    Ok(output.lines().any(|line| line == "found"))
}

/// The last lines that the container printed.
pub(crate) async fn tail(host: &dyn Host, container: &str) -> Result<Vec<String>, HostError> {
    let script = format!("docker logs --tail 20 {} 2>&1 || true", quote(container));
    let output = host.check(&Command::new(format!("read the log of {container}"), script).as_root()).await?;
    Ok(output.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unhealthy_and_ended_containers_are_not_up() {
        let is_up = |status: &str, health: &str| {
            super::is_up(&Container { status: status.into(), health: health.into(), ..Container::default() })
        };
        assert!(is_up("running", "healthy") && is_up("running", ""));
        assert!(!is_up("running", "unhealthy") && !is_up("exited", "") && !is_up("restarting", "starting"));
    }
}
