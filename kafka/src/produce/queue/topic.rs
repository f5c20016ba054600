//! One topic's batches: which partition a record goes to, and what waits there.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::Rng;
use tokio::time::Instant;

use super::batch::{Batch, Open};
use crate::batch::{Compression, RecordToSend};
use crate::endpoint::Endpoint;
use crate::error::ApiRefusal;
use crate::produce::{ProducerConfig, partitioner};

#[derive(Debug)]
pub(super) struct TopicQueue {
    pub(super) name: Arc<str>,
    /// Also those that were there once and still have records.
    pub(super) partitions: Vec<PartitionQueue>,
    /// How many there are; 0 until that is known.
    pub(super) count: usize,
    /// Bytes of a batch, where the broker takes fewer than we would send.
    pub(super) batch_limit: usize,
    /// When a batch was begun last.
    pub(super) touched: Instant,
    /// Where records without a key go for now.
    pub(super) sticky: Option<usize>,
    /// Somebody waits for its partitions to be known.
    pub(super) is_wanted: bool,
    /// It was asked about, ever.
    pub(super) is_asked: bool,
    /// Nobody may write to it: told to whoever tries next, who makes it be asked again.
    pub(super) refusal: Option<ApiRefusal>,
}

#[derive(Debug, Default)]
pub(super) struct PartitionQueue {
    pub(super) leader: Option<Endpoint>,
    pub(super) open: Option<Open>,
    pub(super) closed: VecDeque<Batch>,
    pub(super) is_under_way: bool,
    /// After a failure: not to be sent earlier.
    pub(super) not_before: Option<Instant>,
    pub(super) next_sequence: i32,
}

impl TopicQueue {
    /// Nothing is known of it.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            partitions: Vec::new(),
            count: 0,
            batch_limit: usize::MAX,
            touched: Instant::now(),
            sticky: None,
            is_wanted: false,
            is_asked: false,
            refusal: None,
        }
    }

    /// The leaders of its partitions, in their order. Returns a partition that is [`Self::stuck`].
    pub(super) fn learn(&mut self, leaders: Vec<Option<Endpoint>>) -> Option<usize> {
        (self.refusal, self.is_wanted) = (None, false);
        self.count = leaders.len();
        self.sticky.take_if(|place| *place >= leaders.len());
        // One that is gone keeps its records: it may come back, and they have their own time.
        let kept = self.partitions.len().max(leaders.len());
        self.partitions.resize_with(kept, PartitionQueue::default);
        let leaders = leaders.into_iter().chain(std::iter::repeat(None));
        for (partition, leader) in self.partitions.iter_mut().zip(leaders) {
            partition.leader = leader;
        }
        self.stuck()
    }

    /// A partition that has something to send, and nobody to send it to.
    pub(super) fn stuck(&self) -> Option<usize> {
        self.partitions.iter().position(|partition| partition.leader.is_none() && partition.has_batches())
    }

    /// The partition that a record of this size goes to, which has room for it then, and whether a batch had to be closed
    /// for that.
    pub(super) fn place(
        &mut self,
        config: &ProducerConfig,
        record: &RecordToSend<'_>,
        size: usize,
    ) -> (usize, bool) {
        let batch_size = config.batch_size.min(self.batch_limit);
        let mut was_full = false;
        let place = match (record.partition, record.key) {
            (Some(partition), _) => partition as usize,
            (None, Some(key)) => partitioner::of_key(key, self.count),
            (None, None) => {
                let place = self.sticky();
                if self.partitions[place].close_full(config, batch_size, size) {
                    was_full = true;
                    self.sticky = None;
                }
                self.sticky()
            }
        };
        was_full |= self.partitions[place].close_full(config, batch_size, size);
        (place, was_full)
    }

    /// Where records without a key go until their batch is sent: any partition that has a leader.
    fn sticky(&mut self) -> usize {
        if let Some(place) = self.sticky.filter(|place| self.partitions[*place].leader.is_some()) {
            return place;
        }
        let led = |place: &usize| self.partitions[*place].leader.is_some();
        let led: Vec<usize> = (0..self.count).filter(led).collect();
        let place = match led.len() {
            0 => rand::rng().random_range(0..self.count),
            count => led[rand::rng().random_range(0..count)],
        };
        self.sticky = Some(place);
        place
    }
}

impl PartitionQueue {
    pub(super) fn has_batches(&self) -> bool {
        self.open.is_some() || !self.closed.is_empty()
    }

    /// Closes a batch of this size that has no room for so much more.
    fn close_full(&mut self, config: &ProducerConfig, batch_size: usize, more: usize) -> bool {
        let Some(open) = self.open.take_if(|open| open.builder.len() + more > batch_size) else {
            return false;
        };
        let mut batch = open.close();
        // What makes it ready is done here if it is little: whoever fills batches has time when the sender has none.
        if config.compression == Compression::None && !config.is_idempotent {
            batch.seal(Compression::None);
        }
        self.closed.push_back(batch);
        true
    }

    /// The number of the first of so many records.
    pub(super) fn sequence(&mut self, count: i32) -> i32 {
        let first = self.next_sequence;
        // After the largest number comes 0.
        self.next_sequence = first.checked_add(count).unwrap_or_else(|| first - i32::MAX + count - 1);
        first
    }

    /// Numbers begin anew, for what waits too.
    pub(super) fn forget_sequences(&mut self) {
        self.next_sequence = 0;
        for batch in &mut self.closed {
            batch.sequence = None;
        }
    }

    pub(super) fn pop(&mut self) -> Option<Batch> {
        self.closed.pop_front().or_else(|| self.open.take().map(Open::close))
    }

    /// When the batch was begun whose turn is next.
    pub(super) fn began(&self) -> Option<Instant> {
        self.closed.front().map(|batch| batch.began).or_else(|| self.open.as_ref().map(|open| open.began))
    }

    pub(super) fn first_size(&self) -> usize {
        let open = || self.open.as_ref().map(|open| open.builder.len());
        self.closed.front().map(|batch| batch.size).or_else(open).unwrap_or(0)
    }
}
