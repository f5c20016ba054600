//! Checks a tree against the JSON Schema: unknown keys, wrong types, values out of range, all of them.
//!
//! Understands the part of JSON Schema that `schemars` makes of [`raw`](super::raw), no more. What passes is returned
//! as JSON, what does not is left out of it, so that the sound rest can be looked at as well.

use serde_json::{Map, Value as Json};

use super::nearest::nearest;
use super::problem::Path;
use super::report::Report;
use super::tree::{Entry, Kind, Node, Scalar, Value};

/// The sound part of the tree as JSON.
pub(super) fn check(schema: &Json, report: &mut Report<'_>) -> Json {
    let tree = report.tree;
    let mut checker = Checker { schema, report, is_in_secret: false };
    checker.node(tree, schema, "", &Path::root()).unwrap_or_else(|| Json::Object(Map::new()))
}

/// What a place takes, gathered from a schema and everything it refers to.
#[derive(Default)]
struct Accepts<'s> {
    object: Option<&'s Map<String, Json>>,
    array: Option<&'s Map<String, Json>>,
    integer: Option<&'s Map<String, Json>>,
    /// Fixed words.
    words: Vec<&'s str>,
    string: bool,
    /// Numbers that are wanted as they were written.
    number: bool,
    boolean: bool,
    null: bool,
    /// A reference to a secret.
    secret: bool,
    /// A mapping with secrets somewhere below: what is typed in its place may be one of them.
    holds_secret: bool,
    /// What the key means, in the words of the schema.
    about: &'s str,
}

impl<'s> Accepts<'s> {
    fn gather(&mut self, root: &'s Json, schema: &'s Json) {
        let Some(schema) = schema.as_object() else { return };
        self.secret |= schema.contains_key("x-secret");
        if self.about.is_empty() {
            self.about = schema.get("description").and_then(Json::as_str).unwrap_or_default();
        }
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            self.gather(root, target.expect("schemars refers to its own definitions only"));
        }
        for union in ["anyOf", "oneOf", "allOf"] {
            for branch in schema.get(union).and_then(Json::as_array).into_iter().flatten() {
                self.gather(root, branch);
            }
        }
        let words =
            schema.get("enum").and_then(Json::as_array).into_iter().flatten().chain(schema.get("const"));
        let before = self.words.len();
        self.words.extend(words.filter_map(Json::as_str));
        let is_free = self.words.len() == before;
        let types: Vec<&str> = match schema.get("type") {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        };
        for name in types {
            match name {
                "object" => {
                    self.object = Some(schema);
                    self.holds_secret |= reaches_secret(root, schema);
                }
                "array" => self.array = Some(schema),
                "integer" => self.integer = Some(schema),
                "string" => self.string |= is_free,
                "number" => self.number = true,
                "boolean" => self.boolean = true,
                "null" => self.null = true,
                _ => {}
            }
        }
    }

    /// In words, for a message.
    fn describe(&self) -> String {
        if self.secret {
            return "a reference to a secret".to_owned();
        }
        let mut kinds: Vec<String> = self.words.iter().map(|word| format!("`{word}`")).collect();
        if self.string {
            kinds.push("text".into());
        }
        if let Some(limits) = self.integer {
            kinds.push(match limits_of(limits) {
                (Some(min), Some(max)) => format!("{min}..{max}"),
                _ => "a whole number".into(),
            });
        }
        if self.number && !self.string {
            kinds.push("a number".into());
        }
        if self.boolean && !self.number {
            kinds.push("`true` or `false`".into());
        }
        if self.array.is_some() {
            kinds.push("a list".into());
        }
        if self.object.is_some() {
            kinds.push("a mapping".into());
        }
        match kinds.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => "nothing".to_owned(),
        }
    }
}

/// Whether a secret may stand in this place or anywhere below it. The types are a tree, so this ends.
fn reaches_secret(root: &Json, schema: &Map<String, Json>) -> bool {
    let below = |part: &Json| part.as_object().is_some_and(|part| reaches_secret(root, part));
    let list = |name: &str| schema.get(name).and_then(Json::as_array).into_iter().flatten();
    let reference = schema.get("$ref").and_then(Json::as_str).and_then(|text| text.strip_prefix('#'));
    schema.contains_key("x-secret")
        || schema.get("properties").and_then(Json::as_object).is_some_and(|keys| keys.values().any(below))
        || ["additionalProperties", "items"].iter().filter_map(|name| schema.get(*name)).any(below)
        || list("anyOf").chain(list("oneOf")).chain(list("allOf")).any(below)
        || reference.and_then(|pointer| root.pointer(pointer)).is_some_and(below)
}

