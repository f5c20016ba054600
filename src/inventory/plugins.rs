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
    plugin(PluginKind::Converter, "org.apache.kafka.connect.converters.BooleanConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.converters.ByteArrayConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.converters.DoubleConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.converters.FloatConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.converters.IntegerConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.converters.LongConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.converters.ShortConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.json.JsonConverter"),
    plugin(PluginKind::Converter, "org.apache.kafka.connect.storage.StringConverter"),
];

impl Plugin {
    pub(crate) fn simple_name(&self) -> &'static str {
        self.class.rsplit('.').next().unwrap_or(self.class)
    }

    /// What Connect lets a plug-in be called: the full class name, the simple one, and that without its kind.
    pub(crate) fn names(&self) -> [&'static str; 3] {
        let simple = self.simple_name();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_what_the_worker_carries() {
        let table = include_str!("../../worker/runtime/src/plugins/builtin.rs");
        let rows =
            table.lines().filter(|line| line.starts_with("    kafka(") || line.starts_with("    Plugin {"));
        let carried = rows.filter_map(|row| {
            let class = row.split('"').nth(1)?;
            let kinds = [
                (" Source(", PluginKind::Source),
                (" Sink(", PluginKind::Sink),
                (" Converter(", PluginKind::Converter),
            ];
            let (_, kind) = kinds.into_iter().find(|(word, _)| row.contains(word))?;
            Some((class, format!("{kind:?}")))
        });
        let known = PLUGINS.iter().map(|plugin| (plugin.class, format!("{:?}", plugin.kind)));
        assert_eq!(carried.collect::<BTreeSet<_>>(), known.collect::<BTreeSet<_>>());
    }
}
