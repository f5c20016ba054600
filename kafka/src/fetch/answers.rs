//! What becomes of answers, and which of them nobody can help.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use tokio::time::{Instant, sleep};

use super::asking::Event;
use super::fetcher::Fetcher;
use super::record_set::RecordSet;
use super::request::{Answer, Found, Wanted};
use super::{FetchError, OffsetReset};
use crate::endpoint::{Endpoint, TopicPartition};
use crate::error::{ApiRefusal, Error};

/// For so long nobody needs to be told of a refusal: so it begins with every new topic, and whenever a leader moves.
const UNREMARKABLE: Duration = Duration::from_secs(2);

impl Fetcher {
    pub(super) fn take_in(&mut self, event: Event) -> Result<(), FetchError> {
        self.has_news = true;
        match event {
            Event::Answered { broker, is_kept, answer } => {
                self.release(&broker, is_kept);
                self.take_answer(broker, answer)
            }
            Event::Failed { broker, is_kept, wanted, error } => {
                self.release(&broker, is_kept);
                for wanted in wanted {
                    if let Some(reading) = self.questioned(&wanted.partition, wanted.generation) {
                        reading.replica = None;
                    }
                }
                self.leave(&broker, &error);
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
            Event::Located(found) => self.take_leaders(found),
            Event::Positioned { broker, asked, found } => self.take_positions(&broker, asked, found),
        }
    }

    fn take_answer(&mut self, broker: Endpoint, answer: Answer) -> Result<(), FetchError> {
        if self.failing.remove(&broker) {
            tracing::info!(%broker, "the broker answers again");
        }
        let mut result = Ok(());
        for (wanted, found) in answer.found {
            result = result.and(self.take_partition(&broker, wanted, found));
        }
        if !answer.throttle.is_zero() {
            self.busy.insert(broker.clone());
            self.under_way.push(sleep(answer.throttle).map(|()| Event::Rested(broker)).boxed());
        }
        result
    }

    /// A broker has answered a request, or nobody has.
    fn release(&mut self, broker: &Endpoint, is_kept: bool) {
        let asked = if is_kept { &mut self.keeping } else { &mut self.busy };
        asked.remove(broker);
    }

    fn take_partition(
        &mut self,
        broker: &Endpoint,
        wanted: Wanted,
        found: Result<Found, ResponseError>,
    ) -> Result<(), FetchError> {
        let Wanted { partition, offset, generation } = wanted;
        let (checks_crc, reset, lease) =
            (self.config.checks_crc, self.config.reset, self.config.metadata_max_age);
        self.turn += 1;
        let turn = self.turn;
        let Some(reading) = self.questioned(&partition, generation) else { return Ok(()) };
        match found {
            Ok(Found { batches, aborted, preferred }) => {
                (reading.failing_since, reading.is_told) = (None, false);
                if let Some(replica) = preferred {
                    reading.replica = Some((replica, Instant::now() + lease));
                }
                let set = RecordSet::new(batches, offset, checks_crc, aborted);
                match set.end() {
                    Err(source) => return Err(FetchError::Records { partition, source }),
                    Ok(None) => {}
                    Ok(Some(end)) => {
                        reading.ahead = Some(end);
                        reading.turn = turn;
                        reading.sets.push_back(set);
                        self.arrived.push_back(partition.clone());
                    }
                }
                if preferred.is_some_and(|id| self.client.state().view.broker(id).is_none()) {
                    // Nobody here knows that broker: the cluster is looked at again before the leader is asked.
                    self.client.state().view.forget_leader(&partition);
                    self.rest(partition);
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
                self.refused(ApiKey::Fetch, broker, partition, code)
            }
        }
    }

    fn take_leaders(
        &mut self,
        found: Result<Vec<(TopicPartition, ResponseError)>, Error>,
    ) -> Result<(), FetchError> {
        self.is_locating = false;
        match found {
            Ok(leaderless) => {
                self.is_blind = false;
                self.located_at = Instant::now();
                let mut result = Ok(());
                for (partition, code) in leaderless {
                    result = result.and(self.judge(ApiKey::Metadata, None, &partition, code));
                }
                result
            }
            Err(error) => {
                say(&mut self.is_blind, "looking for leaders", &error);
                Ok(())
            }
        }
    }

    fn take_positions(
        &mut self,
        broker: &Endpoint,
        asked: Vec<(TopicPartition, u64)>,
        found: Result<BTreeMap<TopicPartition, Result<i64, ApiRefusal>>, Error>,
    ) -> Result<(), FetchError> {
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                for (partition, generation) in &asked {
                    self.questioned(partition, *generation);
                }
                self.leave(broker, &error);
                return Ok(());
            }
        };
        let mut result = Ok(());
        for (partition, generation) in asked {
            let Some(reading) = self.questioned(&partition, generation) else { continue };
            let taken = match found.remove(&partition) {
                Some(Ok(offset)) => {
                    tracing::info!(%partition, offset, "reading from where auto.offset.reset says");
                    reading.ahead = Some(offset);
                    Ok(())
                }
                Some(Err(refusal)) => self.refused(refusal.api, broker, partition, refusal.code),
                None => {
                    self.refused(ApiKey::ListOffsets, broker, partition, ResponseError::UnknownServerError)
                }
            };
            result = result.and(taken);
        }
        result
    }

