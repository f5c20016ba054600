//! Records -> one batch of message format 2, as it stands in the log. What reads them is `fetch/record_set.rs`.
//!
//! Records are encoded as they come, behind the room that is left for the header. Source: KIP-98, `DefaultRecordBatch`
//! and `DefaultRecord` of Kafka.

pub(crate) mod layout;

use std::io::{self, Read, Write};
use std::panic::catch_unwind;

use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use kafka_protocol::compression::{Compressor, Snappy};
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::CompressionLevel;

use self::layout::*;

/// The most that a record adds to its key, value and headers: lengths and differences, each a variable-length number.
const RECORD_OVERHEAD: usize = 36;
/// The same for each header.
const HEADER_OVERHEAD: usize = 10;

/// A record as it is handed over to be written; what it refers to is copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordToSend<'a> {
    /// Where it goes; without one the key decides, and without a key the producer.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; without one it is now.
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// In their order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

impl RecordToSend<'_> {
    /// At most this many bytes are added to a batch.
    pub(crate) fn max_size(&self) -> usize {
        let part = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let headers: usize =
            self.headers.iter().map(|(name, value)| HEADER_OVERHEAD + name.len() + part(*value)).sum();
        RECORD_OVERHEAD + part(self.key) + part(self.value) + headers
    }
}

/// `compression.type`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    #[default]
    None,
    /// With its level, 1 to 9; 6 is usual.
    Gzip(u32),
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip(_) => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Appends the compressed records to `to`.
    fn compress(self, records: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::None => to.extend_from_slice(records),
            Self::Gzip(level) => {
                let mut encoder = GzEncoder::new(to, flate2::Compression::new(level));
                encoder.write_all(records)?;
                encoder.finish()?;
            }
            Self::Snappy => {
                let mut compressed = BytesMut::new();
                Snappy::compress(&mut compressed, |plain: &mut BytesMut| {
                    plain.extend_from_slice(records);
                    Ok(())
                })
                .map_err(io::Error::other)?;
                to.extend_from_slice(&compressed);
            }
            Self::Lz4 => {
                // Whoever reads a block needs memory for it.
                let frame = FrameInfo::new().block_size(BlockSize::Max64KB);
                let mut encoder = FrameEncoder::with_frame_info(frame, to);
                encoder.write_all(records)?;
                encoder.finish().map_err(io::Error::other)?;
            }
            Self::Zstd => {
                let compressed = ruzstd::encoding::compress_to_vec(records, CompressionLevel::Fastest);
                // The encoder is young: what it makes is read once before others have to.
                let mut read = Vec::with_capacity(records.len());
                StreamingDecoder::new(&compressed[..]).map_err(io::Error::other)?.read_to_end(&mut read)?;
                if read != records {
                    return Err(io::Error::other("zstd made something else of them"));
                }
                to.extend_from_slice(&compressed);
            }
        }
        Ok(())
    }
}

/// Who writes a batch, and the number of its first record at its partition: so that the broker knows one that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) first: i32,
}

impl Sequence {
    const NONE: Self = Self { producer_id: -1, producer_epoch: -1, first: -1 };
}

/// A batch may not be larger: its length has 32 bits.
pub(crate) const LARGEST: usize = 1 << 30;

