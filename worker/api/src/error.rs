//! The one error that crosses the boundary between the worker and a plugin.
//!
//! Kafka's exception classes are the vocabulary here: the worker decides by [`ErrorKind`] whether to retry or to
//! tolerate, and users find the class names in `trace` and in dead letter queue headers.

use std::error::Error;
use std::fmt::{self, Write as _};

/// What went wrong, in the classes of `org.apache.kafka.connect.errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The operation may succeed when it is tried again (`RetriableException`).
    Retriable,
    /// A record, schema or byte sequence is not what it should be (`DataException`).
    Data,
    /// The configuration is wrong (`ConfigException`).
    Config,
    /// The operation failed and will fail again (`ConnectException`).
    Connect,
}

/// A failure inside a connector, task, converter or transform.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConnectError {
    /// An error without a cause. The message is Java's text where Java has one.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// `RetriableException`.
    pub fn retriable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Retriable, message)
    }

    /// `DataException`.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// `ConfigException`.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// `ConnectException`.
    pub fn connect(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Connect, message)
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// The class that decides about retries and tolerance.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the worker may try the operation again.
    pub fn is_retriable(&self) -> bool {
        self.kind == ErrorKind::Retriable
    }

    /// The Java class that the JVM worker would show.
    pub fn java_class(&self) -> &'static str {
        match self.kind {
            ErrorKind::Retriable => "org.apache.kafka.connect.errors.RetriableException",
            ErrorKind::Data => "org.apache.kafka.connect.errors.DataException",
            ErrorKind::Config => "org.apache.kafka.common.config.ConfigException",
            ErrorKind::Connect => "org.apache.kafka.connect.errors.ConnectException",
        }
    }

    /// The text of `trace` in a status: `CLASS: MESSAGE`, then one `Caused by:` line per cause. There are no
    /// stack frames.
    pub fn java_trace(&self) -> String {
        let mut trace = format!("{}: {}\n", self.java_class(), self.message);
        let mut cause = self.source();
        while let Some(error) = cause {
            match error.downcast_ref::<ConnectError>() {
                Some(ours) => {
                    append_cause(&mut trace, format_args!("{}: {}", ours.java_class(), ours.message))
                }
                None => append_cause(&mut trace, format_args!("{error}")),
            }
            cause = error.source();
        }
        trace
    }
}

fn append_cause(trace: &mut String, cause: fmt::Arguments<'_>) {
    writeln!(trace, "Caused by: {cause}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_names_every_cause() {
        let error = ConnectError::connect("task failed")
            .with_source(ConnectError::data("bad field").with_source(std::io::Error::other("disk on fire")));
        assert_eq!(
            error.java_trace(),
            "org.apache.kafka.connect.errors.ConnectException: task failed\n\
             Caused by: org.apache.kafka.connect.errors.DataException: bad field\n\
             Caused by: disk on fire\n"
        );
    }
}
