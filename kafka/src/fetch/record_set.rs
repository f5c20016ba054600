//! What a broker sends of one partition: batches as they stand in the log, read one record at a time.
//!
//! Keys and values are not copied, they share the memory of the answer or of the decompressed batch. Source: message
//! format version 2 (KIP-98), `DefaultRecordBatch` and `DefaultRecord` of Kafka.

use std::collections::HashSet;
use std::io::{self, Read};
use std::ops::Range;

use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use kafka_protocol::compression::{Decompressor, Snappy};
use thiserror::Error;

use crate::batch::layout::{
    ATTRIBUTES, BASE_TIMESTAMP, BATCH_LENGTH, CHECKSUM, LAST_OFFSET_DELTA, MAGIC, MAX_TIMESTAMP, PREFIX,
    PRODUCER_ID, RECORD_COUNT, RECORDS,
};
use crate::records::{Record, TimestampType};

/// The type of a control record that ends an aborted transaction, behind two bytes of version.
const ABORT: [u8; 2] = [0, 0];

/// Brokers bound a batch to about a megabyte by default; a hostile one may expand to anything.
const LARGEST_BATCH: u64 = 256 * 1024 * 1024;

/// Bytes of a partition that are not what a broker may send.
#[derive(Debug, Error)]
pub enum RecordsError {
    #[error("the batch at offset {0} is damaged: its checksum is wrong")]
    Checksum(i64),
    #[error("the batch at offset {0} is damaged: {1}")]
    Malformed(i64, &'static str),
    #[error("the batches from offset {from} on end before it, at {end}")]
    Backwards { from: i64, end: i64 },
    #[error(
        "the batch at offset {offset} has message format {magic}; only format 2, Kafka's since 0.11, is read"
    )]
    Format { offset: i64, magic: u8 },
    #[error("the batch at offset {offset} cannot be decompressed")]
    Compression {
        offset: i64,
        #[source]
        source: io::Error,
    },
}

/// A transaction that was aborted, as the broker tells it to those who read committed records only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer: i64,
    pub(crate) first_offset: i64,
}

/// Records of one partition, in order.
#[derive(Debug)]
pub struct RecordSet {
    /// Not opened yet.
    batches: Bytes,
    /// What lies before is not wanted: a broker sends whole batches.
    from: i64,
    open: Option<Batch>,
    checks_crc: bool,
    /// The latest first.
    aborted: Vec<AbortedTransaction>,
    /// Producers within an aborted transaction.
    aborting: HashSet<i64>,
    /// Nothing is left.
    is_taken: bool,
}

impl RecordSet {
    /// `aborted`: transactions whose records are left out.
    pub(crate) fn new(
        batches: Bytes,
        from: i64,
        checks_crc: bool,
        mut aborted: Vec<AbortedTransaction>,
    ) -> Self {
        aborted.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { batches, from, open: None, checks_crc, aborted, aborting: HashSet::new(), is_taken: false }
    }

    /// The offset behind the last whole batch that is not opened yet; `None` without one. What comes before a batch that
    /// is wrong counts: it can be read.
    pub fn end(&self) -> Result<Option<i64>, RecordsError> {
        let mut rest = &self.batches[..];
        let mut end = None;
        loop {
            match whole_batch(rest) {
                Ok(Some(length)) => {
                    end = Some(last_offset(rest).saturating_add(1));
                    rest = &rest[length..];
                }
                Err(error) if end.is_none() => return Err(error),
                Ok(None) | Err(_) => break,
            }
        }
        match end {
            Some(end) if end <= self.from => Err(RecordsError::Backwards { from: self.from, end }),
            end => Ok(end),
        }
    }