/// A batch that is being filled.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    /// Room for the header, and records.
    bytes: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// `spare`: memory to be used again.
    pub(crate) fn new(mut spare: Vec<u8>) -> Self {
        spare.clear();
        spare.resize(RECORDS, 0);
        Self { bytes: spare, count: 0, base_timestamp: 0, max_timestamp: i64::MIN }
    }

    /// Bytes so far, header included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn count(&self) -> i32 {
        self.count
    }

    /// The batch stays below [`LARGEST`].
    #[inline]
    pub(crate) fn append(&mut self, record: &RecordToSend<'_>, timestamp: i64) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let offset_delta = i64::from(self.count);
        let mut size = 1 + varint_size(timestamp_delta) + varint_size(offset_delta);
        size += part_size(record.key) + part_size(record.value) + varint_size(record.headers.len() as i64);
        for (name, value) in record.headers {
            size += part_size(Some(name.as_bytes())) + part_size(*value);
        }
        let bytes = &mut self.bytes;
        put_varint(bytes, size as i64);
        // Attributes of a record have no meaning yet.
        bytes.push(0);
        put_varint(bytes, timestamp_delta);
        put_varint(bytes, offset_delta);
        put_part(bytes, record.key);
        put_part(bytes, record.value);
        put_varint(bytes, record.headers.len() as i64);
        for (name, value) in record.headers {
            put_part(bytes, Some(name.as_bytes()));
            put_part(bytes, *value);
        }
        self.count += 1;
    }

    /// The records, behind room for a header.
    pub(crate) fn close(self) -> ClosedBatch {
        let Self { bytes, count, base_timestamp, max_timestamp } = self;
        ClosedBatch { bytes, count, base_timestamp, max_timestamp }
    }
}

/// A batch to which nothing is added any more.
#[derive(Debug)]
pub(crate) struct ClosedBatch {
    bytes: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl ClosedBatch {
    /// The batch as it is sent. Records that a codec fails on are sent as they are.
    pub(crate) fn seal(self, compression: Compression, sequence: Option<Sequence>) -> Bytes {
        let Self { bytes: mut batch, count, base_timestamp, max_timestamp } = self;
        let mut code = compression.code();
        if compression != Compression::None {
            let compressed = || {
                let mut compressed = Vec::with_capacity(batch.len() / 2);
                compressed.extend_from_slice(&batch[..RECORDS]);
                compression.compress(&batch[RECORDS..], &mut compressed).map(|()| compressed)
            };
            // Whatever a codec does, the records are still here.
            let compressed = catch_unwind(compressed);
            match compressed.unwrap_or_else(|_panic| Err(io::Error::other("the codec has panicked"))) {
                Ok(compressed) => batch = compressed,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a batch is sent as it is");
                    code = Compression::None.code();
                }
            }
        }
        let length = (batch.len() - PREFIX) as i32;
        put(&mut batch, BATCH_LENGTH, length.to_be_bytes());
        put(&mut batch, LEADER_EPOCH, (-1i32).to_be_bytes());
        put(&mut batch, MAGIC, [2]);
        put(&mut batch, ATTRIBUTES, i16::from(code).to_be_bytes());
        put(&mut batch, LAST_OFFSET_DELTA, (count - 1).to_be_bytes());
        put(&mut batch, BASE_TIMESTAMP, base_timestamp.to_be_bytes());
        put(&mut batch, MAX_TIMESTAMP, max_timestamp.to_be_bytes());
        put(&mut batch, RECORD_COUNT, count.to_be_bytes());
        number(&mut batch, sequence);
        batch.into()
    }
}

/// The same batch under another number.
pub(crate) fn renumber(batch: Bytes, sequence: Option<Sequence>) -> Bytes {
    let mut batch = Vec::from(batch);
    number(&mut batch, sequence);
    batch.into()
}

/// Puts in the number, and with it the checksum.
fn number(batch: &mut [u8], sequence: Option<Sequence>) {
    let Sequence { producer_id, producer_epoch, first } = sequence.unwrap_or(Sequence::NONE);
    put(batch, PRODUCER_ID, producer_id.to_be_bytes());
    put(batch, PRODUCER_EPOCH, producer_epoch.to_be_bytes());
    put(batch, SEQUENCE, first.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[ATTRIBUTES..]);
    put(batch, CHECKSUM, checksum.to_be_bytes());
}

fn put<const N: usize>(batch: &mut [u8], at: usize, field: [u8; N]) {
    batch[at..at + N].copy_from_slice(&field);
}

