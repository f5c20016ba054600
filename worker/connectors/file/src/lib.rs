//! FileStream source and sink: `org.apache.kafka.connect.file`.
//!
//! The source turns the lines of a file, or of standard input, into records; the sink appends the text of
//! records to a file, or to standard output. Both take Java's settings, the source also Java's offsets. Unlike
//! Java's, a stored position is always one of bytes, so that files with other than ASCII text resume exactly.
//!
//! Neither notices that a file was rotated or truncated, as Java's do not.

mod blocks;
mod lines;
mod sink;
mod source;

pub use sink::FileStreamSinkConnector;
pub use source::FileStreamSourceConnector;
