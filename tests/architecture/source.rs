//! Rust source as far as this test reads it: code without comments, strings and tests, and the paths in it.

use std::fs;
use std::path::Path;

/// One file.
pub(crate) struct Source {
    /// From the workspace's root.
    pub(crate) path: String,
    /// The names that lead to it from its crate's root.
    pub(crate) module: Vec<String>,
    /// Comments and strings are blank; unit tests are cut off. Lines keep their numbers.
    pub(crate) code: String,
}

/// A path in a file.
pub(crate) struct CratePath {
    pub(crate) line: usize,
    pub(crate) names: Vec<String>,
    /// Whether it was written from the folder above.
    pub(crate) is_super: bool,
}

/// Every file below a folder that is not a test, in order.
pub(crate) fn read_tree(root: &str) -> Vec<Source> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![workspace.join(root)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                let within = path.strip_prefix(workspace.join(root)).unwrap().with_extension("");
                let module = within.iter().map(|name| name.to_string_lossy().into_owned());
                let path_text = path.strip_prefix(workspace).unwrap().display().to_string();
                files.push(Source::new(path_text, module.collect(), &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!files.is_empty(), "no source below {root}");
    files
}

impl Source {
    pub(crate) fn new(path: String, mut module: Vec<String>, text: &str) -> Self {
        if matches!(module.last().map(String::as_str), Some("mod" | "main" | "lib")) {
            module.pop();
        }
        let mut code = blank(text);
        // Unit tests stand at the end of their file.
        if let Some(tests) = code.find("#[cfg(test)]\nmod tests {") {
            code.truncate(tests);
        }
        Self { path, module, code }
    }

    /// Every path that begins with `crate` or `super`, from the crate's root; groups are taken apart.
    pub(crate) fn paths(&self) -> Vec<CratePath> {
        let mut paths = self.paths_from("crate");
        let parent = self.module.split_last().map(|(_, rest)| rest).unwrap_or_default();
        for mut path in self.paths_from("super") {
            let mut names = parent.to_vec();
            for name in path.names {
                match name.as_str() {
                    "super" => drop(names.pop()),
                    _ => names.push(name),
                }
            }
            path.names = names;
            path.is_super = true;
            paths.push(path);
        }
        paths.sort_by_key(|path| path.line);
        paths
    }

    /// Every path that begins with a word, without the word.
    pub(crate) fn paths_from(&self, root: &str) -> Vec<CratePath> {
        let mut paths = Vec::new();
        for (start, _) in self.code.match_indices(&format!("{root}::")) {
            let before = &self.code[..start];
            // The first name of a path is the one that no `::` stands before.
            if before.ends_with(is_name) || before.ends_with("::") {
                continue;
            }
            let line = before.matches('\n').count() + 1;
            let mut found = Vec::new();
            expand(&self.code[start + root.len() + 2..], Vec::new(), &mut found);
            paths.extend(found.into_iter().map(|names| CratePath { line, names, is_super: false }));
        }
        paths
    }

    /// Every line that holds one of `words`, with the word.
    pub(crate) fn lines_with<'w>(&self, words: &[&'w str]) -> Vec<(usize, &'w str)> {
        let mut found = Vec::new();
        for (index, line) in self.code.lines().enumerate() {
            found.extend(words.iter().filter(|word| holds(line, word)).map(|word| (index + 1, *word)));
        }
        found
    }
}

/// Reads what follows `::` (names, and groups in braces) into whole paths. Returns what is left of the text.
fn expand<'t>(text: &'t str, mut prefix: Vec<String>, paths: &mut Vec<Vec<String>>) -> &'t str {
    let mut rest = text.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        rest = group;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if rest.is_empty() {
                return rest;
            }
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            rest = expand(rest, prefix.clone(), paths);
            // A renamed import: `a as b`.
            if let Some(renamed) = rest.trim_start().strip_prefix("as ") {
                rest = renamed.trim_start().trim_start_matches(is_name);
            }
        }
    }
    let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
    if name.is_empty() {
        // A glob or a generic argument: the path ends here.
        paths.push(prefix);
        return rest.get(1..).unwrap_or_default();
    }
    rest = &rest[name.len()..];
    if name != "self" {
        prefix.push(name);
    }
    match rest.strip_prefix("::") {
        Some(after) => expand(after, prefix, paths),
        None => {
            paths.push(prefix);
            rest
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a line holds a word that is not part of a longer name.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let is_bounded = |word_end: Option<char>, neighbour: Option<char>| {
            !(word_end.is_some_and(is_name) && neighbour.is_some_and(is_name))
        };
        is_bounded(word.chars().next(), before) && is_bounded(word.chars().next_back(), after)
    })
}

/// The text with comments and the insides of strings and characters blank; line ends stay.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..chars.len()).find(|j| at(*j) == '\n').unwrap_or(chars.len()),
            ('/', '*') => end_of_comment(&chars, i),
            ('r', '"' | '#') if i == 0 || !is_name(at(i - 1)) || (at(i - 1) == 'b') => end_of_raw(&chars, i),
            ('"', _) => end_of_quoted(&chars, i, '"'),
            ('\'', '\\') => end_of_quoted(&chars, i, '\''),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(at(i));
            i += 1;
            continue;
        }
        out.extend(chars[i..end.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        i = end;
    }
    out
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) if depth == 1 => return i + 2,
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
    }
    i
}

/// `start` itself when it is a raw identifier and no raw string.
fn end_of_raw(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + 1 + hashes) != Some(&'"') {
        return start;
    }
    let body = start + 2 + hashes;
    let closes =
        |i: &usize| chars[*i] == '"' && chars[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    (body..chars.len()).find(closes).map_or(chars.len(), |i| i + 1 + hashes)
}

fn end_of_quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut i = start + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            c if c == quote => return i + 1,
            _ => i += 1,
        }
    }
    i
}
