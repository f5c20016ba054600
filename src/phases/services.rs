//! Services: the worker of each host, as a container or as a process, running from exactly what the files phase placed.
//!
//! "Restart if a file changed" is not remembered from one phase to the next: the digests that the worker was started
//! from are on its container as labels, or in its pid file, and are compared with those it should have.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;

use super::{Finding, Phase, PhaseError, Planned, Removed, Scope, Scoped, Severity};
use crate::causes::chain;
use crate::desired::worker;
use crate::inventory::model::Runtime;
use crate::plan::{Action, Change, Disruption};
use crate::rest_client::RestClient;
use crate::shell::units;
use crate::supervise::process::{Need, Unready};
use crate::supervise::{Found, Service, compose, process};

const WORKER: &str = "connect-worker";

/// How long a worker may take until it is healthy: it joins its group and reads three topics first.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Services;

/// What the host runs, and what it should.
#[derive(Debug, Clone)]
pub(crate) struct ServiceFacts {
    found: Found,
    /// Whether the worker says that it is healthy, if it runs as it should.
    is_ready: bool,
    /// `None` while what the worker reads is not made yet.
    wanted: Option<Service>,
}

#[async_trait]
impl Phase for Services {
    type Facts = ServiceFacts;

    const ID: &'static str = "services";
    const TITLE: &'static str = "Services";
    const SCOPE: Scope = Scope::EachHost;

    async fn check(&self, at: &Scoped<'_>) -> Result<ServiceFacts, PhaseError> {
        let host = at.host().as_ref();
        let wanted = worker::service(at.ctx, host).await?;
        let found = look(at).await?;
        let runs = wanted.as_ref().is_some_and(|service| service.need(&found).0 == Need::Nothing);
        let rest = RestClient::new(host, at.ctx.rest_endpoint(host.name()));
        let is_ready = !runs || rest.get("/health").await.is_ok();
        Ok(ServiceFacts { found, is_ready, wanted })
    }

    fn plan(&self, at: &Scoped<'_>, facts: &ServiceFacts) -> Planned {
        let mut planned = Planned::default();
        let (need, fields) = match &facts.wanted {
            Some(service) => service.need(&facts.found),
            None => (if is_there(&facts.found) { Need::Restart } else { Need::Start }, Vec::new()),
        };
        let change = match need {
            Need::Nothing if facts.is_ready => return planned,
            // A run was ended while it waited for it, or it has lost its way.
            Need::Nothing => Change::update(Self::ID, at.target, WORKER, ["not healthy"]),
            Need::Start => Change::create(Self::ID, at.target, WORKER),
            Need::Restart | Need::Revive => {
                let change = Change::update(Self::ID, at.target, WORKER, fields);
                Change { action: Action::Restart, ..change }.disrupting(Disruption::WorkerRestart)
            }
        };
        planned.changes.push(change);
        planned
    }

    async fn apply(&self, at: &Scoped<'_>, facts: &ServiceFacts, _: &Change) -> Result<(), PhaseError> {
        let service = facts.wanted.as_ref().ok_or_else(|| {
            PhaseError::refused(
                at.target,
                "what the worker reads is not placed yet",
                "run without --only or --skip",
            )
        })?;
        let (need, _) = service.need(&facts.found);
        let unready = |message: String, tail: Vec<String>| {
            let mend = match tail.is_empty() {
                true => "look at the worker's properties and its log, and run again",
                false => "the lines above are the end of its log: mend what they name, and run again",
            };
            (message, mend.to_owned(), tail)
        };
        let (message, mend, tail) = match service.start(at.host().as_ref(), need, PATIENCE).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Unready::Ended { tail })) => {
                unready("the worker ended instead of becoming healthy".to_owned(), tail)
            }
            Ok(Err(Unready::NotInTime { tail })) => {
                unready(format!("the worker is not healthy after {} s", PATIENCE.as_secs()), tail)
            }
            Err(error) => {
                let (told, place) = (chain(&error), format!("{}: ", at.target));
                let mend = error.hint().unwrap_or_else(|| "run again".to_owned());
                (told.strip_prefix(&place).unwrap_or(&told).to_owned(), mend, error.tail().to_vec())
            }
        };
        let hint = match way_back(at).await {
            Some(way_back) => format!("{mend}; {way_back}"),
            None => mend,
        };
        Err(PhaseError::Refused { place: at.target.to_string(), message, hint: Some(hint), tail })
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&Self::Facts>) -> Result<Vec<Finding>, PhaseError> {
        let facts = match seen {
            Some(facts) => Cow::Borrowed(facts),
            None => Cow::Owned(self.check(at).await?),
        };
        let need = facts.wanted.as_ref().map(|service| service.need(&facts.found).0);
        if need == Some(Need::Nothing) {
            return Ok(Vec::new());
        }
        Ok(vec![Finding {
            severity: Severity::Error,
            place: at.target.to_string(),
            message: "the worker does not run as it should".to_owned(),
            hint: Some("run `provision apply` again; it starts what it finds dead".to_owned()),
        }])
    }

    /// Stops the worker and removes what it ran in; its files are those of the files phase.
    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let host = at.host().as_ref();
        let was_there = match at.inventory().runtime {
            Runtime::Docker => compose::down(host, &worker::container(at.ctx, host)).await?,
            Runtime::Process => process::remove(host, &worker::place(at.ctx, host)).await?,
        };
        let removed = was_there.then(|| WORKER.to_owned()).into_iter().collect();
        Ok(Removed { removed, left: Vec::new() })
    }
}

async fn look(at: &Scoped<'_>) -> Result<Found, PhaseError> {
    let host = at.host().as_ref();
    Ok(match at.inventory().runtime {
        Runtime::Docker => {
            Found::Container(compose::look(host, &worker::container(at.ctx, host).container).await?)
        }
        Runtime::Process => Found::Process(process::look(host, &worker::place(at.ctx, host)).await?),
    })
}

fn is_there(found: &Found) -> bool {
    match found {
        Found::Container(container) => container.is_some(),
        Found::Process(state) => *state != process::State::Absent,
    }
}

/// The command that brings back what `conflicts` had stopped for us, as found on the host.
async fn way_back(at: &Scoped<'_>) -> Option<String> {
    let conflicts = at.inventory().conflicts.iter().map(|unit| unit.as_str());
    let command = units::states("look at the older services", conflicts);
    let output = at.host().run(&command).await.ok()?;
    let stopped: Vec<String> = units::parse_states(&output.stdout)
        .into_iter()
        .filter(|(_, state)| !state.is_active())
        .map(|(unit, _)| units::bring_back(&unit))
        .collect();
    (!stopped.is_empty()).then(|| format!("this brings the older service back: {}", stopped.join("; ")))
}
