//! One YAML file that says everything about a cluster.
//!
//! `tree` reads YAML and keeps positions, `raw` is the shape of the file and the source of its JSON Schema, `shape`
//! checks the tree against that schema, `convert` makes the [`model`] and checks what a schema cannot. Problems of all
//! stages come out in one report.

pub(crate) mod model;
mod names;
pub(crate) mod problem;
