//! Records that are not written yet, by partition. Bookkeeping alone: nothing here waits or asks.

mod batch;
mod topic;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use tokio::time::Instant;

use self::batch::Open;
pub(super) use self::batch::{Batch, Body, Flight};
use self::topic::TopicQueue;
use super::{ProduceError, ProducerConfig};
use crate::batch::RecordToSend;
use crate::batch::layout::RECORDS;
use crate::endpoint::Endpoint;
use crate::error::ApiRefusal;

/// Buffers of sent batches that are kept for later ones.
const SPARES: usize = 4;

/// `metadata.max.idle.ms`: a topic that nobody writes to is not asked about any more.
const IDLE: Duration = Duration::from_secs(300);

/// Place of a topic, place of a partition.
type Key = (usize, usize);

#[derive(Debug, Default)]
pub(super) struct Queue {
    topics: Vec<TopicQueue>,
    names: HashMap<String, usize>,
    /// The topic of the last record: most likely it is the next one's too.
    last: usize,
    /// Bytes of all batches, those on their way included.
    used: usize,
    /// Somebody waits for room: nothing lingers.
    is_pressed: bool,
    pub(super) is_closed: bool,
    /// Partitions that have batches, and none on its way.
    waiting: BTreeSet<Key>,
    /// Whose turn it is first.
    turn: Key,
    spare: Vec<Vec<u8>>,
    /// Batches of earlier times are not sent again.
    era: u32,
}

/// What came of a record that was handed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// There is nothing to do about it yet.
    Taken,
    /// There may be something to send, or a batch whose time has begun.
    TakenWithNews,
    /// There is no room, or nobody knows its partitions yet: it was not taken.
    NotYet,
}

/// What there is to do.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) requests: BTreeMap<Endpoint, Vec<Flight>>,
    /// Whether somebody's leader or partitions are not known.
    pub(super) has_lost: bool,
    /// Whether nobody was ever asked about a topic that is wanted.
    pub(super) has_new: bool,
    /// When there is more to do, if nothing happens until then.
    pub(super) next: Option<Instant>,
}

