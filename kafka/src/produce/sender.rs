//! The task that sends what is due, and what becomes of answers.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiKey, InitProducerIdRequest, MetadataResponse, ProduceRequest, ProducerId};
use tokio::time::{Instant, sleep, sleep_until};

use super::producer::Shared;
use super::queue::{Body, Due, Flight};
use super::request::{self, Answer, Verdict};
use super::{Deliveries, ProduceError, ProducerConfig, Stored};
use crate::admin::verdict;
use crate::batch::{Compression, Sequence};
use crate::client::{Client, call_on};
use crate::endpoint::Endpoint;
use crate::error::{ApiRefusal, Error, WireError};
use crate::link::Link;
use crate::route::{self, Route};

/// Before it is asked again who leads what.
const PAUSE: Duration = Duration::from_millis(100);

/// How often it is said that something still does not go on.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What may not go on.
const METADATA: &str = "metadata";
const ID: &str = "an id for an idempotent producer";

pub(super) struct Sender {
    shared: Arc<Shared>,
    client: Client,
    deliveries: Arc<dyn Deliveries>,
    under_way: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Brokers that have a request to answer, or want to be left alone.
    busy: HashSet<Endpoint>,
    /// Requests that are not answered.
    in_flight: usize,
    /// Connections of our own: requests here wait for replicas.
    links: HashMap<Endpoint, Link>,
    is_locating: bool,
    /// Who leads what was asked a moment ago.
    is_resting: bool,
    located_at: Option<Instant>,
    /// What nobody could help so far, and when that was said.
    failing: HashMap<String, Instant>,
    id: Id,
}

/// Who we are to brokers that drop what they have already got.
#[derive(Clone, Copy)]
enum Id {
    /// Nobody needs to know.
    Anonymous,
    Unknown,
    Asked,
    /// Asked, and it will be asked again in a moment.
    Refused,
    Known(i64, i16),
}

enum Event {
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
        match self.id {
            Id::Unknown if self.in_flight == 0 && self.shared.queue().has_batches() => self.identify(),
            Id::Unknown | Id::Asked | Id::Refused | Id::Anonymous | Id::Known(..) => {}
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

    fn locate(&mut self) {
        let (topics, may_create) = self.shared.queue().topics(Instant::now());
        if topics.is_empty() {
            self.located_at = None;
            return;
        }
        self.is_locating = true;
        let may_create = may_create && self.shared.config.may_create_topics;
        let client = self.client.clone();
        let asking = async move {
            let topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
            Event::Located(client.ask_metadata_to_write(&topics, may_create).await)
        };
        self.under_way.push(asking.boxed());
    }

    fn identify(&mut self) {
        self.id = Id::Asked;
        self.shared.queue().forget_sequences();
        let client = self.client.clone();
        let asking = async move {
            let request = |_version| InitProducerIdRequest::default().with_transactional_id(None);
            let known = client.send(Route::Any, request, |response| {
                verdict(
                    ApiKey::InitProducerId,
                    "an idempotent producer".to_owned(),
                    response.error_code,
                    None,
                )?;
                Ok((response.producer_id, response.producer_epoch))
            });
            Event::Identified(known.await.map(|(ProducerId(id), epoch)| (id, epoch)))
        };
        self.under_way.push(asking.boxed());
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Answered { broker, flights, answer } => self.take_answer(broker, flights, answer),
            Event::Rested(broker) => drop(self.busy.remove(&broker)),
            Event::Located(found) => self.take_leaders(found),
            Event::MayLocate => self.is_resting = false,
            Event::Identified(Ok((id, epoch))) => {
                self.heals(|| ID.to_owned());
                self.id = Id::Known(id, epoch);
            }
            Event::Identified(Err(error)) => self.take_no_id(error),
            Event::MayIdentify => self.id = Id::Unknown,
        }
    }

    fn take_answer(&mut self, broker: Endpoint, flights: Vec<Flight>, answer: Result<Answer, Error>) {
        self.in_flight -= 1;
        match answer {
            Ok(Answer { throttle, mut verdicts }) => {
                self.heals(|| broker.to_string());
                for flight in flights {
                    let verdict = verdicts.remove(&(flight.topic.to_string(), flight.key.1 as i32));
                    self.judge(&broker, flight, verdict);
                }
                if throttle.is_zero() {
                    self.busy.remove(&broker);
                } else {
                    self.under_way.push(sleep(throttle).map(|()| Event::Rested(broker)).boxed());
                }
            }
            Err(error) => {
                self.ails(broker.to_string(), &error);
                self.client.avoid(&broker);
                // One whose task is gone would fail for ever.
                self.links.remove(&broker);
                for flight in flights {
                    let refusal = refusal(&flight, ResponseError::NetworkException, None);
                    self.again(flight, refusal);
                }
                self.busy.remove(&broker);
            }
        }
    }

