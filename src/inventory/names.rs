//! Names and addresses that reach a shell, a template or a file, checked once and carried as their own types.
//!
//! Every rule is an allow list: what is not named here does not pass, so no name can be read as an option, a path
//! step, or shell or template syntax.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

/// What may be a certain kind of name.
pub(crate) trait Rule {
    /// What it is, put after "expected".
    const WHAT: &'static str;
    /// The rule in words.
    const RULE: &'static str;

    fn allows(text: &str) -> bool;
}

/// Text that does not follow its rule. The text itself is shown by whoever knows where it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {what}")]
pub(crate) struct NameError {
    pub(crate) what: &'static str,
    pub(crate) rule: &'static str,
}

/// Text that follows rule `R`. The rule is part of the type, so a topic cannot stand where a host is wanted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name<R> {
    text: String,
    rule: PhantomData<R>,
}

impl<R: Rule> Name<R> {
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        if R::allows(text) {
            Ok(Self { text: text.to_owned(), rule: PhantomData })
        } else {
            Err(NameError { what: R::WHAT, rule: R::RULE })
        }
    }
}

impl<R> Name<R> {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl<R> fmt::Debug for Name<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<R> fmt::Display for Name<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl<R> AsRef<str> for Name<R> {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl<R> Serialize for Name<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// The cluster's name: it names folders, containers and Compose projects.
pub(crate) type ClusterName = Name<ClusterRule>;
/// A host's name within the inventory.
pub(crate) type HostName = Name<HostRule>;
/// Where a host or broker is reached: a DNS name, an IPv4 or an IPv6 address without brackets.
pub(crate) type Address = Name<AddressRule>;
/// A Unix user or group.
pub(crate) type UserName = Name<UserRule>;
/// A systemd unit, with or without `.service`.
pub(crate) type UnitName = Name<UnitRule>;
/// An absolute path without `.` and `..` steps.
pub(crate) type AbsolutePath = Name<PathRule>;
/// A Kafka topic, after `org.apache.kafka.common.internals.Topic`.
pub(crate) type TopicName = Name<TopicRule>;
/// A connector.
pub(crate) type ConnectorName = Name<ConnectorRule>;
/// A Kafka group id.
pub(crate) type GroupId = Name<GroupRule>;
/// The name part of a Kafka principal `User:NAME`.
pub(crate) type PrincipalName = Name<PrincipalRule>;
/// A Java class name, or the simple name of a plug-in.
pub(crate) type ClassName = Name<ClassRule>;
/// An environment variable.
pub(crate) type VariableName = Name<VariableRule>;
/// A version such as `4.3.1`.
pub(crate) type Version = Name<VersionRule>;
/// An OpenPGP fingerprint: 40 hexadecimal digits, upper case, without blanks.
pub(crate) type Fingerprint = Name<FingerprintRule>;
/// An `http://` or `https://` URL without user, query and fragment.
pub(crate) type RepositoryUrl = Name<RepositoryUrlRule>;

impl Address {
    /// The address as an IP address, if it is one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.as_str().parse().ok()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ClusterRule {}

impl Rule for ClusterRule {
    const WHAT: &'static str = "a cluster name";
    const RULE: &'static str =
        "1 to 40 of a-z, 0-9 and single inner hyphens, starting with a letter, such as `orders`";

    fn allows(text: &str) -> bool {
        let hyphens_stand_alone = !text.ends_with('-') && !text.contains("--");
        text.len() <= 40
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && hyphens_stand_alone
    }
}

/// RFC 1123: labels of letters, digits and inner hyphens.
fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum HostRule {}

impl Rule for HostRule {
    const WHAT: &'static str = "a host name";
    const RULE: &'static str =
        "letters, digits, dots and inner hyphens, at most 63 characters, such as `connect-1`";

