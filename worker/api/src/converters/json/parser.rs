//! A JSON parser that keeps numbers as text and strings as slices.
//!
//! As Jackson does for Kafka, it accepts leading zeros and ignores whatever follows the document.

use std::borrow::Cow;

use super::number::Number;
use crate::ConnectError;

/// Jackson's limit, which also bounds the recursion here.
const DEEPEST: usize = 1000;

/// A JSON value that borrows from its text. Members keep their order; of two with one name, the last counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Boolean(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// A member of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(members) => {
                members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Jackson's `JsonNodeType`, as error texts name it.
    pub(super) fn node_type(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean(_) => "BOOLEAN",
            Self::Number(_) => "NUMBER",
            Self::String(_) => "STRING",
            Self::Array(_) => "ARRAY",
            Self::Object(_) => "OBJECT",
        }
    }
}

pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// The document; `None` when there is only white space.
    pub(super) fn document(mut self) -> Result<Option<Json<'a>>, ConnectError> {
        self.skip_space();
        if self.at == self.text.len() { Ok(None) } else { self.value().map(Some) }
    }

    /// The raw text of `schema` and the value of `payload`, if the document is an object of exactly these two.
    pub(super) fn envelope(mut self) -> Result<Option<(&'a str, Json<'a>)>, ConnectError> {
        self.skip_space();
        if self.peek() != Some(b'{') {
            if self.at < self.text.len() {
                self.value()?;
            }
            return Ok(None);
        }
        let (mut schema, mut payload, mut has_others) = (None, None, false);
        self.members(|parser, name| {
            parser.skip_space();
            match &*name {
                "schema" => {
                    let start = parser.at;
                    parser.skip_value()?;
                    schema = Some(&parser.text[start..parser.at]);
                }
                "payload" => payload = Some(parser.value()?),
                _ => {
                    parser.value()?;
                    has_others = true;
                }
            }
            Ok(())
        })?;
        Ok(if has_others { None } else { schema.zip(payload) })
    }

    /// Passes over a schema. Its brackets and strings are followed here; the rest is checked when its text is
    /// parsed, which happens once per distinct text.
    fn skip_value(&mut self) -> Result<(), ConnectError> {
        if !matches!(self.peek(), Some(b'{' | b'[')) {
            return self.value().map(drop);
        }
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
        Err(self.error("Unexpected end-of-input"))
    }

    fn value(&mut self) -> Result<Json<'a>, ConnectError> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => {
                let mut members = Vec::new();
                self.members(|parser, name| {
                    members.push((name, parser.value()?));
                    Ok(())
                })?;
                Ok(Json::Object(members))
            }
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.literal(),
            None => Err(self.error("Unexpected end-of-input")),
        }
    }

    fn members(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), ConnectError>,
    ) -> Result<(), ConnectError> {
        self.enter()?;
        self.skip_space();
        if self.peek() != Some(b'}') {
            loop {
                self.skip_space();
                let name = self.string()?;
                self.skip_space();
                self.expect(b':')?;
                member(self, name)?;
                self.skip_space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.depth -= 1;
        self.expect(b'}')
    }

    fn array(&mut self) -> Result<Json<'a>, ConnectError> {
        self.enter()?;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() != Some(b']') {
            loop {
                items.push(self.value()?);
                self.skip_space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.depth -= 1;
        self.expect(b']')?;
        Ok(Json::Array(items))
    }

    fn enter(&mut self) -> Result<(), ConnectError> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEEPEST { Err(self.error("Document nesting depth exceeds 1000")) } else { Ok(()) }
    }

    fn literal(&mut self) -> Result<Json<'a>, ConnectError> {
        for (word, value) in
            [("null", Json::Null), ("true", Json::Boolean(true)), ("false", Json::Boolean(false))]
        {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return match self.peek() {
                    Some(next) if next.is_ascii_alphanumeric() || matches!(next, b'_' | b'$' | 0x80..) => {
                        Err(self.error("Unrecognized token"))
                    }
                    _ => Ok(value),
                };
            }
        }
        Err(self.error("Unrecognized token"))
    }

    fn number(&mut self) -> Result<Json<'a>, ConnectError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        self.digits()?;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // Elsewhere a delimiter has to follow anyway.
        if self.depth == 0 && !matches!(self.peek(), None | Some(b' ' | b'\t' | b'\n' | b'\r')) {
            return Err(self.error("Expected space separating root-level values"));
        }
        let number = Number::new(&self.text[start..self.at]);
        number.map(Json::Number).ok_or_else(|| self.error("Number value length exceeds 1000"))
    }

    fn digits(&mut self) -> Result<(), ConnectError> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.error("Unexpected character in number")) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, ConnectError> {
        let start = self.at + 1;
        let escapes = self.skip_string()?;
        let raw = &self.text[start..self.at - 1];
        if escapes { self.unescape(raw).map(Cow::Owned) } else { Ok(Cow::Borrowed(raw)) }
    }

    /// Passes over a string; true when there are escapes in it.
    fn skip_string(&mut self) -> Result<bool, ConnectError> {
        self.expect(b'"')?;
        let mut escapes = false;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Ok(escapes),
                b'\\' => {
                    escapes = true;
                    self.at += 1;
                }
                0..0x20 => return Err(self.error("Illegal unquoted character in string")),
                _ => {}
            }
        }
        Err(self.error("Unexpected end-of-input in string"))
    }

    fn unescape(&self, raw: &str) -> Result<String, ConnectError> {
        let bad = || self.error("Unrecognized character escape");
        let mut text = String::with_capacity(raw.len());
        let (plain, mut rest) = next_escape(raw);
        text.push_str(plain);
        while let Some(escape) = rest {
            let kind = escape.chars().next().ok_or_else(bad)?;
            let mut tail = &escape[kind.len_utf8()..];
            match kind {
                '"' | '\\' | '/' => text.push(kind),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                'u' => {
                    let first = hex4(tail).ok_or_else(bad)?;
                    tail = &tail[4..];
                    let second = tail.strip_prefix("\\u").and_then(hex4);
                    match (first, second) {
                        (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) => {
                            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                            text.push(char::from_u32(code).ok_or_else(bad)?);
                            tail = &tail[6..];
                        }
                        // A lone surrogate has no UTF-8; Java would print it as `?`.
                        _ => text.push(char::from_u32(first).unwrap_or('?')),
                    }
                }
                _ => return Err(bad()),
            }
            let (plain, next) = next_escape(tail);
            text.push_str(plain);
            rest = next;
        }
        Ok(text)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), ConnectError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error(&format!("Expected '{}'", char::from(byte))))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error(&self, what: &str) -> ConnectError {
        ConnectError::data(format!("{what} at byte {}", self.at))
    }
}

/// The text up to the next backslash, and what follows the backslash.
fn next_escape(text: &str) -> (&str, Option<&str>) {
    text.split_once('\\').map_or((text, None), |(plain, escape)| (plain, Some(escape)))
}

fn hex4(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        u32::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}
