//! Member metadata and assignments of the Connect group, sub-protocol `default` (version 0).
//!
//! Source: `ConnectProtocol` of Kafka. Newer versions are read as far as version 0 goes.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut};

use crate::names::{ConnectorName, TaskId};

/// The name of the eager sub-protocol on the wire.
pub(crate) const EAGER: &str = "default";
pub(crate) const PROTOCOL_TYPE: &str = "connect";

/// Stands for the connector itself in a list of task numbers.
const CONNECTOR_TASK: i32 = -1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberMetadata {
    /// The advertised URL, with a slash at its end.
    pub(crate) url: String,
    pub(crate) config_offset: i64,
}

/// What one member has to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) connectors: Vec<ConnectorName>,
    pub(crate) tasks: Vec<TaskId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The leader could not see the newest config: read to the end and join again.
    pub(crate) is_config_mismatch: bool,
    pub(crate) leader: String,
    pub(crate) leader_url: String,
    pub(crate) config_offset: i64,
    pub(crate) work: Work,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("the bytes end too early")]
    Short,
    #[error("version {0} is negative")]
    Version(i16),
    #[error("a text is not UTF-8")]
    Text,
    #[error("length {0} is impossible")]
    Length(i32),
}

impl MemberMetadata {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_i16(0);
        put_text(&mut out, &self.url);
        out.put_i64(self.config_offset);
        out
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, ProtocolError> {
        read_version(&mut bytes)?;
        let url = get_text(&mut bytes)?;
        let config_offset = bytes.try_get_i64().map_err(|_| ProtocolError::Short)?;
        Ok(Self { url, config_offset })
    }
}

impl Assignment {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_i16(0);
        out.put_i16(i16::from(self.is_config_mismatch));
        put_text(&mut out, &self.leader);
        put_text(&mut out, &self.leader_url);
        out.put_i64(self.config_offset);
        let mut by_connector: BTreeMap<&ConnectorName, Vec<i32>> = BTreeMap::new();
        for name in &self.work.connectors {
            by_connector.entry(name).or_default().push(CONNECTOR_TASK);
        }
        for id in &self.work.tasks {
            by_connector.entry(&id.connector).or_default().push(id.task as i32);
        }
        out.put_i32(by_connector.len() as i32);
        for (name, tasks) in by_connector {
            put_text(&mut out, name.as_str());
            out.put_i32(tasks.len() as i32);
            for task in tasks {
                out.put_i32(task);
            }
        }
        out
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, ProtocolError> {
        let bytes = &mut bytes;
        read_version(bytes)?;
        let error = bytes.try_get_i16().map_err(|_| ProtocolError::Short)?;
        let leader = get_text(bytes)?;
        let leader_url = get_text(bytes)?;
        let config_offset = bytes.try_get_i64().map_err(|_| ProtocolError::Short)?;
        let mut work = Work::default();
        for _ in 0..get_count(bytes)? {
            let name = ConnectorName::from(get_text(bytes)?);
            for _ in 0..get_count(bytes)? {
                match get_i32(bytes)? {
                    CONNECTOR_TASK => work.connectors.push(name.clone()),
                    task => {
                        let task = u32::try_from(task).map_err(|_| ProtocolError::Length(task))?;
                        work.tasks.push(TaskId { connector: name.clone(), task });
                    }
                }
            }
        }
        Ok(Self { is_config_mismatch: error != 0, leader, leader_url, config_offset, work })
    }
}

fn read_version(bytes: &mut &[u8]) -> Result<(), ProtocolError> {
    match bytes.try_get_i16().map_err(|_| ProtocolError::Short)? {
        version @ ..0 => Err(ProtocolError::Version(version)),
        _ => Ok(()),
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

fn get_text(bytes: &mut &[u8]) -> Result<String, ProtocolError> {
    let length = bytes.try_get_i16().map_err(|_| ProtocolError::Short)?;
    let length = usize::try_from(length).map_err(|_| ProtocolError::Length(length.into()))?;
    if bytes.len() < length {
        return Err(ProtocolError::Short);
    }
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    String::from_utf8(text.to_vec()).map_err(|_| ProtocolError::Text)
}

fn get_i32(bytes: &mut &[u8]) -> Result<i32, ProtocolError> {
    bytes.try_get_i32().map_err(|_| ProtocolError::Short)
}

/// A nullable array's length; null is empty.
fn get_count(bytes: &mut &[u8]) -> Result<i32, ProtocolError> {
    match get_i32(bytes)? {
        -1 => Ok(0),
        count @ 0.. => Ok(count),
        count => Err(ProtocolError::Length(count)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metadata_is_the_jvm_s_bytes() {
        let metadata = MemberMetadata { url: "http://w:8083/".into(), config_offset: 5 };
        let bytes = metadata.encode();
        assert_eq!(bytes, b"\0\0\0\x0ehttp://w:8083/\0\0\0\0\0\0\0\x05");
        assert_eq!(MemberMetadata::decode(&bytes), Ok(metadata));
    }

    #[test]
    fn assignment_is_the_jvm_s_bytes() {
        let assignment = Assignment {
            is_config_mismatch: false,
            leader: "m".into(),
            leader_url: "u".into(),
            config_offset: 1,
            work: Work { connectors: vec!["c".into()], tasks: vec![TaskId::new("c", 0)] },
        };
        let bytes = assignment.encode();
        let expected: &[u8] =
            b"\0\0\0\0\0\x01m\0\x01u\0\0\0\0\0\0\0\x01\0\0\0\x01\0\x01c\0\0\0\x02\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(bytes, expected);
        assert_eq!(Assignment::decode(&bytes), Ok(assignment));
    }

    proptest! {
        #[test]
        fn no_bytes_can_hurt(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = MemberMetadata::decode(&bytes);
            let _ = Assignment::decode(&bytes);
        }
    }
}
