//! Where a broker is, and the small identifiers of a cluster.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A broker's host and port, as it is written in `bootstrap.servers` or advertised by the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// A DNS name or an IP address; an IPv6 address is kept without its brackets.
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Parses a `bootstrap.servers` list: `host:port` entries separated by commas.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, EndpointError> {
        list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::parse).collect()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Takes `host:port` and `[ipv6]:port`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |reason| EndpointError { text: text.to_owned(), reason };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once("]:").ok_or_else(|| wrong(EndpointProblem::NoPort))?;
                if host.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err(wrong(EndpointProblem::Host));
                }
                (host, port)
            }
            None => {
                let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong(EndpointProblem::NoPort))?;
                if host.contains(':') {
                    return Err(wrong(EndpointProblem::Unbracketed));
                }
                (host, port)
            }
        };
        if !is_host(host) {
            return Err(wrong(EndpointProblem::Host));
        }
        match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self::new(host, port)),
            Ok(_) | Err(_) => Err(wrong(EndpointProblem::Port)),
        }
    }
}

/// Whether text can be a host name or an address: nothing that a shell or a program could take for something else.
pub(crate) fn is_host(text: &str) -> bool {
    let is_host_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !text.is_empty() && !text.starts_with('-') && text.chars().all(is_host_char)
}

/// Text that is not `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not host:port: {reason}")]
pub struct EndpointError {
    text: String,
    reason: EndpointProblem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum EndpointProblem {
    #[error("the port is missing")]
    NoPort,
    #[error("an IPv6 address stands in brackets")]
    Unbracketed,
    #[error("the host is not a name or an address")]
    Host,
    #[error("the port is a number from 1 to 65535")]
    Port,
}

/// A broker's `node.id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub i32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_and_port_are_read() {
        let check = |text: &str, host: &str, port: u16| {
            assert_eq!(text.parse::<Endpoint>().unwrap(), Endpoint::new(host, port));
            assert_eq!(Endpoint::new(host, port).to_string(), text);
        };
        check("kafka-1.example.com:9093", "kafka-1.example.com", 9093);
        check("10.0.0.1:1", "10.0.0.1", 1);
        check("[::1]:9092", "::1", 9092);
        check("docker_name:65535", "docker_name", 65535);
    }

    #[test]
    fn wrong_endpoints_name_their_fault() {
        let check =
            |text: &str, reason| assert_eq!(text.parse::<Endpoint>().unwrap_err().reason, reason, "{text}");
        check("kafka", EndpointProblem::NoPort);
        check("[::1]", EndpointProblem::NoPort);
        check("::1:9092", EndpointProblem::Unbracketed);
        check(":9092", EndpointProblem::Host);
        check("-oProxyCommand=x:9092", EndpointProblem::Host);
        check("a b:9092", EndpointProblem::Host);
        check("[kafka]:9092", EndpointProblem::Host);
        check("kafka:0", EndpointProblem::Port);
        check("kafka:70000", EndpointProblem::Port);
        check("kafka:", EndpointProblem::Port);
    }

    #[test]
    fn bootstrap_lists_may_have_blanks_and_a_last_comma() {
        let list = Endpoint::parse_list("a:1, b:2,").unwrap();
        assert_eq!(list, [Endpoint::new("a", 1), Endpoint::new("b", 2)]);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = text.parse::<Endpoint>();
        }
    }
}