    /// A broker has not answered: what it led may be led by others.
    fn leave(&mut self, broker: &Endpoint, error: &Error) {
        self.client.state().view.forget_leads_of(broker);
        self.client.avoid(broker);
        let mut is_known = !self.failing.insert(broker.clone());
        say(&mut is_known, "reading", error);
    }

    /// A broker does not serve a partition: it is asked for again after a while, of whoever leads it then.
    fn refused(
        &mut self,
        api: ApiKey,
        broker: &Endpoint,
        partition: TopicPartition,
        code: ResponseError,
    ) -> Result<(), FetchError> {
        let judged = self.judge(api, Some(broker), &partition, code);
        self.client.state().view.forget_leader(&partition);
        self.rest(partition);
        judged
    }

    /// Whether a refusal passes; it is said once until the partition is read again, if it lasts.
    fn judge(
        &mut self,
        api: ApiKey,
        broker: Option<&Endpoint>,
        partition: &TopicPartition,
        code: ResponseError,
    ) -> Result<(), FetchError> {
        let Some(reading) = self.partitions.get_mut(partition) else { return Ok(()) };
        let refusal = ApiRefusal { api, subject: partition.to_string(), code, message: None };
        let is_told = self.config.tells_unknown && code == ResponseError::UnknownTopicOrPartition;
        if is_told || !is_passing(code) {
            return Err(FetchError::Partition { partition: partition.clone(), source: refusal });
        }
        let broker = broker.map(tracing::field::display);
        let since = *reading.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() < UNREMARKABLE || std::mem::replace(&mut reading.is_told, true) {
            tracing::debug!(%partition, broker, error = %refusal, "reading, still trying");
        } else {
            tracing::warn!(%partition, broker, error = %refusal, "reading, still trying");
        }
        Ok(())
    }
}

/// Says once that nobody answers.
fn say(is_said: &mut bool, what: &str, error: &Error) {
    let error = error as &dyn std::error::Error;
    if std::mem::replace(is_said, true) {
        tracing::debug!(error, "{what}, still trying");
    } else {
        tracing::warn!(error, "{what}, still trying");
    }
}

/// Whether time may help against a refusal.
fn is_passing(code: ResponseError) -> bool {
    !matches!(
        code,
        ResponseError::TopicAuthorizationFailed
            | ResponseError::ClusterAuthorizationFailed
            | ResponseError::InvalidTopicException
            | ResponseError::CorruptMessage
            | ResponseError::InvalidRequest
    )
}
