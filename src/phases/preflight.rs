//! Preflight: everything that would stop a later phase, found before the first change, and all of it at once.

mod held_ports;

use std::time::Duration;

use async_trait::async_trait;

use super::{Finding, Phase, PhaseError, Planned, Scope, Scoped, Severity};
use crate::desired::{self, host_root};
use crate::host::{Command, HostError, HostExt, HostFacts, Privilege, Sudo};
use crate::inventory::model::{Inventory, Runtime, UnitName};
use crate::plan::{Change, Target};
use crate::shell::preflight::{self, Answers, Broker, BrokerAnswer, HeldPort, Questions};

const MIB: u64 = 1024 * 1024;

/// What images, containers and files of a worker need.
const DISK_NEEDED: u64 = 500 * MIB;

/// Image layers and files of a worker are a few dozen.
const INODES_NEEDED: u64 = 1000;

/// What to do about a port's holder that no systemd unit stands for.
const STOP_IT: &str = "stop it, or choose another port in the inventory";

/// Clocks this far apart make certificates and logs confusing; SASL and TLS still work.
const SKEW_WARNING: Duration = Duration::from_secs(5);

/// Clocks this far apart make certificates look expired or not yet valid.
const SKEW_ERROR: Duration = Duration::from_secs(300);

/// Where installers of packages put what they work with, and how much that is.
const TEMPORARY: &str = "/tmp";
const TEMPORARY_NEEDED: u64 = 16 * MIB;

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

/// What the host is held against.
struct Wanted<'a> {
    target: &'a Target,
    runtime: Runtime,
    /// The worker's memory limit in bytes.
    memory: u64,
    conflicts: &'a [UnitName],
}

fn judge(wanted: &Wanted<'_>, host: &HostFacts, sudo: &Sudo, facts: &PreflightFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |severity, message: String, hint: &str| {
        let place = wanted.target.to_string();
        findings.push(Finding { severity, place, message, hint: Some(hint.to_owned()) });
    };
    use Severity::{Error, Warning};
    let answers = &facts.answers;

    if wanted.runtime == Runtime::Docker {
        if let Sudo::Unavailable { said } = sudo {
            say(
                Error,
                format!("the login user {} has no way to root: {said}", host.login_user),
                "log in as root, allow sudo without a password, or give the sudo password as a secret",
            );
        }
        if !answers.has_systemd {
            say(Error, "has no systemd, which starts Docker".to_owned(), "use a host with systemd");
        }
    }
    let skew = Duration::from_secs(host.clock_skew_seconds.unsigned_abs());
    if skew > SKEW_WARNING {
        let direction = if host.clock_skew_seconds > 0 { "ahead of" } else { "behind" };
        say(
            if skew > SKEW_ERROR { Error } else { Warning },
            format!("its clock is {} s {direction} this machine's", skew.as_secs()),
            "certificates depend on the time: let both follow NTP (`timedatectl set-ntp true`)",
        );
    }
    if answers.memory > 0 && answers.memory < wanted.memory {
        say(
            Error,
            format!(
                "has {} MiB of memory, and the worker may take {} MiB",
                answers.memory / MIB,
                wanted.memory / MIB
            ),
            "lower `connect.memory`, or use a larger host",
        );
    } else if answers.memory_available > 0
        && answers.memory_available < wanted.memory
        && !has_own_port(answers)
    {
        say(
            Warning,
            format!(
                "has {} MiB of memory to spare, and the worker may take {} MiB",
                answers.memory_available / MIB,
                wanted.memory / MIB
            ),
            "lower `connect.memory`, or stop something else",
        );
    }
    for folder in &answers.folders {
        let needed = if folder.path == TEMPORARY { TEMPORARY_NEEDED } else { DISK_NEEDED };
        if !folder.is_writable {
            say(Error, format!("{} cannot be written", folder.path), "is its file system mounted read-only?");
        } else if folder.free < needed {
            let hint =
                "make room; `df -h` on the host shows its file systems, `docker system df` what Docker holds";
            let (free, needed) = (folder.free / MIB, needed / MIB);
            say(Error, format!("{} has {free} MiB free, and {needed} are needed", folder.path), hint);
        } else if let Some(inodes) = folder.free_inodes.filter(|inodes| *inodes < INODES_NEEDED) {
            say(
                Error,
                format!("{} has room for {inodes} more files (free inodes)", folder.path),
                "remove files that nobody needs; `df -i` on the host shows its file systems",
            );
        }
    }
    for held in answers.held.iter().filter(|held| !held.is_ours) {
        if !will_be_freed(held, wanted.conflicts) {
            let (holder, hint) = match (&held.unit, held.holder.as_str()) {
                (Some(unit), holder) => (
                    format!("{unit} ({holder})"),
                    "list this systemd unit under `conflicts`, or choose another port in the inventory",
                ),
                (None, "") => ("another program".to_owned(), STOP_IT),
                (None, holder) => (holder.to_owned(), STOP_IT),
            };
            say(Error, format!("port {} is taken by {holder}", held.port), hint);
        }
    }
    // One broker that is down is no reason to stop; none that answers is.
    let is_any_reached = answers.brokers.contains(&BrokerAnswer::Connected);
    let unreached = if is_any_reached { Warning } else { Error };
    for (broker, answer) in facts.questions.brokers.iter().zip(&answers.brokers) {
        let Broker { host, port, .. } = broker;
        let hint = "check firewalls and routes between this host and the brokers";
        match answer {
            BrokerAnswer::Connected => {}
            BrokerAnswer::Unresolved => say(
                Error,
                format!("cannot resolve the broker {host}"),
                "add it to DNS, or to `kafka.extra_hosts` in the inventory",
            ),
            BrokerAnswer::Refused => {
                say(unreached, format!("cannot connect to the broker {host}:{port}"), hint)
            }
            BrokerAnswer::Silent => say(unreached, format!("the broker {host}:{port} does not answer"), hint),
            BrokerAnswer::Untried => say(
                Warning,
                format!("the way to the broker {host}:{port} was not tried"),
                "bash is not installed there",
            ),
        }
    }
    findings
}

