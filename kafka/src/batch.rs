//! Batches of records, as they stand in the log.

use std::io::{self, Read};

use bytes::{Buf, Bytes, BytesMut};
use flate2::read::GzDecoder;
use kafka_protocol::compression::{Decompressor, Snappy};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record as WireRecord,
    RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::admin::text;
use crate::error::Error;
use crate::records::{NewRecord, Record};

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

/// Where the length of a batch stands, and what comes before the part that it counts.
const BATCH_LENGTH_AT: usize = 8;
const BATCH_PREFIX: usize = 12;

pub(crate) fn decode(mut batches: Bytes, from: i64) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    // The broker cuts the last batch where max_bytes is reached.
    while let Some(length) = batches.get(BATCH_LENGTH_AT..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if batches.len() - BATCH_PREFIX < length {
            break;
        }
        let batch = RecordBatchDecoder::decode_with_custom_compression(
            &mut batches,
            Some(|compressed: &mut Bytes, compression| Ok(decompress(compressed, compression)?)),
        )
        .map_err(|error| Error::Records(error.into()))?;
        let wanted = batch.records.into_iter().filter(|record| !record.control && record.offset >= from);
        records.extend(wanted.map(|record| Record {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
        }));
    }
    Ok(records)
}

/// Brokers bound a batch to about a megabyte by default; a hostile one may expand to anything.
const LARGEST_BATCH: u64 = 256 * 1024 * 1024;

fn decompress(compressed: &mut Bytes, compression: Compression) -> io::Result<Bytes> {
    let mut source: Box<dyn Read + '_> = match compression {
        Compression::None => return Ok(std::mem::take(compressed)),
        Compression::Gzip => Box::new(GzDecoder::new(compressed.reader())),
        Compression::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(compressed.reader())),
        Compression::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(compressed.reader());
            Box::new(decoder.map_err(io::Error::other)?)
        }
        Compression::Snappy => {
            let whole = Snappy::decompress(compressed, |plain| Ok(std::mem::take(plain)));
            return whole.map_err(io::Error::other);
        }
    };
    let mut plain = Vec::new();
    source.by_ref().take(LARGEST_BATCH).read_to_end(&mut plain)?;
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(timestamp: i64, key: Option<&'static str>, value: Option<&'static str>) -> NewRecord {
        NewRecord {
            timestamp,
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers: vec![("h".to_owned(), Some(Bytes::from("x"))), ("null".to_owned(), None)],
        }
    }

    #[test]
    fn records_come_back_from_one_batch() {
        let new = [record(5, Some("a"), Some("1")), record(7, None, None), record(3, Some("b"), Some(""))];
        let batch = encode(&new).unwrap();
        let mut one = batch.clone();
        RecordBatchDecoder::decode(&mut one).unwrap();
        assert!(one.is_empty(), "all records are in one batch");
        let records = decode(batch, 0).unwrap();
        assert_eq!(records.len(), new.len());
        for ((offset, record), new) in (0..).zip(records).zip(new) {
            assert_eq!(record.offset, offset);
            assert_eq!(
                (record.timestamp, record.key, record.value, record.headers),
                (new.timestamp, new.key, new.value, new.headers)
            );
        }
    }

    #[test]
    fn what_lies_before_the_offset_and_a_cut_batch_are_left_out() {
        let whole = encode(&[record(1, None, Some("1")), record(2, None, Some("2"))]).unwrap();
        assert_eq!(decode(whole.clone(), 1).unwrap().len(), 1);
        for cut in 1..whole.len() {
            let mut twice = whole.to_vec();
            twice.extend_from_slice(&whole[..cut]);
            assert_eq!(decode(twice.into(), 0).unwrap().len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn batches_are_decompressed() {
        // `plain text ` ten times, as gzip, lz4 and zstd of the command line wrote it.
        let plain = b"plain text ".repeat(10);
        for (compression, compressed) in [
            (Compression::None, plain.as_slice()),
            (Compression::Gzip, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\xc8\x49\xcc\xcc\x53\x28\x49\xad\x28\x51\x28\xa0\x3d\x13\x00\x9d\x2c\xcd\x25\x6e\x00\x00\x00".as_slice()),
            (Compression::Zstd, b"\x28\xb5\x2f\xfd\x04\x58\x95\x00\x00\x58\x70\x6c\x61\x69\x6e\x20\x74\x65\x78\x74\x20\x01\x00\xc0\x69\xf1\x02\x1f\xd2\x9e\x66".as_slice()),
            (Compression::Lz4, b"\x04\x22\x4d\x18\x64\x40\xa7\x15\x00\x00\x00\xbf\x70\x6c\x61\x69\x6e\x20\x74\x65\x78\x74\x20\x0b\x00\x4b\x50\x74\x65\x78\x74\x20\x00\x00\x00\x00\x32\xaf\x0d\x15".as_slice()),
        ] {
            let decompressed = decompress(&mut Bytes::copy_from_slice(compressed), compression).unwrap();
            assert_eq!(decompressed, plain, "{compression:?}");
            if compression != Compression::None {
                let cut = decompress(&mut Bytes::copy_from_slice(&compressed[..compressed.len() / 2]), compression);
                assert!(cut.is_err() || cut.unwrap().len() < plain.len(), "{compression:?}");
            }
        }
    }

    #[test]
    fn a_damaged_batch_is_an_error() {
        let mut damaged = encode(&[record(1, None, Some("1"))]).unwrap().to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(matches!(decode(damaged.into(), 0), Err(Error::Records(_))));
    }
}