fn limits_of(schema: &Map<String, Json>) -> (Option<i64>, Option<i64>) {
    let limit = |name: &str| schema.get(name).and_then(Json::as_i64);
    (limit("minimum"), limit("maximum"))
}

/// A description of the schema, as the hint of a problem.
fn one_line(about: &str) -> String {
    about.replace('\n', " ")
}

const SECRET_HINT: &str =
    "a secret is never written here: use { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }";

struct Checker<'a, 's, 't> {
    schema: &'s Json,
    report: &'a mut Report<'t>,
    /// Below a secret nothing of what was typed is repeated.
    is_in_secret: bool,
}

impl<'s> Checker<'_, 's, '_> {
    /// The node as JSON, without its unsound parts; `None` when nothing of it is sound. `above` is what the list or
    /// mapping around it means, for an entry without a description of its own.
    fn node(&mut self, node: &Node, schema: &'s Json, above: &'s str, path: &Path) -> Option<Json> {
        let mut accepts = Accepts::default();
        accepts.gather(self.schema, schema);
        if accepts.about.is_empty() {
            accepts.about = above;
        }
        match &node.value {
            Value::Scalar(scalar) => self.scalar(node, scalar, &accepts, path),
            Value::Map(entries) => match accepts.object {
                Some(object) if accepts.secret => Some(self.secret(node, entries, object, path)),
                Some(object) => Some(self.map(entries, object, accepts.about, path)),
                None => self.mismatch(node, "a mapping", &accepts, path),
            },
            Value::List(items) => match accepts.array {
                Some(array) => Some(self.list(items, array, accepts.about, path)),
                None => self.mismatch(node, "a list", &accepts, path),
            },
        }
    }

    fn mismatch(&mut self, node: &Node, found: &str, accepts: &Accepts<'_>, path: &Path) -> Option<Json> {
        let hint = if accepts.secret { SECRET_HINT.to_owned() } else { one_line(accepts.about) };
        let message = format!("expected {}, found {found}", accepts.describe());
        self.report.problem_at(node.position, path, message, hint);
        None
    }