    /// What becomes of one batch. A partition that the broker says nothing about is asked for again.
    fn judge(&mut self, broker: &Endpoint, mut flight: Flight, verdict: Option<Verdict>) {
        let (code, message) = match verdict {
            Some(Verdict { code: None, base_offset, .. }) => {
                self.heals(|| flight.partition().to_string());
                return self.acknowledge(flight, (base_offset >= 0).then_some(base_offset));
            }
            // It was written before, and the answer was lost.
            Some(Verdict { code: Some(ResponseError::DuplicateSequenceNumber), .. }) => {
                return self.acknowledge(flight, None);
            }
            Some(Verdict { code: Some(code), message, .. }) => (code, message),
            None => (ResponseError::NetworkException, Some("the broker says nothing of it".to_owned())),
        };
        let refusal = refusal(&flight, code, message);
        match code {
            ResponseError::MessageTooLarge | ResponseError::RecordListTooLarge => {
                match flight.batch.split() {
                    Some(halves) => {
                        tracing::debug!(%broker, error = %refusal, "sending a batch again as two");
                        let mut queue = self.shared.queue();
                        queue.take_back_sequence(&flight);
                        queue.replace(flight, halves);
                    }
                    None => self.refused(flight, refusal),
                }
            }
            ResponseError::OutOfOrderSequenceNumber
            | ResponseError::UnknownProducerId
            | ResponseError::InvalidProducerEpoch
                if self.shared.config.is_idempotent =>
            {
                tracing::warn!(%broker, error = %refusal, "the broker has lost count, beginning anew");
                self.id = Id::Unknown;
                flight.batch.sequence = None;
                self.again(flight, refusal);
            }
            code if is_passing(code) => {
                self.ails(flight.partition().to_string(), &refusal);
                self.again(flight, refusal);
            }
            _ => self.refused(flight, refusal),
        }
    }

    fn refused(&mut self, flight: Flight, refusal: ApiRefusal) {
        if flight.batch.attempts == 0 {
            self.shared.queue().take_back_sequence(&flight);
        } else if self.shared.config.is_idempotent {
            // Whether an earlier attempt was written is not known, and so its numbers cannot be given again.
            self.id = Id::Unknown;
        }
        self.fail(flight, &ProduceError::Refused(refusal));
    }

    /// Sends a batch again a little later, to whoever leads its partition then, unless it had its chances.
    fn again(&mut self, mut flight: Flight, refusal: ApiRefusal) {
        flight.batch.attempts = flight.batch.attempts.saturating_add(1);
        if flight.batch.attempts > self.shared.config.retries {
            return self.fail(flight, &ProduceError::Refused(refusal));
        }
        let ProducerConfig { retry_backoff, retry_backoff_max, .. } = self.shared.config;
        let doubled = 1u32.checked_shl(flight.batch.attempts - 1).unwrap_or(u32::MAX);
        let pause = retry_backoff.saturating_mul(doubled).min(retry_backoff_max.max(retry_backoff));
        let mut queue = self.shared.queue();
        if is_about_the_leader(refusal.code) {
            queue.forget_leader(flight.key);
        }
        queue.put_back(flight, Instant::now() + pause);
        drop(queue);
        // It may have been discarded meanwhile.
        self.shared.room.notify_waiters();
    }

    fn acknowledge(&mut self, flight: Flight, base_offset: Option<i64>) {
        let partition = flight.key.1 as i32;
        let mut offset = base_offset;
        for run in &flight.batch.runs {
            self.deliveries.delivered(*run, Ok(Stored { partition, offset }));
            offset = offset.map(|offset| offset + i64::from(run.count));
        }
        self.done(flight);
    }

    /// The next batch of the partition may go.
    fn done(&mut self, flight: Flight) {
        let mut queue = self.shared.queue();
        queue.free(flight.batch, self.shared.config.batch_size);
        queue.rest(flight.key, None);
        drop(queue);
        self.shared.room.notify_waiters();
    }

    fn fail(&mut self, flight: Flight, error: &ProduceError) {
        self.tell(&flight, error);
        self.done(flight);
    }

    /// Fails batches that were not on their way.
    fn drop_all(&mut self, flights: Vec<Flight>, error: &ProduceError) {
        for flight in flights {
            self.tell(&flight, error);
            self.shared.queue().free(flight.batch, self.shared.config.batch_size);
        }
        self.shared.room.notify_waiters();
    }

    fn tell(&mut self, flight: &Flight, error: &ProduceError) {
        let records = flight.batch.count;
        tracing::warn!(
            partition = %flight.partition(),
            records,
            error = error as &dyn std::error::Error,
            "records were not written"
        );
        for run in &flight.batch.runs {
            self.deliveries.delivered(*run, Err(error));
        }
    }

