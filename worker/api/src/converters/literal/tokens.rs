//! Text cut at the delimiters `: , { } [ ] "`, as Kafka's `Values.Parser` cuts it.

pub(super) struct Tokens<'a> {
    text: &'a str,
    /// Byte behind the last token that was cut off.
    at: usize,
    /// Cut off, but not taken yet.
    pending: Option<&'a str>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, pending: None }
    }

    pub(super) fn has_next(&self) -> bool {
        self.pending.is_some() || self.at < self.text.len()
    }

    /// Where to [`Self::rewind`] to.
    pub(super) fn mark(&self) -> usize {
        self.at - self.pending.map_or(0, str::len)
    }

    pub(super) fn rewind(&mut self, mark: usize) {
        self.at = mark;
        self.pending = None;
    }

    pub(super) fn next(&mut self) -> &'a str {
        match self.pending.take() {
            Some(token) => token,
            None => self.cut(),
        }
    }

    /// The next four tokens as one text; without four, nothing is taken.
    pub(super) fn next_four(&mut self) -> Option<&'a str> {
        let start = self.mark();
        for _ in 0..4 {
            if !self.has_next() {
                self.rewind(start);
                return None;
            }
            self.next();
        }
        Some(&self.text[start..self.at])
    }

    /// Takes the next token if it is this one, white space aside. Blank tokens before it are lost either way.
    pub(super) fn can_consume(&mut self, expected: &str) -> bool {
        if !self.has_next() {
            return false;
        }
        let mut token = self.next();
        while super::java_trim(token).is_empty() && self.at < self.text.len() {
            token = self.cut();
        }
        let is_expected = super::java_trim(token) == expected;
        self.pending = if is_expected { None } else { Some(token) };
        is_expected
    }

    fn cut(&mut self) -> &'a str {
        let start = self.at;
        let rest = &self.text[start..];
        let mut is_escaped = false;
        for (offset, byte) in rest.bytes().enumerate() {
            match byte {
                b'\\' => is_escaped = !is_escaped,
                b':' | b',' | b'{' | b'}' | b'[' | b']' | b'"' if !is_escaped => {
                    // A delimiter is a token of its own, and ends the one before it.
                    let length = offset.max(1);
                    self.at = start + length;
                    return &rest[..length];
                }
                _ => is_escaped = false,
            }
        }
        self.at = self.text.len();
        rest
    }
}
