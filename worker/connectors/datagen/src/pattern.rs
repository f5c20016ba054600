//! Text from regular expressions, in the dialect of dk.brics.automaton as far as schemas use it: literals,
//! classes, `.`, groups, alternatives and repetitions; `^` and `$` are ordinary characters.
//!
//! A pattern with few possible texts is listed once and then picked from, which costs no allocation.

use connect_api::ByteString;

use crate::java_random::JavaRandom;

/// `*` and `+` have no upper bound; this is where we stop.
const UNBOUNDED: usize = 10;
/// Patterns with more texts than this are walked for each text.
const MOST_LISTED: usize = 4096;

#[derive(Clone, Debug)]
enum Node {
    Class(Vec<char>),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    Repeat { node: Box<Node>, least: usize, most: usize },
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// All texts, each as likely as the others.
    Listed(Vec<ByteString>),
    Walked(Root),
}

/// The tree of a pattern that is walked.
#[derive(Clone, Debug)]
pub(crate) struct Root(Node);

impl Pattern {
    /// Compiles a pattern. The error is a fragment that says where it is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.chars().collect(), at: 0 };
        let node = parser.alternatives()?;
        if parser.at < parser.rest.len() {
            return Err(format!("unexpected '{}' at {}", parser.rest[parser.at], parser.at));
        }
        Ok(match list(&node) {
            Some(texts) => Self::Listed(texts.into_iter().map(ByteString::from).collect()),
            None => Self::Walked(Root(node)),
        })
    }

    /// A text of the pattern.
    pub(crate) fn generate(&self, random: &mut JavaRandom) -> ByteString {
        match self {
            Self::Listed(texts) => texts[random.index(texts.len())].clone(),
            Self::Walked(Root(node)) => {
                let mut text = String::new();
                walk(node, random, &mut text);
                text.into()
            }
        }
    }
}

/// All texts of a node, if they are few and a walk would give each with the same probability.
fn list(node: &Node) -> Option<Vec<String>> {
    match node {
        Node::Class(chars) => Some(chars.iter().map(char::to_string).collect()),
        Node::Sequence(nodes) => nodes.iter().try_fold(vec![String::new()], |heads, node| {
            let tails = list(node)?;
            if heads.len() * tails.len() > MOST_LISTED {
                return None;
            }
            Some(
                heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect(),
            )
        }),
        Node::Repeat { node, least, most } if least == most => {
            list(&Node::Sequence(vec![Node::clone(node); *least]))
        }
        Node::Repeat { .. } | Node::Alternatives(_) => None,
    }
}

fn walk(node: &Node, random: &mut JavaRandom, text: &mut String) {
    match node {
        Node::Class(chars) => text.push(chars[random.index(chars.len())]),
        Node::Sequence(nodes) => nodes.iter().for_each(|node| walk(node, random, text)),
        Node::Alternatives(nodes) => walk(&nodes[random.index(nodes.len())], random, text),
        Node::Repeat { node, least, most } => {
            let count = least + random.index(most - least + 1);
            (0..count).for_each(|_| walk(node, random, text));
        }
    }
}

