//! Which source offsets may be committed: for each source partition that of the last record before the first
//! one that Kafka has not acknowledged.
//!
//! Batches are submitted in the order in which they were read; acknowledgements come in any order. What is
//! complete is forgotten at once, so that memory is bounded by what is in flight. Source: KIP-793,
//! `SubmittedRecords` of Kafka, with batches for records.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use connect_api::{BatchOffsets, OffsetMap, SourceOffset};

/// Names one batch until it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchId(pub(crate) u32);

/// A source partition and how far it has been written.
#[derive(Clone, Debug)]
pub(crate) struct Committable {
    pub(crate) partition: Arc<OffsetMap>,
    pub(crate) offset: SourceOffset,
}

#[derive(Debug, Default)]
pub(crate) struct SubmittedOffsets {
    /// Batches in order of submission; the first has the id `first`.
    batches: VecDeque<Batch>,
    first: u32,
    /// What became committable since it was last taken; one entry per partition.
    ready: Vec<Committable>,
}

#[derive(Debug)]
struct Batch {
    partition: Arc<OffsetMap>,
    offsets: Arc<dyn BatchOffsets>,
    /// One bit per record.
    acked: Vec<u64>,
    count: usize,
    missing: usize,
    /// Length of the prefix that was offered last.
    offered: usize,
    /// All of it was acknowledged and is in `ready`.
    is_done: bool,
}

impl SubmittedOffsets {
    /// Takes note of a batch of `count` records that are about to be sent.
    pub(crate) fn submit(
        &mut self,
        partition: &Arc<OffsetMap>,
        offsets: &Arc<dyn BatchOffsets>,
        count: usize,
    ) -> BatchId {
        let id = self.first.wrapping_add(self.batches.len() as u32);
        self.batches.push_back(Batch {
            partition: partition.clone(),
            offsets: offsets.clone(),
            acked: vec![0; count.div_ceil(64)],
            count,
            missing: count,
            offered: 0,
            is_done: false,
        });
        if count == 0 {
            self.settle();
        }
        BatchId(id)
    }

    /// These records of a batch are written, or were dropped on purpose. A second time changes nothing.
    pub(crate) fn ack(&mut self, id: BatchId, records: Range<usize>) {
        let Some(batch) = self.batches.get_mut(id.0.wrapping_sub(self.first) as usize) else { return };
        let end = records.end.min(batch.count);
        let mut at = records.start;
        while at < end {
            let word = at / 64;
            let upto = end.min((word + 1) * 64);
            let bits = (u64::MAX >> (64 - (upto - at))) << (at % 64);
            batch.missing -= (bits & !batch.acked[word]).count_ones() as usize;
            batch.acked[word] |= bits;
            at = upto;
        }
        if batch.missing == 0 && !batch.is_done {
            self.settle();
        }
    }

    /// What may be committed now and was not taken before.
    pub(crate) fn take(&mut self) -> Vec<Committable> {
        for at in self.unblocked() {
            let batch = &mut self.batches[at];
            let prefix = batch.prefix();
            if prefix > batch.offered {
                batch.offered = prefix;
                let committable = batch.committable(prefix - 1);
                self.make_ready(committable);
            }
        }
        std::mem::take(&mut self.ready)
    }

    /// Gives back what could not be committed; newer offsets of the same partitions win.
    pub(crate) fn put_back(&mut self, failed: Vec<Committable>) {
        for committable in failed {
            if !self.ready.iter().any(|r| is_same(&r.partition, &committable.partition)) {
                self.ready.push(committable);
            }
        }
    }

