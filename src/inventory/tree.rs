//! YAML 1.2 into a tree that remembers where everything stood.
//!
//! Duplicate keys, tags, aliases without an anchor and further documents are problems, not silently resolved. Scalars
//! keep their text as written next to the type that YAML's core schema gives them, so that `1.10` and `0600` can still
//! become text where text is wanted.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::problem::{Path, Position, Problem, Step};

/// Guards against aliases that multiply without end.
const MAX_NODES: usize = 50_000;
const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_position: Position,
    pub(super) node: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// As written, unquoted.
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text,
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { kind: Kind::Null, .. }))
    }

    /// The node at `path`; `None` when nothing, or an empty value, stands there.
    pub(super) fn get(&self, path: &Path) -> Option<&Node> {
        let mut node = self;
        for step in path.steps() {
            node = node.child(step)?.1;
        }
        (!node.is_null()).then_some(node)
    }

    /// Where `path` stands, or the deepest part of it that is there.
    pub(super) fn position(&self, path: &Path) -> Position {
        let mut node = self;
        let mut position = self.position;
        for step in path.steps() {
            let Some((key_position, child)) = node.child(step) else { break };
            position = match child.value {
                Value::Scalar(_) if !child.is_null() => child.position,
                _ => key_position,
            };
            node = child;
        }
        position
    }

    fn child(&self, step: &Step) -> Option<(Position, &Node)> {
        match (step, &self.value) {
            (Step::Key(key), Value::Map(entries)) => {
                let entry = entries.iter().find(|entry| entry.key == *key)?;
                Some((entry.key_position, &entry.node))
            }
            (Step::Index(index), Value::List(items)) => items.get(*index).map(|node| (node.position, node)),
            _ => None,
        }
    }
}

/// The tree of a document, as far as it could be read, and everything wrong with its YAML.
pub(super) fn parse(text: &str, file: &str) -> (Option<Node>, Vec<Problem>) {
    let mut builder = Builder { file, ..Builder::default() };
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let step = match event {
            Ok((event, span)) => builder.event(event, position(span.start)),
            Err(error) => {
                let hint = if error.info().contains("tab") {
                    "indent with spaces"
                } else if error.info().contains("anchor") {
                    "an alias `*name` repeats what stands behind `&name` further up; there is none"
                } else {
                    "look at the indentation, quotes and brackets of this line and of those before it"
                };
                let message = format!("this is not valid YAML: {}", error.info());
                Err(builder.problem(position(*error.marker()), &message, Some(hint)))
            }
        };
        if let Err(fatal) = step {
            builder.problems.push(fatal);
            return (None, builder.problems);
        }
    }
    if builder.root.as_ref().is_none_or(Node::is_null) {
        let start = Position { line: 1, column: 1 };
        let hint = "`provision init` prints a file to start from";
        let empty = builder.problem(start, "the file is empty", Some(hint));
        builder.problems.push(empty);
        return (None, builder.problems);
    }
    (builder.root, builder.problems)
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// A list or mapping whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Position)>,
}

