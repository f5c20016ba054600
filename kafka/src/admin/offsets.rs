//! Offsets: of partitions, and those that groups have committed.

use std::collections::BTreeMap;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ApiKey, BrokerId as WireBrokerId, GroupId, ListOffsetsRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};

use crate::admin::groups::subject;
use crate::admin::{left_out, text, verdict};
use crate::client::Client;
use crate::endpoint::{Endpoint, TopicPartition};
use crate::error::{ApiRefusal, Error};
use crate::retry::Retry;
use crate::route::Route;
use crate::wire::AnyRequest;

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    Earliest,
    /// One behind the last record, transactions under way included.
    Latest,
    /// Behind the last record that no transaction under way can take back.
    LastStable,
    /// The first record at this time or later, in milliseconds since 1970; -1 when there is none.
    Timestamp(i64),
}

impl OffsetSpec {
    fn wire(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest | Self::LastStable => -1,
            Self::Timestamp(milliseconds) => milliseconds,
        }
    }
}

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    pub metadata: String,
}

impl Client {
    /// One offset of each partition; the brokers that lead them are asked together. The first refusal of one partition
    /// is the error of all.
    pub async fn list_offsets(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let mut retry = Retry::new(ApiKey::ListOffsets, self.inner.config.api_timeout);
        let mut found = BTreeMap::new();
        loop {
            let missing: Vec<&TopicPartition> =
                partitions.iter().filter(|partition| !found.contains_key(*partition)).collect();
            match self.list_some_offsets(&missing, spec, &mut found).await {
                Ok(()) => return Ok(found),
                Err(error) => self.recover(&mut retry, error).await?,
            }
        }
    }

    async fn list_some_offsets(
        &self,
        partitions: &[&TopicPartition],
        spec: OffsetSpec,
        found: &mut BTreeMap<TopicPartition, i64>,
    ) -> Result<(), Error> {
        let mut by_leader: BTreeMap<Endpoint, Vec<TopicPartition>> = BTreeMap::new();
        for partition in partitions {
            let leader = self.resolve(Route::Leader(partition)).await?;
            by_leader.entry(leader).or_default().push((*partition).clone());
        }
        for (leader, partitions) in by_leader {
            for (partition, offset) in self.list_offsets_of(&leader, &partitions, spec).await? {
                let refused = |refusal| Error::Refused { broker: leader.clone(), refusal };
                found.insert(partition, offset.map_err(refused)?);
            }
            if let Some(partition) = partitions.iter().find(|partition| !found.contains_key(*partition)) {
                let what = partition.to_string();
                return Err(Error::Incomplete { broker: leader, api: ApiKey::ListOffsets, what });
            }
        }
        Ok(())
    }

