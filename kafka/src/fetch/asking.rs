//! What is asked of whom: records of the leaders, leaders of the cluster, offsets where there are none.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::FutureExt;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
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

/// What is asked beside a request that a broker keeps for longer than this is not kept longer: it is to join the others.
const SHORT_WAIT: Duration = Duration::from_millis(500);

/// Answers of one partition that may wait while records are worked on.
const WAITING_SETS: usize = 2;

/// What comes of a question.
pub(super) enum Event {
    Answered {
        broker: Endpoint,
        is_kept: bool,
        answer: Answer,
    },
    /// Nobody has answered.
    Failed {
        broker: Endpoint,
        is_kept: bool,
        wanted: Vec<Wanted>,
        error: Error,
    },
    /// A broker may be asked again.
    Rested(Endpoint),
    /// A partition may be asked for again.
    Paused(TopicPartition, u64),
    /// Who leads what is known, but for these partitions.
    Located(Result<Vec<(TopicPartition, ResponseError)>, Error>),
    /// Where partitions begin or end.
    Positioned {
        broker: Endpoint,
        asked: Vec<(TopicPartition, u64)>,
        found: Result<BTreeMap<TopicPartition, Result<i64, ApiRefusal>>, Error>,
    },
}

/// What there is to ask.
#[derive(Default)]
struct Questions {
    /// Whether somebody's leader is not known.
    has_lost: bool,
    /// Leader -> partitions that have no position.
    unplaced: BTreeMap<Endpoint, Vec<TopicPartition>>,
    /// Broker -> partitions to read, with when records of them last came.
    wanted: BTreeMap<Endpoint, Vec<(u64, Wanted)>>,
    /// Brokers of which enough waits. To ask them for their other partitions alone would mean to wait for these, while
    /// the busy ones are used up.
    served: HashSet<Endpoint>,
}

impl Fetcher {
    /// Sends what there is to ask, to everybody who is not asked yet.
    pub(super) fn ask(&mut self) -> Result<(), FetchError> {
        if !std::mem::take(&mut self.has_news) {
            return Ok(());
        }
        let Questions { has_lost, unplaced, wanted, served } = self.questions();
        for (leader, partitions) in unplaced {
            self.look_up(leader, partitions)?;
        }
        let is_old = self.located_at.elapsed() >= self.config.metadata_max_age;
        if !self.is_locating && (has_lost || is_old) {
            if is_old {
                // Whoever answers may be wrong for ever, if he alone is asked.
                self.client.try_another_broker();
            }
            self.is_locating = true;
            let partitions = self.partitions.keys().cloned().collect();
            self.under_way.push(locate(self.client.clone(), partitions).boxed());
        }
        for (broker, mut wanted) in wanted {
            if !self.busy.contains(&broker) && !served.contains(&broker) {
                wanted.sort_by_key(|(turn, _)| *turn);
                self.fetch(broker, wanted.into_iter().map(|(_, wanted)| wanted).collect());
            }
        }
        Ok(())
    }

    fn questions(&mut self) -> Questions {
        let now = Instant::now();
        let mut questions = Questions::default();
        let state = self.client.state();
        for (partition, reading) in &mut self.partitions {
            if reading.is_paused || reading.question.is_some() {
                continue;
            }
            reading.replica.take_if(|(_, until)| *until <= now);
            let Some(leader) = state.view.leader(partition) else {
                questions.has_lost = true;
                continue;
            };
            let replica = reading.replica.and_then(|(id, _)| state.view.broker(id));
            let broker = replica.unwrap_or(leader).clone();
            match reading.ahead {
                _ if reading.sets.len() >= WAITING_SETS => drop(questions.served.insert(broker)),
                None => questions.unplaced.entry(leader.clone()).or_default().push(partition.clone()),
                Some(offset) => {
                    let wanted = Wanted { partition: partition.clone(), offset, generation: 0 };
                    questions.wanted.entry(broker).or_default().push((reading.turn, wanted));
                }
            }
        }
        questions
    }

