//! What holds for the settings of every connector.

use connect_api::{ConfigDef, ConfigValue, ParsedValue, Props};

/// Keys that the worker has rows for.
const OF_THE_WORKER: [&str; 5] = ["name", "connector.class", "tasks.max", "topics", "topics.regex"];

/// Every setting that is used has a row, rows are documented, and defaults are valid.
pub(crate) fn check_rows(def: &ConfigDef, props: &Props) {
    for key in props.keys().filter(|key| !OF_THE_WORKER.contains(&key.as_str())) {
        assert!(def.key(key).is_some(), "the setting {key} is used but has no row");
    }
    for key in def.keys() {
        assert!(!key.doc.is_empty(), "{} has no documentation", key.name);
        assert!(
            !OF_THE_WORKER.contains(&key.name.as_str()),
            "{} is the worker's, not the connector's",
            key.name
        );
        if let (Some(validator), Some(default)) = (&key.validator, &key.default) {
            validator.ensure_valid(&key.name, default).expect("a default is valid");
        }
    }
}

/// Good settings are accepted.
pub(crate) fn check_accepted(values: &[ConfigValue]) {
    for value in values {
        assert_eq!(value.errors, [""; 0], "{} is refused", value.name);
    }
}

/// Missing settings are all reported at once, each on its own key.
pub(crate) fn check_missing(def: &ConfigDef, values: &[ConfigValue]) {
    for key in def.keys() {
        let value = values.iter().find(|value| value.name == key.name).expect("every row has a value");
        let missing = format!("Missing required configuration \"{}\" which has no default value.", key.name);
        assert_eq!(value.errors.contains(&missing), key.is_required(), "{}: {:?}", key.name, value.errors);
        if key.is_required() {
            assert_eq!(value.value, ParsedValue::Null, "{} has a value though none was given", key.name);
        }
    }
}
