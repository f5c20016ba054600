use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record as WireRecord,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType as WireTimestampType,
};

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn wire(offset: i64, key: Option<&'static str>, value: Option<&'static str>) -> WireRecord {
    WireRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: WireTimestampType::Creation,
        offset,
        sequence: offset as i32,
        timestamp: 1000 + offset,
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: [("h", Some(Bytes::from("x"))), ("null", None)]
            .map(|(name, value)| (StrBytes::from_static_str(name), value))
            .into_iter()
            .collect(),
    }
}

/// A record of a transaction of this producer.
fn of(producer: i64, offset: i64) -> WireRecord {
    WireRecord {
        transactional: true,
        producer_id: producer,
        producer_epoch: 0,
        ..wire(offset, None, Some("v"))
    }
}

/// The end of a transaction: type 0 for an abort, 1 for a commit.
fn end_of(producer: i64, offset: i64, kind: &'static [u8]) -> WireRecord {
    let key = Some(Bytes::from_static(kind));
    WireRecord { control: true, key, headers: Default::default(), ..of(producer, offset) }
}

const ABORTED: &[u8] = &[0, 0, 0, 0];
const COMMITTED: &[u8] = &[0, 0, 0, 1];

/// Records that differ in producer or kind are put into batches of their own.
fn batches(records: &[WireRecord], compression: Compression) -> Bytes {
    let mut batches = BytesMut::new();
    RecordBatchEncoder::encode(&mut batches, records, &RecordEncodeOptions { version: 2, compression })
        .unwrap();
    batches.freeze()
}

fn plain(records: &[WireRecord]) -> Bytes {
    batches(records, Compression::None)
}

fn set(batches: Bytes, from: i64) -> RecordSet {
    RecordSet::new(batches, from, true, Vec::new())
}

fn rest(mut set: RecordSet) -> Result<Vec<Record>, RecordsError> {
    std::iter::from_fn(|| set.next_record().transpose()).collect()
}

fn offsets(set: RecordSet) -> Vec<i64> {
    rest(set).unwrap().into_iter().map(|record| record.offset).collect()
}

#[test]
fn records_come_as_they_were_written() {
    for compression in [Compression::None, Compression::Snappy] {
        let written =
            [wire(7, Some("a"), Some("1")), wire(8, None, None), wire(9, Some(""), Some("some more"))];
        let set = set(batches(&written, compression), 7);
        assert_eq!(set.end().unwrap(), Some(10));
        let read = rest(set).unwrap();
        assert_eq!(read.len(), written.len());
        for (read, written) in read.into_iter().zip(written) {
            let headers = vec![("h".to_owned(), Some(Bytes::from("x"))), ("null".to_owned(), None)];
            let expected = Record {
                offset: written.offset,
                timestamp: written.timestamp,
                timestamp_type: TimestampType::CreateTime,
                key: written.key,
                value: written.value,
                headers,
            };
            assert_eq!(read, expected);
        }
    }
}

#[test]
fn time_of_the_broker_is_that_of_all_records() {
    let mut appended = plain(&[wire(1, None, None), wire(2, None, None)]).to_vec();
    appended[ATTRIBUTES + 1] |= 0x08;
    let read = rest(RecordSet::new(appended.into(), 0, false, Vec::new())).unwrap();
    let expected = (TimestampType::LogAppendTime, 1002);
    assert!(read.iter().all(|record| (record.timestamp_type, record.timestamp) == expected), "{read:?}");
}

#[test]
fn what_lies_before_the_offset_and_a_cut_batch_are_left_out() {
    let whole = plain(&[wire(0, None, Some("1")), wire(1, None, Some("2"))]);
    assert_eq!(offsets(set(whole.clone(), 1)), [1]);
    for cut in 0..whole.len() {
        let mut twice = whole.to_vec();
        twice.extend_from_slice(&whole[..cut]);
        let twice = set(twice.into(), 0);
        assert_eq!(twice.end().unwrap(), Some(2), "cut at {cut}");
        assert_eq!(offsets(twice), [0, 1], "cut at {cut}");
    }
    assert_eq!(set(Bytes::new(), 0).end().unwrap(), None);
}

#[test]
fn aborted_transactions_are_left_out_and_others_are_not() {
    // Two transactions of producer 1, the first one aborted, around records of others.
    let log = plain(&[
        of(1, 0),
        wire(1, None, None),
        of(2, 2),
        of(1, 3),
        end_of(1, 4, ABORTED),
        of(1, 5),
        end_of(2, 6, COMMITTED),
        end_of(1, 7, COMMITTED),
    ]);
    let read = |aborted: &[AbortedTransaction], from| {
        let set = RecordSet::new(log.clone(), from, true, aborted.to_vec());
        assert_eq!(set.end().unwrap(), Some(8));
        offsets(set)
    };
    assert_eq!(read(&[], 0), [0, 1, 2, 3, 5], "control records are nobody's");
    let aborted = [AbortedTransaction { producer: 1, first_offset: 0 }];
    assert_eq!(read(&aborted, 0), [1, 2, 5]);
    assert_eq!(read(&aborted, 2), [2, 5], "it began before what is read");
    let both = [aborted[0], AbortedTransaction { producer: 2, first_offset: 2 }];
    assert_eq!(read(&both, 0), [1, 5]);
}

