//! The text of a schema document.

/// The document without `//` and `/* */` comments; strings are left alone.
pub(super) fn without_comments(document: &str) -> String {
    let mut plain = String::with_capacity(document.len());
    let mut rest = document;
    while let Some(at) = rest.find(['"', '/']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            let end = if rest.starts_with('"') { string_end(rest) } else { 1 };
            plain.push_str(&rest[..end]);
            end
        };
        rest = &rest[end..];
    }
    plain.push_str(rest);
    plain
}

/// Where the string that the text starts with ends, its closing quote included.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
