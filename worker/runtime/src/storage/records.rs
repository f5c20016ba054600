//! Keys and values of the internal topics, byte for byte as the JVM worker writes them.
//!
//! Source: `KafkaConfigBackingStore`, `KafkaStatusBackingStore`, `OffsetStorageWriter` of Kafka.

use serde_json::{Map, Value, json};

use crate::names::{ConnectorName, RawConfig, State, Status, TargetState, TaskId};

/// A key and a value; no value is a tombstone.
pub(crate) type KeyValue = (Vec<u8>, Option<Vec<u8>>);

/// One record of the config topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConfigRecord {
    Connector {
        name: ConnectorName,
        config: Option<RawConfig>,
    },
    Task {
        id: TaskId,
        config: Option<RawConfig>,
    },
    /// The task records before it are complete: there are this many tasks.
    Commit {
        name: ConnectorName,
        tasks: u32,
    },
    Target {
        name: ConnectorName,
        state: Option<TargetState>,
    },
    Restart {
        name: ConnectorName,
        include_tasks: bool,
        only_failed: bool,
    },
    /// Kinds that are read for their offset only: session keys, logger levels, task counts for fencing.
    NotForUs,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("key is not text")]
    Key,
    #[error("value of {key} is not a JSON object")]
    NotObject { key: String },
    #[error("value of {key} has no usable field {field:?}")]
    Field { key: String, field: &'static str },
}

impl ConfigRecord {
    /// `None` for keys that belong to nobody.
    ///
    /// Errors: a key or value that cannot be read, which does not count for the config offset.
    pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, RecordError> {
        let key = std::str::from_utf8(key).map_err(|_| RecordError::Key)?;
        let field = |field| RecordError::Field { key: key.to_owned(), field };
        let object = || -> Result<Option<Map<String, Value>>, RecordError> {
            match value.map(serde_json::from_slice::<Value>) {
                None | Some(Ok(Value::Null)) => Ok(None),
                Some(Ok(Value::Object(map))) => Ok(Some(map)),
                Some(_) => Err(RecordError::NotObject { key: key.to_owned() }),
            }
        };
        let properties = || match object()? {
            None => Ok(None),
            Some(map) => string_map(map.get("properties")).map(Some).ok_or_else(|| field("properties")),
        };
        let record = if let Some(name) = key.strip_prefix("target-state-") {
            let state = match object()? {
                None => None,
                Some(map) => Some(target_state(&map).ok_or_else(|| field("state"))?),
            };
            Self::Target { name: name.into(), state }
        } else if let Some(name) = key.strip_prefix("connector-") {
            Self::Connector { name: name.into(), config: properties()? }
        } else if let Some(rest) = key.strip_prefix("task-") {
            let Some((connector, Ok(task))) = rest.rsplit_once('-').map(|(c, n)| (c, n.parse::<u32>()))
            else {
                return Ok(None);
            };
            Self::Task { id: TaskId::new(connector, task), config: properties()? }
        } else if let Some(name) = key.strip_prefix("commit-") {
            let Some(map) = object()? else { return Ok(None) };
            let tasks = map.get("tasks").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
            Self::Commit { name: name.into(), tasks: tasks.ok_or_else(|| field("tasks"))? }
        } else if let Some(name) = key.strip_prefix("restart-connector-") {
            let Some(map) = object()? else { return Ok(None) };
            let flag = |name| map.get(name).and_then(Value::as_bool).unwrap_or(false);
            Self::Restart {
                name: name.into(),
                include_tasks: flag("include-tasks"),
                only_failed: flag("only-failed"),
            }
        } else if key == "session-key"
            || key.starts_with("tasks-fencing-")
            || key.starts_with("logger-cluster-")
        {
            object()?;
            Self::NotForUs
        } else {
            return Ok(None);
        };
        Ok(Some(record))
    }