    /// The next record, control records left out. What cannot be read is not left behind: the error stays.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordsError> {
        loop {
            while let Some(batch) = &mut self.open {
                if batch.left == 0 {
                    self.open = None;
                    break;
                }
                let Some(read) = batch.read() else {
                    return Err(RecordsError::Malformed(batch.base_offset, "a record is cut off"));
                };
                batch.left -= 1;
                batch.at = read.end;
                let offset = batch.base_offset.wrapping_add(read.offset_delta);
                if offset >= self.from {
                    // Made in one place, and so where the caller wants it: records are many, and each move counts.
                    return Ok(Some(Record {
                        offset,
                        timestamp: match batch.timestamp_type {
                            TimestampType::LogAppendTime => batch.timestamp,
                            TimestampType::CreateTime => batch.timestamp.wrapping_add(read.timestamp_delta),
                        },
                        timestamp_type: batch.timestamp_type,
                        key: read.key.map(|key| batch.body.slice(key)),
                        value: read.value.map(|value| batch.body.slice(value)),
                        headers: read.headers,
                    }));
                }
            }
            if !self.open_batch()? {
                return Ok(None);
            }
        }
    }

    /// Whether there was another one.
    fn open_batch(&mut self) -> Result<bool, RecordsError> {
        // The broker cuts the last batch where the wanted size is reached.
        let Some(length) = whole_batch(&self.batches)? else {
            self.is_taken = true;
            return Ok(false);
        };
        self.open = self.read_batch(self.batches.slice(..length))?;
        self.batches.advance(length);
        Ok(true)
    }

    /// Whether it is known that no record is left.
    pub(crate) fn is_taken(&self) -> bool {
        self.is_taken
    }

    /// `None` for a batch whose records nobody wants.
    fn read_batch(&mut self, batch: Bytes) -> Result<Option<Batch>, RecordsError> {
        let base_offset = i64_at(&batch, 0);
        if self.checks_crc && crc32c::crc32c(&batch[ATTRIBUTES..]) != i32_at(&batch, CHECKSUM).cast_unsigned()
        {
            return Err(RecordsError::Checksum(base_offset));
        }
        let attributes = Attributes(batch[ATTRIBUTES + 1]);
        if self.is_aborted(&batch, attributes) || attributes.is_control() {
            return Ok(None);
        }
        let count = i32_at(&batch, RECORD_COUNT);
        if count <= 0 {
            return Ok(None);
        }
        let body = batch.slice(RECORDS..);
        let body = attributes
            .decompress(body)
            .map_err(|source| RecordsError::Compression { offset: base_offset, source })?;
        let (timestamp_type, timestamp) = match attributes.has_append_time() {
            true => (TimestampType::LogAppendTime, i64_at(&batch, MAX_TIMESTAMP)),
            false => (TimestampType::CreateTime, i64_at(&batch, BASE_TIMESTAMP)),
        };
        Ok(Some(Batch { left: count, base_offset, timestamp_type, timestamp, body, at: 0 }))
    }

    /// Whether a batch belongs to an aborted transaction; keeps track of where these begin and end.
    fn is_aborted(&mut self, batch: &Bytes, attributes: Attributes) -> bool {
        let producer = i64_at(batch, PRODUCER_ID);
        if producer < 0 || (self.aborted.is_empty() && self.aborting.is_empty()) {
            return false;
        }
        let last = last_offset(batch);
        while let Some(transaction) = self.aborted.pop_if(|transaction| transaction.first_offset <= last) {
            self.aborting.insert(transaction.producer);
        }
        if attributes.is_control() {
            if is_abort_marker(&batch[RECORDS..]) == Some(true) {
                self.aborting.remove(&producer);
            }
            return true;
        }
        attributes.is_transactional() && self.aborting.contains(&producer)
    }
}

/// Whether the record of a control batch says that a transaction was aborted: its key does. `None` if it is cut off.
fn is_abort_marker(record: &[u8]) -> Option<bool> {
    let mut cursor = Cursor { bytes: record, at: 0 };
    let _length = cursor.varint()?;
    cursor.skip(size_of::<Attributes>())?;
    let _deltas = (cursor.varint()?, cursor.varint()?);
    let key = cursor.part()??;
    Some(record[key].get(2..4) == Some(&ABORT))
}

#[derive(Debug, Clone, Copy)]
struct Attributes(u8);

impl Attributes {
    fn has_append_time(self) -> bool {
        self.0 & 0x08 != 0
    }

    fn is_transactional(self) -> bool {
        self.0 & 0x10 != 0
    }

    fn is_control(self) -> bool {
        self.0 & 0x20 != 0
    }

