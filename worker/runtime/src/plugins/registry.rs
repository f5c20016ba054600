//! Finding a plugin by the name a user wrote.

use connect_api::{ConfigDef, Converter, HeaderConverter, SinkConnector, SourceConnector};

use crate::plugins::builtin::PLUGINS;

/// A row of the table of plugins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plugin {
    /// The Java class that it stands for.
    pub(crate) class: &'static str,
    pub(crate) version: &'static str,
    pub(crate) make: Make,
}

/// How an instance is made, and thereby what kind of plugin it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Make {
    Source(fn() -> Box<dyn SourceConnector>),
    Sink(fn() -> Box<dyn SinkConnector>),
    Converter(fn() -> Box<dyn Converter>),
    HeaderConverter(fn() -> Box<dyn HeaderConverter>),
}

/// A connector that is not started.
pub(crate) enum Connector {
    Source(Box<dyn SourceConnector>),
    Sink(Box<dyn SinkConnector>),
}

impl Connector {
    pub(crate) fn config_def(&self) -> &ConfigDef {
        match self {
            Self::Source(connector) => connector.config_def(),
            Self::Sink(connector) => connector.config_def(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    #[error(
        "Failed to find any class that implements {wanted} and which name matches {name}, available {}s are: {known}", wanted.to_lowercase()
    )]
    Unknown { wanted: &'static str, name: String, known: String },
    #[error(
        "More than one {wanted} matches alias {name}. Please use full package and class name instead. Classes found: {known}"
    )]
    Ambiguous { wanted: &'static str, name: String, known: String },
}

impl Plugin {
    /// As REST calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.make {
            Make::Source(_) => "source",
            Make::Sink(_) => "sink",
            Make::Converter(_) => "converter",
            Make::HeaderConverter(_) => "header_converter",
        }
    }

    pub(crate) fn connector(&self) -> Option<Connector> {
        match self.make {
            Make::Source(make) => Some(Connector::Source(make())),
            Make::Sink(make) => Some(Connector::Sink(make())),
            Make::Converter(_) | Make::HeaderConverter(_) => None,
        }
    }

    fn simple_name(&self) -> &'static str {
        self.class.rsplit(['.', '$']).next().unwrap_or(self.class)
    }

    /// Fully qualified name, simple name, or simple name without the suffix of its kind.
    fn is_called(&self, name: &str, suffix: &str) -> bool {
        let simple = self.simple_name();
        name == self.class
            || name == simple
            || Some(name) == simple.strip_suffix(suffix).filter(|s| !s.is_empty())
    }
}

pub(crate) fn find_connector(name: &str) -> Result<&'static Plugin, PluginError> {
    let is_connector = |p: &&Plugin| matches!(p.make, Make::Source(_) | Make::Sink(_));
    find("Connector", name, "Connector", is_connector)
}

pub(crate) fn find_converter(name: &str) -> Result<&'static Plugin, PluginError> {
    find("Converter", name, "Converter", |p| matches!(p.make, Make::Converter(_)))
}

/// A class may be a converter and a header converter, so these are looked for apart.
pub(crate) fn find_header_converter(name: &str) -> Result<&'static Plugin, PluginError> {
    find("HeaderConverter", name, "HeaderConverter", |p| matches!(p.make, Make::HeaderConverter(_)))
}

/// Any plugin, for those endpoints that take all kinds.
pub(crate) fn find_any(name: &str) -> Option<&'static Plugin> {
    let suffixes = ["Connector", "HeaderConverter", "Converter"];
    suffixes.iter().find_map(|suffix| PLUGINS.iter().find(|p| p.is_called(name, suffix)))
}

fn find(
    wanted: &'static str,
    name: &str,
    suffix: &str,
    is_wanted: impl Fn(&&'static Plugin) -> bool,
) -> Result<&'static Plugin, PluginError> {
    let candidates: Vec<_> = PLUGINS.iter().filter(&is_wanted).collect();
    let found: Vec<_> = candidates.iter().filter(|p| p.is_called(name, suffix)).collect();
    match found.as_slice() {
        [plugin] => Ok(plugin),
        [] => Err(unknown(wanted, name, candidates)),
        several => match several.iter().find(|p| p.class == name) {
            Some(plugin) => Ok(plugin),
            None => {
                let known = several.iter().map(|p| p.class).collect::<Vec<_>>().join(", ");
                Err(PluginError::Ambiguous { wanted, name: name.to_owned(), known })
            }
        },
    }
}

fn unknown(wanted: &'static str, name: &str, candidates: Vec<&'static Plugin>) -> PluginError {
    let known = candidates.iter().map(|p| p.class).collect::<Vec<_>>().join(", ");
    PluginError::Unknown { wanted, name: name.to_owned(), known }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_names_find_the_same_plugin() {
        let class = "org.apache.kafka.connect.file.FileStreamSourceConnector";
        for name in [class, "FileStreamSourceConnector", "FileStreamSource"] {
            assert_eq!(find_connector(name).unwrap().class, class);
        }
        find_converter("JsonConverter").unwrap();
        find_converter("org.apache.kafka.connect.storage.StringConverter").unwrap();
    }

    #[test]
    fn unknown_class_lists_the_known_ones() {
        let error = find_connector("Nope").unwrap_err().to_string();
        assert!(error.contains("matches Nope") && error.contains("FileStreamSinkConnector"), "{error}");
    }

    #[test]
    fn every_plugin_is_found_by_its_class() {
        for plugin in PLUGINS {
            assert_eq!(find_any(plugin.class).unwrap().class, plugin.class);
        }
    }
}
