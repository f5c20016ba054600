//! A batch on its way through the queue: open, closed, sealed, sent, perhaps halved.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::batch::{BatchBuilder, ClosedBatch, Compression, RecordToSend, Sequence, renumber};
use crate::endpoint::TopicPartition;
use crate::fetch::RecordSet;
use crate::produce::Run;
use crate::produce::queue::Key;

/// A batch that is being filled.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) builder: BatchBuilder,
    runs: Vec<Run>,
    pub(super) began: Instant,
    era: u32,
}

/// A batch that is full, or has waited long enough.
#[derive(Debug)]
pub(in crate::produce) struct Batch {
    pub(in crate::produce) body: Body,
    pub(in crate::produce) runs: Vec<Run>,
    pub(in crate::produce) count: i32,
    /// How much of the memory it takes, whatever it is compressed to.
    pub(super) size: usize,
    pub(super) began: Instant,
    pub(in crate::produce) era: u32,
    /// How often it was sent.
    pub(in crate::produce) attempts: u32,
    pub(in crate::produce) sequence: Option<Sequence>,
}

#[derive(Debug)]
pub(in crate::produce) enum Body {
    Closed(ClosedBatch),
    /// As it is sent, and sent again, with the number that it bears.
    Sealed {
        bytes: Bytes,
        sequence: Option<Sequence>,
    },
    /// Being made.
    Taken,
}

/// A batch on its way.
#[derive(Debug)]
pub(in crate::produce) struct Flight {
    pub(in crate::produce) key: Key,
    pub(in crate::produce) topic: Arc<str>,
    pub(in crate::produce) batch: Batch,
}

impl Flight {
    pub(in crate::produce) fn partition(&self) -> TopicPartition {
        TopicPartition::new(self.topic.to_string(), self.key.1 as i32)
    }
}

impl Open {
    /// `spare`: memory to be used again.
    pub(super) fn new(spare: Vec<u8>, began: Instant, era: u32) -> Self {
        Self { builder: BatchBuilder::new(spare), runs: Vec::new(), began, era }
    }

    #[inline]
    pub(super) fn append(&mut self, record: &RecordToSend<'_>, timestamp: i64, mark: u64) {
        self.builder.append(record, timestamp);
        match self.runs.last_mut() {
            Some(run) if run.first + u64::from(run.count) == mark && run.count < u32::MAX => run.count += 1,
            _ => self.runs.push(Run { first: mark, count: 1 }),
        }
    }

    pub(super) fn close(self) -> Batch {
        let Self { builder, runs, began, era } = self;
        let (count, size) = (builder.count(), builder.len());
        let body = Body::Closed(builder.close());
        Batch { body, runs, count, size, began, era, attempts: 0, sequence: None }
    }
}

impl Batch {
    /// Makes of it what is sent: compressed, numbered, with its checksum.
    pub(in crate::produce) fn seal(&mut self, compression: Compression) {
        let wanted = self.sequence;
        self.body = match std::mem::replace(&mut self.body, Body::Taken) {
            Body::Closed(closed) => {
                Body::Sealed { bytes: closed.seal(compression, wanted), sequence: wanted }
            }
            Body::Sealed { bytes, sequence } if sequence != wanted => {
                Body::Sealed { bytes: renumber(bytes, wanted), sequence: wanted }
            }
            as_wanted => as_wanted,
        };
    }

    /// Two batches with what is in this one; `None` if it holds one record, or not what we wrote.
    pub(in crate::produce) fn split(&self) -> Option<[Self; 2]> {
        let Body::Sealed { bytes, .. } = &self.body else { return None };
        let half = self.count / 2;
        if half == 0 {
            return None;
        }
        let mut set = RecordSet::new(bytes.clone(), 0, false, Vec::new());
        let mut halves = [(); 2].map(|()| Open::new(Vec::new(), self.began, self.era));
        let mut marks = self.runs.iter().flat_map(|run| (0..u64::from(run.count)).map(|nth| run.first + nth));
        while let Some(record) = set.next_record().ok()? {
            let open = &mut halves[usize::from(record.offset >= i64::from(half))];
            let headers: Vec<_> =
                record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            let again = RecordToSend {
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &headers,
                ..RecordToSend::default()
            };
            open.append(&again, record.timestamp, marks.next()?);
        }
        let halves = halves.map(Open::close);
        (halves.iter().map(|half| half.count).sum::<i32>() == self.count).then_some(halves)
    }
}
