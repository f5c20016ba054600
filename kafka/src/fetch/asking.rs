//! What is asked of whom: records of the leaders, leaders of the cluster, offsets where there are none.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, FetchRequest};
use tokio::time::{Instant, sleep};

use super::fetcher::Fetcher;
use super::request::{self, Answer, Wanted};
use super::{FetchError, Isolation, OffsetReset};
use crate::admin::offsets::OffsetSpec;
use crate::client::{Client, call_on};
use crate::endpoint::{Endpoint, TopicPartition};
use crate::error::{ApiRefusal, Error};

/// Before a question is asked again that somebody could not answer: `retry.backoff.ms`.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers of one partition that may wait while records are worked on.
const WAITING_SETS: usize = 2;

/// What comes of a question.
pub(super) enum Event {
    Answered {
        broker: Endpoint,
        answer: Answer,
    },
    /// Nobody has answered.
    Failed {
        broker: Endpoint,
        wanted: Vec<Wanted>,
        error: Error,
    },
    /// A broker may be asked again.
    Rested(Endpoint),
    /// A partition may be asked for again.
    Paused(TopicPartition, u64),
    Located(Result<Vec<(TopicPartition, Error)>, Error>),
    Positioned(TopicPartition, u64, Result<i64, Error>),
}

impl Fetcher {
    /// Sends what there is to ask, to everybody who is not asked yet.
    pub(super) fn ask(&mut self) -> Result<(), FetchError> {
        if !std::mem::take(&mut self.has_news) {
            return Ok(());
        }
        let now = Instant::now();
        let mut lost = Vec::new();
        let mut unplaced = Vec::new();
        let mut by_broker: BTreeMap<Endpoint, Vec<(u64, Wanted)>> = BTreeMap::new();
        for (partition, reading) in &mut self.partitions {
            if reading.is_paused || reading.question.is_some() || reading.sets.len() >= WAITING_SETS {
                continue;
            }
            let Some(offset) = reading.ahead else {
                unplaced.push(partition.clone());
                continue;
            };
            reading.replica.take_if(|(_, until)| *until <= now);
            let broker = {
                let state = self.client.state();
                let replica = reading.replica.and_then(|(id, _)| state.view.broker(id).cloned());
                replica.or_else(|| state.view.leader(partition).cloned())
            };
            match broker {
                None => lost.push(partition.clone()),
                Some(broker) if self.busy.contains(&broker) => {}
                Some(broker) => {
                    let wanted = Wanted { partition: partition.clone(), offset, generation: 0 };
                    by_broker.entry(broker).or_default().push((reading.turn, wanted));
                }
            }
        }
        for partition in unplaced {
            self.look_up(partition)?;
        }
        if !lost.is_empty() && !self.is_locating {
            self.is_locating = true;
            self.under_way.push(locate(self.client.clone(), lost).boxed());
        }
        for (broker, mut wanted) in by_broker {
            wanted.sort_by_key(|(turn, _)| *turn);
            self.fetch(broker, wanted.into_iter().map(|(_, wanted)| wanted).collect());
        }
        Ok(())
    }

    fn fetch(&mut self, broker: Endpoint, mut wanted: Vec<Wanted>) {
        for wanted in &mut wanted {
            wanted.generation = self.next_generation();
            if let Some(reading) = self.partitions.get_mut(&wanted.partition) {
                reading.question = Some(wanted.generation);
            }
        }
        self.busy.insert(broker.clone());
        let link = self.links.entry(broker.clone()).or_insert_with(|| self.client.own_link(&broker)).clone();
        let request = request::build(&self.config, &wanted);
        let limit = self.config.max_wait + self.client.config().request_timeout;
        let asked = async move {
            match call_on::<FetchRequest>(&link, request, limit).await {
                Ok(response) => Event::Answered { broker, answer: request::read(response, wanted) },
                Err(error) => {
                    sleep(PAUSE).await;
                    Event::Failed { broker, wanted, error }
                }
            }
        };
        self.under_way.push(asked.boxed());
    }

    /// Asks where a partition begins or ends.
    fn look_up(&mut self, partition: TopicPartition) -> Result<(), FetchError> {
        let spec = match (self.config.reset, self.config.isolation) {
            (OffsetReset::None, _) => return Err(FetchError::NoOffset(partition)),
            (OffsetReset::Earliest, _) => OffsetSpec::Earliest,
            (OffsetReset::Latest, Isolation::ReadUncommitted) => OffsetSpec::Latest,
            (OffsetReset::Latest, Isolation::ReadCommitted) => OffsetSpec::LastStable,
        };
        let generation = self.next_generation();
        if let Some(reading) = self.partitions.get_mut(&partition) {
            reading.question = Some(generation);
        }
        let client = self.client.clone();
        let asked = async move {
            let offsets = client.list_offsets(std::slice::from_ref(&partition), spec).await;
            let offset = offsets.map(|offsets| offsets.get(&partition).copied().unwrap_or(0));
            Event::Positioned(partition, generation, offset)
        };
        self.under_way.push(asked.boxed());
        Ok(())
    }

    /// Leaves a partition alone for a while.
    pub(super) fn rest(&mut self, partition: TopicPartition) {
        let generation = self.next_generation();
        if let Some(reading) = self.partitions.get_mut(&partition) {
            reading.question = Some(generation);
            self.under_way.push(sleep(PAUSE).map(move |()| Event::Paused(partition, generation)).boxed());
        }
    }
}

/// Asks who leads these partitions. The client remembers the answer; what is returned are the refusals.
async fn locate(client: Client, partitions: Vec<TopicPartition>) -> Event {
    let mut topics: Vec<&str> = partitions.iter().map(|partition| partition.topic.as_str()).collect();
    topics.dedup();
    let asked = client.ask_metadata(&topics).await;
    let (broker, metadata) = match asked {
        Ok(answer) => answer,
        Err(error) => {
            client.look_afresh();
            sleep(PAUSE).await;
            return Event::Located(Err(error));
        }
    };
    let missing: Vec<&TopicPartition> = {
        let state = client.state();
        partitions.iter().filter(|partition| state.view.leader(partition).is_none()).collect()
    };
    if missing.is_empty() {
        return Event::Located(Ok(Vec::new()));
    }
    let code = |partition: &TopicPartition| {
        let named = |name: &str| name == partition.topic;
        let topic = metadata.topics.iter().find(|topic| topic.name.as_ref().is_some_and(|name| named(name)));
        topic.and_then(|topic| ResponseError::try_from_code(topic.error_code))
    };
    let refused = missing.into_iter().map(|partition| {
        let code = code(partition).unwrap_or(ResponseError::LeaderNotAvailable);
        let refusal =
            ApiRefusal { api: ApiKey::Metadata, subject: partition.to_string(), code, message: None };
        (partition.clone(), Error::Refused { broker: broker.clone(), refusal })
    });
    let refused = refused.collect();
    sleep(PAUSE).await;
    Event::Located(Ok(refused))
}