fn has_own_port(answers: &Answers) -> bool {
    answers.held.iter().any(|held| held.is_ours)
}

/// Whether a listed conflict holds the port; a unit's name may be listed without `.service`.
fn will_be_freed(held: &HeldPort, conflicts: &[UnitName]) -> bool {
    let Some(unit) = &held.unit else { return false };
    let bare = unit.trim_end_matches(".service");
    conflicts.iter().any(|conflict| conflict.as_str().trim_end_matches(".service") == bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::model::HostName;

    const GOOD: &str = "systemd=yes\nmemory=4000000\navailable=2000000\nfolder=9000000 - yes /etc\n";

    fn judged(answer: &str, host: &HostFacts, sudo: &Sudo) -> Vec<(Severity, String)> {
        let target = Target::Host(HostName::parse("w1").unwrap());
        let conflicts = [UnitName::parse("confluent-kafka-connect").unwrap()];
        let wanted =
            Wanted { target: &target, runtime: Runtime::Docker, memory: 512 * MIB, conflicts: &conflicts };
        let broker = Broker { host: "broker-1".to_owned(), port: 9093, address: None };
        let questions = Questions { brokers: vec![broker], ..Questions::default() };
        let mut answers = preflight::parse(&questions, answer);
        answers.held = preflight::parse_holders(answer);
        let findings = judge(&wanted, host, sudo, &PreflightFacts { questions, answers });
        findings.into_iter().map(|finding| (finding.severity, finding.message)).collect()
    }

    fn good_host() -> HostFacts {
        HostFacts::default()
    }

    #[test]
    fn a_good_host_passes() {
        let ours = format!("{GOOD}broker=0 connected\nheld=8083 yes - container x\n");
        assert_eq!(judged(&ours, &good_host(), &Sudo::Passwordless), []);
        let freed = format!(
            "{GOOD}broker=0 connected\nheld=8083 no confluent-kafka-connect.service java, process 9\n"
        );
        assert_eq!(judged(&freed, &good_host(), &Sudo::NotNeeded), []);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let answer = "memory=200000\navailable=100000\nfolder=1000 - yes /etc\nfolder=9000000 5000 no /var/lib\n\
                      folder=9000000 7 yes /srv\nheld=8083 no nginx.service nginx, process 4\nheld=8079 no - \nbroker=0 unresolved\n";
        let host = HostFacts { clock_skew_seconds: -3600, ..HostFacts::default() };
        let found = judged(answer, &host, &Sudo::Unavailable { said: "not in sudoers".to_owned() });
        for needle in [
            "no way to root",
            "systemd",
            "3600 s behind",
            "195 MiB of memory",
            "/etc has 0 MiB",
            "/var/lib cannot",
            "/srv has room for 7 more files",
            "port 8083 is taken by nginx.service",
            "port 8079 is taken by another program",
            "resolve the broker broker-1",
        ] {
            assert!(
                found
                    .iter()
                    .any(|(severity, message)| *severity == Severity::Error && message.contains(needle)),
                "{needle}: {found:?}"
            );
        }
        assert_eq!(found.len(), 10, "{found:?}");
    }

    #[test]
    fn one_broker_of_several_may_be_down() {
        let broker = |host: &str| Broker { host: host.to_owned(), port: 9093, address: None };
        let questions = Questions { brokers: vec![broker("a"), broker("b")], ..Questions::default() };
        let judged = |said: &str| {
            let target = Target::Host(HostName::parse("w1").unwrap());
            let wanted = Wanted { target: &target, runtime: Runtime::Docker, memory: MIB, conflicts: &[] };
            let answers = preflight::parse(&questions, &format!("{GOOD}{said}"));
            let facts = PreflightFacts { questions: questions.clone(), answers };
            let findings = judge(&wanted, &HostFacts::default(), &Sudo::NotNeeded, &facts);
            findings.into_iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        use Severity::{Error, Warning};
        assert_eq!(judged("broker=0 connected\nbroker=1 refused\n"), [Warning]);
        assert_eq!(judged("broker=0 silent\nbroker=1 refused\n"), [Error, Error]);
        assert_eq!(judged("broker=0 connected\nbroker=1 unresolved\n"), [Error]);
    }

    #[test]
    fn small_differences_only_warn() {
        let host = HostFacts { clock_skew_seconds: 30, ..good_host() };
        let found = judged(&format!("{GOOD}broker=0 untried\n"), &host, &Sudo::NotNeeded);
        assert!(
            found.len() == 2 && found.iter().all(|(severity, _)| *severity == Severity::Warning),
            "{found:?}"
        );
    }
}
