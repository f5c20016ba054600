//! Keeps a service running on a host: as a container under Docker Compose, or as a detached process of the login user.
//!
//! Both tell the same of a service: whether it runs, and what it was started from (digests of everything it reads at
//! start). [`Service::need`] compares that with what should be, and [`Service::start`] makes it so. Nothing here decides
//! when.

pub(crate) mod compose;
pub(crate) mod process;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::{Host, HostError};
use crate::shell::containers::Container;
use compose::Unchanged;
use process::{Need, Place, Program, State, Unready};

/// A service as it should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Service {
    Container {
        service: compose::Service,
        /// The labels that must be on the container, digests among them.
        labels: BTreeMap<String, String>,
        /// A command inside the container that succeeds when the program is ready.
        ready: Vec<String>,
    },
    Process {
        place: Place,
        program: Program,
        /// A command that succeeds when the program is ready.
        ready: Vec<String>,
    },
}

/// A service as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Container(Option<Container>),
    Process(State),
}

impl Service {
    /// What would have to happen to `found`, and the names of what differs.
    pub(crate) fn need(&self, found: &Found) -> (Need, Vec<String>) {
        match (self, found) {
            (Self::Container { .. }, Found::Container(None)) => (Need::Start, Vec::new()),
            (Self::Container { labels, .. }, Found::Container(Some(container))) => {
                let differing: Vec<String> = labels
                    .iter()
                    .filter(|(key, value)| container.labels.get(*key) != Some(*value))
                    .map(|(key, _)| key.rsplit('.').next().unwrap_or(key).to_owned())
                    .collect();
                if !differing.is_empty() {
                    (Need::Restart, differing)
                } else if compose::is_up(container) {
                    (Need::Nothing, Vec::new())
                } else {
                    // The health of a container that does not run is the one from before its end.
                    let state =
                        if container.status == "running" { &container.health } else { &container.status };
                    (Need::Revive, vec![format!("found {state}")])
                }
            }
            (Self::Process { program, .. }, Found::Process(state)) => match state.need(&program.digest) {
                Need::Revive => (Need::Revive, vec!["found dead".to_owned()]),
                Need::Restart => (Need::Restart, vec!["configuration".to_owned()]),
                need => (need, Vec::new()),
            },
            (Self::Container { .. }, Found::Process(_)) | (Self::Process { .. }, Found::Container(_)) => {
                (Need::Start, Vec::new())
            }
        }
    }

    /// Makes the service run as it should and waits until it is ready. One that needs nothing is only waited for.
    pub(crate) async fn start(
        &self,
        host: &dyn Host,
        need: Need,
        patience: Duration,
    ) -> Result<Result<(), Unready>, HostError> {
        match self {
            Self::Container { service, ready, .. } => {
                let unchanged = if need == Need::Revive { Unchanged::Restart } else { Unchanged::Keep };
                compose::up(host, service, unchanged, ready, patience).await
            }
            Self::Process { place, program, ready } => {
                if need != Need::Nothing {
                    process::restart(host, place, program).await?;
                }
                process::await_ready(host, place, ready, patience).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(digest: &str) -> Service {
        let service = compose::Service {
            project: "p".into(),
            file: "/f".into(),
            service: "worker".into(),
            container: "c".into(),
        };
        let labels = BTreeMap::from([("provision.digest.properties".to_owned(), digest.to_owned())]);
        Service::Container { service, labels, ready: Vec::new() }
    }

    fn container(status: &str, health: &str, digest: &str) -> Found {
        Found::Container(Some(Container {
            status: status.into(),
            health: health.into(),
            labels: BTreeMap::from([
                ("provision.digest.properties".to_owned(), digest.to_owned()),
                ("com.docker.compose.version".to_owned(), "1.29.2".to_owned()),
            ]),
            ..Container::default()
        }))
    }

    #[test]
    fn a_container_is_touched_only_for_a_reason() {
        let check = |found: Found, need, fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            assert_eq!(service("a").need(&found), (need, fields));
        };
        check(container("running", "healthy", "a"), Need::Nothing, &[]);
        check(container("running", "starting", "a"), Need::Nothing, &[]);
        check(container("running", "healthy", "b"), Need::Restart, &["properties"]);
        check(container("exited", "", "b"), Need::Restart, &["properties"]);
        check(container("exited", "", "a"), Need::Revive, &["found exited"]);
        check(container("exited", "unhealthy", "a"), Need::Revive, &["found exited"]);
        check(container("running", "unhealthy", "a"), Need::Revive, &["found unhealthy"]);
        check(Found::Container(None), Need::Start, &[]);
    }
}