/// A length, and as many bytes; -1 for none.
#[inline]
fn put_part(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        Some(part) => {
            put_varint(bytes, part.len() as i64);
            bytes.extend_from_slice(part);
        }
        None => put_varint(bytes, -1),
    }
}

#[inline]
fn part_size(part: Option<&[u8]>) -> usize {
    part.map_or(varint_size(-1), |part| varint_size(part.len() as i64) + part.len())
}

/// Zigzag, seven bits to a byte.
#[inline]
fn put_varint(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = zigzag(number);
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

#[inline]
fn varint_size(number: i64) -> usize {
    let bits = u64::BITS - (zigzag(number) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[inline]
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::RecordBatchDecoder;
    use proptest::prelude::*;

    use super::*;
    use crate::fetch::RecordSet;

    #[test]
    fn others_read_what_is_written() {
        let headers = [("h", Some(b"x".as_slice())), ("null", None)];
        let new =
            [(5, Some(&b"a"[..]), Some(&b"1"[..])), (7, None, None), (3, Some(&b"b"[..]), Some(&b""[..]))];
        let mut builder = BatchBuilder::new(Vec::new());
        for (timestamp, key, value) in new {
            builder.append(&RecordToSend { key, value, headers: &headers, ..Default::default() }, timestamp);
        }
        let mut batch = builder.close().seal(Compression::None, None);
        let decoded = RecordBatchDecoder::decode(&mut batch).unwrap().records;
        assert!(batch.is_empty());
        assert_eq!(decoded.len(), new.len());
        for ((offset, record), (timestamp, key, value)) in (0..).zip(decoded).zip(new) {
            assert_eq!((record.offset, record.timestamp), (offset, timestamp));
            assert_eq!((record.key.as_deref(), record.value.as_deref()), (key, value));
            let read = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
            assert!(read.eq(headers));
        }
    }

    #[test]
    fn every_codec_is_read_again() {
        let value = b"a value that is said again and again, ".repeat(3_000);
        for compression in [
            Compression::None,
            Compression::Gzip(6),
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ] {
            let mut builder = BatchBuilder::new(vec![7; 9]);
            let record = RecordToSend { value: Some(&value), ..RecordToSend::default() };
            builder.append(&record, 1);
            builder.append(&record, 2);
            let plain = builder.len();
            let sequence = Sequence { producer_id: 5, producer_epoch: 1, first: 9 };
            let batch = builder.close().seal(compression, Some(sequence));
            assert!(compression == Compression::None || batch.len() < plain / 2, "{compression:?}");
            let mut set = RecordSet::new(batch, 0, true, Vec::new());
            for (offset, timestamp) in [(0, 1), (1, 2)] {
                let read = set.next_record().unwrap().unwrap();
                assert_eq!((read.offset, read.timestamp), (offset, timestamp), "{compression:?}");
                assert_eq!(read.value.as_deref(), Some(&value[..]), "{compression:?}");
            }
            assert!(set.next_record().unwrap().is_none());
        }
    }

    proptest! {
        #[test]
        fn numbers_take_the_space_that_is_counted(number: i64, shift in 0u32..64) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            prop_assert_eq!(bytes.len(), varint_size(number));
        }

        #[test]
        fn no_record_is_larger_than_foreseen(
            key in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..20_000)),
            names in prop::collection::vec("[a-z]{0,100}", 0..4),
            timestamps in any::<(i64, i64)>(),
        ) {
            let headers: Vec<_> = names.iter().map(|name| (name.as_str(), key.as_deref())).collect();
            let record =
                RecordToSend { key: key.as_deref(), value: value.as_deref(), headers: &headers, ..Default::default() };
            let mut builder = BatchBuilder::new(Vec::new());
            builder.append(&record, timestamps.0);
            let before = builder.len();
            builder.append(&record, timestamps.1);
            prop_assert!(builder.len() - before <= record.max_size());
        }
    }
}