#[test]
fn damage_is_told_with_its_place() {
    let whole = plain(&[wire(5, None, Some("1"))]);
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.to_vec();
        bytes[at] = to;
        bytes
    };
    let last = whole.len() - 1;
    let damaged = changed(last, whole[last] ^ 1);
    assert!(matches!(rest(set(damaged.clone().into(), 0)), Err(RecordsError::Checksum(5))));
    assert!(rest(RecordSet::new(damaged.into(), 0, false, Vec::new())).is_ok(), "nobody has looked");
    let old = set(changed(MAGIC, 1).into(), 0);
    assert!(matches!(old.end(), Err(RecordsError::Format { offset: 5, magic: 1 })));
    assert!(matches!(rest(old), Err(RecordsError::Format { offset: 5, magic: 1 })));
    let short = set(changed(BATCH_LENGTH + 3, 3).into(), 0);
    assert!(matches!(rest(short), Err(RecordsError::Malformed(5, _))));
    let unchecked = |bytes: Vec<u8>| rest(RecordSet::new(bytes.into(), 0, false, Vec::new()));
    assert!(matches!(unchecked(changed(RECORDS, 0x7e)), Err(RecordsError::Malformed(5, _))));
    assert!(matches!(
        unchecked(changed(ATTRIBUTES + 1, 5)),
        Err(RecordsError::Compression { offset: 5, .. })
    ));
}

#[test]
fn what_comes_before_damage_can_be_read() {
    let mut bytes = plain(&[wire(5, None, Some("1"))]).to_vec();
    let mut old = plain(&[wire(6, None, Some("2"))]).to_vec();
    old[MAGIC] = 0;
    bytes.append(&mut old);
    let mut set = set(bytes.into(), 5);
    assert_eq!(set.end().unwrap(), Some(6));
    assert_eq!(set.next_record().unwrap().unwrap().offset, 5);
    for _ in 0..2 {
        assert!(matches!(set.next_record(), Err(RecordsError::Format { offset: 6, magic: 0 })));
    }
}

#[test]
fn answer_that_does_not_go_on_is_an_error() {
    let set = set(plain(&[wire(5, None, None)]), 6);
    assert!(matches!(set.end(), Err(RecordsError::Backwards { from: 6, end: 6 })));
}

#[test]
fn batches_are_decompressed() {
    // `plain text ` ten times, as gzip, lz4 and zstd of the command line wrote it.
    let plain = b"plain text ".repeat(10);
    for (codec, compressed) in [
        (0, plain.as_slice()),
        (1, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\xc8\x49\xcc\xcc\x53\x28\x49\xad\x28\x51\x28\xa0\x3d\x13\x00\x9d\x2c\xcd\x25\x6e\x00\x00\x00".as_slice()),
        (3, b"\x04\x22\x4d\x18\x64\x40\xa7\x15\x00\x00\x00\xbf\x70\x6c\x61\x69\x6e\x20\x74\x65\x78\x74\x20\x0b\x00\x4b\x50\x74\x65\x78\x74\x20\x00\x00\x00\x00\x32\xaf\x0d\x15".as_slice()),
        (4, b"\x28\xb5\x2f\xfd\x04\x58\x95\x00\x00\x58\x70\x6c\x61\x69\x6e\x20\x74\x65\x78\x74\x20\x01\x00\xc0\x69\xf1\x02\x1f\xd2\x9e\x66".as_slice()),
    ] {
        let decompress = |bytes: &[u8]| Attributes(codec).decompress(Bytes::copy_from_slice(bytes));
        assert_eq!(decompress(compressed).unwrap(), plain, "codec {codec}");
        if codec != 0 {
            let cut = decompress(&compressed[..compressed.len() / 2]);
            assert!(cut.is_err() || cut.unwrap().len() < plain.len(), "codec {codec}");
        }
    }
}

proptest! {
    #[test]
    fn hostile_bytes_are_an_error_and_no_panic(mut bytes: Vec<u8>, at: usize, byte: u8, codec in 0u8..8) {
        let _ = rest(set(bytes.clone().into(), 0));
        let whole = plain(&[wire(5, Some("k"), Some("1")), of(1, 6), end_of(1, 7, ABORTED)]);
        let mut changed = whole.to_vec();
        let at = at % changed.len();
        changed[at] = byte;
        let aborted = vec![AbortedTransaction { producer: 1, first_offset: 6 }];
        let _ = rest(RecordSet::new(changed.into(), 0, false, aborted));
        let mut header = whole[..RECORDS].to_vec();
        let length = i32::try_from(RECORDS - PREFIX + bytes.len()).unwrap();
        header[BATCH_LENGTH..BATCH_LENGTH + 4].copy_from_slice(&length.to_be_bytes());
        header[ATTRIBUTES + 1] = codec;
        header.append(&mut bytes);
        let _ = rest(RecordSet::new(header.into(), 0, false, Vec::new()));
    }
}
