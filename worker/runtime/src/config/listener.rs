//! `listeners`, `metrics.listener` and the URL a worker is known by.

use crate::config::Problem;

/// Where to listen: an empty host is every address, port 0 any free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Listener {
    /// `http://host:port`, `http://[::1]:port` or `http://:port`.
    pub(crate) fn parse(property: &str, text: &str) -> Result<Self, Problem> {
        let shape = || {
            Problem::new(property, format!("{text:?} is not a listener"))
                .with_hint("write http://HOST:PORT; an empty HOST listens on every address")
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(shape)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => {
                return Err(Problem::new(property, "https listeners are not supported yet")
                    .with_hint("listen on loopback and put a TLS proxy in front of the worker"));
            }
            _ => return Err(shape()),
        }
        let (host, port) = rest.rsplit_once(':').ok_or_else(shape)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if !host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:%".contains(c)) {
            return Err(shape());
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| shape())? })
    }

    /// What a socket is bound to.
    pub(crate) fn address(&self) -> (&str, u16) {
        let host = if self.host.is_empty() { "0.0.0.0" } else { &self.host };
        (host, self.port)
    }
}

/// `host:port` with brackets around an IPv6 address.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_as_kafka_does() {
        let check = |text: &str, host: &str, port: u16| {
            let expected = Listener { host: host.into(), port };
            assert_eq!(Listener::parse("listeners", text).unwrap(), expected);
        };
        check("http://:8083", "", 8083);
        check("HTTP://localhost:0", "localhost", 0);
        check("http://[::1]:8083", "::1", 8083);
        check("http://10.0.0.1:8083", "10.0.0.1", 8083);
        for wrong in ["8083", "http://a", "ftp://a:1", "http://a b:1", "http://a:99999"] {
            let problem = Listener::parse("listeners", wrong).unwrap_err();
            assert_eq!(problem.property, "listeners");
        }
    }
}
