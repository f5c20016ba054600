//! What becomes of answers, and which of them nobody can help.

use std::time::Duration;

use futures::FutureExt;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use tokio::time::{Instant, sleep};

use super::asking::Event;
use super::fetcher::Fetcher;
use super::record_set::RecordSet;
use super::request::{Found, Wanted};
use super::{FetchError, OffsetReset};
use crate::endpoint::Endpoint;
use crate::error::{ApiRefusal, Error};

/// For how long a nearer replica is asked before the leader is: `metadata.max.age.ms`.
const REPLICA_LEASE: Duration = Duration::from_secs(300);

impl Fetcher {
    pub(super) fn take_in(&mut self, event: Event) -> Result<(), FetchError> {
        self.has_news = true;
        match event {
            Event::Answered { broker, answer } => {
                if self.failing.remove(&broker) {
                    tracing::info!(%broker, "the broker answers again");
                }
                match answer.throttle {
                    Duration::ZERO => drop(self.busy.remove(&broker)),
                    throttle => {
                        let broker = broker.clone();
                        self.under_way.push(sleep(throttle).map(|()| Event::Rested(broker)).boxed());
                    }
                }
                for (wanted, found) in answer.found {
                    self.take_answer(&broker, wanted, found)?;
                }
                Ok(())
            }
            Event::Failed { broker, wanted, error } => {
                self.busy.remove(&broker);
                self.client.state().view.forget_leader_of_all(&broker);
                for wanted in wanted {
                    if let Some(reading) = self.questioned(&wanted.partition, wanted.generation) {
                        reading.replica = None;
                    }
                }
                let error = &error as &dyn std::error::Error;
                if self.failing.insert(broker.clone()) {
                    tracing::warn!(%broker, error, "fetch, still trying");
                } else {
                    tracing::debug!(%broker, error, "fetch, still trying");
                }
                Ok(())
            }
            Event::Rested(broker) => {
                self.busy.remove(&broker);
                Ok(())
            }
            Event::Paused(partition, generation) => {
                self.questioned(&partition, generation);
                Ok(())
            }
            Event::Located(Ok(refused)) => {
                (self.is_locating, self.is_blind) = (false, false);
                for (partition, source) in refused {
                    if self.partitions.contains_key(&partition) && !is_passing(&source) {
                        return Err(FetchError::Partition { partition, source: source.into() });
                    }
                }
                Ok(())
            }
            Event::Located(Err(error)) => {
                self.is_locating = false;
                let error = &error as &dyn std::error::Error;
                if std::mem::replace(&mut self.is_blind, true) {
                    tracing::debug!(error, "looking for leaders, still trying");
                } else {
                    tracing::warn!(error, "looking for leaders, still trying");
                }
                Ok(())
            }
            Event::Positioned(partition, generation, found) => {
                let Some(reading) = self.questioned(&partition, generation) else { return Ok(()) };
                match found {
                    Ok(offset) => {
                        reading.ahead = Some(offset);
                        tracing::info!(%partition, offset, "reading from where auto.offset.reset says");
                        Ok(())
                    }
                    Err(error) if is_passing(&error) => {
                        tracing::warn!(%partition, error = &error as &dyn std::error::Error, "looking for an offset, still trying");
                        Ok(())
                    }
                    Err(source) => Err(FetchError::Partition { partition, source: source.into() }),
                }
            }
        }
    }

    fn take_answer(
        &mut self,
        broker: &Endpoint,
        wanted: Wanted,
        found: Result<Found, ResponseError>,
    ) -> Result<(), FetchError> {
        let Wanted { partition, offset, generation } = wanted;
        let (checks_crc, reset) = (self.config.checks_crc, self.config.reset);
        self.turn += 1;
        let turn = self.turn;
        let Some(reading) = self.questioned(&partition, generation) else { return Ok(()) };
        match found {
            Ok(Found { batches, aborted, preferred }) => {
                if let Some(replica) = preferred {
                    reading.replica = Some((replica, Instant::now() + REPLICA_LEASE));
                }
                let set = RecordSet::new(batches, offset, checks_crc, aborted);
                match set.end() {
                    Err(source) => return Err(FetchError::Records { partition, source }),
                    Ok(None) => {}
                    Ok(Some(end)) => {
                        reading.ahead = Some(end);
                        reading.turn = turn;
                        reading.sets.push_back(set);
                        self.arrived.push_back(partition);
                    }
                }
                Ok(())
            }
            // The replica may be behind: its leader knows better.
            Err(ResponseError::OffsetOutOfRange) if reading.replica.take().is_some() => Ok(()),
            Err(ResponseError::OffsetOutOfRange) if reset == OffsetReset::None => {
                Err(FetchError::OffsetOutOfRange { partition, offset })
            }
            Err(ResponseError::OffsetOutOfRange) => {
                tracing::warn!(%partition, offset, "the log does not have this offset any more, or not yet");
                reading.ahead = None;
                Ok(())
            }
            Err(code) => {
                reading.replica = None;
                let refusal =
                    ApiRefusal { api: ApiKey::Fetch, subject: partition.to_string(), code, message: None };
                let error = Error::Refused { broker: broker.clone(), refusal };
                if !is_passing(&error) {
                    return Err(FetchError::Partition { partition, source: error.into() });
                }
                tracing::debug!(%partition, %error, "fetch, asking again");
                self.client.state().view.forget_leader(&partition);
                self.rest(partition);
                Ok(())
            }
        }
    }
}

/// Whether time may help against an answer.
fn is_passing(error: &Error) -> bool {
    !matches!(
        error.code(),
        Some(
            ResponseError::TopicAuthorizationFailed
                | ResponseError::ClusterAuthorizationFailed
                | ResponseError::InvalidTopicException
                | ResponseError::CorruptMessage
                | ResponseError::InvalidRequest
        )
    )
}