    /// Moves complete batches that nothing earlier blocks to `ready`, and forgets them.
    fn settle(&mut self) {
        for at in self.unblocked() {
            let batch = &mut self.batches[at];
            if batch.missing > 0 {
                continue;
            }
            batch.is_done = true;
            if let Some(last) = batch.count.checked_sub(1) {
                let committable = batch.committable(last);
                self.make_ready(committable);
            }
        }
        while self.batches.front().is_some_and(|b| b.is_done) {
            self.batches.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    /// Batches that are not done and have no incomplete batch of their partition before them.
    fn unblocked(&self) -> Vec<usize> {
        let mut blocked: Vec<&Arc<OffsetMap>> = Vec::new();
        let mut found = Vec::new();
        for (at, batch) in self.batches.iter().enumerate().filter(|(_, b)| !b.is_done) {
            if blocked.iter().any(|b| is_same(b, &batch.partition)) {
                continue;
            }
            found.push(at);
            if batch.missing > 0 {
                blocked.push(&batch.partition);
            }
        }
        found
    }

    fn make_ready(&mut self, committable: Committable) {
        match self.ready.iter_mut().find(|r| is_same(&r.partition, &committable.partition)) {
            Some(ready) => ready.offset = committable.offset,
            None => self.ready.push(committable),
        }
    }
}

impl Batch {
    fn committable(&self, index: usize) -> Committable {
        let offset = SourceOffset::new(self.offsets.clone(), index);
        Committable { partition: self.partition.clone(), offset }
    }

    /// How many records from the first on are acknowledged without a gap.
    fn prefix(&self) -> usize {
        let full = self.acked.iter().take_while(|word| **word == u64::MAX).count();
        let rest = self.acked.get(full).map_or(0, |word| word.trailing_ones() as usize);
        (full * 64 + rest).min(self.count)
    }
}

fn is_same(a: &Arc<OffsetMap>, b: &Arc<OffsetMap>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

#[cfg(test)]
mod tests {
    use connect_api::Value;
    use proptest::prelude::*;

    use super::*;

    fn partition(name: &str) -> Arc<OffsetMap> {
        Arc::new([("p", Value::string(name.to_owned()))].into())
    }

    /// Offsets that count up from `first`.
    fn offsets(first: i64, count: usize) -> Arc<dyn BatchOffsets> {
        let map = |n: i64| Some(OffsetMap::from([("n", Value::Int64(n))]));
        Arc::new((first..first + count as i64).map(map).collect::<Vec<_>>())
    }

    fn taken(submitted: &mut SubmittedOffsets) -> Vec<(String, i64)> {
        let number = |c: Committable| {
            let name = c.partition.get("p").unwrap().as_str().unwrap().to_owned();
            (name, c.offset.render().unwrap().get("n").unwrap().as_i64().unwrap())
        };
        let mut all: Vec<_> = submitted.take().into_iter().map(number).collect();
        all.sort();
        all
    }

    #[test]
    fn a_gap_holds_back_its_own_partition_only() {
        let mut s = SubmittedOffsets::default();
        let (a, b) = (partition("a"), partition("b"));
        let first = s.submit(&a, &offsets(0, 3), 3);
        let second = s.submit(&b, &offsets(10, 1), 1);
        let third = s.submit(&partition("a"), &offsets(3, 1), 1);
        s.ack(second, 0..1);
        s.ack(third, 0..1);
        s.ack(first, 0..1);
        s.ack(first, 2..3);
        assert_eq!(taken(&mut s), [("a".into(), 0), ("b".into(), 10)]);
        s.ack(first, 1..2);
        assert_eq!(taken(&mut s), [("a".into(), 3)]);
        assert!(s.batches.is_empty());
    }

    #[test]
    fn what_could_not_be_committed_is_offered_again_unless_newer_is_there() {
        let mut s = SubmittedOffsets::default();
        let a = partition("a");
        let first = s.submit(&a, &offsets(0, 1), 1);
        s.ack(first, 0..1);
        let failed = s.take();
        s.put_back(failed.clone());
        assert_eq!(taken(&mut s), [("a".into(), 0)]);
        let second = s.submit(&a, &offsets(1, 1), 1);
        s.ack(second, 0..1);
        s.put_back(failed);
        assert_eq!(taken(&mut s), [("a".into(), 1)]);
    }

    proptest! {
        /// Against the definition: the offset before the first gap, for any order of acknowledgements.
        #[test]
        fn committable_is_the_acknowledged_prefix(
            sizes in prop::collection::vec((0usize..2, 0usize..70), 1..6),
            order in any::<prop::sample::Index>(),
            acks in 0usize..200,
            seed in any::<u64>(),
        ) {
            let partitions = [partition("0"), partition("1")];
            let mut s = SubmittedOffsets::default();
            let mut next = [0i64; 2];
            let mut all = Vec::new();
            for (p, size) in sizes {
                let id = s.submit(&partitions[p], &offsets(next[p], size), size);
                all.extend((0..size).map(|i| (id, i, p, next[p] + i as i64)));
                next[p] += size as i64;
            }
            let mut state = seed | 1;
            let mut acked = [std::collections::BTreeSet::new(), std::collections::BTreeSet::new()];
            let mut last = [-1i64; 2];
            for _ in 0..acks.min(all.len()) {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(order.index(7) as u64);
                let (id, i, p, n) = all.swap_remove((state >> 33) as usize % all.len());
                s.ack(id, i..i+1);
                acked[p].insert(n);
                for (name, offset) in taken(&mut s) {
                    last[name.parse::<usize>().unwrap()] = offset;
                }
                for p in 0..2 {
                    let prefix = (0..next[p]).take_while(|n| acked[p].contains(n)).count() as i64 - 1;
                    prop_assert_eq!(last[p], prefix);
                }
            }
            prop_assert_eq!(s.batches.iter().map(|b| b.missing).sum::<usize>(), all.len());
        }
    }
}
