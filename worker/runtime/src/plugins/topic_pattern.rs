//! Patterns of topics: Java's regular expressions, as far as POSIX's extended ones can say the same. librdkafka knows
//! only those.
//!
//! A pattern is matched against whole names of topics. So classes shrink to the characters that a name may have, and how
//! greedy a repetition is makes no difference.

use std::fmt::Write;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// What names of topics are made of.
const IN_NAMES: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

/// What cannot be said, in words for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("{0}")]
    Syntax(#[from] Box<regex_syntax::Error>),
    #[error("word boundaries and anchors of lines are not supported")]
    Look,
}

/// The pattern in POSIX's extended form, without anchors around it.
pub(crate) fn extended(java: &str) -> Result<String, PatternError> {
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(java).map_err(Box::new)?;
    let mut out = String::new();
    write(&mut out, &parsed)?;
    Ok(out)
}

fn write(out: &mut String, hir: &Hir) -> Result<(), PatternError> {
    match hir.kind() {
        HirKind::Empty => out.push_str("()"),
        HirKind::Literal(literal) => {
            literal.0.iter().for_each(|byte| one_of(out, |c| c == char::from(*byte)))
        }
        HirKind::Class(Class::Bytes(class)) => one_of(out, |c| {
            class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&(c as u8)))
        }),
        HirKind::Class(Class::Unicode(class)) => {
            one_of(out, |c| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&c)));
        }
        HirKind::Look(Look::Start) => out.push('^'),
        HirKind::Look(Look::End) => out.push('$'),
        HirKind::Look(_) => return Err(PatternError::Look),
        HirKind::Repetition(Repetition { min, max, sub, .. }) => {
            grouped(out, sub)?;
            let written = match (min, max) {
                (0, None) => write!(out, "*"),
                (1, None) => write!(out, "+"),
                (0, Some(1)) => write!(out, "?"),
                (min, None) => write!(out, "{{{min},}}"),
                (min, Some(max)) => write!(out, "{{{min},{max}}}"),
            };
            written.expect("writing to a string does not fail");
        }
        HirKind::Capture(capture) => grouped(out, &capture.sub)?,
        HirKind::Concat(parts) => {
            for part in parts {
                match part.kind() {
                    HirKind::Alternation(_) => grouped(out, part)?,
                    _ => write(out, part)?,
                }
            }
        }
        HirKind::Alternation(parts) => {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    out.push('|');
                }
                write(out, part)?;
            }
        }
    }
    Ok(())
}

fn grouped(out: &mut String, hir: &Hir) -> Result<(), PatternError> {
    out.push('(');
    write(out, hir)?;
    out.push(')');
    Ok(())
}

/// The characters of names that are in a class; a class without any matches nothing that is a name.
fn one_of(out: &mut String, is_in: impl Fn(char) -> bool) {
    let found: String = IN_NAMES.chars().filter(|c| is_in(*c)).collect();
    match found.as_str() {
        "" => out.push('/'),
        IN_NAMES => out.push('.'),
        "." => out.push_str("\\."),
        _ if found.len() == 1 => out.push_str(&found),
        // A hyphen stands last in `IN_NAMES`, where it is one.
        _ => {
            let _ = write!(out, "[{found}]");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    const NAMES: [&str; 9] =
        ["orders", "orders-1", "orders-12", "orders-d", "orders-ddd", "a.b", "a-b", "Orders_x", "x"];

    /// Those of the names that a POSIX matcher finds.
    fn matched(extended: &str) -> Vec<String> {
        let mut grep = Command::new("grep");
        grep.arg("-E").arg(format!("^({extended})$")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = grep.spawn().unwrap();
        child.stdin.take().unwrap().write_all(NAMES.join("\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.code() < Some(2), "grep does not take {extended}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_posix_matcher_finds_what_the_pattern_says() {
        let patterns = [
            r"orders-\d+",
            r"orders-[\d]{2}",
            r"[\w.]+",
            r"(?:orders|x)",
            "orders.*",
            "orders-.?",
            "a[.-]b",
            r"a\.b",
            "a.b",
            "(?i)orders_X",
            r"[^\d]+",
            r"\D+",
            "orders|x",
            "(orders|a)(-.+|.b)",
            "x??",
            ".*?-d{1,}",
            r"\s",
            "",
            "[a-z]+(-[0-9]+)?",
            "^orders$",
        ];
        for pattern in patterns.into_iter().filter(|pattern| !pattern.contains(r"\Q")) {
            let whole = regex::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            let expected: Vec<&str> = NAMES.into_iter().filter(|name| whole.is_match(name)).collect();
            assert_eq!(matched(&extended(pattern).unwrap()), expected, "{pattern}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_an_error() {
        for pattern in ["(?!x).*", "(a", r"(.)\1", r"\border"] {
            assert!(extended(pattern).is_err(), "{pattern}");
        }
    }
}
