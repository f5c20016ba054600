//! Which broker answers which request, and what we remember of the cluster to know it.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::client::Client;
use crate::endpoint::{BrokerId, Endpoint, TopicPartition, is_host};
use crate::error::{ApiRefusal, Error};
use crate::wire::AnyRequest;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Route<'a> {
    Any,
    /// The controller; or any broker, until one refuses to pass the request on.
    Controller,
    Broker(BrokerId),
    /// The group's coordinator.
    Group(&'a str),
    /// The partition's leader.
    Leader(&'a TopicPartition),
}

/// What is known of the cluster; empty until somebody asks, and emptied when an answer shows that it is wrong.
#[derive(Debug, Default)]
pub(crate) struct View {
    brokers: BTreeMap<BrokerId, Endpoint>,
    /// The brokers of the last answer, kept for when nobody who was given at the start is there any more.
    last_known: Vec<Endpoint>,
    controller: Option<BrokerId>,
    coordinators: HashMap<String, Endpoint>,
    leaders: HashMap<TopicPartition, Endpoint>,
}

impl View {
    /// Where everything is has to be asked again; whom to ask is kept.
    pub(crate) fn forget(&mut self) {
        *self = Self { last_known: std::mem::take(&mut self.last_known), ..Self::default() };
    }

    pub(crate) fn broker(&self, id: BrokerId) -> Option<&Endpoint> {
        self.brokers.get(&id)
    }

    pub(crate) fn leader(&self, partition: &TopicPartition) -> Option<&Endpoint> {
        self.leaders.get(partition)
    }

    pub(crate) fn forget_leader(&mut self, partition: &TopicPartition) {
        self.leaders.remove(partition);
    }

    /// Whatever this broker was thought to lead may be elsewhere now.
    pub(crate) fn forget_leads_of(&mut self, broker: &Endpoint) {
        self.leaders.retain(|_, leader| leader != broker);
    }

    fn learn(&mut self, metadata: &MetadataResponse) {
        self.brokers = metadata
            .brokers
            .iter()
            .filter_map(|broker| Some((BrokerId(broker.node_id.0), endpoint(&broker.host, broker.port)?)))
            .collect();
        self.last_known = self.brokers.values().cloned().collect();
        self.controller = Some(BrokerId(metadata.controller_id.0)).filter(|id| self.brokers.contains_key(id));
        for topic in &metadata.topics {
            let Some(name) = &topic.name else { continue };
            for partition in &topic.partitions {
                if let Some(leader) = self.brokers.get(&BrokerId(partition.leader_id.0)) {
                    let key = TopicPartition::new(name.to_string(), partition.partition_index);
                    self.leaders.insert(key, leader.clone());
                }
            }
        }
    }
}

/// An address as brokers advertise it; `None` when it is no address. It may end up in a command that forwards it, so
/// the broker's word is not enough.
pub(crate) fn endpoint(host: &str, port: i32) -> Option<Endpoint> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    is_host(host).then(|| Endpoint::new(host, port))
}

impl Client {
    pub(crate) async fn resolve(&self, route: Route<'_>) -> Result<Endpoint, Error> {
        match route {
            Route::Any => self.any_broker(),
            Route::Controller if !self.state().needs_controller => self.any_broker(),
            Route::Controller => {
                let known = |view: &View| view.controller.and_then(|id| view.brokers.get(&id)).cloned();
                if let Some(controller) = known(&self.state().view) {
                    return Ok(controller);
                }
                let broker = self.ask_metadata(&[]).await?.0;
                Ok(known(&self.state().view).unwrap_or(broker))
            }
            Route::Broker(id) => {
                let known = |view: &View| view.brokers.get(&id).cloned();
                if let Some(broker) = known(&self.state().view) {
                    return Ok(broker);
                }
                let (asked, _) = self.ask_metadata(&[]).await?;
                let found = known(&self.state().view);
                found.ok_or_else(|| {
                    refused(
                        asked,
                        ApiKey::Metadata,
                        &format!("broker {id}"),
                        ResponseError::BrokerNotAvailable,
                    )
                })
            }
            Route::Group(group) => {
                if let Some(coordinator) = self.state().view.coordinators.get(group) {
                    return Ok(coordinator.clone());
                }
                self.ask_coordinator(group).await
            }
            Route::Leader(partition) => {
                let known = |view: &View| view.leaders.get(partition).cloned();
                if let Some(leader) = known(&self.state().view) {
                    return Ok(leader);
                }
                let (asked, metadata) = self.ask_metadata(&[&partition.topic]).await?;
                if let Some(leader) = known(&self.state().view) {
                    return Ok(leader);
                }
                let topic = metadata.topics.first();
                let code = topic.and_then(|topic| ResponseError::try_from_code(topic.error_code));
                let exists = topic.is_some_and(|topic| {
                    topic.partitions.iter().any(|p| p.partition_index == partition.partition)
                });
                let code = match (code, exists) {
                    (Some(code), _) => code,
                    (None, true) => ResponseError::LeaderNotAvailable,
                    (None, false) => ResponseError::UnknownTopicOrPartition,
                };
                Err(refused(asked, ApiKey::Metadata, &partition.to_string(), code))
            }
        }
    }