    fn take_leaders(&mut self, found: Result<MetadataResponse, Error>) {
        // Of what was asked, never without a pause, whatever was heard: it may be the same the next time.
        (self.is_locating, self.is_resting) = (false, true);
        self.under_way.push(sleep(PAUSE).map(|()| Event::MayLocate).boxed());
        let metadata = match found {
            Ok(metadata) => metadata,
            Err(error) => {
                self.client.try_another_broker();
                self.ails(METADATA.to_owned(), &error);
                return;
            }
        };
        self.heals(|| METADATA.to_owned());
        self.located_at = Some(Instant::now());
        let broker = |broker: &MetadataResponseBroker| {
            Some((broker.node_id, route::endpoint(&broker.host, broker.port)?))
        };
        let brokers: HashMap<_, _> = metadata.brokers.iter().filter_map(broker).collect();
        for topic in &metadata.topics {
            let Some(name) = topic.name.as_ref().map(|name| name.to_string()) else { continue };
            match ResponseError::try_from_code(topic.error_code) {
                Some(
                    code @ (ResponseError::TopicAuthorizationFailed | ResponseError::InvalidTopicException),
                ) => {
                    let (refusal, flights) = self.shared.queue().refuse(&name, code);
                    self.drop_all(flights, &ProduceError::Refused(refusal));
                }
                Some(code) => {
                    self.shared.queue().learn_nothing(&name);
                    let subject = format!("topic {name}");
                    let refusal = ApiRefusal { api: ApiKey::Metadata, subject, code, message: None };
                    self.ails(format!("topic {name}"), &refusal);
                }
                None => {
                    self.heals(|| format!("topic {name}"));
                    let count = topic.partitions.iter().map(|p| p.partition_index + 1).max().unwrap_or(0);
                    let mut leaders = vec![None; usize::try_from(count).unwrap_or(0)];
                    for partition in &topic.partitions {
                        if let Some(leader) = leaders.get_mut(partition.partition_index as usize) {
                            *leader = brokers.get(&partition.leader_id).cloned();
                        }
                    }
                    let stuck = self.shared.queue().learn(&name, leaders);
                    if let Some(partition) = stuck {
                        let subject = format!("{name}-{partition}");
                        let code = ResponseError::LeaderNotAvailable;
                        let refusal = ApiRefusal {
                            api: ApiKey::Metadata,
                            subject: subject.clone(),
                            code,
                            message: None,
                        };
                        self.ails(subject, &refusal);
                    }
                }
            }
        }
        self.shared.room.notify_waiters();
    }

    fn take_no_id(&mut self, error: Error) {
        self.ails(ID.to_owned(), &error);
        self.id = Id::Refused;
        self.under_way.push(sleep(PAUSE).map(|()| Event::MayIdentify).boxed());
        let passes = match &error {
            Error::Refused { refusal, .. } => is_passing(refusal.code),
            Error::Unsupported { .. } => false,
            _ => true,
        };
        if !passes {
            let flights = self.shared.queue().drain();
            self.drop_all(flights, &ProduceError::ProducerId(Arc::new(error)));
        }
    }

    /// Says that something does not go on: once, and again after a while.
    fn ails(&mut self, what: String, error: &(dyn std::error::Error + 'static)) {
        let now = Instant::now();
        if self.failing.get(&what).is_some_and(|said| now < *said + SAY_AGAIN) {
            tracing::debug!(what, error, "writing, still trying");
        } else {
            tracing::warn!(what, error, "writing, still trying");
            self.failing.insert(what, now);
        }
    }

    fn heals(&mut self, what: impl FnOnce() -> String) {
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

fn refusal(flight: &Flight, code: ResponseError, message: Option<String>) -> ApiRefusal {
    ApiRefusal { api: ApiKey::Produce, subject: flight.partition().to_string(), code, message }
}

/// Whether time may help against a refusal: Kafka's `RetriableException`.
fn is_passing(code: ResponseError) -> bool {
    matches!(
        code,
        ResponseError::CorruptMessage
            | ResponseError::UnknownTopicOrPartition
            | ResponseError::UnknownTopicId
            | ResponseError::InconsistentTopicId
            | ResponseError::LeaderNotAvailable
            | ResponseError::NotLeaderOrFollower
            | ResponseError::FencedLeaderEpoch
            | ResponseError::UnknownLeaderEpoch
            | ResponseError::RequestTimedOut
            | ResponseError::BrokerNotAvailable
            | ResponseError::ReplicaNotAvailable
            | ResponseError::ListenerNotFound
            | ResponseError::NetworkException
            | ResponseError::NotEnoughReplicas
            | ResponseError::NotEnoughReplicasAfterAppend
            | ResponseError::KafkaStorageError
            | ResponseError::NotController
            | ResponseError::CoordinatorLoadInProgress
            | ResponseError::CoordinatorNotAvailable
            | ResponseError::NotCoordinator
            | ResponseError::ConcurrentTransactions
            | ResponseError::ThrottlingQuotaExceeded
    )
}

/// Whether somebody else may lead the partition now: Kafka's `InvalidMetadataException`.
fn is_about_the_leader(code: ResponseError) -> bool {
    matches!(
        code,
        ResponseError::UnknownTopicOrPartition
            | ResponseError::UnknownTopicId
            | ResponseError::InconsistentTopicId
            | ResponseError::LeaderNotAvailable
            | ResponseError::NotLeaderOrFollower
            | ResponseError::FencedLeaderEpoch
            | ResponseError::UnknownLeaderEpoch
            | ResponseError::BrokerNotAvailable
            | ResponseError::ReplicaNotAvailable
            | ResponseError::ListenerNotFound
            | ResponseError::NetworkException
            | ResponseError::KafkaStorageError
    )
}
