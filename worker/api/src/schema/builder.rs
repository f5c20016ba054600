//! How schemas are put together.

use std::sync::Arc;

use super::{Field, Inner, Schema, Shared};
use crate::{ByteString, ConnectError, Value};

/// Puts a schema together.
#[derive(Debug)]
pub struct SchemaBuilder(pub(super) Inner);

impl SchemaBuilder {
    /// Admits null.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.0.optional = true;
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: impl Into<ByteString>) -> Self {
        self.0.name = Some(name.into());
        self
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: i32) -> Self {
        self.0.version = Some(version);
        self
    }

    /// Sets the documentation.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<ByteString>) -> Self {
        self.0.doc = Some(doc.into());
        self
    }

    /// Adds a parameter, or replaces the one of that name.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<ByteString>, value: impl Into<ByteString>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.0.parameters.iter_mut().find(|(key, _)| *key == name) {
            Some(parameter) => parameter.1 = value,
            None => self.0.parameters.push((name, value)),
        }
        self
    }

    /// Sets the default. It is checked by [`SchemaBuilder::try_build`] and trusted by [`SchemaBuilder::build`].
    #[must_use]
    pub fn default_value(mut self, value: Value) -> Self {
        self.0.default = Some(value);
        self
    }

    /// Adds a struct member. The caller keeps names unique.
    #[must_use]
    pub fn field(mut self, name: impl Into<ByteString>, schema: Schema) -> Self {
        let index = self.0.fields.len();
        self.0.fields.push(Field { name: name.into(), index, schema });
        self
    }

    /// The schema, for schemas that the program itself writes down.
    pub fn build(self) -> Schema {
        Schema(Shared::Made(Arc::new(self.0)))
    }

    /// The schema, for schemas that come from outside.
    ///
    /// # Errors
    /// Data, when two fields share a name or the default does not fit the schema.
    pub fn try_build(mut self) -> Result<Schema, ConnectError> {
        for (index, field) in self.0.fields.iter().enumerate() {
            if self.0.fields[..index].iter().any(|earlier| earlier.name == field.name) {
                return Err(ConnectError::data(format!(
                    "Cannot create field because of field name duplication {}",
                    field.name
                )));
            }
        }
        match self.0.default.take() {
            None => Ok(self.build()),
            Some(default) => self.build().with_default(default),
        }
    }
}
