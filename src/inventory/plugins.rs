//! The plug-ins that the worker in our image carries, so that a class it lacks is found before a host is touched.
//! The table that runs is the worker's own, `worker/runtime/src/plugins/builtin.rs`; the phase `smoke` asks a running
//! worker for every declared class.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PluginKind {
    Source,
    Sink,
    Converter,
}

pub(crate) struct Plugin {
    pub(crate) class: &'static str,
    pub(crate) kind: PluginKind,
}

const fn plugin(kind: PluginKind, class: &'static str) -> Plugin {
    Plugin { class, kind }
}

pub(crate) const PLUGINS: &[Plugin] = &[
    plugin(PluginKind::Source, "io.confluent.kafka.connect.datagen.DatagenConnector"),
    plugin(PluginKind::Source, "org.apache.kafka.connect.file.FileStreamSourceConnector"),
    plugin(PluginKind::Sink, "org.apache.kafka.connect.file.FileStreamSinkConnector"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.json.JsonConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.storage.StringConverter"),
];

impl Plugin {
    /// What Connect lets a plug-in be called: the full class name, the simple one, and that without its kind.
    pub(crate) fn names(&self) -> [&'static str; 3] {
        let simple = self.class.rsplit('.').next().unwrap_or(self.class);
        let kind = match self.kind {
            PluginKind::Source | PluginKind::Sink => "Connector",
            PluginKind::Converter => "Converter",
        };
        [self.class, simple, simple.strip_suffix(kind).unwrap_or(simple)]
    }
}

/// The plug-in of that name.
pub(crate) fn find<'a>(name: &str, mut plugins: impl Iterator<Item = &'a Plugin>) -> Option<&'a Plugin> {
    plugins.find(|plugin| plugin.names().contains(&name))
}

/// All connectors.
pub(crate) fn connectors() -> impl Iterator<Item = &'static Plugin> + Clone {
    PLUGINS.iter().filter(|plugin| plugin.kind != PluginKind::Converter)
}

/// All converters.
pub(crate) fn converters() -> impl Iterator<Item = &'static Plugin> + Clone {
    PLUGINS.iter().filter(|plugin| plugin.kind == PluginKind::Converter)
}
