//! The connector: settings, their validation, and one task configuration per task.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use connect_api::{
    ConfigDef, ConfigKey, ConfigValue, ConnectError, ConnectorContext, Importance, ParsedConfig, ParsedValue,
    Props, SourceConnector, SourceTask, Type, Validator,
};

use crate::quickstart::{self, QUICKSTARTS};
use crate::schema::{self, Node};
use crate::task::DatagenTask;

/// The key that tells tasks apart.
pub(crate) const TASK_ID: &str = "task.id";

pub(crate) static CONFIG: LazyLock<ConfigDef> = LazyLock::new(|| {
    let key = |name: &str, kind, doc: &str| ConfigKey::new(name, kind, Importance::High, doc);
    ConfigDef::default()
        .define(key("kafka.topic", Type::String, "Topic to write to"))
        .define(key("max.interval", Type::Long, "Max interval between messages (ms)").default_value(500_i64))
        .define(
            key(
                "iterations",
                Type::Int,
                "Number of messages to send from each task, or less than 1 for unlimited",
            )
            .default_value(-1),
        )
        .define(
            key("schema.string", Type::String, "The literal JSON-encoded Avro schema to use")
                .default_value("")
                .validator(unless_empty(|_, text| compile(text).map(drop))),
        )
        .define(
            key("schema.filename", Type::String, "Filename of schema to use")
                .default_value("")
                .validator(unless_empty(|_, file| read_schema(file).and_then(|text| compile(&text)).map(drop))),
        )
        .define(
            key("schema.keyfield", Type::String, "Name of field to use as the message key").default_value(""),
        )
        .define(
            key("quickstart", Type::String, "Name of quickstart to use").default_value("").validator(unless_empty(
                |key, name| match quickstart::find(name) {
                    Some(_) => Ok(()),
                    None => Err(format!("{key} must be one out of {}", QUICKSTARTS.map(|known| known.name).join(","))),
                },
            )),
        )
        .define(
            ConfigKey::new(
                "random.seed",
                Type::Long,
                Importance::Low,
                "Numeric seed for generating random data. Two connectors started with the same seed will \
                 deterministically produce the same data. Each task will generate different data than the other \
                 tasks in the same connector.",
            )
            .default_value(ParsedValue::Null),
        )
});

/// The keys of which exactly one says what to generate.
const SOURCES: [&str; 3] = ["schema.string", "schema.filename", "quickstart"];

fn unless_empty(check: fn(&str, &str) -> Result<(), String>) -> Validator {
    Validator::check(move |name, value| match value {
        ParsedValue::String(text) if !text.is_empty() => check(name, text),
        _ => Ok(()),
    })
}

fn compile(text: &str) -> Result<Node, String> {
    schema::compile(text).map_err(|error| format!("Unable to parse the provided schema: {error}"))
}

/// A schema file of the worker's host, or the bundled schema of that name.
fn read_schema(file: &str) -> Result<String, String> {
    if let Some(quickstart) = QUICKSTARTS.iter().find(|quickstart| quickstart.file_name == file)
        && !Path::new(file).exists()
    {
        return Ok(quickstart.schema.to_owned());
    }
    std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "Unable to find the schema file".to_owned(),
        _ => format!("Unable to parse the provided schema: {error}"),
    })
}

/// What to generate, and the field that keys the records (empty for none).
pub(crate) fn schema_and_key(config: &ParsedConfig) -> Result<(Node, String), ConnectError> {
    let [text, file, quickstart] = SOURCES.map(|key| config.string(key).unwrap_or_default());
    let key_field = config.string("schema.keyfield").unwrap_or_default();
    let (document, default_key) = if let Some(quickstart) = quickstart::find(quickstart) {
        (quickstart.schema.to_owned(), quickstart.key_field)
    } else if !text.is_empty() {
        (text.to_owned(), "")
    } else {
        (read_schema(file).map_err(ConnectError::config)?, "")
    };
    let node = compile(&document).map_err(ConnectError::config)?;
    let key_field = if key_field.is_empty() { default_key } else { key_field };
    Ok((node, key_field.to_owned()))
}

/// `io.confluent.kafka.connect.datagen.DatagenConnector`.
#[derive(Debug, Default)]
pub struct DatagenConnector {
    props: Props,
}

#[async_trait]
impl SourceConnector for DatagenConnector {
    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    async fn validate(&self, props: &Props) -> Vec<ConfigValue> {
        let mut values = CONFIG.validate(props);
        let is_set = |value: &ConfigValue| value.value != ParsedValue::from("");
        let sources: Vec<&str> = values
            .iter()
            .filter(|value| SOURCES.contains(&value.name.as_str()) && is_set(value))
            .filter_map(|value| SOURCES.into_iter().find(|source| *source == value.name))
            .collect();
        if sources.len() != 1 {
            let wrong = if sources.is_empty() { &SOURCES[..] } else { &sources[..] };
            for value in values.iter_mut().filter(|value| wrong.contains(&value.name.as_str())) {
                value.errors.push(format!("Must set exactly one of {}", SOURCES.join(", ")));
            }
            return values;
        }
        if let Ok(config) = CONFIG.parse(props)
            && let Ok((node, _)) = schema_and_key(&config)
            && let Some(key) = config.string("schema.keyfield").filter(|key| !key.is_empty())
            && node.schema.field(key).is_none()
            && let Some(value) = values.iter_mut().find(|value| value.name == "schema.keyfield")
        {
            value
                .errors
                .push("The schema does not contain the field provided in 'schema.keyfield'".to_owned());
        }
        values
    }

    async fn start(&mut self, _ctx: Arc<dyn ConnectorContext>, props: &Props) -> Result<(), ConnectError> {
        CONFIG.parse(props).map_err(|error| {
            ConnectError::config(
                "Datagen connector could not start because of an error in the configuration: ",
            )
            .with_source(error)
        })?;
        self.props = props.clone();
        Ok(())
    }

    async fn task_configs(&self, max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        let task = |id: usize| {
            let mut props = self.props.clone();
            props.insert(TASK_ID.to_owned(), id.to_string());
            props
        };
        Ok((0..max_tasks).map(task).collect())
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    fn task_class(&self) -> &'static str {
        "io.confluent.kafka.connect.datagen.DatagenTask"
    }

    fn task(&self) -> Box<dyn SourceTask> {
        Box::new(DatagenTask::default())
    }
}

#[cfg(test)]
mod tests;
