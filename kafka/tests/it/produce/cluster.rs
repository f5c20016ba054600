//! A cluster that keeps what is written, and refuses by script.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use kafka_control::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId, RequestKind, ResponseKind,
};
use kafka_protocol::records::RecordBatchDecoder;

use crate::scripted::{Asked, Reply, Script, metadata};

/// What a partition does with the next batch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Refused(ResponseError),
    /// It is written, and nobody hears of it.
    Lost,
    /// Nothing happens to it at all.
    Dropped,
}

/// A record as it is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    pub(super) timestamp: i64,
    pub(super) headers: Vec<(String, Option<String>)>,
    pub(super) sequence: i32,
    pub(super) producer_id: i64,
}

pub(super) struct Cluster {
    /// Who leads the partitions 0, 1 and so on of every topic; empty while nobody knows it.
    pub(super) leaders: Mutex<Vec<i32>>,
    /// What is said of topics, in place of their partitions.
    pub(super) topic_code: Mutex<Option<ResponseError>>,
    /// Partition -> what happens to its next batches.
    pub(super) fates: Mutex<BTreeMap<i32, VecDeque<Fate>>>,
    pub(super) logs: Mutex<BTreeMap<i32, Vec<Written>>>,
    /// Sizes of the batches that came, by their number of records.
    pub(super) batches: Mutex<Vec<usize>>,
    pub(super) requests: Mutex<Vec<ProduceRequest>>,
    pub(super) silent: Mutex<bool>,
    /// Broker that hangs up on everything.
    pub(super) gone: Mutex<Option<&'static str>>,
    pub(super) throttle_ms: i32,
    pub(super) no_ids: Option<ResponseError>,
    ids: Mutex<i64>,
}

impl Cluster {
    pub(super) fn new(leaders: &[i32]) -> Self {
        Self {
            leaders: Mutex::new(leaders.to_vec()),
            topic_code: Mutex::default(),
            fates: Mutex::default(),
            logs: Mutex::default(),
            batches: Mutex::default(),
            requests: Mutex::default(),
            silent: Mutex::default(),
            gone: Mutex::default(),
            throttle_ms: 0,
            no_ids: None,
            ids: Mutex::new(100),
        }
    }

    pub(super) fn fated(self, partition: i32, fates: &[Fate]) -> Self {
        self.fates.lock().unwrap().insert(partition, fates.iter().copied().collect());
        self
    }

    pub(super) fn script(self: &Arc<Self>) -> Arc<Script> {
        let cluster = self.clone();
        Arc::new(Script::new(move |asked| cluster.answer(asked)))
    }

    /// Values of a partition's log.
    pub(super) fn values(&self, partition: i32) -> Vec<String> {
        let logs = self.logs.lock().unwrap();
        logs.get(&partition).into_iter().flatten().filter_map(|written| written.value.clone()).collect()
    }

    fn answer(&self, asked: &Asked) -> Reply {
        if *self.gone.lock().unwrap() == Some(asked.broker.host.as_str()) {
            return Reply::HangUp;
        }
        match &asked.request {
            RequestKind::Metadata(request) => {
                let leaders = self.leaders.lock().unwrap();
                let code = *self.topic_code.lock().unwrap();
                let code = if leaders.is_empty() {
                    code.or(Some(ResponseError::UnknownTopicOrPartition))
                } else {
                    code
                };
                let Some(code) = code else {
                    let mut response = metadata(request, &leaders);
                    // A leader of -1 is nobody.
                    response.brokers.retain(|broker| broker.node_id.0 >= 0);
                    return Reply::Answer(ResponseKind::Metadata(response));
                };
                let mut response = metadata(request, &[1]);
                for topic in &mut response.topics {
                    topic.error_code = code.code();
                    topic.partitions.clear();
                }
                Reply::Answer(ResponseKind::Metadata(response))
            }
            RequestKind::InitProducerId(_) => {
                let mut ids = self.ids.lock().unwrap();
                *ids += 1;
                let code = self.no_ids.map_or(0, |code| code.code());
                let response = InitProducerIdResponse::default()
                    .with_producer_id(ProducerId(*ids))
                    .with_error_code(code);
                Reply::Answer(ResponseKind::InitProducerId(response))
            }
            RequestKind::Produce(request) => self.produce(asked, request),
            _ => Reply::Usual,
        }
    }

    fn produce(&self, asked: &Asked, request: &ProduceRequest) -> Reply {
        self.requests.lock().unwrap().push(request.clone());
        if *self.silent.lock().unwrap() {
            return Reply::Silence;
        }
        let mut is_lost = false;
        let mut topics = Vec::new();
        for topic in &request.topic_data {
            let mut partitions = Vec::new();
            for data in &topic.partition_data {
                partitions.push(self.write(asked, data, &mut is_lost));
            }
            topics.push(
                TopicProduceResponse::default()
                    .with_name(topic.name.clone())
                    .with_partition_responses(partitions),
            );
        }
        if is_lost {
            return Reply::HangUp;
        }
        let response =
            ProduceResponse::default().with_responses(topics).with_throttle_time_ms(self.throttle_ms);
        Reply::Answer(ResponseKind::Produce(response))
    }

    fn write(
        &self,
        asked: &Asked,
        data: &PartitionProduceData,
        is_lost: &mut bool,
    ) -> PartitionProduceResponse {
        let answer = PartitionProduceResponse::default().with_index(data.index);
        let refused = |code: ResponseError| answer.clone().with_error_code(code.code()).with_base_offset(-1);
        let leader = self.leaders.lock().unwrap().get(data.index as usize).copied();
        if leader.is_none_or(|leader| asked.broker.host != format!("broker-{leader}")) {
            return refused(ResponseError::NotLeaderOrFollower);
        }
        match self.fates.lock().unwrap().get_mut(&data.index).and_then(VecDeque::pop_front) {
            Some(Fate::Refused(code)) => return refused(code),
            Some(Fate::Dropped) => {
                *is_lost = true;
                return answer;
            }
            Some(Fate::Lost) => *is_lost = true,
            None => {}
        }
        let mut records = data.records.clone().unwrap();
        let mut logs = self.logs.lock().unwrap();
        let log = logs.entry(data.index).or_default();
        let base_offset = log.len() as i64;
        let batch = RecordBatchDecoder::decode(&mut records).unwrap().records;
        assert!(records.is_empty(), "one batch for each partition");
        let text = |bytes: bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        // What a broker does with numbers.
        if let Some(first) = batch.first().filter(|first| first.producer_id >= 0) {
            let same = |written: &&Written| written.producer_id == first.producer_id;
            let expected = log.iter().rfind(same).map_or(0, |last| last.sequence + 1);
            if first.sequence < expected {
                return refused(ResponseError::DuplicateSequenceNumber);
            }
            if first.sequence > expected {
                return refused(ResponseError::OutOfOrderSequenceNumber);
            }
        }
        self.batches.lock().unwrap().push(batch.len());
        log.extend(batch.into_iter().map(|record| Written {
            key: record.key.map(text),
            value: record.value.map(text),
            timestamp: record.timestamp,
            headers: record.headers.into_iter().map(|(k, v)| (k.to_string(), v.map(text))).collect(),
            sequence: record.sequence,
            producer_id: record.producer_id,
        }));
        answer.with_base_offset(base_offset)
    }
}
