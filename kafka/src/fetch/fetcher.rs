//! The state of every partition, and the requests that are under way.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::pending;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::asking::Event;
use super::record_set::RecordSet;
use super::{FetchConfig, FetchError};
use crate::client::Client;
use crate::endpoint::{BrokerId, Endpoint, TopicPartition};
use crate::link::Link;

/// Reads partitions, from a position of each, until told otherwise: what a consumer does once it knows which are its own.
///
/// It is to be asked again and again whether it is [ready](Self::ready); then its [records](Self::records) are taken. What
/// passes by itself is waited for: brokers that go, partitions that move.
pub struct Fetcher {
    pub(super) client: Client,
    pub(super) config: FetchConfig,
    pub(super) partitions: BTreeMap<TopicPartition, Reading>,
    /// Partitions that have records, once per set, in the order in which they came.
    pub(super) arrived: VecDeque<TopicPartition>,
    /// The set that is being read.
    open: Option<(TopicPartition, RecordSet)>,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Brokers that have a request to answer, or want to be left alone.
    pub(super) busy: HashSet<Endpoint>,
    /// Brokers that keep a request for long if there is nothing new. Whoever comes late asks beside it.
    pub(super) keeping: HashSet<Endpoint>,
    /// Brokers whose last request was not answered: said once.
    pub(super) failing: HashSet<Endpoint>,
    pub(super) is_locating: bool,
    /// Nobody could say who leads what: said once.
    pub(super) is_blind: bool,
    /// When it was last heard who leads what.
    pub(super) located_at: Instant,
    /// Connections of our own: requests here wait for records. By broker, and whether for those that are kept for long.
    pub(super) links: HashMap<(Endpoint, bool), Link>,
    /// Whether there may be something to ask since the last look.
    pub(super) has_news: bool,
    /// Counts questions, so that late answers are known.
    pub(super) generation: u64,
    /// Counts answers, so that partitions whose last records came longest ago are served first.
    pub(super) turn: u64,
}

/// How far a partition has been read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Behind everything that was fetched; `None` until it is looked up.
    pub(super) ahead: Option<i64>,
    pub(super) is_paused: bool,
    /// The question that is under way, or the pause before the next.
    pub(super) question: Option<u64>,
    pub(super) sets: VecDeque<RecordSet>,
    /// When records of it last came.
    pub(super) turn: u64,
    /// Asked in place of the leader.
    pub(super) replica: Option<(BrokerId, Instant)>,
    /// It cannot be read since then.
    pub(super) failing_since: Option<Instant>,
    /// That was said.
    pub(super) is_told: bool,
}

impl Fetcher {
    /// Nothing is asked until there is a partition to read and somebody waits for it.
    pub fn new(client: Client, config: FetchConfig) -> Self {
        Self {
            client,
            config,
            partitions: BTreeMap::new(),
            arrived: VecDeque::new(),
            open: None,
            under_way: FuturesUnordered::new(),
            busy: HashSet::new(),
            keeping: HashSet::new(),
            failing: HashSet::new(),
            is_locating: false,
            is_blind: false,
            located_at: Instant::now(),
            links: HashMap::new(),
            has_news: false,
            generation: 0,
            turn: 0,
        }
    }

    /// Reads a partition from `position` on; without one, from where `auto.offset.reset` says.
    pub fn assign(&mut self, partition: TopicPartition, position: Option<i64>) {
        self.drop_records(&partition);
        self.partitions.insert(partition, Reading { ahead: position, ..Reading::default() });
        self.has_news = true;
    }

    /// Reads a partition no more, and forgets what was fetched of it.
    pub fn unassign(&mut self, partition: &TopicPartition) {
        self.drop_records(partition);
        self.partitions.remove(partition);
        if self.partitions.is_empty() {
            self.links.clear();
        }
    }

    /// Reads on from another offset. A partition that is not assigned is left alone.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        self.drop_records(partition);
        if let Some(reading) = self.partitions.get_mut(partition) {
            *reading = Reading { ahead: Some(offset), is_paused: reading.is_paused, ..Reading::default() };
            self.has_news = true;
        }
    }

    /// Gives out no records of a partition until it is resumed. What was fetched is kept.
    pub fn pause(&mut self, partition: &TopicPartition) {
        let Some(reading) = self.partitions.get_mut(partition) else { return };
        reading.is_paused = true;
        if let Some((open, set)) = self.open.take_if(|(open, _)| open == partition) {
            reading.sets.push_front(set);
            self.arrived.push_front(open);
        }
    }

    pub fn resume(&mut self, partition: &TopicPartition) {
        if let Some(reading) = self.partitions.get_mut(partition) {
            reading.is_paused = false;
            self.has_news = true;
        }
    }

    /// Waits until there may be [`Self::records`] to take. Cancel-safe: what was asked goes on.
    pub async fn ready(&mut self) -> Result<(), FetchError> {
        loop {
            while let Some(Some(event)) = self.under_way.next().now_or_never() {
                self.take_in(event)?;
            }
            self.ask()?;
            if self.has_records() {
                // So that what was just asked is on its way while they are worked on.
                if let Some(Some(event)) = self.under_way.next().now_or_never() {
                    self.take_in(event)?;
                }
                return Ok(());
            }
            match self.under_way.next().await {
                Some(event) => self.take_in(event)?,
                // Nothing is assigned, or all of it is paused: somebody has to change that first.
                None => pending().await,
            }
        }
    }

    /// Records that are here already, of one partition; to be called again when they are taken.
    pub fn records(&mut self) -> Option<(&TopicPartition, &mut RecordSet)> {
        if self.open.as_ref().is_none_or(|(_, set)| set.is_taken()) {
            self.open = self.next_set();
            self.has_news = true;
        }
        self.open.as_mut().map(|(partition, set)| (&*partition, set))
    }

    fn next_set(&mut self) -> Option<(TopicPartition, RecordSet)> {
        let place = self.arrived.iter().position(|partition| self.is_readable(partition))?;
        let partition = self.arrived.remove(place)?;
        let set = self.partitions.get_mut(&partition)?.sets.pop_front()?;
        Some((partition, set))
    }

    fn is_readable(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|reading| !reading.is_paused)
    }

    fn has_records(&self) -> bool {
        self.open.as_ref().is_some_and(|(_, set)| !set.is_taken())
            || self.arrived.iter().any(|partition| self.is_readable(partition))
    }

    fn drop_records(&mut self, partition: &TopicPartition) {
        self.open.take_if(|(open, _)| open == partition);
        self.arrived.retain(|arrived| arrived != partition);
    }

    /// The partition, if it still waits for the answer to this question; it waits no longer.
    pub(super) fn questioned(&mut self, partition: &TopicPartition, generation: u64) -> Option<&mut Reading> {
        let reading = self.partitions.get_mut(partition)?;
        reading.question.take_if(|question| *question == generation)?;
        Some(reading)
    }

    /// Notes that a partition waits for an answer; what it waited for before does not count any more.
    pub(super) fn question(&mut self, partition: &TopicPartition) -> u64 {
        self.generation += 1;
        if let Some(reading) = self.partitions.get_mut(partition) {
            reading.question = Some(self.generation);
        }
        self.generation
    }
}