    pub(crate) fn encode(&self) -> KeyValue {
        let (key, value) = match self {
            Self::Connector { name, config } => {
                (format!("connector-{name}"), config.as_ref().map(|c| json!({ "properties": c })))
            }
            Self::Task { id, config } => {
                (format!("task-{id}"), config.as_ref().map(|c| json!({ "properties": c })))
            }
            Self::Commit { name, tasks } => (format!("commit-{name}"), Some(json!({ "tasks": tasks }))),
            Self::Target { name, state } => (
                format!("target-state-{name}"),
                state.map(|state| {
                    let (v1, v2) = match state {
                        TargetState::Started => ("STARTED", "STARTED"),
                        TargetState::Paused => ("PAUSED", "PAUSED"),
                        // Readers before 3.5 know no STOPPED.
                        TargetState::Stopped => ("PAUSED", "STOPPED"),
                    };
                    json!({ "state": v1, "state.v2": v2 })
                }),
            ),
            Self::Restart { name, include_tasks, only_failed } => (
                format!("restart-connector-{name}"),
                Some(json!({ "include-tasks": include_tasks, "only-failed": only_failed })),
            ),
            Self::NotForUs => (String::new(), None),
        };
        (key.into_bytes(), value.map(|v| v.to_string().into_bytes()))
    }
}

fn string_map(value: Option<&Value>) -> Option<RawConfig> {
    let map = value?.as_object()?;
    map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

fn target_state(map: &Map<String, Value>) -> Option<TargetState> {
    let text = map.get("state.v2").and_then(Value::as_str).or_else(|| map.get("state")?.as_str())?;
    match text {
        "STARTED" => Some(TargetState::Started),
        "PAUSED" => Some(TargetState::Paused),
        "STOPPED" => Some(TargetState::Stopped),
        _ => None,
    }
}

/// What a record of the status topic is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum StatusKey {
    Connector(ConnectorName),
    Task(TaskId),
    /// `connector` uses `topic`.
    Topic {
        topic: String,
        connector: ConnectorName,
    },
}

impl StatusKey {
    pub(crate) fn decode(key: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(key).ok()?;
        if let Some(name) = key.strip_prefix("status-connector-") {
            return Some(Self::Connector(name.into()));
        }
        if let Some(rest) = key.strip_prefix("status-task-") {
            let (connector, task) = rest.rsplit_once('-')?;
            return Some(Self::Task(TaskId::new(connector, task.parse().ok()?)));
        }
        let (topic, connector) = key.strip_prefix("status-topic-")?.split_once(":connector-")?;
        Some(Self::Topic { topic: topic.to_owned(), connector: connector.into() })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Connector(name) => format!("status-connector-{name}"),
            Self::Task(id) => format!("status-task-{id}"),
            Self::Topic { topic, connector } => format!("status-topic-{topic}:connector-{connector}"),
        }
        .into_bytes()
    }
}

/// `None` where the value is not a status.
pub(crate) fn decode_status(value: &[u8]) -> Option<Status> {
    let map: Map<String, Value> = serde_json::from_slice(value).ok()?;
    let text = |name| map.get(name).and_then(Value::as_str);
    let state = text("state")?;
    Some(Status {
        state: State::ALL.into_iter().find(|s| s.as_str() == state)?,
        trace: text("trace").filter(|t| !t.is_empty()).map(str::to_owned),
        worker_id: text("worker_id")?.to_owned(),
        generation: i32::try_from(map.get("generation")?.as_i64()?).ok()?,
        version: text("version").map(str::to_owned),
    })
}

pub(crate) fn encode_status(status: &Status) -> Vec<u8> {
    json!({
        "state": status.state.as_str(),
        "trace": status.trace,
        "worker_id": status.worker_id,
        "generation": status.generation,
        "version": status.version,
    })
    .to_string()
    .into_bytes()
}

/// The value of a [`StatusKey::Topic`] record.
pub(crate) fn encode_topic_use(topic: &str, task: &TaskId, discovered_ms: i64) -> Vec<u8> {
    json!({"topic": {
        "name": topic,
        "connector": task.connector.as_str(),
        "task": task.task,
        "discoverTimestamp": discovered_ms,
    }})
    .to_string()
    .into_bytes()
}

/// The key of an offset: two-element array of connector and source partition, in the order the task gave.
pub(crate) fn offset_key(connector: &ConnectorName, partition: &Map<String, Value>) -> Vec<u8> {
    let mut key = b"[".to_vec();
    key.extend(Value::from(connector.as_str()).to_string().into_bytes());
    key.push(b',');
    key.extend(json_bytes(partition));
    key.push(b']');
    key
}

pub(crate) fn json_bytes(map: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(map).expect("a map with text keys is always JSON")
}

