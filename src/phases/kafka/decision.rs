//! What a look at the managed node leads to: changes, or what is in the way of all of them. Pure.

use super::Kafka;
use crate::inventory::model::ManagedKafka;
use crate::kafka_home::{Found, PINNED_VERSION};
use crate::phases::{Finding, Phase, Planned, Severity};
use crate::plan::{Action, Change, Disruption, Target};
use crate::supervise::process::{Need, State};

pub(super) const JARS: &str = "Apache Kafka's jars";
pub(super) const FILES: &str = "broker configuration";
pub(super) const STORAGE: &str = "broker storage";
pub(super) const BROKER: &str = "broker";

/// What there is of the node, and what there should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) found: Found,
    /// `cluster.id` of the formatted storage.
    pub(super) formatted: Option<String>,
    /// The cluster id that our marker stands for; `None` when this control machine has none.
    pub(super) ours: Option<String>,
    pub(super) state: State,
    /// Whether it lets its admin user in, if it runs.
    pub(super) answers: bool,
    /// Files that are not as they should be; every one of them when what goes into them is not made yet.
    pub(super) stale: Vec<String>,
    pub(super) has_files: bool,
    /// What the node should have been started from, once that is known.
    pub(super) digest: Option<String>,
    /// Ports that something listens on while our node does not run, with their keys in the inventory.
    pub(super) taken: Vec<(u16, &'static str)>,
    /// The folder of the storage, and the control machine's folder of the cluster; for people.
    pub(super) data: String,
    pub(super) home: String,
}

impl Seen {
    /// It runs from what it should run from, and is not there yet: a run was ended while it waited for it.
    pub(super) fn is_starting(&self) -> bool {
        let is_current = self.digest.as_ref().is_some_and(|digest| self.state.need(digest) == Need::Nothing);
        is_current && self.stale.is_empty() && self.formatted.is_some() && !self.answers
    }
}

pub(super) fn decide(target: &Target, managed: &ManagedKafka, seen: &Seen) -> Planned {
    let findings = findings(target, managed, seen);
    if !findings.is_empty() {
        return Planned { findings, changes: Vec::new() };
    }
    let create = |subject: &str| Change::create(Kafka::ID, target, subject);
    let mut changes = Vec::new();
    if seen.found.libs.is_none() {
        changes.push(create(JARS));
    }
    if !seen.has_files {
        changes.push(create(FILES));
    } else if !seen.stale.is_empty() {
        changes.push(Change::update(Kafka::ID, target, FILES, seen.stale.clone()));
    }
    if seen.formatted.is_none() {
        changes.push(create(STORAGE));
    }
    let need = match (&seen.digest, &seen.state) {
        (Some(digest), state) if changes.is_empty() => state.need(digest),
        (_, State::Absent) => Need::Start,
        (_, State::Dead) => Need::Revive,
        (_, State::Running { .. }) => Need::Restart,
    };
    let restart =
        |field| Change { action: Action::Restart, ..Change::update(Kafka::ID, target, BROKER, [field]) };
    match need {
        Need::Nothing if seen.is_starting() => {
            changes.push(Change::update(Kafka::ID, target, BROKER, ["not answering yet"]));
        }
        Need::Nothing => {}
        Need::Start => changes.push(create(BROKER)),
        Need::Revive => changes.push(restart("found dead")),
        Need::Restart => changes.push(restart("configuration").disrupting(Disruption::BrokerRestart)),
    }
    Planned { changes, findings }
}

