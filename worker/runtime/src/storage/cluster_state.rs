//! What the config topic means: a fold over its records.
//!
//! The config offset is the offset of the last record that could be read, plus one. It travels in the group
//! metadata and every worker has to come to the same number, so it advances for foreign records too, and
//! does not for records that cannot be parsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::names::{ConnectorName, RawConfig, TargetState, TaskId};
use crate::storage::records::{ConfigRecord, RecordError};

/// The connectors and tasks of a cluster as of one offset of the config topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClusterState {
    offset: i64,
    connectors: BTreeMap<ConnectorName, Connector>,
    /// May be known before the connector is, and stays after it until its own tombstone.
    targets: BTreeMap<ConnectorName, TargetState>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Connector {
    config: Arc<RawConfig>,
    /// Task records that no commit has made valid yet.
    pending: BTreeMap<u32, RawConfig>,
    tasks: Vec<Arc<RawConfig>>,
    /// The last commit asked for tasks that were not all there.
    is_inconsistent: bool,
    /// The connector's config when its tasks were last committed.
    applied: Option<Arc<RawConfig>>,
}

/// What a record changed, for those who have to act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    ConnectorAdded(ConnectorName),
    ConnectorConfig(ConnectorName),
    ConnectorRemoved(ConnectorName),
    Tasks(ConnectorName),
    Target(ConnectorName),
    Restart { name: ConnectorName, include_tasks: bool, only_failed: bool },
}

impl Default for ClusterState {
    fn default() -> Self {
        Self { offset: -1, connectors: BTreeMap::new(), targets: BTreeMap::new() }
    }
}