    fn decompress(self, body: Bytes) -> io::Result<Bytes> {
        let mut source: Box<dyn Read> = match self.0 & 0x07 {
            0 => return Ok(body),
            1 => Box::new(GzDecoder::new(body.reader())),
            2 => {
                let mut body = body;
                let plain = Snappy::decompress(&mut body, |plain| Ok(std::mem::take(plain)));
                return plain.map_err(io::Error::other);
            }
            3 => Box::new(lz4_flex::frame::FrameDecoder::new(body.reader())),
            4 => {
                let decoder = ruzstd::decoding::StreamingDecoder::new(body.reader());
                Box::new(decoder.map_err(io::Error::other)?)
            }
            unknown => return Err(io::Error::other(format!("codec {unknown} is not known"))),
        };
        let mut plain = Vec::new();
        source.by_ref().take(LARGEST_BATCH).read_to_end(&mut plain)?;
        Ok(plain.into())
    }
}

/// An open batch.
#[derive(Debug)]
struct Batch {
    body: Bytes,
    at: usize,
    left: i32,
    base_offset: i64,
    timestamp_type: TimestampType,
    /// Of all records, or what their own are counted from.
    timestamp: i64,
}

/// A record as it stands in its batch.
struct RecordAt {
    timestamp_delta: i64,
    offset_delta: i64,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Vec<(String, Option<Bytes>)>,
    end: usize,
}

impl Batch {
    /// The next one; `None` when it is longer than its batch.
    #[inline]
    fn read(&self) -> Option<RecordAt> {
        let mut cursor = Cursor { bytes: &self.body, at: self.at };
        let length = usize::try_from(cursor.varint()?).ok()?;
        let end = cursor.at.checked_add(length).filter(|end| *end <= self.body.len())?;
        cursor.skip(size_of::<Attributes>())?;
        let timestamp_delta = cursor.varint()?;
        let offset_delta = cursor.varint()?;
        let key = cursor.part()?;
        let value = cursor.part()?;
        let count = usize::try_from(cursor.varint()?).ok()?;
        let headers = if count == 0 { Vec::new() } else { self.read_headers(count, cursor)? };
        Some(RecordAt { timestamp_delta, offset_delta, key, value, headers, end })
    }

    #[inline(never)]
    fn read_headers(&self, count: usize, mut cursor: Cursor<'_>) -> Option<Vec<(String, Option<Bytes>)>> {
        let mut headers = Vec::new();
        for _ in 0..count {
            let name = cursor.part()??;
            let name = String::from_utf8_lossy(&self.body[name]).into_owned();
            headers.push((name, cursor.part()?.map(|value| self.body.slice(value))));
        }
        Some(headers)
    }
}

/// Reads variable-length numbers and what they measure.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Zigzag, seven bits to a byte; most have one or two.
    #[inline]
    fn varint(&mut self) -> Option<i64> {
        let first = *self.bytes.get(self.at)?;
        if first & 0x80 == 0 {
            self.at += 1;
            return Some(i64::from(first >> 1) ^ -i64::from(first & 1));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Option<i64> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        None
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    /// Where bytes with their length before them lie; `Some(None)` for null.
    #[inline]
    fn part(&mut self) -> Option<Option<Range<usize>>> {
        let length = self.varint()?;
        if length < 0 {
            return Some(None);
        }
        let start = self.at;
        self.skip(usize::try_from(length).ok()?)?;
        Some(Some(start..self.at))
    }
}

/// How many bytes the batch has with which `bytes` begin; `None` if it is not there as a whole.
fn whole_batch(bytes: &[u8]) -> Result<Option<usize>, RecordsError> {
    // Older formats have their number in the same place.
    let Some(magic) = bytes.get(MAGIC) else { return Ok(None) };
    let offset = i64_at(bytes, 0);
    if *magic != 2 {
        return Err(RecordsError::Format { offset, magic: *magic });
    }
    let length = usize::try_from(i32_at(bytes, BATCH_LENGTH)).unwrap_or(0) + PREFIX;
    if length < RECORDS {
        return Err(RecordsError::Malformed(offset, "its length is less than that of its header"));
    }
    Ok((length <= bytes.len()).then_some(length))
}

fn last_offset(batch: &[u8]) -> i64 {
    i64_at(batch, 0).saturating_add(i32_at(batch, LAST_OFFSET_DELTA).into())
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(*bytes[at..].first_chunk().expect("a batch has all its fields"))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(*bytes[at..].first_chunk().expect("a batch has all its fields"))
}

#[cfg(test)]
mod tests;
