//! What becomes of a batch that was sent.

use futures::FutureExt;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use tokio::time::{Instant, sleep};

use super::identity::Id;
use super::queue::Flight;
use super::request::{Answer, Verdict};
use super::sender::{Event, Sender};
use super::{ProduceError, ProducerConfig, Stored};
use crate::endpoint::Endpoint;
use crate::error::{ApiRefusal, Error};

impl Sender {
    pub(super) fn take_answer(
        &mut self,
        broker: Endpoint,
        flights: Vec<Flight>,
        answer: Result<Answer, Error>,
    ) {
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

    pub(super) fn fail(&mut self, flight: Flight, error: &ProduceError) {
        self.tell(&flight, error);
        self.done(flight);
    }

    /// Fails batches that were not on their way.
    pub(super) fn drop_all(&mut self, flights: Vec<Flight>, error: &ProduceError) {
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
}

fn refusal(flight: &Flight, code: ResponseError, message: Option<String>) -> ApiRefusal {
    ApiRefusal { api: ApiKey::Produce, subject: flight.partition().to_string(), code, message }
}

/// Whether time may help against a refusal: Kafka's `RetriableException`.
pub(super) fn is_passing(code: ResponseError) -> bool {
    is_about_the_leader(code)
        || matches!(
            code,
            ResponseError::CorruptMessage
                | ResponseError::RequestTimedOut
                | ResponseError::NotEnoughReplicas
                | ResponseError::NotEnoughReplicasAfterAppend
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
