//! Conflicts: services that hold our ports and make way, directly before ours start.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Finding, Phase, PhaseError, Planned, Removed, Scope, Scoped, Severity};
use crate::desired::privilege;
use crate::host::{HostExt, Privilege};
use crate::inventory::model::UnitName;
use crate::plan::{Change, Disruption, Target};
use crate::shell::units::{self, UnitState};

pub(crate) struct Conflicts;

/// Listed units that the host knows.
pub(crate) type ConflictFacts = BTreeMap<String, UnitState>;

#[async_trait]
impl Phase for Conflicts {
    type Facts = ConflictFacts;

    const ID: &'static str = "conflicts";
    const TITLE: &'static str = "Conflicting services";
    const SCOPE: Scope = Scope::EachHost;

    async fn check(&self, at: &Scoped<'_>) -> Result<ConflictFacts, PhaseError> {
        let wanted = &at.inventory().conflicts;
        if wanted.is_empty() {
            return Ok(ConflictFacts::new());
        }
        let mut look = units::states("look at conflicting services", wanted.iter().map(|unit| unit.as_str()));
        // As the other looks at this host, so that they go together.
        look.privilege = privilege(at.inventory());
        Ok(units::parse_states(&at.host().check(&look).await?))
    }

    fn plan(&self, at: &Scoped<'_>, facts: &ConflictFacts) -> Planned {
        Planned { changes: decide(at.target, &at.inventory().conflicts, facts), findings: Vec::new() }
    }

    async fn apply(&self, at: &Scoped<'_>, _: &ConflictFacts, change: &Change) -> Result<(), PhaseError> {
        let unit = change.subject.strip_prefix(SUBJECT).expect("a planned subject names a unit");
        let mut command = units::stop_and_disable(unit);
        command.privilege = Privilege::Root;
        at.host().check(&command).await?;
        Ok(())
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&Self::Facts>) -> Result<Vec<Finding>, PhaseError> {
        let facts = match seen {
            Some(facts) => Cow::Borrowed(facts),
            None => Cow::Owned(self.check(at).await?),
        };
        let still_there = decide(at.target, &at.inventory().conflicts, &facts);
        Ok(still_there
            .into_iter()
            .map(|change| Finding {
                severity: Severity::Error,
                place: at.target.to_string(),
                message: format!("{} runs again or starts at boot", change.subject),
                hint: Some("something on the host starts it; find out what before the next run".to_owned()),
            })
            .collect())
    }

    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let made = at.ctx.home.made(Self::ID, &at.target.to_string())?;
        let stays = |unit: &str| {
            format!("unit {unit}, stopped and disabled; `{}` brings it back", units::bring_back(unit))
        };
        let left = made.iter().filter_map(|subject| subject.strip_prefix(SUBJECT)).map(stays).collect();
        Ok(Removed { removed: Vec::new(), left })
    }
}

const SUBJECT: &str = "unit ";

fn decide(target: &Target, wanted: &[UnitName], facts: &ConflictFacts) -> Vec<Change> {
    let change = |unit: &UnitName| {
        let state = facts.get(unit.as_str())?;
        let fields: Vec<&str> = [(state.is_active(), "running"), (state.is_enabled(), "enabled")]
            .into_iter()
            .filter_map(|(differs, field)| differs.then_some(field))
            .collect();
        if fields.is_empty() {
            return None;
        }
        let change = Change::update(Conflicts::ID, target, format!("{SUBJECT}{unit}"), fields);
        Some(change.disrupting(Disruption::ForeignService))
    };
    wanted.iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::model::HostName;

    fn planned(answer: &str) -> Vec<(String, Vec<String>)> {
        let target = Target::Host(HostName::parse("w1").unwrap());
        let wanted =
            ["confluent-kafka-connect.service", "other.service"].map(|unit| UnitName::parse(unit).unwrap());
        let changes = decide(&target, &wanted, &units::parse_states(answer));
        changes.into_iter().map(|change| (change.subject, change.fields)).collect()
    }

    #[test]
    fn only_units_that_run_or_would_run_are_stopped() {
        assert_eq!(planned(""), []);
        assert_eq!(planned("unit=disabled inactive confluent-kafka-connect.service\n"), []);
        assert_eq!(
            planned(
                "unit=enabled active confluent-kafka-connect.service\nunit=enabled failed other.service\n"
            ),
            [
                (
                    "unit confluent-kafka-connect.service".to_owned(),
                    vec!["running".to_owned(), "enabled".to_owned()]
                ),
                ("unit other.service".to_owned(), vec!["enabled".to_owned()]),
            ]
        );
    }
}