#[derive(Default)]
struct Builder<'f> {
    file: &'f str,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl Builder<'_> {
    fn problem(&self, position: Position, message: &str, hint: Option<&str>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            path: Path::root(),
            position: Some(position),
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }

    fn event(&mut self, event: Event<'_>, position: Position) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), position);
                let is_text = style != ScalarStyle::Plain
                    || tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let kind = if is_text { Kind::Text } else { core_schema(&text) };
                let scalar = Scalar { text: text.into_owned(), kind };
                self.add(Node { position, value: Value::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), position);
                self.start(Node { position, value: Value::List(Vec::new()) }, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), position);
                self.start(Node { position, value: Value::Map(Vec::new()) }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().expect("the parser balances starts and ends");
                self.add(open.node, open.anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.nodes += count(&node);
                    self.add(Node { position, ..node }, 0)
                }
                None => {
                    let hint = "write out what it stands for";
                    Err(self.problem(
                        position,
                        "an alias must come after the end of what it repeats",
                        Some(hint),
                    ))
                }
            },
            Event::DocumentStart(_) if self.root.is_some() => Err(self.problem(
                position,
                "expected one YAML document, found a second one",
                Some("keep one cluster per file"),
            )),
            _ => Ok(()),
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, position: Position) {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            // It may be a password that begins so: it is not repeated.
            let hint = "remove it; text that begins with `!` is put in quotes";
            self.problems.push(self.problem(
                position,
                "a tag such as `!name` has no meaning here",
                Some(hint),
            ));
        }
    }

    fn start(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            let hint = "no inventory is that deep: look at the brackets and the indentation";
            return Err(self.problem(node.position, "nested too deeply", Some(hint)));
        }
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let hint = "write out what the aliases stand for";
            return Err(self.problem(
                node.position,
                "too large, or aliases that repeat each other",
                Some(hint),
            ));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let path = self.path();
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(_), None) => {
                let Value::Scalar(scalar) = node.value else {
                    let hint = "write `key: value`; a list begins with `- `";
                    return Err(self.problem(node.position, "a key must be plain text", Some(hint)));
                };
                open.key = Some((scalar.text, node.position));
            }
            (Value::Map(entries), Some((key, key_position))) => {
                match entries.iter().find(|entry| entry.key == key) {
                    None => entries.push(Entry { key, key_position, node }),
                    Some(first) => {
                        let line = first.key_position.line;
                        self.problems.push(Problem {
                            file: self.file.to_owned(),
                            path: path.key(&key),
                            position: Some(key_position),
                            message: format!("this key is already on line {line}"),
                            hint: Some("keep one of the two".to_owned()),
                        });
                    }
                }
            }
            (Value::Scalar(_), _) => unreachable!("only lists and mappings are opened"),
        }
        Ok(())
    }

    /// Where the innermost open node stands.
    fn path(&self) -> Path {
        let mut path = Path::root();
        let Some((_, outer)) = self.open.split_last() else { return path };
        for open in outer {
            path = match (&open.node.value, &open.key) {
                (Value::List(items), _) => path.index(items.len()),
                (_, Some((key, _))) => path.key(key),
                _ => path,
            };
        }
        path
    }
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| 1 + count(&entry.node)).sum::<usize>(),
    }
}

/// The type of a plain scalar after YAML 1.2's core schema (section 10.3.2).
fn core_schema(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Boolean(true),
        "false" | "False" | "FALSE" => return Kind::Boolean(false),
        _ => {}
    }
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok();
    let integer = match text.split_at_checked(2) {
        Some(("0x", digits)) => radix(digits, 16),
        Some(("0o", digits)) => radix(digits, 8),
        _ => text.parse().ok(),
    };
    if let Some(integer) = integer {
        return Kind::Integer(integer);
    }
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    let is_numeric = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    match text.parse() {
        Ok(float) if has_digit && is_numeric => Kind::Float(float),
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Kind {
        core_schema(text)
    }

    #[test]
    fn plain_scalars_follow_yaml_1_2() {
        assert_eq!(scalar("0600"), Kind::Integer(600));
        assert_eq!(scalar("0o600"), Kind::Integer(0o600));
        assert_eq!(scalar("1.10"), Kind::Float(1.1));
        for text in ["yes", "no", "on", "off", "22:22", "1_000", "nan", "inf", "e", "-", "1.2.3"] {
            assert_eq!(scalar(text), Kind::Text, "{text}");
        }
    }

    #[test]
    fn positions_are_those_of_the_file() {
        let (node, problems) = parse("a: 1\nb:\n  - c: x\n    d: [1, 2]\n", "f");
        assert_eq!(problems, []);
        let node = node.expect("valid YAML");
        let path = Path::root().key("b").index(0).key("d").index(1);
        assert_eq!(node.position(&path), Position { line: 4, column: 12 });
        assert_eq!(node.position(&Path::root().keys("b.x.y")), Position { line: 2, column: 1 });
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let (_, problems) = parse(&text, "f");
        assert!(problems.iter().any(|problem| problem.message.contains("too large")), "{problems:?}");
    }

    #[test]
    fn deep_nesting_ends_in_a_problem() {
        let (_, problems) = parse(&"[".repeat(10_000), "f");
        assert_eq!(problems.len(), 1);
    }
}
