//! From an Avro schema document with annotations to a Connect schema and a generator.
//!
//! Types: the primitives, enum, array, map, record, `[null, X]`, and the logical types date, time-millis and
//! timestamp-millis. What is not understood (fixed, decimal, other unions, recursive records) is refused by
//! name, never generated wrongly.

mod annotation;
mod constant;
mod document;

use std::collections::HashMap;

use connect_api::schema::Presence;
use connect_api::{ByteString, Schema, SchemaBuilder, SchemaType};
use serde_json::{Map, Value as Json};

use crate::generator::Generator;

/// Why a schema document is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error("the text is not JSON")]
    Json(#[source] serde_json::Error),
    #[error("{path}: {problem}")]
    Node { path: String, problem: String },
}

/// A schema with what makes its values.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) schema: Schema,
    pub(crate) generator: Generator,
}

/// Compiles a document. JSON comments are allowed, as Avro's parser allows them.
pub(crate) fn compile(document: &str) -> Result<Node, SchemaError> {
    let json = serde_json::from_str(&document::without_comments(document)).map_err(SchemaError::Json)?;
    let mut compiler = Compiler { named: HashMap::new(), path: Vec::new(), namespace: String::new() };
    compiler.node(&json).map_err(|problem| SchemaError::Node { path: compiler.path.join("."), problem })
}

struct Compiler {
    /// Full name -> the type of that name; `None` while it is being compiled.
    named: HashMap<String, Option<Node>>,
    /// Where in the document we are; stays where the first problem is.
    path: Vec<String>,
    namespace: String,
}

/// A problem without its place.
type Problem = String;

impl Compiler {
    fn node(&mut self, json: &Json) -> Result<Node, Problem> {
        match json {
            Json::String(name) => self.reference(name, &Map::new()),
            Json::Array(branches) => self.union(branches),
            Json::Object(object) => self.object(object),
            _ => Err("a schema is a name, a list or an object".into()),
        }
    }

    fn object(&mut self, object: &Map<String, Json>) -> Result<Node, Problem> {
        let kind = object.get("type").ok_or("the type is missing")?;
        let Json::String(kind) = kind else { return self.node(kind) };
        match kind.as_str() {
            "record" => self.record(object),
            "enum" => self.enumeration(object),
            "array" => {
                let items = self.child("items", object.get("items").ok_or("items are missing")?)?;
                let schema = Schema::array(items.schema.clone()).build();
                self.annotated(object, schema, |annotation| {
                    Ok(Generator::Array { length: annotation.length()?, items: Box::new(items.generator) })
                })
            }
            "map" => {
                let values = self.child("values", object.get("values").ok_or("values are missing")?)?;
                let keys = Schema::string();
                let schema = Schema::map(keys.clone(), values.schema.clone()).build();
                self.annotated(object, schema, |annotation| {
                    Ok(Generator::Map {
                        length: annotation.length()?,
                        keys: Box::new(annotation.keys(&keys)?),
                        values: Box::new(values.generator),
                    })
                })
            }
            "fixed" => Err("the type fixed is not supported".into()),
            name => self.reference(name, object),
        }
    }

    fn reference(&mut self, name: &str, object: &Map<String, Json>) -> Result<Node, Problem> {
        let logical = object.get("logicalType").and_then(Json::as_str);
        let schema = match (name, logical) {
            ("null", _) => {
                return Ok(Node { schema: Schema::optional_string(), generator: Generator::Null });
            }
            ("bytes", Some("decimal")) => return Err("the logical type decimal is not supported".into()),
            ("int", Some("date")) => Schema::date().build(),
            ("int", Some("time-millis")) => Schema::time().build(),
            ("long", Some("timestamp-millis")) => Schema::timestamp().build(),
            _ => match primitive(name) {
                Some(kind) => Schema::plain(kind, Presence::Required),
                None => return self.named_type(name),
            },
        };
        self.annotated(object, schema, |annotation| annotation.primitive())
    }

    fn named_type(&self, name: &str) -> Result<Node, Problem> {
        match self.named.get(&self.full_name(name)).or_else(|| self.named.get(name)) {
            Some(Some(node)) => Ok(node.clone()),
            Some(None) => Err(format!("the type {name} contains itself, which is not supported")),
            None => Err(format!("the type {name} is not defined")),
        }
    }

    fn union(&mut self, branches: &[Json]) -> Result<Node, Problem> {
        let is_null =
            |branch: &Json| branch == "null" || branch.get("type").is_some_and(|kind| kind == "null");
        let others: Vec<_> = branches.iter().filter(|branch| !is_null(branch)).collect();
        match (&others[..], branches.len()) {
            ([branch], 1) => self.node(branch),
            ([branch], 2) => {
                let node = self.node(branch)?;
                Ok(Node {
                    schema: node.schema.to_builder().optional().build(),
                    generator: Generator::Optional(Box::new(node.generator)),
                })
            }
            _ => Err("only unions of null and one other type are supported".into()),
        }
    }