    /// Asks one broker, once.
    pub(crate) async fn list_offsets_of(
        &self,
        leader: &Endpoint,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, Result<i64, ApiRefusal>>, Error> {
        let request = list_offsets_request(partitions, spec);
        let timeout_ms = self.timeout_ms();
        let request = AnyRequest::new(move |version| {
            let request = request.clone();
            if version >= 10 { request.with_timeout_ms(timeout_ms) } else { request }
        });
        let response = self.call::<ListOffsetsRequest>(leader, request).await?;
        let results = response.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|result| {
                let partition = TopicPartition::new(topic.name.to_string(), result.partition_index);
                let verdict = verdict(ApiKey::ListOffsets, partition.to_string(), result.error_code, None);
                (partition, verdict.map(|()| result.offset))
            })
        });
        Ok(results.collect())
    }

    /// Everything that a group has committed; empty for a group that does not exist.
    pub async fn fetch_offsets(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, Error> {
        let group_id = GroupId(text(group));
        self.send(
            Route::Group(group),
            move |version| {
                let request = OffsetFetchRequest::default();
                let request = if version >= 7 { request.with_require_stable(true) } else { request };
                match version {
                    ..8 => request.with_group_id(group_id.clone()).with_topics(None),
                    8.. => {
                        let all = OffsetFetchRequestGroup::default()
                            .with_group_id(group_id.clone())
                            .with_topics(None);
                        request.with_topics(Some(Vec::new())).with_groups(vec![all])
                    }
                }
            },
            |response| read_committed(group, response),
        )
        .await
    }

    /// Commits offsets for a group that has no members at the moment.
    pub async fn alter_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<(), Error> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (partition, committed) in offsets {
            let wanted = OffsetCommitRequestPartition::default()
                .with_partition_index(partition.partition)
                .with_committed_offset(committed.offset)
                .with_committed_metadata(Some(text(&committed.metadata)));
            topics.entry(&partition.topic).or_default().push(wanted);
        }
        let topic = |(name, partitions): (&str, Vec<OffsetCommitRequestPartition>)| {
            OffsetCommitRequestTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
        };
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics.into_iter().map(topic).collect());
        self.send(
            Route::Group(group),
            move |_version| request.clone(),
            |response| {
                for topic in &response.topics {
                    for partition in &topic.partitions {
                        let subject = format!("{} for {}", *topic.name, subject(group));
                        verdict(ApiKey::OffsetCommit, subject, partition.error_code, None)?;
                    }
                }
                Ok(())
            },
        )
        .await
    }

    /// Removes what a group has committed for partitions of topics that none of its members reads.
    pub async fn delete_offsets(&self, group: &str, partitions: &[TopicPartition]) -> Result<(), Error> {
        let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for partition in partitions {
            let wanted = OffsetDeleteRequestPartition::default().with_partition_index(partition.partition);
            topics.entry(&partition.topic).or_default().push(wanted);
        }
        let topic = |(name, partitions): (&str, Vec<OffsetDeleteRequestPartition>)| {
            OffsetDeleteRequestTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
        };
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics.into_iter().map(topic).collect());
        self.send(
            Route::Group(group),
            move |_version| request.clone(),
            |response| {
                verdict(ApiKey::OffsetDelete, subject(group), response.error_code, None)?;
                for topic in &response.topics {
                    for partition in &topic.partitions {
                        let subject = format!("{} for {}", *topic.name, subject(group));
                        verdict(ApiKey::OffsetDelete, subject, partition.error_code, None)?;
                    }
                }
                Ok(())
            },
        )
        .await
    }
}

fn list_offsets_request(partitions: &[TopicPartition], spec: OffsetSpec) -> ListOffsetsRequest {
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for partition in partitions {
        let wanted = ListOffsetsPartition::default()
            .with_partition_index(partition.partition)
            .with_timestamp(spec.wire());
        topics.entry(&partition.topic).or_default().push(wanted);
    }
    let topic = |(name, partitions): (&str, Vec<ListOffsetsPartition>)| {
        ListOffsetsTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
    };
    ListOffsetsRequest::default()
        .with_replica_id(WireBrokerId(-1))
        .with_isolation_level(i8::from(spec == OffsetSpec::LastStable))
        .with_topics(topics.into_iter().map(topic).collect())
}

fn read_committed(
    group: &str,
    response: OffsetFetchResponse,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>, ApiRefusal> {
    let api = ApiKey::OffsetFetch;
    let mut found = BTreeMap::new();
    let mut add = |topic: &TopicName, partition, offset: i64, metadata: Option<String>, code| {
        let partition = TopicPartition::new(topic.to_string(), partition);
        verdict(api, format!("{partition} of {}", subject(group)), code, None)?;
        if offset >= 0 {
            found.insert(partition, CommittedOffset { offset, metadata: metadata.unwrap_or_default() });
        }
        Ok(())
    };
    verdict(api, subject(group), response.error_code, None)?;
    for topic in &response.topics {
        for partition in &topic.partitions {
            let metadata = partition.metadata.as_ref().map(ToString::to_string);
            let (index, offset) = (partition.partition_index, partition.committed_offset);
            add(&topic.name, index, offset, metadata, partition.error_code)?;
        }
    }
    for answered in &response.groups {
        if *answered.group_id.0 != *group {
            return Err(left_out(api, subject(group)));
        }
        verdict(api, subject(group), answered.error_code, None)?;
        for topic in &answered.topics {
            for partition in &topic.partitions {
                let metadata = partition.metadata.as_ref().map(ToString::to_string);
                let (index, offset) = (partition.partition_index, partition.committed_offset);
                add(&topic.name, index, offset, metadata, partition.error_code)?;
            }
        }
    }
    Ok(found)
}
