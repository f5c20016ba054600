//! PEM, read as leniently as Kafka reads it and written strictly.
//!
//! Kafka takes certificates inline (`ssl.truststore.certificates`), where a properties file may have turned
//! the line ends into spaces, and files with text around the blocks as `openssl` prints them. So a block is
//! whatever stands between its markers, less white space and header lines.
//! Source: `org.apache.kafka.common.security.ssl.DefaultSslEngineFactory.PemParser`.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::CertificateDer;
use secrecy::zeroize::Zeroizing;

use crate::facts;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const LABEL_MAX: usize = 40;

/// A PEM text that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// A block that is not closed, or closed by another label. `offset` is where it begins, in bytes.
    #[error("the {label} block at byte {offset} is not closed")]
    Unclosed { label: String, offset: usize },
    #[error("the {label} block at byte {offset} is not Base64")]
    Base64 {
        label: String,
        offset: usize,
        #[source]
        source: base64::DecodeError,
    },
    #[error("the certificate at byte {offset}")]
    Certificate {
        offset: usize,
        #[source]
        source: facts::CertificateError,
    },
}

/// One block: its label (`CERTIFICATE`), where it begins, and what it holds.
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) offset: usize,
    /// Whether a header says that the contents are encrypted (RFC 1421), as OpenSSL's old key files do.
    pub(crate) is_encrypted: bool,
    pub(crate) contents: Zeroizing<Vec<u8>>,
}

/// All certificates in a PEM text, in order; other blocks are passed over.
pub fn certificates_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, PemError> {
    certificates(&blocks(text.as_bytes())?)
}

/// Certificates as PEM, one block after the other.
pub fn certificates_to_pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|certificate| encode("CERTIFICATE", certificate)).collect()
}

pub(crate) fn certificates(blocks: &[Block]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let labels = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
    blocks
        .iter()
        .filter(|block| labels.contains(&block.label.as_str()))
        .map(|block| {
            let contents = match block.label.as_str() {
                "TRUSTED CERTIFICATE" => without_trust_settings(&block.contents),
                _ => &block.contents,
            };
            let certificate = CertificateDer::from(contents.to_vec());
            match facts::parse(&certificate) {
                Ok(_) => Ok(certificate),
                Err(source) => Err(PemError::Certificate { offset: block.offset, source }),
            }
        })
        .collect()
}

/// Every block of a PEM text, in order.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<Block>, PemError> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const END: &[u8] = b"-----END ";
    const DASHES: &[u8] = b"-----";
    let mut blocks = Vec::new();
    let mut position = 0;
    while let Some(offset) = find(text, BEGIN, position) {
        let label_start = offset + BEGIN.len();
        // Labels are short: what goes on longer is some other text, and not worth repeating.
        let window = &text[..text.len().min(label_start + LABEL_MAX + DASHES.len())];
        let Some(label_end) = find(window, DASHES, label_start) else {
            return Err(PemError::Unclosed { label: "unnamed".to_owned(), offset });
        };
        let label = &text[label_start..label_end];
        let name = String::from_utf8_lossy(label).into_owned();
        let body_start = label_end + DASHES.len();
        let body_end = find(text, END, body_start).filter(|end| {
            let closing = &text[end + END.len()..];
            closing.starts_with(label) && closing[label.len()..].starts_with(DASHES)
        });
        let Some(body_end) = body_end else { return Err(PemError::Unclosed { label: name, offset }) };
        let body = &text[body_start..body_end];
        let is_encrypted = find(body, b"4,ENCRYPTED", 0).is_some();
        match LENIENT.decode(packed(body)) {
            Ok(contents) => {
                blocks.push(Block { label: name, offset, is_encrypted, contents: Zeroizing::new(contents) });
            }
            Err(source) => return Err(PemError::Base64 { label: name, offset, source }),
        }
        position = body_end + END.len();
    }
    Ok(blocks)
}

/// One block as text with lines of 64 characters.
pub(crate) fn encode(label: &str, contents: &[u8]) -> String {
    let body = Zeroizing::new(BASE64_STANDARD.encode(contents));
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The Base64 of a body: without white space, and without RFC 1421 header lines (`Proc-Type: …`).
fn packed(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.contains(&b':'));
    Zeroizing::new(lines.flatten().copied().filter(|byte| !byte.is_ascii_whitespace()).collect())
}

/// `openssl`'s trusted certificates carry settings after the certificate: keep the outer DER element only.
fn without_trust_settings(contents: &[u8]) -> &[u8] {
    match x509_parser::parse_x509_certificate(contents) {
        Ok((rest, _)) => &contents[..contents.len() - rest.len()],
        Err(_) => contents,
    }
}

fn find(text: &[u8], pattern: &[u8], from: usize) -> Option<usize> {
    let tail = text.get(from..)?;
    tail.windows(pattern.len()).position(|window| window == pattern).map(|position| from + position)
}
