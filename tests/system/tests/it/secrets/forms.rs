//! A secret in every form in which it could slip out.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Result, ensure};

/// Secrets by what they are for, with all their forms.
#[derive(Debug, Clone, Default)]
pub(super) struct Canaries(BTreeMap<String, Vec<String>>);

impl Canaries {
    pub(super) fn of(secrets: &[(&str, &str)]) -> Self {
        let mut canaries = Self::default();
        for (name, secret) in secrets {
            canaries.add(name, secret);
        }
        canaries
    }

    pub(super) fn add(&mut self, name: &str, secret: &str) {
        self.0.insert(name.to_owned(), forms(secret));
    }

    /// Every form of every secret, one a line.
    pub(super) fn lines(&self) -> String {
        self.0.values().flatten().map(|form| format!("{form}\n")).collect()
    }

    /// Which secret is in there, and in which form.
    pub(super) fn first_in(&self, bytes: &[u8]) -> Option<(&str, &str)> {
        let holds = |form: &str| bytes.windows(form.len()).any(|window| window == form.as_bytes());
        let found = |(name, forms): (&'_ String, &'_ Vec<String>)| {
            forms.iter().find(|form| holds(form)).map(|form| (name.clone(), form.clone()))
        };
        let (name, form) = self.0.iter().find_map(found)?;
        let (name, forms) = self.0.get_key_value(&name)?;
        Some((name, forms.iter().find(|known| **known == form)?))
    }

    pub(super) fn ensure_absent(&self, place: &str, text: &str) -> Result<()> {
        let found = self.0.iter().find_map(|(name, forms)| {
            forms.iter().find(|form| text.contains(form.as_str())).map(|form| (name, form))
        });
        ensure!(found.is_none(), "{place} shows {found:?}");
        Ok(())
    }
}

/// As a string of JSON, or of YAML in double quotes, without the quotes.
pub(super) fn escaped(text: &str) -> String {
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
        let encoded = base64(&shifted);
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

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let number =
            (0..3).fold(0, |number, index| number << 8 | usize::from(*chunk.get(index).unwrap_or(&0)));
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[number >> shift & 63]))
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = r#"a long"secret\with = all: of# it's {$x}%+/ signs"#;
    let canaries = Canaries::of(&[("x", secret)]);
    let document = serde_json::json!({ "a": [secret] });
    let base64 = |before: &str| base64(format!("{before}{secret} and more").as_bytes());
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
        assert!(canaries.first_in(text.as_bytes()).is_some(), "{text}");
    }
    assert!(canaries.ensure_absent("text", "nothing of the kind").is_ok());
}
