//! What a sink task's offsets are: delivered, offered to Kafka, committed.
//!
//! Plain values: the runner asks the task and the consumer. Source: `currentOffsets` and `lastCommittedOffsets` of
//! `WorkerSinkTask`.

use connect_api::{TopicOffsets, TopicPartition};

#[derive(Default)]
pub(crate) struct SinkOffsets {
    /// Behind what `put` has taken.
    current: TopicOffsets,
    /// Where to begin again: what is committed, or else where the task began to read. A commit that fails takes
    /// nothing away from it.
    committed: TopicOffsets,
    /// On its way to Kafka, or there: not offered once more.
    offered: TopicOffsets,
}

impl SinkOffsets {
    /// Partitions are the task's from now on. Nothing is committed yet of those that are not in `committed`.
    pub(crate) fn assigned(&mut self, committed: &TopicOffsets) {
        self.committed.extend(committed.clone());
        self.current.extend(committed.clone());
    }

    /// A record was read: the first one of a partition without commits is where the task began.
    pub(crate) fn read(&mut self, partition: &TopicPartition, offset: i64) {
        if !self.committed.contains_key(partition) {
            self.committed.insert(partition.clone(), offset);
        }
    }

    pub(crate) fn delivered(&mut self, ends: TopicOffsets) {
        self.current.extend(ends);
    }

    /// The task wants to read on from here.
    pub(crate) fn sought(&mut self, offsets: TopicOffsets) {
        self.committed.extend(offsets.clone());
        self.current.extend(offsets);
    }

    pub(crate) fn closed(&mut self, partition: &TopicPartition) {
        for offsets in [&mut self.current, &mut self.committed, &mut self.offered] {
            offsets.remove(partition);
        }
    }

    /// What was delivered of `partitions`, of all if there are none.
    pub(crate) fn current(&self, partitions: Option<&[TopicPartition]>) -> TopicOffsets {
        let wanted = |p: &TopicPartition| partitions.is_none_or(|some| some.contains(p));
        self.current.iter().filter(|(p, _)| wanted(p)).map(|(p, o)| (p.clone(), *o)).collect()
    }

    /// Whether Kafka has yet to hear of this offset.
    pub(crate) fn is_new(&self, partition: &TopicPartition, offset: i64) -> bool {
        self.offered.get(partition).or_else(|| self.committed.get(partition)) != Some(&offset)
    }

    pub(crate) fn offered(&mut self, offsets: TopicOffsets) {
        self.offered.extend(offsets);
    }

    /// A commit has succeeded. Partitions that went away meanwhile do not come back by it.
    pub(crate) fn committed(&mut self, offsets: TopicOffsets) {
        for (partition, offset) in offsets {
            if let Some(committed) = self.committed.get_mut(&partition) {
                *committed = offset;
            }
        }
    }

    /// A commit has failed or is not waited for: what was offered is offered again.
    pub(crate) fn offer_again(&mut self) {
        self.offered.clear();
    }

    /// Everything that is not committed is to be delivered again, from these offsets on.
    pub(crate) fn rewind(&mut self) -> TopicOffsets {
        self.current.extend(self.committed.clone());
        self.committed.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    fn offsets(of: &[(i32, i64)]) -> TopicOffsets {
        of.iter().map(|(partition, offset)| (at(*partition), *offset)).collect()
    }

    /// Partition 0 was committed to 10, partition 1 never; both were delivered to 20.
    fn delivered() -> SinkOffsets {
        let mut known = SinkOffsets::default();
        known.assigned(&offsets(&[(0, 10)]));
        for partition in [0, 1] {
            known.read(&at(partition), 10);
            known.read(&at(partition), 15);
        }
        known.delivered(offsets(&[(0, 20), (1, 20)]));
        known
    }

    #[test]
    fn partition_without_commits_is_rewound_to_where_it_began() {
        let mut known = delivered();
        assert_eq!(known.rewind(), offsets(&[(0, 10), (1, 10)]));
        assert_eq!(known.current(None), offsets(&[(0, 10), (1, 10)]));
    }

    #[test]
    fn failed_commit_is_offered_again_and_takes_no_rewind_away() {
        let mut known = delivered();
        assert!(known.is_new(&at(1), 20));
        known.offered(offsets(&[(0, 20), (1, 20)]));
        assert!(!known.is_new(&at(1), 20));
        known.offer_again();
        assert!(known.is_new(&at(1), 20));
        assert_eq!(known.rewind(), offsets(&[(0, 10), (1, 10)]));
    }

    #[test]
    fn rewind_goes_to_what_kafka_has_confirmed() {
        let mut known = delivered();
        known.offered(offsets(&[(0, 20), (1, 20)]));
        known.closed(&at(1));
        known.committed(offsets(&[(0, 20), (1, 20)]));
        assert!(!known.is_new(&at(0), 20));
        assert_eq!(known.rewind(), offsets(&[(0, 20)]));
    }

    #[test]
    fn rewind_follows_the_task_that_seeks() {
        let mut known = delivered();
        known.sought(offsets(&[(0, 3)]));
        assert_eq!(known.current(Some(&[at(0)])), offsets(&[(0, 3)]));
        assert_eq!(known.rewind(), offsets(&[(0, 3), (1, 10)]));
    }
}