/// The same for all keys that name the same source partition, whatever the order of its fields; `None` where
/// the bytes are not an offset key.
pub(crate) fn canonical_offset_key(key: &[u8]) -> Option<Vec<u8>> {
    let (connector, mut partition): (String, Map<String, Value>) = serde_json::from_slice(key).ok()?;
    partition.sort_keys();
    Some(offset_key(&connector.into(), &partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn config_records_are_the_jvm_s_bytes() {
        let check = |key: &str, value: Option<&str>| {
            let record = ConfigRecord::decode(key.as_bytes(), value.map(str::as_bytes)).unwrap().unwrap();
            let (k, v) = record.encode();
            assert_eq!(text(&k), key);
            assert_eq!(v.as_deref().map(text), value);
        };
        check("connector-a-b", Some(r#"{"properties":{"connector.class":"X","name":"a-b"}}"#));
        check("connector-a", None);
        check("task-a-b-12", Some(r#"{"properties":{"task.class":"T"}}"#));
        check("commit-a", Some(r#"{"tasks":3}"#));
        check("target-state-a", Some(r#"{"state":"PAUSED","state.v2":"PAUSED"}"#));
        check("target-state-a", Some(r#"{"state":"PAUSED","state.v2":"STOPPED"}"#));
        check("target-state-a", Some(r#"{"state":"STARTED","state.v2":"STARTED"}"#));
        check("target-state-a", None);
        check("restart-connector-a", Some(r#"{"include-tasks":true,"only-failed":false}"#));
    }

    #[test]
    fn older_and_foreign_records_are_read() {
        let decode = |key: &str, value: &str| {
            ConfigRecord::decode(key.as_bytes(), Some(value.as_bytes())).map_err(|e| e.to_string())
        };
        let target = |state| Ok(Some(ConfigRecord::Target { name: "a".into(), state: Some(state) }));
        assert_eq!(decode("target-state-a", r#"{"state":"PAUSED"}"#), target(TargetState::Paused));
        let odd = r#"{"state":"PAUSED","state.v2":1}"#;
        assert_eq!(decode("target-state-a", odd), target(TargetState::Paused));
        assert!(decode("target-state-a", r#"{"state":"ASLEEP"}"#).is_err());
        assert_eq!(decode("session-key", r#"{"key":"x"}"#), Ok(Some(ConfigRecord::NotForUs)));
        assert_eq!(decode("something-else", "{}"), Ok(None));
        assert_eq!(decode("task-a", "{}"), Ok(None));
        assert!(decode("connector-a", "[]").is_err());
        let restart = ConfigRecord::Restart { name: "a".into(), include_tasks: false, only_failed: false };
        assert_eq!(decode("restart-connector-a", "{}"), Ok(Some(restart)));
    }

    #[test]
    fn statuses_are_the_jvm_s_bytes() {
        let status = Status {
            state: State::Running,
            trace: None,
            worker_id: "10.0.0.1:8083".into(),
            generation: 3,
            version: Some("4.1.0".into()),
        };
        let bytes = encode_status(&status);
        assert_eq!(
            text(&bytes),
            r#"{"state":"RUNNING","trace":null,"worker_id":"10.0.0.1:8083","generation":3,"version":"4.1.0"}"#
        );
        assert_eq!(decode_status(&bytes), Some(status));
        let old = r#"{"state":"FAILED","trace":"t","worker_id":"w:1","generation":1}"#;
        assert_eq!(decode_status(old.as_bytes()).unwrap().version, None);
        assert_eq!(decode_status(b"{}"), None);
    }

    #[test]
    fn status_keys_round_trip() {
        for key in ["status-connector-a-b", "status-task-a-b-0", "status-topic-t:connector-a"] {
            assert_eq!(text(&StatusKey::decode(key.as_bytes()).unwrap().encode()), key);
        }
        assert_eq!(StatusKey::decode(b"status-task-a"), None);
    }

    #[test]
    fn offset_keys_keep_the_order_of_the_partition() {
        let partition: Map<String, Value> = serde_json::from_str(r#"{"z":1,"a":"x\"y"}"#).unwrap();
        let key = offset_key(&"local-file-source".into(), &partition);
        assert_eq!(text(&key), r#"["local-file-source",{"z":1,"a":"x\"y"}]"#);
        let other = br#"["local-file-source",{"a":"x\"y","z":1}]"#;
        assert_eq!(canonical_offset_key(&key), canonical_offset_key(other));
        assert_eq!(canonical_offset_key(b"{}"), None);
    }
}