    fn record(&mut self, object: &Map<String, Json>) -> Result<Node, Problem> {
        let outer = self.namespace.clone();
        let full_name = self.enter_name(object)?;
        let fields = object.get("fields").and_then(Json::as_array).ok_or("fields are missing")?;
        let mut builder = Schema::structure().name(ByteString::from(full_name.as_str()));
        if let Some(doc) = object.get("doc").and_then(Json::as_str) {
            builder = builder.parameter(ByteString::from_static("io.confluent.connect.avro.record.doc"), doc);
        }
        let mut generators = Vec::with_capacity(fields.len());
        for field in fields {
            let name = field.get("name").and_then(Json::as_str).ok_or("a field has no name")?;
            let mut node = self.child(name, field.get("type").ok_or(format!("field {name} has no type"))?)?;
            if let Some(default) = field.get("default").filter(|default| !default.is_null()) {
                let value = constant::read(&node.schema, default)?;
                node.schema = node
                    .schema
                    .to_builder()
                    .parameter(ByteString::from_static("io.confluent.connect.avro.field.default"), "true")
                    .default_value(value)
                    .build();
            }
            if let Some(doc) = field.get("doc").and_then(Json::as_str) {
                builder = builder.parameter(format!("io.confluent.connect.avro.field.doc.{name}"), doc);
            }
            builder = builder.field(name, node.schema);
            generators.push(node.generator);
        }
        let schema = builder.try_build().map_err(|error| error.to_string())?;
        let node =
            self.annotated(object, schema.clone(), |_| Ok(Generator::Record { schema, fields: generators }))?;
        self.namespace = outer;
        self.named.insert(full_name, Some(node.clone()));
        Ok(node)
    }

    fn enumeration(&mut self, object: &Map<String, Json>) -> Result<Node, Problem> {
        let outer = self.namespace.clone();
        let full_name = self.enter_name(object)?;
        self.namespace = outer;
        let symbols: Option<Vec<&str>> = object
            .get("symbols")
            .and_then(Json::as_array)
            .and_then(|symbols| symbols.iter().map(Json::as_str).collect());
        let symbols = symbols.filter(|symbols| !symbols.is_empty()).ok_or("symbols are missing")?;
        const ENUM: &str = "io.confluent.connect.avro.Enum";
        let first: SchemaBuilder = Schema::builder(SchemaType::String)
            .name(ByteString::from(full_name.as_str()))
            .parameter(ByteString::from_static(ENUM), ByteString::from(full_name.as_str()));
        let schema = symbols
            .iter()
            .fold(first, |builder, symbol| builder.parameter(format!("{ENUM}.{symbol}"), *symbol));
        let values = symbols.iter().map(|symbol| connect_api::Value::string(*symbol)).collect();
        let node = self.annotated(object, schema.build(), |_| Ok(Generator::Options(values)))?;
        self.named.insert(full_name, Some(node.clone()));
        Ok(node)
    }

    /// The full name of a named type; its namespace becomes the current one.
    fn enter_name(&mut self, object: &Map<String, Json>) -> Result<String, Problem> {
        let name = object.get("name").and_then(Json::as_str).ok_or("the name is missing")?;
        if let Some((namespace, _)) = name.rsplit_once('.') {
            self.namespace = namespace.to_owned();
        } else if let Some(namespace) = object.get("namespace").and_then(Json::as_str) {
            self.namespace = namespace.to_owned();
        }
        let full_name = self.full_name(name);
        if self.named.insert(full_name.clone(), None).is_some() {
            return Err(format!("the type {full_name} is defined twice"));
        }
        Ok(full_name)
    }

    fn full_name(&self, name: &str) -> String {
        if name.contains('.') || self.namespace.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.namespace)
    }

    fn child(&mut self, name: &str, json: &Json) -> Result<Node, Problem> {
        self.path.push(name.to_owned());
        let node = self.node(json)?;
        self.path.pop();
        Ok(node)
    }

    /// `options` come before everything that the type itself would do.
    fn annotated(
        &self,
        object: &Map<String, Json>,
        schema: Schema,
        generator: impl FnOnce(&annotation::Annotation<'_>) -> Result<Generator, Problem>,
    ) -> Result<Node, Problem> {
        let annotation = annotation::Annotation::new(object, &schema)?;
        let generator = match annotation.options()? {
            Some(values) => Generator::Options(values),
            None => generator(&annotation)?,
        };
        Ok(Node { schema, generator })
    }
}

fn primitive(name: &str) -> Option<SchemaType> {
    Some(match name {
        "boolean" => SchemaType::Boolean,
        "int" => SchemaType::Int32,
        "long" => SchemaType::Int64,
        "float" => SchemaType::Float32,
        "double" => SchemaType::Float64,
        "string" => SchemaType::String,
        "bytes" => SchemaType::Bytes,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
