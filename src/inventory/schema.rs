//! The JSON Schema of the file, derived from [`super::raw`].

use serde_json::Value;

use super::raw;

/// The schema that `provision schema` prints and that every file is checked against.
pub(crate) fn json() -> Value {
    schemars::schema_for!(raw::Inventory).to_value()
}
