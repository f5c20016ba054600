//! Logs behind a scripted broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_control::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, ProducerId, RequestKind,
    ResponseKind,
};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record as WireRecord, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};

use crate::scripted::{Asked, Reply, Script, metadata};

/// Records of one answer.
const BATCH: i64 = 2;

/// Logs that begin at 10 and never end, led by two brokers.
#[derive(Default)]
pub(super) struct Logs {
    /// Partition -> what it answers in place of records, and how often.
    pub(super) refusals: Mutex<BTreeMap<i32, (ResponseError, usize)>>,
    pub(super) fetched: Mutex<Vec<FetchRequest>>,
    pub(super) throttle: Duration,
    /// Broker that hangs up, and how often.
    pub(super) hang_ups: Mutex<BTreeMap<String, usize>>,
    /// Who leads partitions 0 and 1.
    pub(super) leaders: Mutex<[i32; 2]>,
    /// Whose transaction the records belong to, if it was aborted.
    pub(super) aborted: Option<i64>,
    /// Asked in place of the leader.
    pub(super) replica: Option<i32>,
    /// Broker that hangs up on everything.
    pub(super) gone: Mutex<Option<&'static str>>,
    /// Broker that has not heard that it leads nothing any more, and has no news.
    pub(super) stale: Mutex<Option<&'static str>>,
    /// Partition without records.
    pub(super) empty: Option<i32>,
    /// A request for nothing but that one is kept for ever.
    pub(super) keeps: bool,
    /// How often nobody knows where a log begins.
    pub(super) vague: Mutex<usize>,
    pub(super) list_offsets: Mutex<Vec<ListOffsetsRequest>>,
}

pub(super) const BEGINNING: i64 = 10;

impl Logs {
    pub(super) fn new() -> Self {
        Self { leaders: Mutex::new([1, 2]), ..Self::default() }
    }

    pub(super) fn refusing(self, partition: i32, code: ResponseError, times: usize) -> Self {
        self.refusals.lock().unwrap().insert(partition, (code, times));
        self
    }

    pub(super) fn script(self: &Arc<Self>) -> Arc<Script> {
        let logs = self.clone();
        Arc::new(Script::new(move |asked| logs.answer(asked)))
    }

    pub(super) fn answer(&self, asked: &Asked) -> Reply {
        if *self.gone.lock().unwrap() == Some(asked.broker.host.as_str()) {
            return Reply::HangUp;
        }
        match &asked.request {
            RequestKind::Metadata(request) => {
                let leaders = *self.leaders.lock().unwrap();
                Reply::Answer(ResponseKind::Metadata(metadata(request, &leaders)))
            }
            RequestKind::ListOffsets(request) => {
                self.list_offsets.lock().unwrap().push(request.clone());
                let mut vague = self.vague.lock().unwrap();
                let code = if *vague > 0 { ResponseError::KafkaStorageError.code() } else { 0 };
                *vague = vague.saturating_sub(1);
                Reply::Answer(ResponseKind::ListOffsets(beginnings(request, code)))
            }
            RequestKind::Fetch(request) => {
                let mut hang_ups = self.hang_ups.lock().unwrap();
                if let Some(times) = hang_ups.get_mut(&asked.broker.host).filter(|times| **times > 0) {
                    *times -= 1;
                    return Reply::HangUp;
                }
                self.fetched.lock().unwrap().push(request.clone());
                let mut wanted = request.topics.iter().flat_map(|topic| &topic.partitions);
                if self.keeps && wanted.all(|wanted| self.empty == Some(wanted.partition)) {
                    return Reply::Silence;
                }
                Reply::Answer(ResponseKind::Fetch(self.fetch(asked, request)))
            }
            _ => Reply::Usual,
        }
    }

    fn fetch(&self, asked: &Asked, request: &FetchRequest) -> FetchResponse {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| self.partition(asked, partition));
            FetchableTopicResponse::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions.collect())
        });
        FetchResponse::default()
            .with_throttle_time_ms(self.throttle.as_millis() as i32)
            .with_responses(topics.collect())
    }

    fn partition(&self, asked: &Asked, wanted: &FetchPartition) -> PartitionData {
        let data = PartitionData::default().with_partition_index(wanted.partition);
        let mut refusals = self.refusals.lock().unwrap();
        if let Some((code, times)) = refusals.get_mut(&wanted.partition).filter(|(_, times)| *times > 0) {
            *times -= 1;
            return data.with_error_code(code.code());
        }
        if self.empty == Some(wanted.partition)
            || *self.stale.lock().unwrap() == Some(asked.broker.host.as_str())
        {
            return data;
        }
        let leader = self.leaders.lock().unwrap()[wanted.partition as usize];
        let is_leader = asked.broker.host == format!("broker-{leader}");
        if let (true, Some(replica)) = (is_leader, self.replica) {
            return data.with_preferred_read_replica(BrokerId(replica));
        }
        if !is_leader && self.replica.is_none() {
            return data.with_error_code(ResponseError::NotLeaderOrFollower.code());
        }
        if wanted.fetch_offset < BEGINNING {
            return data.with_error_code(ResponseError::OffsetOutOfRange.code());
        }
        let aborted = self.aborted.map(|producer| {
            AbortedTransaction::default().with_producer_id(ProducerId(producer)).with_first_offset(BEGINNING)
        });
        data.with_records(Some(self.records(wanted.fetch_offset)))
            .with_aborted_transactions(Some(aborted.into_iter().collect()))
    }

    fn records(&self, from: i64) -> Bytes {
        let record = |offset: i64| WireRecord {
            transactional: self.aborted.is_some(),
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            // Every other batch is that of a producer who has not aborted.
            producer_id: self.aborted.map_or(-1, |producer| producer + (offset - BEGINNING) / BATCH % 2),
            producer_epoch: 0,
            timestamp_type: TimestampType::Creation,
            offset,
            sequence: offset as i32,
            timestamp: 0,
            key: None,
            value: None,
            headers: Default::default(),
        };
        let records: Vec<WireRecord> = (from..from + BATCH).map(record).collect();
        let mut batch = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut batch, &records, &options).unwrap();
        batch.freeze()
    }
}

fn beginnings(request: &ListOffsetsRequest, code: i16) -> ListOffsetsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partition = |wanted: i32| {
            ListOffsetsPartitionResponse::default()
                .with_partition_index(wanted)
                .with_offset(BEGINNING)
                .with_error_code(code)
        };
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(|p| partition(p.partition_index)).collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}
