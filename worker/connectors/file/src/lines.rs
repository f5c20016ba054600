//! Lines of a block of text, as slices of the block.

use connect_api::{ByteString, Bytes};
use memchr::{memchr2, memrchr2};

/// How many bytes of `data` are complete lines. A line ends with `\n`, `\r\n` or `\r`; a `\r` at the very end is
/// not complete, because a `\n` may follow. The first `clean` bytes are known to hold no line end but perhaps a
/// `\r` as their last byte.
pub(crate) fn complete(data: &[u8], clean: usize) -> usize {
    let start = clean.saturating_sub(1);
    let fresh = &data[start..];
    let last = match memrchr2(b'\n', b'\r', fresh) {
        Some(at) if fresh[at] == b'\r' && at + 1 == fresh.len() => memrchr2(b'\n', b'\r', &fresh[..at]),
        last => last,
    };
    last.map_or(0, |at| start + at + 1)
}

/// Complete lines that have not been handed out yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    data: Bytes,
    /// The same bytes as text, unless they are not UTF-8.
    text: Option<ByteString>,
    /// Where the next line starts in `data`.
    at: usize,
}

impl Lines {
    /// Takes bytes that [`complete`] has measured.
    pub(crate) fn new(data: Bytes) -> Self {
        Self { text: ByteString::try_from(data.clone()).ok(), data, at: 0 }
    }

    /// The next line without its end, and how many bytes it has with it. What is not UTF-8 is replaced, as Java
    /// replaces it.
    pub(crate) fn next_line(&mut self) -> Option<(ByteString, usize)> {
        let rest = &self.data[self.at..];
        let end = memchr2(b'\n', b'\r', rest)?;
        let length = match rest[end..] {
            [b'\r', b'\n', ..] => end + 2,
            _ => end + 1,
        };
        let line = match &self.text {
            // Line ends are ASCII, so the cut is never inside a character.
            Some(text) => text.slice_ref(&text[self.at..self.at + end]),
            None => String::from_utf8_lossy(&rest[..end]).into_owned().into(),
        };
        self.at += length;
        Some((line, length))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.data.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(data: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(Bytes::copy_from_slice(data));
        let mut texts = Vec::new();
        while let Some((line, _)) = lines.next_line() {
            texts.push(line.to_string());
        }
        assert!(lines.is_empty(), "complete lines leave nothing over");
        texts
    }

    fn split(data: &[u8]) -> (Vec<String>, usize) {
        let length = complete(data, 0);
        (texts(&data[..length]), length)
    }

    #[test]
    fn lines_end_in_three_ways() {
        let check = |data: &[u8], lines: &[&str], length: usize| {
            assert_eq!(split(data), (lines.iter().map(|line| (*line).to_owned()).collect(), length));
        };
        check(b"a\nb\r\nc\rd", &["a", "b", "c"], 7);
        check(b"\n\r\r\n", &["", "", ""], 4);
        check(b"a\r", &[], 0);
        check(b"a\nb\r", &["a"], 2);
        check(b"", &[], 0);
        check("é\n€".as_bytes(), &["é"], 3);
        check(b"\xff\n", &["\u{fffd}"], 2);
    }

    proptest::proptest! {
        #[test]
        fn blocks_of_any_size_give_the_same_lines(
            data in proptest::collection::vec(proptest::sample::select(b"ab\n\r".to_vec()), 0..200),
            size in 1..20_usize,
        ) {
            let (expected, length) = split(&data);
            let (mut lines, mut tail, mut clean) = (Vec::new(), Vec::new(), 0);
            for block in data.chunks(size) {
                tail.extend_from_slice(block);
                let length = complete(&tail, clean);
                lines.extend(texts(&tail[..length]));
                tail.drain(..length);
                clean = tail.len();
            }
            proptest::prop_assert_eq!(&data[length..], &tail[..]);
            proptest::prop_assert_eq!(expected, lines);
        }
    }
}