    /// Asks for the brokers and the given topics, and remembers the answer.
    pub(crate) async fn ask_metadata(&self, topics: &[&str]) -> Result<(Endpoint, MetadataResponse), Error> {
        self.ask_of_topics(topics, false).await
    }

    /// The same, for somebody who writes: brokers may make topics that are not there, if they do so at all.
    pub(crate) async fn ask_metadata_to_write(
        &self,
        topics: &[&str],
        may_create: bool,
    ) -> Result<MetadataResponse, Error> {
        Ok(self.ask_of_topics(topics, may_create).await?.1)
    }

    async fn ask_of_topics(
        &self,
        topics: &[&str],
        may_create: bool,
    ) -> Result<(Endpoint, MetadataResponse), Error> {
        let broker = self.any_broker()?;
        let names: Vec<String> = topics.iter().map(|name| (*name).to_owned()).collect();
        let request = AnyRequest::new(move |version| {
            let request = metadata_request(version, Some(&names));
            let request =
                if version >= 4 { request.with_allow_auto_topic_creation(may_create) } else { request };
            // What we may do there is of no interest here.
            if version >= 8 { request.with_include_topic_authorized_operations(false) } else { request }
        });
        let response = self.call::<MetadataRequest>(&broker, request).await?;
        self.state().view.learn(&response);
        Ok((broker, response))
    }

    pub(crate) async fn ask_coordinator(&self, group: &str) -> Result<Endpoint, Error> {
        let broker = self.any_broker()?;
        let key = StrBytes::from_string(group.to_owned());
        let request = AnyRequest::new(move |version| match version {
            ..4 => FindCoordinatorRequest::default().with_key(key.clone()),
            4.. => FindCoordinatorRequest::default().with_coordinator_keys(vec![key.clone()]),
        });
        let response = self.call::<FindCoordinatorRequest>(&broker, request).await?;
        let coordinator =
            read_coordinator(group, response).map_err(|refusal| Error::Refused { broker, refusal })?;
        self.state().view.coordinators.insert(group.to_owned(), coordinator.clone());
        Ok(coordinator)
    }

    /// A known broker, or a bootstrap server; another one when it is another's turn, until all had theirs.
    pub(crate) fn any_broker(&self) -> Result<Endpoint, Error> {
        let state = self.state();
        let known = &state.view.last_known;
        let given = self.inner.config.bootstrap.iter().filter(|given| !known.contains(given));
        let all: Vec<&Endpoint> = known.iter().chain(given).collect();
        let turn = state.turn.checked_rem(all.len()).ok_or(Error::NoBootstrap)?;
        Ok(all[turn].clone())
    }
}

/// `None` asks for all topics.
pub(crate) fn metadata_request(version: i16, topics: Option<&[String]>) -> MetadataRequest {
    let topics = topics.map(|names| {
        let topic = |name: &String| {
            let name = TopicName(StrBytes::from_string(name.clone()));
            MetadataRequestTopic::default().with_name(Some(name))
        };
        names.iter().map(topic).collect()
    });
    let request = MetadataRequest::default().with_topics(topics);
    let request = if version >= 4 { request.with_allow_auto_topic_creation(false) } else { request };
    if version >= 8 { request.with_include_topic_authorized_operations(true) } else { request }
}

fn read_coordinator(group: &str, response: FindCoordinatorResponse) -> Result<Endpoint, ApiRefusal> {
    let (code, message, host, port) = match response.coordinators.into_iter().next() {
        Some(found) => (found.error_code, found.error_message, found.host, found.port),
        None => (response.error_code, response.error_message, response.host, response.port),
    };
    let refusal = |code| ApiRefusal {
        api: ApiKey::FindCoordinator,
        subject: format!("group `{group}`"),
        code,
        message: message.as_ref().map(ToString::to_string),
    };
    match ResponseError::try_from_code(code) {
        Some(code) => Err(refusal(code)),
        None => endpoint(&host, port).ok_or_else(|| refusal(ResponseError::CoordinatorNotAvailable)),
    }
}

fn refused(broker: Endpoint, api: ApiKey, subject: &str, code: ResponseError) -> Error {
    Error::Refused { broker, refusal: ApiRefusal { api, subject: subject.to_owned(), code, message: None } }
}