    fn allows(text: &str) -> bool {
        text.len() <= 63 && is_dns_name(text) && !text.starts_with('_')
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AddressRule {}

impl Rule for AddressRule {
    const WHAT: &'static str = "an address";
    const RULE: &'static str = "a DNS name, an IPv4 address, or an IPv6 address without brackets";

    fn allows(text: &str) -> bool {
        let looks_like_ipv4 = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        text.parse::<IpAddr>().is_ok() || (!looks_like_ipv4 && is_dns_name(text))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum UserRule {}

impl Rule for UserRule {
    const WHAT: &'static str = "a Unix user";
    const RULE: &'static str =
        "a letter or `_`, then letters, digits, `_`, `.` and `-`, at most 32 characters";

    fn allows(text: &str) -> bool {
        text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum UnitRule {}

impl Rule for UnitRule {
    const WHAT: &'static str = "a systemd unit";
    const RULE: &'static str = "such as `confluent-kafka-connect` or `connect@blue.service`";

    fn allows(text: &str) -> bool {
        (1..=255).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':'))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PathRule {}

impl Rule for PathRule {
    const WHAT: &'static str = "an absolute path";
    const RULE: &'static str =
        "steps of letters, digits, `.`, `_`, `-`, `+` and `@`, none of them `..`, such as `/opt/connect`";

    fn allows(text: &str) -> bool {
        let is_step = |step: &str| {
            !step.is_empty()
                && step != "."
                && step != ".."
                && step.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@'))
        };
        text.len() <= 1024 && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_step))
    }
}

fn is_kafka_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TopicRule {}

impl Rule for TopicRule {
    const WHAT: &'static str = "a topic name";
    const RULE: &'static str =
        "Kafka takes 1 to 249 letters, digits, `.`, `_` and `-`, but neither `.` nor `..`";

    fn allows(text: &str) -> bool {
        (1..=249).contains(&text.len()) && text != "." && text != ".." && text.chars().all(is_kafka_char)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ConnectorRule {}

impl Rule for ConnectorRule {
    // Narrower than Kafka, which takes nearly everything: the name becomes a URL path, a group id and a metric tag.
    const WHAT: &'static str = "a connector name";
    const RULE: &'static str = "1 to 200 letters, digits, `.`, `_` and `-`, starting with a letter or digit";

    fn allows(text: &str) -> bool {
        (1..=200).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(is_kafka_char)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum GroupRule {}

impl Rule for GroupRule {
    const WHAT: &'static str = "a group id";
    const RULE: &'static str = "1 to 200 letters, digits, `.`, `_` and `-`, starting with a letter or digit";

    fn allows(text: &str) -> bool {
        ConnectorRule::allows(text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PrincipalRule {}

impl Rule for PrincipalRule {
    const WHAT: &'static str = "a Kafka user";
    const RULE: &'static str =
        "1 to 128 letters, digits, `.`, `_`, `-`, `@` and `+`, starting with a letter or digit";

    fn allows(text: &str) -> bool {
        (1..=128).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| is_kafka_char(c) || matches!(c, '@' | '+'))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ClassRule {}

impl Rule for ClassRule {
    const WHAT: &'static str = "a class name";
    const RULE: &'static str = "such as `org.apache.kafka.connect.json.JsonConverter`";

    fn allows(text: &str) -> bool {
        let is_identifier = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
        };
        text.len() <= 255 && text.split('.').all(is_identifier)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum VariableRule {}

impl Rule for VariableRule {
    const WHAT: &'static str = "the name of an environment variable";
    const RULE: &'static str = "letters, digits and `_`, such as `KAFKA_ADMIN_PASSWORD`";

    fn allows(text: &str) -> bool {
        text.len() <= 128
            && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum VersionRule {}

impl Rule for VersionRule {
    const WHAT: &'static str = "a version";
    const RULE: &'static str = "three numbers, such as `4.3.1`";

    fn allows(text: &str) -> bool {
        let is_number =
            |part: &str| (1..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit());
        text.split('.').count() == 3 && text.split('.').all(is_number)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FingerprintRule {}

impl Rule for FingerprintRule {
    const WHAT: &'static str = "an OpenPGP fingerprint";
    const RULE: &'static str = "40 hexadecimal digits, as `gpg --show-keys KEY` prints them";

    fn allows(text: &str) -> bool {
        text.len() == 40 && text.chars().all(|c| c.is_ascii_digit() || matches!(c, 'A'..='F'))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RepositoryUrlRule {}

impl Rule for RepositoryUrlRule {
    const WHAT: &'static str = "a URL";
    const RULE: &'static str =
        "`http://` or `https://`, without user and query, such as `https://download.docker.com/linux`";

    fn allows(text: &str) -> bool {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let Some(rest) = rest else { return false };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
        AddressRule::allows(host)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
            && path
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '~' | '+'))
    }
}

#[cfg(test)]
mod tests;
