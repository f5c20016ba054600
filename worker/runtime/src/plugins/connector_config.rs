//! What every connector can be configured with, whatever its class, and how the worker reads it.
//!
//! Rows, order, types and defaults are those of `ConnectorConfig`, `SourceConnectorConfig` and
//! `SinkConnectorConfig` of Kafka. What this worker does not do yet is refused by `validate.rs`.

use std::sync::LazyLock;

use connect_api::{ConfigDef, ConfigKey, Importance, ParsedValue, Type, Validator, Width};

use crate::names::RawConfig;

const COMMON: &str = "Common";
const TRANSFORMS: &str = "Transforms";
const PREDICATES: &str = "Predicates";
const ERRORS: &str = "Error Handling";
const TOPIC_CREATION: &str = "Topic Creation";
const EXACTLY_ONCE: &str = "Exactly Once Support";
const OFFSETS_TOPIC: &str = "offsets.topic";

pub(crate) static SOURCE: LazyLock<ConfigDef> = LazyLock::new(|| {
    let shown = |name: &str, kind, importance, group, order, width, display: &str, doc: &str| {
        ConfigKey::new(name, kind, importance, doc).shown(group, order, width, display)
    };
    common()
        .define(
            shown(
                "topic.creation.groups",
                Type::List,
                Importance::Low,
                TOPIC_CREATION,
                1,
                Width::Long,
                "Topic Creation Groups",
                "Names of groups of topics that the worker creates with settings of their own.",
            )
            .default_value(ParsedValue::List(Vec::new())),
        )
        .define(
            shown(
                "exactly.once.support",
                Type::String,
                Importance::Medium,
                EXACTLY_ONCE,
                2,
                Width::Short,
                "Exactly once support",
                "Whether to insist on exactly-once delivery: requested or required.",
            )
            .default_value(ParsedValue::String("requested".into()))
            .validator(Validator::OneOfIgnoringCase(vec!["requested".into(), "required".into()])),
        )
        .define(
            shown(
                "transaction.boundary",
                Type::String,
                Importance::Medium,
                EXACTLY_ONCE,
                3,
                Width::Short,
                "Transaction Boundary",
                "Where transactions end under exactly-once delivery: poll, interval or connector.",
            )
            .default_value(ParsedValue::String("poll".into()))
            .validator(Validator::OneOfIgnoringCase(vec![
                "poll".into(),
                "interval".into(),
                "connector".into(),
            ])),
        )
        .define(
            shown(
                "transaction.boundary.interval.ms",
                Type::Long,
                Importance::Low,
                EXACTLY_ONCE,
                4,
                Width::Short,
                "Transaction boundary interval",
                "How often transactions end when the boundary is interval.",
            )
            .default_value(ParsedValue::Null),
        )
        .define(
            shown(
                "offsets.storage.topic",
                Type::String,
                Importance::Low,
                OFFSETS_TOPIC,
                1,
                Width::Long,
                "Offsets topic",
                "A topic of its own for the offsets of this connector.",
            )
            .default_value(ParsedValue::Null)
            .validator(Validator::NonEmptyString),
        )
});

pub(crate) static SINK: LazyLock<ConfigDef> = LazyLock::new(|| {
    let shown = |name: &str, kind, importance, group, order, width, display: &str, doc: &str| {
        ConfigKey::new(name, kind, importance, doc).shown(group, order, width, display)
    };
    common()
        .define(
            shown(
                "topics",
                Type::List,
                Importance::High,
                COMMON,
                4,
                Width::Long,
                "Topics",
                "Topics to read, separated by commas.",
            )
            .default_value(ParsedValue::List(Vec::new())),
        )
        .define(
            shown(
                "topics.regex",
                Type::String,
                Importance::High,
                COMMON,
                4,
                Width::Long,
                "Topics regex",
                "A regular expression; every topic that it matches as a whole is read.",
            )
            .default_value(ParsedValue::String(String::new())),
        )
        .define(
            shown(
                "errors.deadletterqueue.topic.name",
                Type::String,
                Importance::Medium,
                ERRORS,
                6,
                Width::Medium,
                "Dead Letter Queue Topic Name",
                "Where records go that could not be processed; nowhere when empty.",
            )
            .default_value(ParsedValue::String(String::new())),
        )
        .define(
            shown(
                "errors.deadletterqueue.topic.replication.factor",
                Type::Short,
                Importance::Medium,
                ERRORS,
                7,
                Width::Medium,
                "Dead Letter Queue Topic Replication Factor",
                "Replication factor of that topic when the worker creates it.",
            )
            .default_value(ParsedValue::Short(3)),
        )
        .define(
            shown(
                "errors.deadletterqueue.context.headers.enable",
                Type::Boolean,
                Importance::Medium,
                ERRORS,
                8,
                Width::Medium,
                "Enable Error Context Headers",
                "Whether records there bear headers that tell what happened.",
            )
            .default_value(ParsedValue::Boolean(false)),
        )
});

