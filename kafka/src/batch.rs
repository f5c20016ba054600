//! New records -> one batch, as it stands in the log. What reads them is `fetch/record_set.rs`.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record as WireRecord,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::admin::text;
use crate::error::Error;
use crate::records::NewRecord;

pub(crate) fn encode(records: &[NewRecord]) -> Result<Bytes, Error> {
    let wire_record = |(index, record): (i64, &NewRecord)| WireRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: index,
        // Counted so that the batch starts with "no sequence"; the encoder splits batches where it is not consecutive.
        sequence: (index as i32).wrapping_sub(1),
        timestamp: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.iter().map(|(name, value)| (text(name), value.clone())).collect(),
    };
    let records: Vec<WireRecord> = (0..).zip(records).map(wire_record).collect();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, &records, &options)
        .map_err(|error| Error::Records(error.into()))?;
    Ok(batch.freeze())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::RecordBatchDecoder;

    use super::*;

    #[test]
    fn records_are_in_one_batch() {
        let new = |timestamp, key: Option<&'static str>, value: Option<&'static str>| NewRecord {
            timestamp,
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers: vec![("h".to_owned(), Some(Bytes::from("x"))), ("null".to_owned(), None)],
        };
        let new = [new(5, Some("a"), Some("1")), new(7, None, None), new(3, Some("b"), Some(""))];
        let mut batch = encode(&new).unwrap();
        let decoded = RecordBatchDecoder::decode(&mut batch).unwrap().records;
        assert!(batch.is_empty());
        assert_eq!(decoded.len(), new.len());
        for ((offset, record), new) in (0..).zip(decoded).zip(new) {
            assert_eq!(record.offset, offset);
            assert_eq!((record.timestamp, record.key, record.value), (new.timestamp, new.key, new.value));
            let headers: Vec<_> = record.headers.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
            assert_eq!(headers, new.headers);
        }
    }
}
