//! `KEY=VALUE` lines, the form in which scripts answer.

use std::collections::HashMap;
use std::str::FromStr;

/// The answer of a script. Keys may repeat; values end at the line's end.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    values: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Fields<'a> {
    /// Lines without `=` are ignored.
    pub(crate) fn parse(answer: &'a str) -> Self {
        let mut values: HashMap<&str, Vec<&str>> = HashMap::new();
        for line in answer.lines() {
            if let Some((key, value)) = line.split_once('=') {
                values.entry(key).or_default().push(value.trim_end_matches('\r'));
            }
        }
        Self { values }
    }

    /// The first value; empty when the key is absent.
    pub(crate) fn text(&self, key: &str) -> &'a str {
        self.values.get(key).and_then(|values| values.first()).copied().unwrap_or_default()
    }

    /// The first value unless it is absent or empty.
    pub(crate) fn optional(&self, key: &str) -> Option<String> {
        Some(self.text(key)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    pub(crate) fn number<T: FromStr>(&self, key: &str) -> Option<T> {
        self.text(key).trim().parse().ok()
    }

    /// Whether the first value is `yes`.
    pub(crate) fn is_yes(&self, key: &str) -> bool {
        self.text(key) == "yes"
    }

    /// Every value of a repeated key, in order.
    pub(crate) fn all(&self, key: &str) -> &[&'a str] {
        self.values.get(key).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_repeat_and_values_may_hold_anything_but_line_breaks() {
        let fields = Fields::parse("a=1\nnoise\nb=x=y\na=2\nup=yes\n");
        assert_eq!(fields.all("a"), ["1", "2"]);
        assert_eq!((fields.text("b"), fields.number::<u8>("a"), fields.is_yes("up")), ("x=y", Some(1), true));
        assert_eq!((fields.optional("c"), fields.number::<u8>("b")), (None, None));
    }
}
