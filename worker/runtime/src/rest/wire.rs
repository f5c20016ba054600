//! The JSON of requests and answers. Domain types are turned into these and back, here only.

use std::collections::BTreeMap;

use connect_api::{ConfigKey, ConfigValue, ParsedValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::herder::{ConnectorInfo, ConnectorStatus, TaskInfo};
use crate::names::{RawConfig, Status, TargetState, TaskId};
use crate::plugins::registry::Plugin;
use crate::plugins::validate::{Judged, Judgement};
use crate::rest::error::RestError;

#[derive(Debug, Serialize)]
pub(crate) struct ServerInfo {
    pub(crate) version: &'static str,
    pub(crate) commit: &'static str,
    pub(crate) kafka_cluster_id: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct WorkerStatus {
    pub(crate) status: &'static str,
    pub(crate) message: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConnectorRequest {
    name: Option<String>,
    config: Option<Map<String, Value>>,
    initial_state: Option<String>,
}

/// A connector that is to be created.
#[derive(Debug)]
pub(crate) struct NewConnector {
    pub(crate) name: String,
    pub(crate) config: RawConfig,
    pub(crate) initial_state: Option<TargetState>,
}

impl CreateConnectorRequest {
    pub(crate) fn read(self) -> Result<NewConnector, RestError> {
        let name = self.name.unwrap_or_default().trim().to_owned();
        let config = self.config.ok_or_else(|| RestError::unreadable("config must not be null"))?;
        let initial_state = match self.initial_state.map(|s| s.to_ascii_uppercase()).as_deref() {
            None => None,
            Some("RUNNING") => Some(TargetState::Started),
            Some("PAUSED") => Some(TargetState::Paused),
            Some("STOPPED") => Some(TargetState::Stopped),
            Some(other) => {
                let message =
                    format!("No enum constant for initial_state {other}: RUNNING, PAUSED or STOPPED");
                return Err(RestError::unreadable(message));
            }
        };
        Ok(NewConnector { name, config: flat(config)?, initial_state })
    }
}

/// A flat map of texts; numbers and booleans are taken as their text.
pub(crate) fn flat(map: Map<String, Value>) -> Result<RawConfig, RestError> {
    map.into_iter()
        .map(|(key, value)| match scalar(value)? {
            Some(text) => Ok((key, text)),
            None => Err(RestError::bad_request(
                "Connector configuration is invalid and contains the following 1 error(s):\nNull value can not be \
                 supplied as the configuration value.\nYou can also find the above list of errors at the endpoint \
                 `/connector-plugins/{connectorType}/config/validate`",
            )),
        })
        .collect()
}

/// A merge patch; null removes.
pub(crate) fn patch(map: Map<String, Value>) -> Result<Vec<(String, Option<String>)>, RestError> {
    map.into_iter().map(|(key, value)| Ok((key, scalar(value)?))).collect()
}

fn scalar(value: Value) -> Result<Option<String>, RestError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Array(_) | Value::Object(_) => Err(RestError::unreadable(
            "Cannot deserialize value of type `java.lang.String` from an array or an object",
        )),
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskRef {
    connector: String,
    task: u32,
}

impl From<&TaskId> for TaskRef {
    fn from(id: &TaskId) -> Self {
        Self { connector: id.connector.to_string(), task: id.task }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ConnectorInfoBody {
    name: String,
    config: RawConfig,
    tasks: Vec<TaskRef>,
    r#type: &'static str,
}

impl From<ConnectorInfo> for ConnectorInfoBody {
    fn from(info: ConnectorInfo) -> Self {
        Self {
            name: info.name.to_string(),
            config: info.config,
            tasks: info.tasks.iter().map(TaskRef::from).collect(),
            r#type: info.kind.as_str(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskInfoBody {
    id: TaskRef,
    config: RawConfig,
}

impl From<TaskInfo> for TaskInfoBody {
    fn from((id, config): TaskInfo) -> Self {
        Self { id: TaskRef::from(&id), config: (*config).clone() }
    }
}

#[derive(Debug, Serialize)]
struct ConnectorState {
    state: &'static str,
    worker_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    version: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskState {
    id: u32,
    state: &'static str,
    worker_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    version: Option<String>,
}

impl TaskState {
    pub(crate) fn new(id: u32, status: Status) -> Self {
        Self {
            id,
            state: status.state.as_str(),
            worker_id: status.worker_id,
            trace: status.trace,
            version: status.version,
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ConnectorStatusBody {
    name: String,
    connector: ConnectorState,
    tasks: Vec<TaskState>,
    r#type: &'static str,
}

impl From<ConnectorStatus> for ConnectorStatusBody {
    fn from(status: ConnectorStatus) -> Self {
        let connector = status.connector;
        Self {
            name: status.name.to_string(),
            connector: ConnectorState {
                state: connector.state.as_str(),
                worker_id: connector.worker_id,
                trace: connector.trace,
                version: connector.version,
            },
            tasks: status.tasks.into_iter().map(|(id, s)| TaskState::new(id.task, s)).collect(),
            r#type: status.kind.as_str(),
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Expanded {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<ConnectorStatusBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) info: Option<ConnectorInfoBody>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ActiveTopics {
    pub(crate) topics: Vec<String>,
}

pub(crate) fn active_topics(name: &str, topics: Vec<String>) -> BTreeMap<String, ActiveTopics> {
    BTreeMap::from([(name.to_owned(), ActiveTopics { topics })])
}

#[derive(Debug, Serialize)]
pub(crate) struct PluginBody {
    class: &'static str,
    r#type: &'static str,
    version: &'static str,
}

impl From<&Plugin> for PluginBody {
    fn from(plugin: &Plugin) -> Self {
        Self { class: plugin.class, r#type: plugin.kind(), version: plugin.version }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ConfigKeyBody {
    name: String,
    r#type: String,
    required: bool,
    default_value: Option<String>,
    importance: String,
    documentation: String,
    group: Option<String>,
    order_in_group: i32,
    width: String,
    display_name: String,
    dependents: Vec<String>,
}

impl From<&ConfigKey> for ConfigKeyBody {
    fn from(key: &ConfigKey) -> Self {
        Self {
            name: key.name.clone(),
            r#type: key.kind.to_string(),
            required: key.is_required(),
            default_value: key.default.as_ref().and_then(ParsedValue::to_config_string),
            importance: key.importance.to_string(),
            documentation: key.doc.clone(),
            group: key.group.clone(),
            order_in_group: key.order,
            width: key.width.to_string(),
            display_name: key.display_name.clone(),
            dependents: key.dependents.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct ConfigValueBody {
    name: String,
    value: Option<String>,
    recommended_values: Vec<String>,
    errors: Vec<String>,
    visible: bool,
}

impl From<ConfigValue> for ConfigValueBody {
    fn from(value: ConfigValue) -> Self {
        Self {
            value: value.value.to_config_string(),
            recommended_values: value.recommended.iter().filter_map(ParsedValue::to_config_string).collect(),
            name: value.name,
            errors: value.errors,
            visible: value.is_visible,
        }
    }
}

#[derive(Debug, Serialize)]
struct ConfigInfo {
    definition: Option<ConfigKeyBody>,
    value: ConfigValueBody,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConfigInfos {
    name: String,
    error_count: usize,
    groups: Vec<String>,
    configs: Vec<ConfigInfo>,
}

impl From<Judgement> for ConfigInfos {
    fn from(judgement: Judgement) -> Self {
        let error_count = judgement.error_count();
        let config = |Judged { definition, value }| ConfigInfo {
            definition: definition.as_ref().map(ConfigKeyBody::from),
            value: value.into(),
        };
        Self {
            error_count,
            name: judgement.class,
            groups: judgement.groups,
            configs: judgement.configs.into_iter().map(config).collect(),
        }
    }
}
