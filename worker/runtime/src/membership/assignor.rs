//! Who runs what: the eager algorithm, a function over values.
//!
//! Connectors in order of their names are dealt to the members in order of their ids; the tasks, connector by
//! connector, go on where the connectors ended. Source: `EagerAssignor` of Kafka.

use std::collections::BTreeMap;

use crate::membership::protocol::{Assignment, MemberMetadata, Work};
use crate::names::{ConnectorName, TaskId};

/// What there is to assign, as the leader knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Configured {
    pub(crate) config_offset: i64,
    pub(crate) connectors: Vec<ConnectorName>,
    /// Connector by connector, in the order of `connectors`.
    pub(crate) tasks: Vec<TaskId>,
}

/// One assignment for each member: the leader's answer to a join.
///
/// A leader that knows less than one of the members assigns nothing and says so.
pub(crate) fn assign(
    leader: &str,
    members: &BTreeMap<String, MemberMetadata>,
    configured: &Configured,
) -> BTreeMap<String, Assignment> {
    let newest = members.values().map(|m| m.config_offset).max().unwrap_or(configured.config_offset);
    let is_config_mismatch = configured.config_offset < newest;
    let mut work: BTreeMap<&String, Work> = members.keys().map(|id| (id, Work::default())).collect();
    if !is_config_mismatch {
        let mut turn = members.keys().cycle();
        for connector in &configured.connectors {
            let Some(id) = turn.next() else { break };
            work.entry(id).or_default().connectors.push(connector.clone());
        }
        for task in &configured.tasks {
            let Some(id) = turn.next() else { break };
            work.entry(id).or_default().tasks.push(task.clone());
        }
    }
    let leader_url = members.get(leader).map(|m| m.url.clone()).unwrap_or_default();
    work.into_iter()
        .map(|(id, work)| {
            let assignment = Assignment {
                is_config_mismatch,
                leader: leader.to_owned(),
                leader_url: leader_url.clone(),
                config_offset: newest.max(configured.config_offset),
                work,
            };
            (id.clone(), assignment)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(count: usize, offset: i64) -> BTreeMap<String, MemberMetadata> {
        let member = |n| MemberMetadata { url: format!("http://w{n}/"), config_offset: offset };
        (0..count).map(|n| (format!("m{n}"), member(n))).collect()
    }

    fn configured(tasks: &[u32]) -> Configured {
        let connectors: Vec<_> = (0..tasks.len()).map(|n| ConnectorName::from(format!("c{n}"))).collect();
        let ids = connectors.iter().zip(tasks);
        let tasks = ids.flat_map(|(c, n)| (0..*n).map(|t| TaskId::new(c.clone(), t))).collect();
        Configured { config_offset: 7, connectors, tasks }
    }

    #[test]
    fn tasks_go_on_where_the_connectors_ended() {
        let dealt = assign("m0", &members(2, 7), &configured(&[2]));
        assert_eq!(dealt["m0"].work.connectors, [ConnectorName::from("c0")]);
        assert_eq!(dealt["m1"].work.tasks, [TaskId::new("c0", 0)]);
        assert_eq!(dealt["m0"].work.tasks, [TaskId::new("c0", 1)]);
        assert_eq!((dealt["m1"].leader.as_str(), dealt["m1"].leader_url.as_str()), ("m0", "http://w0/"));
    }

    #[test]
    fn leader_that_lags_assigns_nothing() {
        let dealt = assign("m0", &members(2, 9), &configured(&[2]));
        for assignment in dealt.values() {
            assert!(assignment.is_config_mismatch);
            assert_eq!((assignment.config_offset, &assignment.work), (9, &Work::default()));
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_dealt_twice(count in 1usize..6, tasks in prop::collection::vec(0u32..5, 0..8)) {
            let wanted = configured(&tasks);
            let dealt = assign("m0", &members(count, 7), &wanted);
            let mut connectors: Vec<_> = dealt.values().flat_map(|a| a.work.connectors.clone()).collect();
            let mut all: Vec<_> = dealt.values().flat_map(|a| a.work.tasks.clone()).collect();
            connectors.sort();
            all.sort();
            prop_assert_eq!(connectors, wanted.connectors);
            prop_assert_eq!(all, wanted.tasks);
            let load = |a: &Assignment| a.work.connectors.len() + a.work.tasks.len();
            let loads: Vec<_> = dealt.values().map(load).collect();
            prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
        }
    }
}
