//! Preflight: everything that would stop a later phase, found before the first change, and all of it at once.

mod held_ports;
mod judgement;

use async_trait::async_trait;

use super::{Phase, PhaseError, Planned, Scope, Scoped};
use crate::desired::{self, host_root};
use crate::host::{Command, HostError, HostExt, Privilege, Sudo};
use crate::inventory::model::{Inventory, Runtime};
use crate::plan::Change;
use crate::shell::preflight::{self, Answers, Broker, Questions};
use judgement::{Wanted, judge};

/// Where installers of packages put what they work with.
const TEMPORARY: &str = "/tmp";

pub(crate) struct Preflight;

/// What was asked, and what the host answered.
#[derive(Debug, Clone)]
pub(crate) struct PreflightFacts {
    questions: Questions,
    answers: Answers,
}

#[async_trait]
impl Phase for Preflight {
    type Facts = PreflightFacts;

    const ID: &'static str = "preflight";
    const TITLE: &'static str = "Preflight";
    const SCOPE: Scope = Scope::EachHost;

    async fn check(&self, at: &Scoped<'_>) -> Result<PreflightFacts, PhaseError> {
        let host = at.host().as_ref();
        let mut questions = questions(at);
        let privilege = match host.sudo() {
            Sudo::Unavailable { .. } => Privilege::Login,
            _ => desired::privilege(at.inventory()),
        };
        let look = async {
            match ask(at, &questions, privilege).await {
                // Which is told together with what the login user sees.
                Err(HostError::NoPrivilege { .. }) if matches!(host.sudo(), Sudo::Unavailable { .. }) => {
                    ask(at, &questions, Privilege::Login).await
                }
                answers => answers,
            }
        };
        let (answers, advertised) = tokio::join!(look, advertised_brokers(at));
        let mut answers = answers?;
        let further: Vec<Broker> =
            advertised.into_iter().filter(|broker| !questions.brokers.contains(broker)).collect();
        if !further.is_empty() {
            let answer = host.check(&preflight::try_brokers(&further)).await?;
            answers.brokers.extend(preflight::parse_brokers(&further, &answer));
            questions.brokers.extend(further);
        }
        Ok(PreflightFacts { questions, answers })
    }

    fn plan(&self, at: &Scoped<'_>, facts: &PreflightFacts) -> Planned {
        let host = at.host();
        let wanted = Wanted {
            target: at.target,
            runtime: at.inventory().runtime,
            memory: at.host_spec().worker.memory.0,
            conflicts: &at.inventory().conflicts,
        };
        Planned { changes: Vec::new(), findings: judge(&wanted, host.facts(), host.sudo(), facts) }
    }

    async fn apply(&self, _: &Scoped<'_>, _: &PreflightFacts, _: &Change) -> Result<(), PhaseError> {
        unreachable!("preflight plans no changes")
    }
}

async fn ask(at: &Scoped<'_>, questions: &Questions, privilege: Privilege) -> Result<Answers, HostError> {
    let host = at.host().as_ref();
    let look = Command { privilege, ..preflight::look(questions) };
    let worker = &at.host_spec().worker;
    let ports = [worker.rest.port.number(), worker.metrics.port.number()];
    let (answer, held) = tokio::try_join!(host.check(&look), held_ports::look(at, privilege, &ports))?;
    Ok(Answers { held, ..preflight::parse(questions, &answer) })
}

fn questions(at: &Scoped<'_>) -> Questions {
    let inventory = at.inventory();
    let root = host_root(inventory, at.host().as_ref()).display().to_string();
    let mut folders = vec![root];
    if inventory.runtime == Runtime::Docker {
        folders.push(TEMPORARY.to_owned());
    }
    Questions { folders, has_engine: inventory.runtime == Runtime::Docker, brokers: brokers(inventory) }
}

/// The brokers to reach; none for a Kafka of our own, which need not run yet.
fn brokers(inventory: &Inventory) -> Vec<Broker> {
    if inventory.kafka.managed().is_some() {
        return Vec::new();
    }
    let bootstrap = inventory.kafka.bootstrap.iter();
    bootstrap.map(|broker| broker_at(inventory, broker.host.as_str(), broker.port.number())).collect()
}

fn broker_at(inventory: &Inventory, host: &str, port: u16) -> Broker {
    let extra = inventory.kafka.extra_hosts.iter();
    let named = extra.filter(|(name, _)| name.as_str() == host).map(|(_, ip)| *ip).next();
    Broker { host: host.to_owned(), port, address: host.parse().ok().or(named) }
}

/// Every broker as the cluster advertises it, which is what clients connect to. None when Kafka cannot be asked: the
/// phases that work with Kafka say why.
async fn advertised_brokers(at: &Scoped<'_>) -> Vec<Broker> {
    let inventory = at.inventory();
    if inventory.kafka.managed().is_some() {
        return Vec::new();
    }
    let Ok(Some(cluster)) = at.ctx.kafka.cluster(at.ctx).await else { return Vec::new() };
    let brokers = cluster.brokers.iter();
    brokers.map(|broker| broker_at(inventory, &broker.endpoint.host, broker.endpoint.port)).collect()
}