impl Due {
    fn again_at(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl Queue {
    /// Copies a record into the batch of its partition. `mark`: what is told of it later.
    pub(super) fn append(
        &mut self,
        config: &ProducerConfig,
        topic: &str,
        record: &RecordToSend<'_>,
        mark: u64,
    ) -> Result<Appended, ProduceError> {
        let at = self.topic(topic);
        let queue = &mut self.topics[at];
        if let Some(refusal) = queue.refusal.take() {
            return Err(ProduceError::Refused(refusal));
        }
        let size = record.max_size();
        let limit = config.max_request_size.min(config.buffer_memory);
        if RECORDS + size > limit {
            return Err(ProduceError::TooLarge { size, limit });
        }
        if record.partition.is_some_and(|partition| partition < 0) {
            return Err(ProduceError::NoPartition(record.partition.unwrap_or_default()));
        }
        // A partition that is not there may have been added since the topic was looked at.
        let is_there = |partition: i32| usize::try_from(partition).is_ok_and(|place| place < queue.count);
        if queue.count == 0 || record.partition.is_some_and(|partition| !is_there(partition)) {
            queue.is_wanted = true;
            return Ok(Appended::NotYet);
        }
        if self.used > 0 && self.used + RECORDS + size > config.buffer_memory {
            self.is_pressed = true;
            return Ok(Appended::NotYet);
        }
        let (place, was_full) = queue.place(config, record, size);
        let partition = &mut queue.partitions[place];
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let is_new = partition.open.is_none();
        let before = partition.open.as_ref().map_or(0, |open| open.builder.len());
        let (spare, touched, era) = (&mut self.spare, &mut queue.touched, self.era);
        let open = partition.open.get_or_insert_with(|| {
            *touched = Instant::now();
            // Whoever has just filled a batch is about to fill another; one with little in it needs no such room.
            let spare = if was_full { spare.pop() } else { None };
            Open::new(spare.unwrap_or_default(), *touched, era)
        });
        open.append(record, timestamp, mark);
        self.used += open.builder.len() - before;
        let is_first = is_new && !partition.is_under_way;
        if is_first {
            self.waiting.insert((at, place));
        }
        Ok(if is_first || was_full { Appended::TakenWithNews } else { Appended::Taken })
    }

    /// Takes out batches whose time is over.
    pub(super) fn take_expired(&mut self, timeout: Duration, now: Instant) -> Vec<Flight> {
        let mut expired = Vec::new();
        self.waiting.retain(|key| {
            let topic = &mut self.topics[key.0];
            let partition = &mut topic.partitions[key.1];
            if partition.began().is_none_or(|began| began + timeout > now) {
                return true;
            }
            let batch = partition.pop();
            expired.extend(batch.map(|batch| Flight { key: *key, topic: topic.name.clone(), batch }));
            partition.is_under_way = true;
            false
        });
        expired
    }

    /// Takes out what can be sent to whom is not busy, unless nothing `may_go`.
    pub(super) fn take_due(
        &mut self,
        config: &ProducerConfig,
        now: Instant,
        busy: &HashSet<Endpoint>,
        may_go: bool,
    ) -> Due {
        let has_new = self.topics.iter().any(|topic| topic.is_wanted && !topic.is_asked);
        let mut due =
            Due { has_new, has_lost: self.topics.iter().any(|topic| topic.is_wanted), ..Due::default() };
        let mut first_left: Option<Key> = None;
        let mut full: HashSet<Endpoint> = HashSet::new();
        let in_turn: Vec<Key> =
            self.waiting.range(self.turn..).chain(self.waiting.range(..self.turn)).copied().collect();
        for key in in_turn {
            let topic = &mut self.topics[key.0];
            let partition = &mut topic.partitions[key.1];
            if let Some(began) = partition.began() {
                due.again_at(began + config.delivery_timeout);
            }
            if !may_go {
                continue;
            }
            let Some(leader) = &partition.leader else {
                due.has_lost = true;
                continue;
            };
            if let Some(at) = partition.not_before.filter(|at| *at > now) {
                due.again_at(at);
                continue;
            }
            if busy.contains(leader) || full.contains(leader) {
                continue;
            }
            if let (true, Some(open)) = (partition.closed.is_empty(), &partition.open)
                && !self.is_pressed
                && open.builder.len() < config.batch_size
                && now < open.began + config.linger
            {
                due.again_at(open.began + config.linger);
                continue;
            }
            let request = due.requests.entry(leader.clone()).or_default();
            let taken: usize = request.iter().map(|flight| flight.batch.size).sum();
            if taken > 0 && taken + partition.first_size() > config.max_request_size {
                // Nobody overtakes it: it is the first of the next request.
                full.insert(leader.clone());
                first_left.get_or_insert(key);
                continue;
            }
            if partition.closed.is_empty() {
                // Whoever comes next may as well go elsewhere.
                topic.sticky = None;
            }
            let Some(batch) = partition.pop() else { continue };
            partition.is_under_way = true;
            self.waiting.remove(&key);
            self.turn = (key.0, key.1 + 1);
            request.push(Flight { key, topic: topic.name.clone(), batch });
        }
        self.turn = first_left.unwrap_or(self.turn);
        due
    }

    /// What is known of a topic: the leaders of its partitions, in their order. Returns a partition that has something to
    /// send, and nobody to send it to.
    pub(super) fn learn(&mut self, topic: &str, leaders: Vec<Option<Endpoint>>) -> Option<usize> {
        let at = self.topic(topic);
        self.topics[at].learn(leaders)
    }

    /// What was taken out before this has changed is not to be sent.
    pub(super) fn era(&self) -> u32 {
        self.era
    }

    /// Nobody knows a topic yet. Whoever still wants it says so again.
    pub(super) fn learn_nothing(&mut self, topic: &str) {
        let at = self.topic(topic);
        self.topics[at].is_wanted = false;
    }

    /// Nobody may write to a topic. Returns what was waiting for it.
    pub(super) fn refuse(&mut self, topic: &str, code: ResponseError) -> (ApiRefusal, Vec<Flight>) {
        let at = self.topic(topic);
        let refusal =
            ApiRefusal { api: ApiKey::Metadata, subject: format!("topic {topic}"), code, message: None };
        let queue = &mut self.topics[at];
        (queue.refusal, queue.is_wanted) = (Some(refusal.clone()), false);
        // Asked for again when somebody tries again.
        let partitions = &mut queue.partitions;
        let mut flights = Vec::new();
        for (place, partition) in partitions.iter_mut().enumerate() {
            while let Some(batch) = partition.pop() {
                flights.push(Flight { key: (at, place), topic: queue.name.clone(), batch });
            }
            self.waiting.remove(&(at, place));
        }
        (refusal, flights)
    }

    /// Takes out everything that is not on its way.
    pub(super) fn drain(&mut self) -> Vec<Flight> {
        let mut flights = Vec::new();
        for key in std::mem::take(&mut self.waiting) {
            let topic = &mut self.topics[key.0];
            while let Some(batch) = topic.partitions[key.1].pop() {
                flights.push(Flight { key, topic: topic.name.clone(), batch });
            }
        }
        flights
    }

    /// Whether there is something to send.
    pub(super) fn has_batches(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The topics that somebody writes to, and whether one of them may have to be made first.
    pub(super) fn topics(&mut self, now: Instant) -> (Vec<Arc<str>>, bool) {
        let is_used = |topic: &&TopicQueue| {
            topic.is_wanted
                || topic.touched + IDLE > now
                || topic.partitions.iter().any(|partition| partition.has_batches())
        };
        let names = self.topics.iter().filter(is_used).map(|topic| topic.name.clone()).collect();
        self.topics.iter_mut().for_each(|topic| topic.is_asked |= topic.is_wanted);
        (names, self.topics.iter().any(|topic| topic.is_wanted || topic.stuck().is_some()))
    }

    /// Who leads a partition has to be found out again.
    pub(super) fn forget_leader(&mut self, key: Key) {
        self.topics[key.0].partitions[key.1].leader = None;
    }

    /// A batch is done with, in one way or the other: its memory is free.
    pub(super) fn free(&mut self, batch: Batch, batch_size: usize) {
        self.used -= batch.size;
        self.is_pressed = false;
        if let Body::Sealed { bytes, .. } = batch.body
            && self.spare.len() < SPARES
            && bytes.is_unique()
            && bytes.len() > batch_size / 2
        {
            // One that was full: it will be again.
            self.spare.push(bytes.into());
        }
        if self.used == 0 {
            self.spare.clear();
        }
    }

    /// A batch has to be sent again, before all that came after it.
    pub(super) fn put_back(&mut self, flight: Flight, not_before: Instant) {
        let Flight { key, batch, .. } = flight;
        if batch.era == self.era {
            self.topics[key.0].partitions[key.1].closed.push_front(batch);
        } else {
            self.used -= batch.size;
        }
        self.rest(key, Some(not_before));
    }

    /// Whatever is here is forgotten, and what is on its way is not sent again.
    pub(super) fn discard(&mut self) {
        self.era = self.era.wrapping_add(1);
        for flight in self.drain() {
            self.used -= flight.batch.size;
        }
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            // Behind what is on its way.
            while let Some(batch) = partition.pop() {
                self.used -= batch.size;
            }
        }
        self.is_pressed = false;
    }

    /// In the place of a batch that was too large, its halves. Later ones are not larger than these.
    pub(super) fn replace(&mut self, flight: Flight, halves: [Batch; 2]) {
        if flight.batch.era != self.era {
            return self.put_back(flight, Instant::now());
        }
        self.used -= flight.batch.size;
        self.used += halves.iter().map(|half| half.size).sum::<usize>();
        let topic = &mut self.topics[flight.key.0];
        topic.batch_limit = topic.batch_limit.min(flight.batch.size / 2);
        let partition = &mut topic.partitions[flight.key.1];
        for half in halves.into_iter().rev() {
            partition.closed.push_front(half);
        }
        self.rest(flight.key, None);
    }

    /// The number of a batch's first record.
    pub(super) fn sequence(&mut self, key: Key, count: i32) -> i32 {
        self.topics[key.0].partitions[key.1].sequence(count)
    }

    /// The broker has refused a batch: its numbers are those of the next one.
    pub(super) fn take_back_sequence(&mut self, flight: &Flight) {
        if let Some(sequence) = flight.batch.sequence {
            self.topics[flight.key.0].partitions[flight.key.1].next_sequence = sequence.first;
        }
    }

    /// Numbers begin anew, for what waits too.
    pub(super) fn forget_sequences(&mut self) {
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.forget_sequences();
        }
    }

    /// A partition has no batch on its way: the next one's turn has come.
    pub(super) fn rest(&mut self, key: Key, not_before: Option<Instant>) {
        let partition = &mut self.topics[key.0].partitions[key.1];
        partition.is_under_way = false;
        partition.not_before = not_before;
        if partition.has_batches() {
            self.waiting.insert(key);
        }
    }

    fn topic(&mut self, name: &str) -> usize {
        if self.topics.get(self.last).is_some_and(|last| *last.name == *name) {
            return self.last;
        }
        self.last = match self.names.get(name) {
            Some(at) => *at,
            None => {
                self.topics.push(TopicQueue::new(name));
                self.names.insert(name.to_owned(), self.topics.len() - 1);
                self.topics.len() - 1
            }
        };
        self.last
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
