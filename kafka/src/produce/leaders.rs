//! Who leads the partitions that are written to.

use std::collections::HashMap;

use futures::FutureExt;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use kafka_protocol::messages::{ApiKey, BrokerId, MetadataResponse};
use tokio::time::{Instant, sleep};

use super::ProduceError;
use super::sender::{Event, METADATA, PAUSE, Sender};
use crate::endpoint::Endpoint;
use crate::error::{ApiRefusal, Error};
use crate::route;

impl Sender {
    pub(super) fn locate(&mut self) {
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

    pub(super) fn take_leaders(&mut self, found: Result<MetadataResponse, Error>) {
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
            if let Some(name) = &topic.name {
                self.take_topic(name.as_str(), topic, &brokers);
            }
        }
        self.shared.room.notify_waiters();
    }

    fn take_topic(
        &mut self,
        name: &str,
        topic: &MetadataResponseTopic,
        brokers: &HashMap<BrokerId, Endpoint>,
    ) {
        use ResponseError::{InvalidTopicException, LeaderNotAvailable, TopicAuthorizationFailed};
        let subject = format!("topic {name}");
        match ResponseError::try_from_code(topic.error_code) {
            Some(code @ (TopicAuthorizationFailed | InvalidTopicException)) => {
                let (refusal, flights) = self.shared.queue().refuse(name, code);
                self.drop_all(flights, &ProduceError::Refused(refusal));
            }
            Some(code) => {
                self.shared.queue().learn_nothing(name);
                self.ails(subject.clone(), &refusal(subject, code));
            }
            None => {
                self.heals(|| subject);
                let count = topic.partitions.iter().map(|p| p.partition_index + 1).max().unwrap_or(0);
                let mut leaders = vec![None; usize::try_from(count).unwrap_or(0)];
                for partition in &topic.partitions {
                    if let Some(leader) = leaders.get_mut(partition.partition_index as usize) {
                        *leader = brokers.get(&partition.leader_id).cloned();
                    }
                }
                let stuck = self.shared.queue().learn(name, leaders);
                if let Some(partition) = stuck {
                    let subject = format!("{name}-{partition}");
                    self.ails(subject.clone(), &refusal(subject, LeaderNotAvailable));
                }
            }
        }
    }
}

fn refusal(subject: String, code: ResponseError) -> ApiRefusal {
    ApiRefusal { api: ApiKey::Metadata, subject, code, message: None }
}