struct Parser {
    rest: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self) -> Result<char, String> {
        let taken = self.peek().ok_or("unexpected end")?;
        self.at += 1;
        Ok(taken)
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        let mut nodes = vec![self.sequence()?];
        while self.peek() == Some('|') {
            self.at += 1;
            nodes.push(self.sequence()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Alternatives(nodes) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let node = self.atom()?;
            nodes.push(self.repetition(node)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Result<Node, String> {
        match self.take()? {
            '(' => {
                let node = self.alternatives()?;
                match self.take()? {
                    ')' => Ok(node),
                    other => Err(format!("expected ')', found '{other}'")),
                }
            }
            '[' => self.class(),
            '.' => Ok(Node::Class(printable(|_| true))),
            '\\' => Ok(Node::Class(self.escape()?)),
            other @ ('*' | '+' | '?' | '{' | '}' | ']' | '"' | '@' | '#' | '&' | '~' | '<' | '>') => {
                Err(format!("unsupported '{other}' at {}", self.at - 1))
            }
            literal => Ok(Node::Class(vec![literal])),
        }
    }

    fn repetition(&mut self, node: Node) -> Result<Node, String> {
        let (least, most) = match self.peek() {
            Some('?') => (0, 1),
            Some('*') => (0, UNBOUNDED),
            Some('+') => (1, 1 + UNBOUNDED),
            Some('{') => {
                self.at += 1;
                return self.counted(node);
            }
            _ => return Ok(node),
        };
        self.at += 1;
        self.repetition(Node::Repeat { node: Box::new(node), least, most })
    }

    fn counted(&mut self, node: Node) -> Result<Node, String> {
        let least = self.number()?.ok_or("expected a number behind '{'")?;
        let most = match self.take()? {
            '}' => least,
            ',' => {
                let most = self.number()?;
                if self.take()? != '}' {
                    return Err("expected '}'".into());
                }
                most.unwrap_or(least + UNBOUNDED)
            }
            other => return Err(format!("expected ',' or '}}', found '{other}'")),
        };
        if least > most {
            return Err(format!("repetition from {least} to {most}"));
        }
        self.repetition(Node::Repeat { node: Box::new(node), least, most })
    }

    fn number(&mut self) -> Result<Option<usize>, String> {
        let start = self.at;
        while self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.rest[start..self.at].iter().collect();
        if digits.is_empty() {
            return Ok(None);
        }
        // The bound keeps a hostile schema from asking for gigabytes.
        digits
            .parse()
            .ok()
            .filter(|count| *count <= MOST_LISTED)
            .map(Some)
            .ok_or("repetition is too long".into())
    }

    fn class(&mut self) -> Result<Node, String> {
        let is_negated = self.peek() == Some('^');
        if is_negated {
            self.at += 1;
        }
        let mut chars = Vec::new();
        loop {
            match self.take()? {
                ']' => break,
                '\\' => chars.extend(self.escape()?),
                first
                    if self.peek() == Some('-') && self.rest.get(self.at + 1).is_some_and(|c| *c != ']') =>
                {
                    self.at += 1;
                    let last = match self.take()? {
                        '\\' => self.take()?,
                        last => last,
                    };
                    if first > last {
                        return Err(format!("range from '{first}' to '{last}'"));
                    }
                    chars.extend(first..=last);
                }
                literal => chars.push(literal),
            }
        }
        if is_negated {
            chars = printable(|c| !chars.contains(&c));
        }
        chars.sort_unstable();
        chars.dedup();
        if chars.is_empty() { Err("empty class".into()) } else { Ok(Node::Class(chars)) }
    }

    fn escape(&mut self) -> Result<Vec<char>, String> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        Ok(match self.take()? {
            'd' => ('0'..='9').collect(),
            'D' => printable(|c| !c.is_ascii_digit()),
            's' => vec![' ', '\t', '\n', '\x0c', '\r'],
            'S' => printable(|c| c != ' '),
            'w' => printable(is_word),
            'W' => printable(|c| !is_word(c)),
            literal => vec![literal],
        })
    }
}

fn printable(keep: impl Fn(char) -> bool) -> Vec<char> {
    (' '..='~').filter(|c| keep(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, is_one: impl Fn(&str) -> bool) {
        let pattern = Pattern::parse(pattern).expect(pattern);
        let mut random = JavaRandom::new(1);
        for _ in 0..500 {
            let text = pattern.generate(&mut random);
            assert!(is_one(&text), "{text}");
        }
    }

    #[test]
    fn texts_match_their_pattern() {
        check("Item_[1-9][0-9]{0,2}", |text| {
            text[5..].parse::<u32>().is_ok_and(|id| (1..1000).contains(&id))
        });
        check(r"lab-\d{1}", |text| text.len() == 5 && text[4..].parse::<u8>().is_ok());
        check(r"https:\/\/www[.]acme[.]com\/[a-z]{5}", |text| {
            text.len() == 26 && text.starts_with("https://www.acme.com/")
        });
        check("(a|bc)+", |text| text.replace("bc", "").replace('a', "").is_empty() && !text.is_empty());
        check("^a$", |text| text == "^a$");
        check("[^a-z]", |text| !text.contains(|c: char| c.is_ascii_lowercase()));
        check(r"\[[0-9],[0-9]\]", |text| text.len() == 5 && text.starts_with('[') && text.ends_with(']'));
    }

    #[test]
    fn few_texts_are_listed() {
        let Ok(Pattern::Listed(texts)) = Pattern::parse("Page_[1-9][0-9]") else { panic!("not listed") };
        assert_eq!((texts.len(), &*texts[0], &*texts[89]), (90, "Page_10", "Page_99"));
        assert!(matches!(Pattern::parse("[a-z]{9}"), Ok(Pattern::Walked(_))));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["(", "a)", "[", "[]", "*", "a{", "a{2,1}", "a{99999}", "[z-a]", "\\", "a{1,x}"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