#[rustfmt::skip]
fn common() -> ConfigDef {
    use Importance::{High, Low, Medium};
    let key = |name: &str, kind, importance, (group, order): (&str, i32), width, display: &str, doc: &str| {
        ConfigKey::new(name, kind, importance, doc).shown(group, order, width, display)
    };
    let null = || ParsedValue::Null;
    ConfigDef::default()
        .define(key("name", Type::String, High, (COMMON, 1), Width::Medium, "Connector name",
            "The name of this connector, unique in the cluster.")
            .validator(Validator::NonEmptyStringWithoutControlChars))
        .define(key("connector.class", Type::String, High, (COMMON, 2), Width::Long, "Connector class",
            "Full or short name of the connector's class."))
        .define(key("connector.plugin.version", Type::String, Medium, (COMMON, 3), Width::Medium,
            "Connector version", "Version of the connector.").default_value(null()))
        .define(key("tasks.max", Type::Int, High, (COMMON, 4), Width::Short, "Tasks max",
            "The most tasks that this connector may have.")
            .default_value(ParsedValue::Int(1)).validator(Validator::at_least(1)))
        .define(key("tasks.max.enforce", Type::Boolean, Low, (COMMON, 5), Width::Short, "Enforce tasks max",
            "Whether a connector fails that makes more tasks than tasks.max.")
            .default_value(ParsedValue::Boolean(true)))
        .define(key("key.converter", Type::Class, Low, (COMMON, 6), Width::Short, "Key converter class",
            "Converter between keys and bytes; the worker's when absent.").default_value(null()))
        .define(key("key.converter.plugin.version", Type::String, Low, (COMMON, 7), Width::Short,
            "Key converter version", "Version of the key converter.").default_value(null()))
        .define(key("value.converter", Type::Class, Low, (COMMON, 8), Width::Short, "Value converter class",
            "Converter between values and bytes; the worker's when absent.").default_value(null()))
        .define(key("value.converter.plugin.version", Type::String, Low, (COMMON, 9), Width::Short,
            "Value converter version", "Version of the value converter.").default_value(null()))
        .define(key("header.converter", Type::Class, Low, (COMMON, 10), Width::Short, "Header converter class",
            "Converter between header values and bytes; the worker's when absent.").default_value(null()))
        .define(key("header.converter.plugin.version", Type::String, Low, (COMMON, 11), Width::Short,
            "Header converter version", "Version of the header converter.").default_value(null()))
        .define(key("transforms", Type::List, Low, (TRANSFORMS, 12), Width::Long, "Transforms",
            "Aliases of the transforms that records pass, in order.")
            .default_value(ParsedValue::List(Vec::new())))
        .define(key("predicates", Type::List, Low, (PREDICATES, 13), Width::Long, "Predicates",
            "Aliases of the predicates that transforms refer to.")
            .default_value(ParsedValue::List(Vec::new())))
        .define(key("config.action.reload", Type::String, Low, (COMMON, 14), Width::Medium, "Reload Action",
            "What to do when a config provider announces a change: none or restart.")
            .default_value(ParsedValue::String("restart".into()))
            .validator(Validator::OneOf(vec!["none".into(), "restart".into()])))
        .define(key("errors.retry.timeout", Type::Long, Medium, (ERRORS, 1), Width::Medium,
            "Retry Timeout for Errors", "For how many milliseconds a failed operation is tried again; -1 for ever.")
            .default_value(ParsedValue::Long(0)))
        .define(key("errors.retry.delay.max.ms", Type::Long, Medium, (ERRORS, 2), Width::Medium,
            "Maximum Delay Between Retries for Errors", "The longest pause between two attempts, in milliseconds.")
            .default_value(ParsedValue::Long(60_000)))
        .define(key("errors.tolerance", Type::String, Medium, (ERRORS, 3), Width::Short, "Error Tolerance",
            "none: a bad record fails its task; all: it is skipped.")
            .default_value(ParsedValue::String("none".into()))
            .validator(Validator::one_of(&["none", "all"])))
        .define(key("errors.log.enable", Type::Boolean, Medium, (ERRORS, 4), Width::Short, "Log Errors",
            "Whether every failed operation is logged, tolerated or not.")
            .default_value(ParsedValue::Boolean(false)))
        .define(key("errors.log.include.messages", Type::Boolean, Medium, (ERRORS, 5), Width::Short,
            "Log Error Details", "Whether the log says which record it was.")
            .default_value(ParsedValue::Boolean(false)))
}

/// The settings above as the worker uses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectorSettings {
    pub(crate) tasks_max: usize,
    pub(crate) enforce_tasks_max: bool,
    pub(crate) tolerate_errors: bool,
    pub(crate) log_errors: bool,
    pub(crate) log_records: bool,
}

impl ConnectorSettings {
    /// Reads a config that was validated; what cannot be read has its default.
    pub(crate) fn read(config: &RawConfig) -> Self {
        let text = |key: &str| config.get(key).map(|v| v.trim()).unwrap_or_default();
        let flag = |key: &str| text(key).eq_ignore_ascii_case("true");
        Self {
            tasks_max: text("tasks.max").parse().unwrap_or(1),
            enforce_tasks_max: !text("tasks.max.enforce").eq_ignore_ascii_case("false"),
            tolerate_errors: text("errors.tolerance").eq_ignore_ascii_case("all"),
            log_errors: flag("errors.log.enable"),
            log_records: flag("errors.log.include.messages"),
        }
    }
}
