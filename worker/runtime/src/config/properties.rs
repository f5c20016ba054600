//! Java's `.properties` syntax.
//!
//! Values may be secrets, so [`Properties`] shows names only when it is printed.

use std::collections::BTreeMap;
use std::fmt;

/// Name -> value, as written in a properties file; the last of equal names wins, as in Java.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Parses the text of a file.
    ///
    /// Errors: a malformed `\uXXXX` escape, with its line number.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedEscape> {
        let mut values = BTreeMap::new();
        let mut lines = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).enumerate();
        while let Some((number, first)) = lines.next() {
            let first = first.trim_start_matches(is_blank);
            if first.is_empty() || first.starts_with(['#', '!']) {
                continue;
            }
            let mut logical = first.to_owned();
            while ends_with_odd_backslashes(&logical) {
                logical.pop();
                match lines.next() {
                    Some((_, more)) => logical.push_str(more.trim_start_matches(is_blank)),
                    None => break,
                }
            }
            let (key, value) = split(&logical);
            let unescape = |text: &str| unescape(text).ok_or(MalformedEscape { line: number + 1 });
            values.insert(unescape(key)?, unescape(value)?);
        }
        Ok(Self(values))
    }

    /// Bytes of a file: UTF-8, or Latin-1 where they are not (what Java reads).
    pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<Self, MalformedEscape> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(_) => Self::parse(&bytes.iter().map(|&b| b as char).collect::<String>()),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// What follows `prefix` -> value, for every name that starts with it.
    pub(crate) fn with_prefix(&self, prefix: &str) -> BTreeMap<String, String> {
        self.iter()
            .filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.to_owned())))
            .filter(|(k, _)| !k.is_empty())
            .collect()
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

impl From<BTreeMap<String, String>> for Properties {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map)
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("line {line}: malformed \\uXXXX escape")]
pub(crate) struct MalformedEscape {
    line: usize,
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn ends_with_odd_backslashes(line: &str) -> bool {
    line.bytes().rev().take_while(|&b| b == b'\\').count() % 2 == 1
}

/// Splits at the first unescaped `=`, `:` or blank; blanks around the separator belong to neither side.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|&(_, c)| {
            let ends = !escaped && (is_blank(c) || c == '=' || c == ':');
            escaped = c == '\\' && !escaped;
            ends
        })
        .map_or(line.len(), |(at, _)| at);
    let rest = line[end..].trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut utf16 = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            flush(&mut utf16, &mut out);
            out.push(c);
            continue;
        }
        let escape = chars.next();
        if escape == Some('u') {
            let hex: String = chars.by_ref().take(4).collect();
            if hex.len() != 4 {
                return None;
            }
            utf16.push(u16::from_str_radix(&hex, 16).ok()?);
            continue;
        }
        flush(&mut utf16, &mut out);
        match escape {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    flush(&mut utf16, &mut out);
    Some(out)
}

fn flush(utf16: &mut Vec<u16>, out: &mut String) {
    if !utf16.is_empty() {
        out.push_str(&String::from_utf16_lossy(utf16));
        utf16.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let parsed = Properties::parse(text).unwrap();
        assert_eq!(parsed.iter().collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn syntax_is_java_s() {
        check("a=1\nb: 2\nc 3\n", &[("a", "1"), ("b", "2"), ("c", "3")]);
        check("  a = 1  \n", &[("a", "1  ")]);
        check("# no\n! no\n\n \t\na=#1\n", &[("a", "#1")]);
        check("a=1\\\n   2\\\\\nb=2", &[("a", "12\\"), ("b", "2")]);
        check("a\\=b=c=d", &[("a=b", "c=d")]);
        check("a\\ b = c", &[("a b", "c")]);
        check("a=\\u00e9\\ud83d\\ude00\\t\\z", &[("a", "é😀\tz")]);
        check("a", &[("a", "")]);
        check("a=1\r\na=2\r\n", &[("a", "2")]);
        check("a = = b", &[("a", "= b")]);
    }

    #[test]
    fn malformed_escape_names_its_line() {
        assert_eq!(
            Properties::parse("a=1\nb=\\u12").unwrap_err().to_string(),
            "line 2: malformed \\uXXXX escape"
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_latin1() {
        assert_eq!(Properties::parse_bytes(b"a=\xe9").unwrap().get("a"), Some("é"));
        assert_eq!(Properties::parse_bytes("a=é".as_bytes()).unwrap().get("a"), Some("é"));
    }

    #[test]
    fn debug_shows_names_only() {
        let shown = format!("{:?}", Properties::parse("password=hunter2").unwrap());
        assert_eq!(shown, "{\"password\"}");
    }
}
