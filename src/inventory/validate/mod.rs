//! From what was typed to what it means. Every check that the schema cannot express is made here; all of them are
//! made, whatever else is wrong.
//!
//! A section becomes `None` when something needed in it is missing or wrong, which has then been reported.

mod connect;
mod connectors;
mod docker;
mod hosts;
mod kafka;
mod secret;
mod ssh;
mod worker;

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use super::Place;
use super::model::{ClusterName, Inventory, Port, Runtime, UnitName};
use super::names::{Name, Rule};
use super::problem::Path;
use super::raw;
use super::report::Report;

/// The unit that Confluent's packages run a worker under.
const DEFAULT_CONFLICTS: [&str; 1] = ["confluent-kafka-connect"];

/// The inventory, unless something in it is wrong.
pub(super) fn inventory(raw: &raw::Inventory, place: &Place, report: &mut Report<'_>) -> Option<Inventory> {
    let mut validator = Validator { report, place };
    let root = Path::root();
    let cluster: Option<ClusterName> = validator.name(raw.cluster.as_deref(), &root.key("cluster"));
    let runtime = match raw.runtime {
        Some(raw::Runtime::Docker) => Some(Runtime::Docker),
        Some(raw::Runtime::Process) => Some(Runtime::Process),
        None if validator.report.tree.get(&root.key("runtime")).is_some() => None,
        None => Some(Runtime::Docker),
    };
    let kafka = validator.kafka(raw, cluster.as_ref(), runtime);
    let connect = validator.connect(raw, cluster.as_ref());
    let hosts = validator.hosts(raw, runtime);
    let topics = validator.topics(raw, connect.as_ref());
    let connectors = validator.connectors(raw, connect.as_ref());
    let conflicts = match &raw.conflicts {
        None => DEFAULT_CONFLICTS.map(|unit| UnitName::parse(unit).expect("a unit name")).to_vec(),
        Some(units) => {
            let path = root.key("conflicts");
            let units = units.iter().enumerate();
            units.filter_map(|(index, unit)| validator.name(Some(unit), &path.index(index))).collect()
        }
    };
    let warnings = std::mem::take(&mut validator.report.warnings);
    if !validator.report.problems.is_empty() {
        return None;
    }
    Some(Inventory {
        cluster: cluster?,
        runtime: runtime?,
        hosts: hosts?,
        kafka: kafka?,
        connect: connect?,
        topics: topics?,
        connectors: connectors?,
        conflicts,
        warnings,
    })
}

struct Validator<'r, 't> {
    report: &'r mut Report<'t>,
    place: &'r Place,
}

impl Validator<'_, '_> {
    /// The text as a name of kind `R`. Says nothing about a text that is not there.
    fn name<R: Rule>(&mut self, text: Option<&str>, path: &Path) -> Option<Name<R>> {
        let text = text?;
        match Name::parse(text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.report.problem(path, format!("{error}, found {}", shown(text)), error.rule);
                None
            }
        }
    }

    /// A path on the control machine: absolute, below the home folder, or relative to the inventory's file.
    fn control_path(&mut self, text: Option<&str>, path: &Path) -> Option<PathBuf> {
        let text = text?;
        if text.is_empty() || text.contains(|c: char| c.is_control()) {
            // It may be a secret that stands in the place of its file's path: it is not repeated.
            let hint = "such as `./kafka-ca.pem`, on one line and without control characters";
            self.report.problem(path, "expected the path of a file", hint);
            return None;
        }
        let below_home = text.strip_prefix("~/");
        match (below_home, &self.place.home) {
            (Some(rest), Some(home)) => Some(home.join(rest)),
            (Some(_), None) => {
                self.report.problem(
                    path,
                    "`~/` has no meaning here: HOME is not set",
                    "write the path in full",
                );
                None
            }
            (None, _) => Some(self.place.folder.join(text)),
        }
    }
}

/// Text of the file in a message: quoted, and not without end.
fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A port that the schema has already held to 1..65535.
fn port(number: i64) -> Option<Port> {
    u16::try_from(number).ok().and_then(NonZeroU16::new).map(Port::new)
}

fn default_port(number: u16) -> Port {
    Port::new(NonZeroU16::new(number).expect("a default port is not 0"))
}

/// A replication factor that the schema has already held to its range.
fn replication(number: Option<i64>) -> Option<NonZeroU16> {
    u16::try_from(number?).ok().and_then(NonZeroU16::new)
}

/// A count that the schema has already held to its range.
fn count(number: Option<i64>) -> Option<NonZeroU32> {
    u32::try_from(number?).ok().and_then(NonZeroU32::new)
}
