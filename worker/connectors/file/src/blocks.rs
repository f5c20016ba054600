//! Reads a file or standard input in large blocks, one block ahead, without blocking the runtime.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::mem;

use connect_api::{Bytes, BytesMut};
use tokio::sync::oneshot;

use crate::lines::complete;

/// Bytes per read: large enough that a read costs nothing per line, small enough to stay in the cache.
const BLOCK: usize = 1 << 20;

/// Where bytes come from.
pub(crate) enum Input {
    File(File),
    Stdin,
}

impl Input {
    /// Opens a file at a position, which may lie behind its end: then there is nothing to read until it has
    /// grown.
    pub(crate) fn open(path: &str, position: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(position))?;
        Ok(Self::File(file))
    }
}

/// What one read gives back: everything that it took, and its result.
struct Outcome {
    input: Input,
    buffer: BytesMut,
    /// Bytes read, behind those that were in the buffer already.
    result: io::Result<usize>,
}

enum State {
    Idle(Input, BytesMut),
    Reading(oneshot::Receiver<Outcome>),
    /// Only while a state is replaced, and after a read has panicked.
    Gone,
}

/// Complete lines, block by block.
pub(crate) struct Blocks {
    state: State,
    /// How many bytes at the start of the buffer are known to be an incomplete line.
    clean: usize,
}

/// What there is to read.
#[derive(Debug)]
pub(crate) enum Block {
    /// At least one complete line, and nothing behind the last line end.
    Lines(Bytes),
    /// Something, but no line end: read on.
    Part,
    /// Nothing now; there may be more later.
    End,
}

impl Blocks {
    pub(crate) fn new(input: Input) -> Self {
        Self { state: State::Idle(input, BytesMut::new()), clean: 0 }
    }

    /// The next block. Cancel-safe: a read that is under way is picked up by the next call.
    pub(crate) async fn next(&mut self) -> io::Result<Block> {
        self.read_ahead();
        let State::Reading(reading) = &mut self.state else { return Err(gone()) };
        let outcome = reading.await;
        self.state = State::Gone;
        let Outcome { input, mut buffer, result } = outcome.map_err(|_| gone())?;
        let count = match result {
            Ok(count) => count,
            Err(error) => {
                self.state = State::Idle(input, buffer);
                return Err(error);
            }
        };
        let lines = buffer.split_to(complete(&buffer, self.clean)).freeze();
        self.clean = buffer.len();
        self.state = State::Idle(input, buffer);
        if count == 0 {
            return Ok(Block::End);
        }
        // The next block is read while the lines of this one are on their way.
        self.read_ahead();
        Ok(if lines.is_empty() { Block::Part } else { Block::Lines(lines) })
    }

    fn read_ahead(&mut self) {
        self.state = match mem::replace(&mut self.state, State::Gone) {
            State::Idle(input, tail) => State::Reading(start_read(input, tail)),
            other => other,
        };
    }
}

fn gone() -> io::Error {
    io::Error::other("an earlier read has failed")
}

fn start_read(mut input: Input, tail: BytesMut) -> oneshot::Receiver<Outcome> {
    let (tx, rx) = oneshot::channel();
    let is_file = matches!(input, Input::File(_));
    let read = move || {
        // A line longer than a block makes the reads grow with it, so that the copies stay proportional.
        let (kept, size) = (tail.len(), BLOCK.max(tail.len()));
        let mut buffer = BytesMut::with_capacity(kept + size);
        buffer.extend_from_slice(&tail);
        buffer.resize(kept + size, 0);
        let free = &mut buffer[kept..];
        let result = match &mut input {
            Input::File(file) => file.read(free),
            Input::Stdin => io::stdin().lock().read(free),
        };
        buffer.truncate(kept + *result.as_ref().unwrap_or(&0));
        // Nobody waits any more after a stop; then the bytes are read again by the next life of the task.
        let _ = tx.send(Outcome { input, buffer, result });
    };
    if is_file {
        tokio::task::spawn_blocking(read);
    } else {
        // Standard input can block for ever, and the runtime waits for its own threads when it shuts down.
        std::thread::spawn(read);
    }
    rx
}
