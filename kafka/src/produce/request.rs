//! One Produce request: batches for partitions of one broker, and what became of each.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName};

use crate::admin::text;
use crate::records::{Acks, LAST_WITH_NAMES};
use crate::wire::AnyRequest;

/// What the frame holds beside batches and names.
const ENVELOPE: usize = 256;
const PER_PARTITION: usize = 64;

/// What a broker says of one partition.
#[derive(Debug)]
pub(super) struct Verdict {
    /// `None` for success.
    pub(super) code: Option<ResponseError>,
    pub(super) message: Option<String>,
    pub(super) base_offset: i64,
}

#[derive(Debug)]
pub(super) struct Answer {
    /// For how long the broker wants to be left alone.
    pub(super) throttle: Duration,
    /// By topic and partition.
    pub(super) verdicts: HashMap<(String, i32), Verdict>,
}

/// `batches`: by topic and partition.
pub(super) fn build(acks: Acks, timeout: Duration, batches: Vec<(&str, i32, Bytes)>) -> AnyRequest {
    let size: usize = batches.iter().map(|(topic, _, batch)| PER_PARTITION + topic.len() + batch.len()).sum();
    let mut topics: Vec<TopicProduceData> = Vec::new();
    for (topic, partition, batch) in batches {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        match topics.iter_mut().find(|known| **known.name == *topic) {
            Some(known) => known.partition_data.push(data),
            None => topics.push(
                TopicProduceData::default().with_name(TopicName(text(topic))).with_partition_data(vec![data]),
            ),
        }
    }
    let request = ProduceRequest::default()
        .with_acks(acks.code())
        .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(topics);
    AnyRequest::new(move |_version| request.clone()).at_most(LAST_WITH_NAMES).with_room(ENVELOPE + size)
}

/// Sorts the answer by what was sent.
pub(super) fn read(response: ProduceResponse) -> Answer {
    let throttle = Duration::from_millis(u64::try_from(response.throttle_time_ms).unwrap_or(0));
    let mut verdicts = HashMap::new();
    for topic in response.responses {
        let name = topic.name.to_string();
        for partition in topic.partition_responses {
            let verdict = Verdict {
                code: ResponseError::try_from_code(partition.error_code),
                message: partition.error_message.map(|message| message.to_string()),
                base_offset: partition.base_offset,
            };
            verdicts.insert((name.clone(), partition.index), verdict);
        }
    }
    Answer { throttle, verdicts }
}
