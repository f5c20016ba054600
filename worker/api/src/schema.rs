//! Connect schemas: immutable, shared, cheap to clone.

mod builder;

use std::fmt;
use std::ops::Deref;
use std::ptr;
use std::sync::{Arc, LazyLock};

pub use self::builder::SchemaBuilder;
use crate::{ByteString, ConnectError, Value};

/// The shape of a value. A logical type (date, decimal, …) is a primitive type with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are Kafka's `Schema.Type` and say what they are")]
pub enum SchemaType {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    Array,
    Map,
    Struct,
}

impl SchemaType {
    /// The name used in JSON schemas: `int8`, `float`, `double`, `struct`, ….
    pub fn json_name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float",
            Self::Float64 => "double",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Array => "array",
            Self::Map => "map",
            Self::Struct => "struct",
        }
    }
}

/// Java's enum constant: `INT8`, `FLOAT32`, ….
impl fmt::Display for SchemaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Float32 => "FLOAT32",
            Self::Float64 => "FLOAT64",
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Array => "ARRAY",
            Self::Map => "MAP",
            Self::Struct => "STRUCT",
        })
    }
}

/// Names of Connect's logical types.
pub mod logical {
    /// Base type bytes; parameter [`SCALE`].
    pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
    /// Base type int32, days since the epoch.
    pub const DATE: &str = "org.apache.kafka.connect.data.Date";
    /// Base type int32, milliseconds of the day.
    pub const TIME: &str = "org.apache.kafka.connect.data.Time";
    /// Base type int64, milliseconds since the epoch.
    pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
    /// The decimal's parameter that holds its scale, as text.
    pub const SCALE: &str = "scale";
}

/// A member of a struct schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Unique in its struct.
    pub name: ByteString,
    /// Position in its struct, from 0.
    pub index: usize,
    /// What the member holds.
    pub schema: Schema,
}

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    kind: SchemaType,
    optional: bool,
    default: Option<Value>,
    name: Option<ByteString>,
    version: Option<i32>,
    doc: Option<ByteString>,
    parameters: Vec<(ByteString, ByteString)>,
    fields: Vec<Field>,
    key: Option<Schema>,
    value: Option<Schema>,
}

/// A schema. Clones share their content; [`Schema::same`] tells sharing, `==` compares deeply.
#[derive(Clone)]
pub struct Schema(Shared);

/// Most records have plain schemas, so these are not even counted.
#[derive(Clone)]
enum Shared {
    Plain(&'static Inner),
    Made(Arc<Inner>),
}

impl Deref for Shared {
    type Target = Inner;

    #[inline]
    fn deref(&self) -> &Inner {
        match self {
            Self::Plain(inner) => inner,
            Self::Made(inner) => inner,
        }
    }
}

impl Schema {
    /// Starts a schema of any type.
    pub fn builder(kind: SchemaType) -> SchemaBuilder {
        SchemaBuilder(Inner {
            kind,
            optional: false,
            default: None,
            name: None,
            version: None,
            doc: None,
            parameters: Vec::new(),
            fields: Vec::new(),
            key: None,
            value: None,
        })
    }

    /// Starts a struct schema.
    pub fn structure() -> SchemaBuilder {
        Self::builder(SchemaType::Struct)
    }

    /// Starts an array schema.
    pub fn array(items: Schema) -> SchemaBuilder {
        let mut builder = Self::builder(SchemaType::Array);
        builder.0.value = Some(items);
        builder
    }

    /// Starts a map schema.
    pub fn map(keys: Schema, values: Schema) -> SchemaBuilder {
        let mut builder = Self::builder(SchemaType::Map);
        builder.0.key = Some(keys);
        builder.0.value = Some(values);
        builder
    }

    /// A map whose keys or values are all null and have no schema.
    pub(crate) fn partial_map(keys: Option<Schema>, values: Option<Schema>) -> Schema {
        let mut builder = Self::builder(SchemaType::Map);
        builder.0.key = keys;
        builder.0.value = values;
        builder.build()
    }

    /// Starts Connect's `Decimal`.
    pub fn decimal(scale: i32) -> SchemaBuilder {
        Self::logical(SchemaType::Bytes, logical::DECIMAL).parameter(logical::SCALE, scale.to_string())
    }

    /// Starts Connect's `Date`.
    pub fn date() -> SchemaBuilder {
        Self::logical(SchemaType::Int32, logical::DATE)
    }

    /// Starts Connect's `Time`.
    pub fn time() -> SchemaBuilder {
        Self::logical(SchemaType::Int32, logical::TIME)
    }

    /// Starts Connect's `Timestamp`.
    pub fn timestamp() -> SchemaBuilder {
        Self::logical(SchemaType::Int64, logical::TIMESTAMP)
    }

