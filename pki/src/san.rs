//! Names that a certificate is good for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls_pki_types::DnsName;

/// A subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum San {
    /// A DNS name, possibly with `*` as its first label. Compared without case by [`San::is_same`].
    Dns(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

/// A text that is neither a DNS name nor an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is neither a DNS name nor an IP address")]
pub struct SanError {
    pub name: String,
}

impl San {
    /// Whether both name the same thing; DNS names are compared without case.
    pub fn is_same(&self, other: &San) -> bool {
        match (self, other) {
            (San::Dns(a), San::Dns(b)) => a.eq_ignore_ascii_case(b),
            (San::Ip(a), San::Ip(b)) => a == b,
            _ => false,
        }
    }

    /// Refuses what no certificate should carry: empty labels, spaces, other than ASCII.
    pub(crate) fn check(&self) -> Result<(), SanError> {
        let San::Dns(name) = self else { return Ok(()) };
        let host = name.strip_prefix("*.").unwrap_or(name);
        match DnsName::try_from(host) {
            Ok(_) => Ok(()),
            Err(_) => Err(SanError { name: name.clone() }),
        }
    }
}

impl FromStr for San {
    type Err = SanError;

    fn from_str(text: &str) -> Result<San, SanError> {
        let san = match text.parse::<IpAddr>() {
            Ok(address) => San::Ip(address),
            Err(_) => San::Dns(text.to_owned()),
        };
        san.check()?;
        Ok(san)
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            San::Dns(name) => f.write_str(name),
            San::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_an_address_or_a_name_or_an_error() {
        let dns = |name: &str| Some(San::Dns(name.to_owned()));
        let ip = |address: &str| Some(San::Ip(address.parse().unwrap()));
        let cases = [
            ("broker-1.example.com", dns("broker-1.example.com")),
            ("localhost", dns("localhost")),
            ("*.example.com", dns("*.example.com")),
            ("10.0.0.1", ip("10.0.0.1")),
            ("fd00::1", ip("fd00::1")),
            ("", None),
            ("a b", None),
            ("a..b", None),
            ("-oProxyCommand=x", None),
            ("bücher.example", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<San>().ok(), expected, "{text:?}");
        }
    }
}