    fn fetch(&mut self, broker: Endpoint, mut wanted: Vec<Wanted>) {
        for wanted in &mut wanted {
            wanted.generation = self.question(&wanted.partition);
        }
        // Partitions that are not asked for by then, because they have just moved here, say, must not wait as long.
        let is_kept = self.config.max_wait > SHORT_WAIT && !self.keeping.contains(&broker);
        let max_wait = if is_kept { self.config.max_wait } else { self.config.max_wait.min(SHORT_WAIT) };
        let asked = if is_kept { &mut self.keeping } else { &mut self.busy };
        asked.insert(broker.clone());
        let link = self.links.entry((broker.clone(), is_kept));
        let link = link.or_insert_with(|| self.client.own_link(&broker)).clone();
        let request = request::build(&self.config, max_wait, &wanted);
        let limit = max_wait + self.client.config().request_timeout;
        let asked = async move {
            match call_on::<FetchRequest>(&link, request, limit).await {
                Ok(response) => Event::Answered { broker, is_kept, answer: request::read(response, wanted) },
                Err(error) => {
                    sleep(PAUSE).await;
                    Event::Failed { broker, is_kept, wanted, error }
                }
            }
        };
        self.under_way.push(asked.boxed());
    }

    /// Asks where partitions begin or end.
    fn look_up(&mut self, leader: Endpoint, partitions: Vec<TopicPartition>) -> Result<(), FetchError> {
        let spec = match (self.config.reset, self.config.isolation) {
            (OffsetReset::None, _) => return Err(FetchError::NoOffset(partitions[0].clone())),
            (OffsetReset::Earliest, _) => OffsetSpec::Earliest,
            (OffsetReset::Latest, Isolation::ReadUncommitted) => OffsetSpec::Latest,
            (OffsetReset::Latest, Isolation::ReadCommitted) => OffsetSpec::LastStable,
        };
        let mut asked = Vec::with_capacity(partitions.len());
        for partition in &partitions {
            asked.push((partition.clone(), self.question(partition)));
        }
        let client = self.client.clone();
        let asking = async move {
            let found = client.list_offsets_of(&leader, &partitions, spec).await;
            if found.is_err() {
                sleep(PAUSE).await;
            }
            Event::Positioned { broker: leader, asked, found }
        };
        self.under_way.push(asking.boxed());
        Ok(())
    }

    /// Leaves a partition alone for a while.
    pub(super) fn rest(&mut self, partition: TopicPartition) {
        let generation = self.question(&partition);
        self.under_way.push(sleep(PAUSE).map(move |()| Event::Paused(partition, generation)).boxed());
    }
}

/// Asks who leads these partitions. The client remembers the answer; what is returned has no leader.
async fn locate(client: Client, partitions: Vec<TopicPartition>) -> Event {
    let mut topics: Vec<&str> = partitions.iter().map(|partition| partition.topic.as_str()).collect();
    topics.dedup();
    let metadata = match client.ask_metadata(&topics).await {
        Ok((_, metadata)) => metadata,
        Err(error) => {
            client.try_another_broker();
            sleep(PAUSE).await;
            return Event::Located(Err(error));
        }
    };
    let code = |partition: &TopicPartition| {
        let named = |name: &str| name == partition.topic;
        let topic = metadata.topics.iter().find(|topic| topic.name.as_ref().is_some_and(|name| named(name)));
        let code = topic.and_then(|topic| ResponseError::try_from_code(topic.error_code));
        code.unwrap_or(ResponseError::LeaderNotAvailable)
    };
    let leaderless = |partition: &TopicPartition| client.state().view.leader(partition).is_none();
    let refused: Vec<_> = partitions
        .iter()
        .filter(|partition| leaderless(partition))
        .map(|partition| (partition.clone(), code(partition)))
        .collect();
    if !refused.is_empty() {
        sleep(PAUSE).await;
    }
    Event::Located(Ok(refused))
}