    fn logical(kind: SchemaType, name: &'static str) -> SchemaBuilder {
        Self::builder(kind).name(ByteString::from_static(name)).version(1)
    }

    /// The shared plain schema of a primitive type: no name, no default. Panics for arrays, maps and structs,
    /// which have no plain form.
    pub fn plain(kind: SchemaType, presence: Presence) -> Self {
        static PLAIN: LazyLock<Vec<[Inner; 2]>> = LazyLock::new(|| {
            PRIMITIVES
                .iter()
                .map(|kind| [Schema::builder(*kind).0, Schema::builder(*kind).optional().0])
                .collect()
        });
        let [required, optional] =
            PLAIN.get(kind as usize).expect("only primitive types have a plain schema");
        Self(Shared::Plain(match presence {
            Presence::Required => required,
            Presence::Optional => optional,
        }))
    }

    /// The shared required string schema.
    pub fn string() -> Self {
        Self::plain(SchemaType::String, Presence::Required)
    }

    /// The shared optional string schema.
    pub fn optional_string() -> Self {
        Self::plain(SchemaType::String, Presence::Optional)
    }

    /// The shared required int64 schema.
    pub fn int64() -> Self {
        Self::plain(SchemaType::Int64, Presence::Required)
    }

    /// The shared optional bytes schema.
    pub fn optional_bytes() -> Self {
        Self::plain(SchemaType::Bytes, Presence::Optional)
    }

    /// A builder that starts from a copy of this schema.
    pub fn to_builder(&self) -> SchemaBuilder {
        SchemaBuilder((*self.0).clone())
    }

    /// The base type.
    pub fn kind(&self) -> SchemaType {
        self.0.kind
    }

    /// Whether null is allowed.
    pub fn is_optional(&self) -> bool {
        self.0.optional
    }

    /// The default value, if there is one.
    pub fn default_value(&self) -> Option<&Value> {
        self.0.default.as_ref()
    }

    /// The name; logical types are told by it.
    pub fn name(&self) -> Option<&ByteString> {
        self.0.name.as_ref()
    }

    /// The version.
    pub fn version(&self) -> Option<i32> {
        self.0.version
    }

    /// The documentation.
    pub fn doc(&self) -> Option<&ByteString> {
        self.0.doc.as_ref()
    }

    /// Free-form parameters, in the order in which they were set.
    pub fn parameters(&self) -> &[(ByteString, ByteString)] {
        &self.0.parameters
    }

    /// One parameter.
    pub fn parameter(&self, name: &str) -> Option<&ByteString> {
        self.0.parameters.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    /// The members of a struct, in order; empty for other types.
    pub fn fields(&self) -> &[Field] {
        &self.0.fields
    }

    /// A member of a struct by name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.0.fields.iter().find(|field| &*field.name == name)
    }

    /// The schema of a map's keys.
    pub fn key_schema(&self) -> Option<&Schema> {
        self.0.key.as_ref()
    }

    /// The schema of a map's values or an array's items.
    pub fn value_schema(&self) -> Option<&Schema> {
        self.0.value.as_ref()
    }

    /// The same schema with a default.
    ///
    /// # Errors
    /// Data, when the default does not fit the schema.
    pub fn with_default(&self, default: Value) -> Result<Schema, ConnectError> {
        default
            .conforms_to(self)
            .map_err(|error| ConnectError::data("Invalid default value").with_source(error))?;
        let inner = Inner { default: Some(default), ..(*self.0).clone() };
        Ok(Self(Shared::Made(Arc::new(inner))))
    }

    /// Tells this schema from all others for as long as a clone of it lives: the key for caches.
    pub(crate) fn identity(&self) -> usize {
        &raw const *self.0 as usize
    }

    /// Whether both are clones of one schema. Much cheaper than `==`.
    pub fn same(&self, other: &Schema) -> bool {
        ptr::eq(&*self.0, &*other.0)
    }
}

/// In the order in which they are declared: plain schemas are found by it.
const PRIMITIVES: [SchemaType; 9] = [
    SchemaType::Int8,
    SchemaType::Int16,
    SchemaType::Int32,
    SchemaType::Int64,
    SchemaType::Float32,
    SchemaType::Float64,
    SchemaType::Boolean,
    SchemaType::String,
    SchemaType::Bytes,
];

const _: () = {
    let mut place = 0;
    while place < PRIMITIVES.len() {
        assert!(PRIMITIVES[place] as usize == place);
        place += 1;
    }
};

/// Whether a schema admits null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Null is an error.
    Required,
    /// Null is a value.
    Optional,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.same(other) || *self.0 == *other.0
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Java's `Schema{NAME:TYPE}` or `Schema{TYPE}`.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "Schema{{{name}:{}}}", self.kind()),
            None => write!(f, "Schema{{{}}}", self.kind()),
        }
    }
}