/// What stands in the way of every change.
fn findings(target: &Target, managed: &ManagedKafka, seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut error = |message: String, hint: String| {
        let place = target.to_string();
        findings.push(Finding { severity: Severity::Error, place, message, hint: Some(hint) });
    };
    for (port, key) in &seen.taken {
        error(
            format!("port {port} is taken by a program that is not ours"),
            format!("stop that program, or choose another port as `kafka.managed.{key}`"),
        );
    }
    if let (Some(home), None) = (&seen.found.unpacked, &seen.found.libs) {
        error(
            format!("{home} has no folder `libs`"),
            "let `kafka.managed.home` or KAFKA_HOME name an unpacked Kafka distribution".to_owned(),
        );
    }
    if seen.found.unpacked.is_none() && managed.version.as_str() != PINNED_VERSION {
        error(
            format!("the jars of Kafka {} are not pinned, only those of {PINNED_VERSION}", managed.version),
            "take that version, or let `kafka.managed.home` name an unpacked distribution".to_owned(),
        );
    }
    if let Some(formatted) = seen.formatted.as_ref().filter(|formatted| seen.ours.as_ref() != Some(formatted))
    {
        error(
            format!("the storage in {} belongs to another Kafka cluster ({formatted})", seen.data),
            format!("bring {} from the control machine that made it, or move the storage aside", seen.home),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::inventory::model::{HostName, Port, Version};

    fn managed() -> ManagedKafka {
        let port = |number| Port::new(NonZeroU16::new(number).unwrap());
        ManagedKafka {
            host: HostName::parse("lab").unwrap(),
            version: Version::parse(PINNED_VERSION).unwrap(),
            port: port(9093),
            controller_port: port(9094),
            home: None,
            data: None,
        }
    }

    /// A node that runs as it should.
    fn converged() -> Seen {
        Seen {
            found: Found { libs: Some("/cache/libs".into()), ..Found::default() },
            formatted: Some("id".into()),
            ours: Some("id".into()),
            state: State::Running { pid: 7, digest: "d".into() },
            answers: true,
            stale: Vec::new(),
            has_files: true,
            digest: Some("d".into()),
            taken: Vec::new(),
            data: "/state/kafka/data".into(),
            home: "/certs/lab".into(),
        }
    }

    fn check(seen: &Seen, expected: &[(Action, &str, &[&str])]) {
        let planned = decide(&Target::Host(HostName::parse("lab").unwrap()), &managed(), seen);
        let changes: Vec<_> = planned
            .changes
            .iter()
            .map(|change| (change.action, change.subject.as_str(), change.fields.as_slice()))
            .collect();
        let expected: Vec<(Action, &str, Vec<String>)> = expected
            .iter()
            .map(|(action, subject, fields)| {
                (*action, *subject, fields.iter().map(|field| (*field).to_owned()).collect())
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(action, subject, fields)| (*action, *subject, fields.as_slice())).collect();
        assert_eq!(changes, expected);
        assert_eq!(planned.findings, []);
    }

    #[test]
    fn nothing_is_planned_for_a_node_that_runs_as_it_should() {
        check(&converged(), &[]);
    }

    #[test]
    fn everything_is_planned_on_a_bare_host() {
        let bare = Seen {
            found: Found::default(),
            formatted: None,
            ours: None,
            state: State::Absent,
            stale: vec!["all".into()],
            has_files: false,
            digest: None,
            ..converged()
        };
        let create = Action::Create;
        check(
            &bare,
            &[(create, JARS, &[]), (create, FILES, &[]), (create, STORAGE, &[]), (create, BROKER, &[])],
        );
    }

    #[test]
    fn a_dead_node_is_revived_and_a_changed_one_restarted() {
        let starting = Seen { answers: false, ..converged() };
        check(&starting, &[(Action::Update, BROKER, &["not answering yet"])]);
        let dead = Seen { state: State::Dead, ..converged() };
        check(&dead, &[(Action::Restart, BROKER, &["found dead"])]);
        let stopped = Seen { state: State::Absent, ..converged() };
        check(&stopped, &[(Action::Create, BROKER, &[])]);
        let changed = Seen { stale: vec!["listener.pem".into()], digest: Some("e".into()), ..converged() };
        check(
            &changed,
            &[(Action::Update, FILES, &["listener.pem"]), (Action::Restart, BROKER, &["configuration"])],
        );
        let never_restarted = Seen { digest: Some("e".into()), ..converged() };
        check(&never_restarted, &[(Action::Restart, BROKER, &["configuration"])]);
    }

    #[test]
    fn what_is_in_the_way_is_named_with_its_remedy_and_nothing_is_planned() {
        let check = |seen: Seen, expected: &str, remedy: &str| {
            let planned = decide(&Target::Cluster, &managed(), &seen);
            assert_eq!(planned.changes, []);
            let [finding] = planned.findings.as_slice() else { panic!("{:?}", planned.findings) };
            assert!(finding.message.contains(expected), "{}", finding.message);
            assert!(finding.hint.as_ref().unwrap().contains(remedy), "{:?}", finding.hint);
        };
        let taken = Seen { state: State::Dead, taken: vec![(9093, "port")], ..converged() };
        check(taken, "port 9093 is taken", "`kafka.managed.port`");
        let other = Seen { formatted: Some("other".into()), ..converged() };
        check(other, "another Kafka cluster (other)", "/certs/lab");
        let forgotten = Seen { ours: None, ..converged() };
        check(forgotten, "another Kafka cluster (id)", "/certs/lab");
        let found = Found { unpacked: Some("/opt/kafka".into()), ..Found::default() };
        check(Seen { found, ..converged() }, "/opt/kafka has no folder", "KAFKA_HOME");
    }
}