impl ClusterState {
    /// Takes in the next record of the log.
    pub(crate) fn apply(
        &mut self,
        offset: i64,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<Change>, RecordError> {
        let record = ConfigRecord::decode(key, value)?;
        self.offset = offset + 1;
        Ok(record.and_then(|record| self.apply_record(record)))
    }

    fn apply_record(&mut self, record: ConfigRecord) -> Option<Change> {
        match record {
            ConfigRecord::Connector { name, config: Some(config) } => {
                self.targets.entry(name.clone()).or_default();
                let is_new = !self.connectors.contains_key(&name);
                self.connectors.entry(name.clone()).or_default().config = Arc::new(config);
                Some(if is_new { Change::ConnectorAdded(name) } else { Change::ConnectorConfig(name) })
            }
            ConfigRecord::Connector { name, config: None } => {
                self.connectors.remove(&name).map(|_| Change::ConnectorRemoved(name))
            }
            ConfigRecord::Task { id, config } => {
                // Left-overs of a deleted connector say nothing; they have no tombstones.
                let connector = self.connectors.get_mut(&id.connector)?;
                match config {
                    Some(config) => connector.pending.insert(id.task, config),
                    None => connector.pending.remove(&id.task),
                };
                None
            }
            ConfigRecord::Commit { name, tasks } => {
                let connector = self.connectors.get_mut(&name)?;
                let mut pending = std::mem::take(&mut connector.pending);
                let complete: Option<Vec<_>> = (0..tasks).map(|n| pending.remove(&n).map(Arc::new)).collect();
                connector.is_inconsistent = complete.is_none();
                if let Some(complete) = complete {
                    connector.tasks = complete;
                    connector.applied = Some(connector.config.clone());
                }
                Some(Change::Tasks(name))
            }
            ConfigRecord::Target { name, state: Some(state) } => {
                let before = self.targets.insert(name.clone(), state);
                let is_known = self.connectors.contains_key(&name);
                (is_known && before != Some(state)).then_some(Change::Target(name))
            }
            ConfigRecord::Target { name, state: None } => {
                self.targets.remove(&name);
                // A connector without a target state is a started one.
                if self.connectors.contains_key(&name) {
                    self.targets.insert(name, TargetState::Started);
                }
                None
            }
            ConfigRecord::Restart { name, include_tasks, only_failed } => {
                Some(Change::Restart { name, include_tasks, only_failed })
            }
            ConfigRecord::NotForUs => None,
        }
    }

    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    pub(crate) fn connectors(&self) -> impl Iterator<Item = &ConnectorName> {
        self.connectors.keys()
    }

    pub(crate) fn contains(&self, name: &ConnectorName) -> bool {
        self.connectors.contains_key(name)
    }

    pub(crate) fn config(&self, name: &ConnectorName) -> Option<&Arc<RawConfig>> {
        self.connectors.get(name).map(|c| &c.config)
    }

    pub(crate) fn target(&self, name: &ConnectorName) -> TargetState {
        self.targets.get(name).copied().unwrap_or_default()
    }

    /// Empty for an unknown connector, and while its task set is inconsistent.
    pub(crate) fn tasks(&self, name: &ConnectorName) -> &[Arc<RawConfig>] {
        match self.connectors.get(name) {
            Some(connector) if !connector.is_inconsistent => &connector.tasks,
            _ => &[],
        }
    }

    pub(crate) fn task_ids(&self, name: &ConnectorName) -> impl Iterator<Item = TaskId> + use<> {
        let name = name.clone();
        (0..self.tasks(&name).len() as u32).map(move |n| TaskId::new(name.clone(), n))
    }

    pub(crate) fn task_config(&self, id: &TaskId) -> Option<&Arc<RawConfig>> {
        self.tasks(&id.connector).get(id.task as usize)
    }

    /// Whether publishing `tasks` for the connector would change nothing.
    pub(crate) fn has_applied(&self, name: &ConnectorName, tasks: &[RawConfig]) -> bool {
        self.connectors.get(name).is_some_and(|connector| {
            !connector.is_inconsistent
                && connector.applied.as_ref() == Some(&connector.config)
                && connector.tasks.len() == tasks.len()
                && connector.tasks.iter().zip(tasks).all(|(a, b)| **a == *b)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(text: &str) -> RawConfig {
        RawConfig::from([("k".to_owned(), text.to_owned())])
    }

    fn connector(name: &str, text: &str) -> ConfigRecord {
        ConfigRecord::Connector { name: name.into(), config: Some(config(text)) }
    }

    fn task(name: &str, task: u32, text: &str) -> ConfigRecord {
        ConfigRecord::Task { id: TaskId::new(name, task), config: Some(config(text)) }
    }

    fn commit(name: &str, tasks: u32) -> ConfigRecord {
        ConfigRecord::Commit { name: name.into(), tasks }
    }

    fn fold(records: &[ConfigRecord]) -> (ClusterState, Vec<Change>) {
        let mut state = ClusterState::default();
        let mut changes = Vec::new();
        for (offset, record) in records.iter().enumerate() {
            let (key, value) = record.encode();
            changes.extend(state.apply(offset as i64, &key, value.as_deref()).unwrap());
        }
        (state, changes)
    }

    #[test]
    fn tasks_count_only_when_committed() {
        let (state, _) = fold(&[connector("a", "1"), task("a", 0, "t0"), task("a", 1, "t1")]);
        assert!(state.tasks(&"a".into()).is_empty());
        let (state, changes) =
            fold(&[connector("a", "1"), task("a", 0, "t0"), task("a", 1, "t1"), commit("a", 2)]);
        assert_eq!(state.task_ids(&"a".into()).count(), 2);
        assert_eq!(changes, [Change::ConnectorAdded("a".into()), Change::Tasks("a".into())]);
        assert!(state.has_applied(&"a".into(), &[config("t0"), config("t1")]));
        assert!(!state.has_applied(&"a".into(), &[config("t0")]));
    }

    #[test]
    fn half_written_task_set_is_inconsistent_until_the_next_full_one() {
        let first = [connector("a", "1"), task("a", 0, "t0"), commit("a", 1)];
        let broken = [first.as_slice(), &[task("a", 1, "new"), commit("a", 2)]].concat();
        let (state, _) = fold(&broken);
        assert!(state.tasks(&"a".into()).is_empty());
        let healed = [broken.as_slice(), &[task("a", 0, "n0"), task("a", 1, "n1"), commit("a", 2)]].concat();
        assert_eq!(fold(&healed).0.tasks(&"a".into()).len(), 2);
    }

    #[test]
    fn what_a_deleted_connector_left_behind_says_nothing() {
        let deleted = ConfigRecord::Connector { name: "a".into(), config: None };
        let records = [connector("a", "1"), task("a", 0, "t"), commit("a", 1), deleted, connector("a", "2")];
        let (state, _) = fold(&records);
        assert!(state.tasks(&"a".into()).is_empty());
        // After compaction, task and commit records of a deleted connector stand alone.
        let (state, changes) = fold(&[task("b", 0, "t"), commit("b", 1)]);
        assert!(!state.contains(&"b".into()) && changes.is_empty());
    }

    #[test]
    fn changed_connector_config_is_not_applied_until_its_tasks_are_committed_again() {
        let records = [connector("a", "1"), task("a", 0, "t"), commit("a", 1), connector("a", "2")];
        let (state, _) = fold(&records);
        assert!(!state.has_applied(&"a".into(), &[config("t")]));
        assert_eq!(state.tasks(&"a".into()).len(), 1);
    }

    #[test]
    fn target_state_may_come_before_its_connector() {
        let target = |state| ConfigRecord::Target { name: "a".into(), state };
        let (state, changes) = fold(&[target(Some(TargetState::Stopped)), connector("a", "1")]);
        assert_eq!(state.target(&"a".into()), TargetState::Stopped);
        assert_eq!(changes, [Change::ConnectorAdded("a".into())]);
        let (state, changes) = fold(&[
            connector("a", "1"),
            target(Some(TargetState::Paused)),
            target(Some(TargetState::Paused)),
        ]);
        assert_eq!(state.target(&"a".into()), TargetState::Paused);
        assert_eq!(changes.len(), 2);
    }

    #[test]
    fn offset_passes_foreign_records_and_not_broken_ones() {
        let mut state = ClusterState::default();
        assert_eq!(state.offset(), -1);
        state.apply(4, b"who-knows", Some(b"x")).unwrap();
        assert_eq!(state.offset(), 5);
        state.apply(5, b"connector-a", Some(b"x")).unwrap_err();
        assert_eq!(state.offset(), 5);
    }

    fn any_record() -> impl Strategy<Value = ConfigRecord> {
        let name = prop::sample::select(vec!["a", "b-1"]);
        (name, 0u32..3, 0..5, "[xy]").prop_map(|(name, n, kind, text)| match kind {
            0 => connector(name, &text),
            1 => task(name, n, &text),
            2 => commit(name, n),
            3 => ConfigRecord::Target { name: name.into(), state: Some(TargetState::Paused) },
            _ => ConfigRecord::Connector { name: name.into(), config: None },
        })
    }

    proptest! {
        /// Compaction keeps the last record of a key; configs and target states must survive that.
        #[test]
        fn compaction_loses_no_config(records in prop::collection::vec(any_record(), 0..30)) {
            let mut seen = std::collections::HashSet::new();
            let mut compacted: Vec<_> =
                records.iter().rev().filter(|r| seen.insert(r.encode().0)).cloned().collect();
            compacted.reverse();
            let (full, _) = fold(&records);
            let (compact, _) = fold(&compacted);
            for name in ["a", "b-1"].map(ConnectorName::from) {
                prop_assert_eq!(full.config(&name), compact.config(&name));
                if full.contains(&name) {
                    prop_assert_eq!(full.target(&name), compact.target(&name));
                }
            }
        }
    }
}
