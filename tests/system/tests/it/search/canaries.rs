//! A secret in every form in which it could slip out.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use aho_corasick::AhoCorasick;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Secrets by what they are for, with all their forms.
#[derive(Debug, Default)]
pub(crate) struct Canaries {
    /// Name and form.
    forms: Vec<(String, String)>,
    /// Finds any of the forms, by its index.
    search: Option<AhoCorasick>,
}

impl Canaries {
    pub(crate) fn of(secrets: &[(&str, &str)]) -> Result<Self> {
        let mut canaries = Self::default();
        for (name, secret) in secrets {
            canaries.add(name, secret)?;
        }
        Ok(canaries)
    }

    /// A text that may stand anywhere by chance is no canary.
    pub(crate) fn add(&mut self, name: &str, secret: &str) -> Result<()> {
        ensure!(secret.len() >= 16, "the canary {name} is short");
        self.forms.extend(forms(secret).into_iter().map(|form| (name.to_owned(), form)));
        self.search = Some(AhoCorasick::new(self.forms.iter().map(|(_, form)| form))?);
        Ok(())
    }

    /// Every secret in a folder, by the name of its file.
    pub(crate) fn add_files(&mut self, folder: &Path) -> Result<()> {
        let known = self.forms.len();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().context("it has a name")?.to_string_lossy().into_owned();
            self.add(&name, fs::read_to_string(&path)?.trim())?;
        }
        ensure!(self.forms.len() > known, "no secret is in {}", folder.display());
        Ok(())
    }

    /// What is private in a key file: a line that holds a part of its scalar, and not the public key alone.
    pub(crate) fn add_key(&mut self, name: &str, file: &Path, line: usize) -> Result<()> {
        let text = fs::read_to_string(file)?;
        self.add(name, text.lines().nth(line).context("the key has fewer lines")?)
    }

    /// Every form of every secret, one a line.
    pub(crate) fn lines(&self) -> String {
        self.forms.iter().map(|(_, form)| format!("{form}\n")).collect()
    }

    /// Which secret is in there, and in which form.
    pub(crate) fn first_in(&self, bytes: &[u8]) -> Option<(&str, &str)> {
        let found = self.search.as_ref()?.find(bytes)?;
        let (name, form) = &self.forms[found.pattern()];
        Some((name, form))
    }

    pub(crate) fn ensure_absent(&self, place: &str, text: &str) -> Result<()> {
        let found = self.first_in(text.as_bytes());
        ensure!(found.is_none(), "{place} shows {found:?}");
        Ok(())
    }
}

/// As a string of JSON, or of YAML in double quotes, without the quotes.
pub(crate) fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let json = escaped(secret);
    let jaas = secret.replace('\\', r"\\").replace('"', "\\\"");
    let mut forms = vec![
        secret.to_owned(),
        escaped(&json),
        // YAML in single quotes, a shell's word.
        secret.replace('\'', "''"),
        secret.replace('\'', r"'\''"),
        properties(secret),
        properties(&jaas),
        escaped(&jaas),
        percent(secret, "%20"),
        percent(secret, "+"),
        percent(secret, "%20").to_lowercase(),
        hex(bytes),
        hex(bytes).to_uppercase(),
        json,
        jaas,
    ];
    for before in 0..3 {
        let shifted: Vec<u8> = std::iter::repeat_n(b' ', before).chain(bytes.iter().copied()).collect();
        let encoded = BASE64_STANDARD.encode(&shifted);
        // The outermost characters depend on the neighbours.
        let inner: String = encoded.chars().skip(4).take(shifted.len() / 3 * 4 - 4).collect();
        forms.push(inner.replace('+', "-").replace('/', "_"));
        forms.push(inner);
    }
    forms.sort();
    forms.dedup();
    forms
}

/// As a value of a properties file.
fn properties(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '=' | ':' | '#' | '!') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// As a part of a URL or a form.
fn percent(text: &str, blank: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push_str(blank),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = r#"a long"secret\with = all: of# it's {$x}%+/ signs"#;
    let canaries = Canaries::of(&[("x", secret)]).unwrap();
    let document = serde_json::json!({ "a": [secret] });
    let base64 = |before: &str| BASE64_STANDARD.encode(format!("{before}{secret} and more"));
    for text in [
        document.to_string(),
        serde_json::json!(document.to_string()).to_string(),
        format!("key: '{}'", secret.replace('\'', "''")),
        format!(
            "password={}",
            secret.replace('\\', r"\\").replace('=', r"\=").replace(':', r"\:").replace('#', r"\#")
        ),
        format!("password=\\\"{}\\\";", escaped(secret)),
        format!("?p={}", percent(secret, "+")),
        base64(""),
        base64("ab"),
        base64("abcd"),
        hex(format!("x{secret}y").as_bytes()),
    ] {
        assert!(canaries.ensure_absent("text", &text).is_err(), "{text}");
    }
    assert!(canaries.ensure_absent("text", "nothing of the kind").is_ok());
}
