//! Converters: between values and the bytes of Kafka records.

use crate::{ByteString, Bytes, BytesMut, ConfigDef, ConnectError, Props, Schema, Value};

/// What a converter is used for: `converter.type` in its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConverterKind {
    /// `key`.
    Key,
    /// `value`.
    Value,
    /// `header`.
    Header,
}

/// What a converter made of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Encoded {
    /// Null: no bytes at all, which is not the same as zero bytes.
    Null,
    /// What has been appended to the buffer since the call.
    Appended,
}

/// A value with its schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaAndValue {
    /// The schema, if there is one.
    pub schema: Option<Schema>,
    /// The value.
    pub value: Value,
}

/// Converts keys or values. One instance serves one task; calls never overlap, so an instance may keep caches.
pub trait Converter: Send {
    /// The settings without their prefix.
    fn config_def(&self) -> &ConfigDef;

    /// Takes the settings, without their prefix. Called once, before the first conversion.
    ///
    /// # Errors
    /// Config.
    fn configure(&mut self, props: &Props, kind: ConverterKind) -> Result<(), ConnectError>;

    /// Appends the bytes of a value to `out`, which may hold earlier records' bytes. After an error the content
    /// behind the old end of `out` is unspecified; the caller truncates.
    ///
    /// # Errors
    /// Data, when the value does not fit the schema or the format.
    #[expect(clippy::wrong_self_convention, reason = "the name is Kafka's")]
    fn from_connect_data(
        &mut self,
        topic: &str,
        schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError>;

    /// Reads a value. `data` is a shared buffer: a value may be a slice of it.
    ///
    /// # Errors
    /// Data, when the bytes are not in the format.
    fn to_connect_data(&mut self, topic: &str, data: Option<&Bytes>) -> Result<SchemaAndValue, ConnectError>;
}

/// Converts header values. The contract is that of [`Converter`].
pub trait HeaderConverter: Send {
    /// The settings without their prefix.
    fn config_def(&self) -> &ConfigDef;

    /// Takes the settings, without their prefix. Called once, before the first conversion.
    ///
    /// # Errors
    /// Config.
    fn configure(&mut self, props: &Props) -> Result<(), ConnectError>;

    /// Appends the bytes of a header's value.
    ///
    /// # Errors
    /// Data, when the value does not fit the schema or the format.
    #[expect(clippy::wrong_self_convention, reason = "the name is Kafka's")]
    fn from_connect_header(
        &mut self,
        topic: &str,
        key: &ByteString,
        schema: Option<&Schema>,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<Encoded, ConnectError>;

    /// Reads a header's value.
    ///
    /// # Errors
    /// Data, when the bytes are not in the format.
    fn to_connect_header(
        &mut self,
        topic: &str,
        key: &ByteString,
        data: Option<&Bytes>,
    ) -> Result<SchemaAndValue, ConnectError>;
}
