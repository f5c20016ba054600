//! One YAML file that says everything about a cluster.
//!
//! `tree` reads YAML and keeps positions; `raw` is the shape of the file and the source of its JSON Schema; `shape`
//! checks the tree against that schema; `validate` makes the [`model`] and checks what a schema cannot. The problems of
//! all stages come out in one report, with the place of each.

pub(crate) mod model;
mod names;
mod nearest;
mod owned;
pub(crate) mod plugins;
pub(crate) mod problem;
mod raw;
mod report;
pub(crate) mod schema;
mod shape;
mod tree;
mod validate;

use std::path::{Path, PathBuf};

use model::Inventory;
use problem::{Problem, Problems};
use report::Report;
use serde::Deserialize;

/// Larger files are not inventories.
const MAX_BYTES: u64 = 1 << 20;

/// The embedded default.
const LAB: &str = include_str!("../../inventory/lab.yml");
const STARTER: &str = include_str!("../../inventory/starter.yml");

/// What the paths in an inventory are relative to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// The file as messages name it.
    pub(crate) file: String,
    /// The folder of relative paths.
    pub(crate) folder: PathBuf,
    /// What `~/` stands for.
    pub(crate) home: Option<PathBuf>,
}

/// Reads and checks the file.
pub(crate) fn load(path: &Path) -> Result<Inventory, Problems> {
    let place = Place {
        file: path.display().to_string(),
        folder: path.parent().map(Path::to_owned).unwrap_or_default(),
        home: std::env::home_dir(),
    };
    let text = read(path).map_err(|(message, hint)| Problems {
        list: vec![Problem {
            file: place.file.clone(),
            path: problem::Path::root(),
            position: None,
            message,
            hint: Some(hint.to_owned()),
        }],
    })?;
    parse(&text, &place)
}

/// The text, or what is wrong and what to do.
fn read(path: &Path) -> Result<String, (String, &'static str)> {
    let size = std::fs::metadata(path).map_err(|error| {
        (format!("cannot read this file: {error}"), "`provision init` prints an inventory to start from")
    })?;
    if size.len() > MAX_BYTES {
        return Err((
            format!("{} bytes are too many for an inventory", size.len()),
            "is this the right file?",
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| {
        (format!("cannot read this file: {error}"), "check that it is a file you may read")
    })?;
    String::from_utf8(bytes).map_err(|_| ("this file is not UTF-8 text".to_owned(), "save it as UTF-8"))
}

/// Checks the text of an inventory; pure.
pub(crate) fn parse(text: &str, place: &Place) -> Result<Inventory, Problems> {
    let in_order = |mut list: Vec<Problem>| {
        list.sort_by_key(|problem| problem.position);
        Problems { list }
    };
    let (tree, problems) = tree::parse(text, &place.file);
    let Some(tree) = tree else { return Err(in_order(problems)) };
    let mut report = Report::new(&place.file, &tree, problems);
    let schema = schema::json();
    let sound = shape::check(&schema, &mut report);
    let raw = match raw::Inventory::deserialize(sound) {
        Ok(raw) => raw,
        Err(error) => {
            // The schema is derived from the type, so this is a bug; still better told than panicked about.
            report.problem(&problem::Path::root(), error.to_string(), "");
            return Err(in_order(report.problems));
        }
    };
    match validate::inventory(&raw, place, &mut report) {
        Some(inventory) => Ok(inventory),
        None => Err(in_order(report.problems)),
    }
}

/// The embedded default: a lab on this machine, the same as `inventory/lab.yml`.
pub(crate) fn lab() -> Inventory {
    let place = Place { file: "lab.yml (built in)".to_owned(), ..Place::default() };
    parse(LAB, &place).expect("a test holds the embedded file to this")
}

/// A commented inventory to start from.
pub(crate) fn starter() -> &'static str {
    STARTER
}

#[cfg(test)]
mod tests;
