//! The task that sends what is due. What becomes of answers: `answers`; who leads what: `leaders`; who we are: `identity`.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kafka_protocol::messages::{ApiKey, MetadataResponse, ProduceRequest};
use tokio::time::{Instant, sleep_until};

use super::identity::Id;
use super::producer::Shared;
use super::queue::{Body, Due, Flight};
use super::request::{self, Answer};
use super::{Deliveries, ProduceError};
use crate::batch::{Compression, Sequence};
use crate::client::{Client, call_on};
use crate::endpoint::Endpoint;
use crate::error::{Error, WireError};
use crate::link::Link;

/// Before it is asked again who leads what.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// How often it is said that something still does not go on.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What may not go on.
pub(super) const METADATA: &str = "metadata";

pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) deliveries: Arc<dyn Deliveries>,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Brokers that have a request to answer, or want to be left alone.
    pub(super) busy: HashSet<Endpoint>,
    /// Requests that are not answered.
    pub(super) in_flight: usize,
    /// Connections of our own: requests here wait for replicas.
    pub(super) links: HashMap<Endpoint, Link>,
    pub(super) is_locating: bool,
    /// Who leads what was asked a moment ago.
    pub(super) is_resting: bool,
    pub(super) located_at: Option<Instant>,
    /// What nobody could help so far, and when that was said.
    pub(super) failing: HashMap<String, Instant>,
    pub(super) id: Id,
}

pub(super) enum Event {
    Answered {
        broker: Endpoint,
        flights: Vec<Flight>,
        answer: Result<Answer, Error>,
    },
    /// A broker may be asked again.
    Rested(Endpoint),
    /// Who leads what.
    Located(Result<MetadataResponse, Error>),
    /// It may be asked again.
    MayLocate,
    Identified(Result<(i64, i16), Error>),
    MayIdentify,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>, client: Client, deliveries: Arc<dyn Deliveries>) -> Self {
        let id = if shared.config.is_idempotent { Id::Unknown } else { Id::Anonymous };
        Self {
            shared,
            client,
            deliveries,
            under_way: FuturesUnordered::new(),
            busy: HashSet::new(),
            in_flight: 0,
            links: HashMap::new(),
            is_locating: false,
            is_resting: false,
            located_at: None,
            failing: HashMap::new(),
            id,
        }
    }

    /// Sends until the producer is dropped.
    pub(super) async fn run(mut self) {
        let shared = self.shared.clone();
        loop {
            if shared.queue().is_closed {
                return;
            }
            let next = self.send_due();
            let later = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Some(event) = self.under_way.next() => self.take_in(event),
                () = shared.news.notified() => {}
                () = later => {}
            }
        }
    }

    /// Returns when there is more to do, if nothing happens until then.
    fn send_due(&mut self) -> Option<Instant> {
        if matches!(self.id, Id::Unknown) && self.in_flight == 0 && self.shared.queue().has_batches() {
            self.identify();
        }
        let (shared, now) = (self.shared.clone(), Instant::now());
        let config = &shared.config;
        loop {
            let expired = self.shared.queue().take_expired(config.delivery_timeout, now);
            if expired.is_empty() {
                break;
            }
            for flight in expired {
                self.fail(flight, &ProduceError::TimedOut(config.delivery_timeout));
            }
        }
        let may_go = matches!(self.id, Id::Anonymous | Id::Known(..));
        let Due { requests, has_lost, has_new, next } =
            self.shared.queue().take_due(config, now, &self.busy, may_go);
        let is_old = self.located_at.is_some_and(|at| at.elapsed() >= config.metadata_max_age);
        if !self.is_locating && (has_new || !self.is_resting && (has_lost || is_old)) {
            if is_old && !self.failing.contains_key(METADATA) {
                // Whoever answers may be wrong for ever, if he alone is asked.
                self.client.try_another_broker();
            }
            self.locate();
        }
        for (broker, flights) in requests {
            self.send(broker, flights);
        }
        next
    }

    fn send(&mut self, broker: Endpoint, mut flights: Vec<Flight>) {
        if let Id::Known(producer_id, producer_epoch) = self.id {
            let mut queue = self.shared.queue();
            for flight in flights.iter_mut().filter(|flight| flight.batch.sequence.is_none()) {
                let first = queue.sequence(flight.key, flight.batch.count);
                flight.batch.sequence = Some(Sequence { producer_id, producer_epoch, first });
            }
        }
        self.busy.insert(broker.clone());
        self.in_flight += 1;
        let link = self.links.entry(broker.clone()).or_insert_with(|| self.client.own_link(&broker)).clone();
        let shared = self.shared.clone();
        let (acks, compression) = (shared.config.acks, shared.config.compression);
        let timeout = self.client.config().request_timeout;
        let asked = async move {
            let flights = seal(flights, compression).await;
            let batches = flights.iter().filter_map(|flight| match &flight.batch.body {
                Body::Sealed { bytes, .. } => Some((&*flight.topic, flight.key.1 as i32, bytes.clone())),
                Body::Closed(_) | Body::Taken => None,
            });
            let request = request::build(acks, timeout, batches.collect());
            let discarded = shared.discarded.notified();
            let is_discarded = flights.iter().any(|flight| flight.batch.era != shared.queue().era());
            let answer = tokio::select! {
                biased;
                // Whatever was not sent by now, because a connection has to be opened first, say, never is.
                () = async { if !is_discarded { discarded.await } } => {
                    let source = WireError::Closed;
                    Err(Error::Wire { broker: broker.clone(), api: ApiKey::Produce, source })
                }
                answer = call_on::<ProduceRequest>(&link, request, timeout) => answer.map(request::read),
            };
            Event::Answered { broker, flights, answer }
        };
        self.under_way.push(asked.boxed());
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Answered { broker, flights, answer } => self.take_answer(broker, flights, answer),
            Event::Rested(broker) => drop(self.busy.remove(&broker)),
            Event::Located(found) => self.take_leaders(found),
            Event::MayLocate => self.is_resting = false,
            Event::Identified(answer) => self.take_id(answer),
            Event::MayIdentify => self.id = Id::Unknown,
        }
    }

    /// Says that something does not go on: once, and again after a while.
    pub(super) fn ails(&mut self, what: String, error: &(dyn std::error::Error + 'static)) {
        let now = Instant::now();
        if self.failing.get(&what).is_some_and(|said| now < *said + SAY_AGAIN) {
            tracing::debug!(what, error, "writing, still trying");
        } else {
            tracing::warn!(what, error, "writing, still trying");
            self.failing.insert(what, now);
        }
    }

    pub(super) fn heals(&mut self, what: impl FnOnce() -> String) {
        if self.failing.is_empty() {
            return;
        }
        let what = what();
        if self.failing.remove(&what).is_some() {
            tracing::info!(what, "writing goes on");
        }
    }
}

/// Makes of every batch what is sent: compressed, numbered, with its checksum.
async fn seal(mut flights: Vec<Flight>, compression: Compression) -> Vec<Flight> {
    let is_heavy = compression != Compression::None
        && flights.iter().any(|flight| matches!(flight.batch.body, Body::Closed(_)));
    let work = move || {
        flights.iter_mut().for_each(|flight| flight.batch.seal(compression));
        flights
    };
    match is_heavy {
        false => work(),
        // Only a runtime that ends cancels it, and no codec's panic gets here.
        true => match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(_) => pending().await,
        },
    }
}
