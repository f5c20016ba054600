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
        let unclosed = |label: &[u8]| PemError::Unclosed {
            label: String::from_utf8_lossy(&label[..label.len().min(40)]).into_owned(),
            offset,
        };
        let label_end = find(text, DASHES, label_start).ok_or_else(|| unclosed(b"unnamed"))?;
        let label = &text[label_start..label_end];
        let body_start = label_end + DASHES.len();
        let body_end = find(text, END, body_start).ok_or_else(|| unclosed(label))?;
        let end_label = &text[body_end + END.len()..];
        if !end_label.starts_with(label) || !end_label[label.len()..].starts_with(DASHES) {
            return Err(unclosed(label));
        }
        let label = String::from_utf8_lossy(label).into_owned();
        let body = packed(&text[body_start..body_end]);
        match LENIENT.decode(&body) {
            Ok(contents) => blocks.push(Block { label, offset, contents: Zeroizing::new(contents) }),
            Err(source) => return Err(PemError::Base64 { label, offset, source }),
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