    fn list(&mut self, items: &[Node], array: &'s Map<String, Json>, about: &'s str, path: &Path) -> Json {
        let least = array.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            self.report.problem(path, "expected at least one entry, found an empty list", one_line(about));
            return Json::Null;
        }
        let schema = array.get("items").unwrap_or(&Json::Bool(true));
        let checked =
            items.iter().enumerate().map(|(index, item)| self.node(item, schema, about, &path.index(index)));
        // A hole keeps the indices of what follows; `raw` never sees it, because a list with one is not handed on.
        let checked: Vec<Option<Json>> = checked.collect();
        match checked.into_iter().collect() {
            Some(whole) => Json::Array(whole),
            None => Json::Null,
        }
    }

    fn map(&mut self, entries: &[Entry], object: &'s Map<String, Json>, about: &'s str, path: &Path) -> Json {
        let properties = object.get("properties").and_then(Json::as_object);
        let additional = object.get("additionalProperties").filter(|schema| schema.is_object());
        let known = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
        let has_secret = properties.into_iter().flat_map(Map::values).any(|key| {
            let mut accepts = Accepts::default();
            accepts.gather(self.schema, key);
            accepts.secret
        });
        let mut sound = Map::new();
        for entry in entries {
            let here = path.key(&entry.key);
            let Some(schema) = properties.and_then(|known| known.get(&entry.key)).or(additional) else {
                let unused = known().filter(|key| !entries.iter().any(|entry| entry.key == **key));
                let meant = nearest(&entry.key, unused);
                let hint = match meant {
                    Some(key) => format!("did you mean `{key}`?"),
                    None if entry.key == "<<" => {
                        "merge keys are not part of YAML 1.2; repeat the keys".to_owned()
                    }
                    None => format!("known keys: {}", known().collect::<Vec<_>>().join(", ")),
                };
                // `{ password hunter2 }` is a key without a value.
                let is_private = has_secret && entry.node.is_null();
                let named = if is_private { path } else { &here };
                self.report.problem_at(entry.key_position, named, "unknown key", hint);
                if let Some(key) = meant {
                    self.report.is_misspelling_of(path.key(key));
                }
                continue;
            };
            if let Some(value) = self.node(&entry.node, schema, about, &here) {
                sound.insert(entry.key.clone(), value);
            }
        }
        for key in
            object.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
        {
            let is_there = entries.iter().any(|entry| entry.key == key);
            if !is_there {
                let about = properties.and_then(|known| known.get(key)?.get("description")?.as_str());
                self.report.missing(&path.key(key), one_line(about.unwrap_or_default()));
            }
        }
        Json::Object(sound)
    }

    /// Like a mapping, but nothing of what was typed is repeated: it may be the secret itself.
    fn secret(&mut self, node: &Node, entries: &[Entry], object: &'s Map<String, Json>, path: &Path) -> Json {
        let properties =
            object.get("properties").and_then(Json::as_object).expect("a secret's sources are named");
        if entries.len() != 1 || entries.iter().any(|entry| !properties.contains_key(&entry.key)) {
            let message = "expected exactly one of `env`, `file` and `command`";
            self.report.problem_at(node.position, path, message, SECRET_HINT);
            return Json::Null;
        }
        self.is_in_secret = true;
        let sound = self.map(entries, object, SECRET_HINT, path);
        self.is_in_secret = false;
        sound
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, accepts: &Accepts<'_>, path: &Path) -> Option<Json> {
        let text = scalar.text.as_str();
        if accepts.words.contains(&text) || (accepts.string && scalar.kind == Kind::Text) {
            return Some(Json::String(text.to_owned()));
        }
        match scalar.kind {
            Kind::Null if accepts.null => return Some(Json::Null),
            Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_) if accepts.number => {
                return Some(Json::String(text.to_owned()));
            }
            Kind::Boolean(value) if accepts.boolean => return Some(Json::Bool(value)),
            Kind::Integer(value) => {
                if let Some(limits) = accepts.integer {
                    return self.integer(node, scalar, value, limits, accepts.about, path);
                }
            }
            _ => {}
        }
        let is_private = accepts.secret || accepts.holds_secret || self.is_in_secret;
        let found = match scalar.kind {
            Kind::Null if !accepts.secret => "nothing".to_owned(),
            _ if is_private => "a plain value".to_owned(),
            Kind::Null => "nothing".to_owned(),
            Kind::Boolean(_) => format!("the boolean {text}"),
            Kind::Integer(_) | Kind::Float(_) => format!("the number {text}"),
            Kind::Text => format!("{text:?}"),
        };
        let hint = if accepts.secret || self.is_in_secret {
            SECRET_HINT.to_owned()
        } else if let Some(word) = nearest(text, accepts.words.iter().copied()) {
            format!("did you mean `{word}`?")
        } else if accepts.string && scalar.kind != Kind::Null {
            format!("put it in quotes: \"{text}\"")
        } else if accepts.boolean && scalar.kind == Kind::Text {
            "in YAML 1.2 only `true` and `false` are booleans".to_owned()
        } else if accepts.integer.is_some() && text.parse::<f64>().is_ok() && scalar.kind == Kind::Text {
            "remove the quotes".to_owned()
        } else {
            one_line(accepts.about)
        };
        let message = format!("expected {}, found {found}", accepts.describe());
        self.report.problem_at(node.position, path, message, hint);
        None
    }

    fn integer(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        value: i64,
        limits: &Map<String, Json>,
        about: &str,
        path: &Path,
    ) -> Option<Json> {
        let digits = scalar.text.trim_start_matches(['+', '-']);
        if digits.len() > 1 && digits.starts_with('0') {
            let message = format!("{} is the number {value}, which may not be what is meant", scalar.text);
            let hint = "write it without leading zeros; in YAML 1.2 they do not make a number octal";
            self.report.problem_at(node.position, path, message, hint);
            return None;
        }
        let (min, max) = limits_of(limits);
        if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
            let (min, max) = (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX));
            let message = format!("expected {min}..{max}, found {value}");
            self.report.problem_at(node.position, path, message, one_line(about));
            return None;
        }
        Some(Json::from(value))
    }
}
