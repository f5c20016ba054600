//! THE TABLE of plugins that this worker has.

use connect_api::converters::{JsonConverter, SimpleHeaderConverter, StringConverter};
use connector_datagen::DatagenConnector;
use connector_file::{FileStreamSinkConnector, FileStreamSourceConnector};

use crate::plugins::registry::{Make, Plugin};

/// The version of Kafka Connect that this worker stands in for, and that of Kafka's own plugins.
pub(crate) const CONNECT_VERSION: &str = "4.3.1";

#[rustfmt::skip]
pub(crate) const PLUGINS: &[Plugin] = &[
    Plugin { class: "org.apache.kafka.connect.file.FileStreamSinkConnector", version: CONNECT_VERSION, make: Make::Sink(|| Box::new(FileStreamSinkConnector::default())) },
    Plugin { class: "io.confluent.kafka.connect.datagen.DatagenConnector", version: "0.6.6", make: Make::Source(|| Box::new(DatagenConnector::default())) },
    Plugin { class: "org.apache.kafka.connect.file.FileStreamSourceConnector", version: CONNECT_VERSION, make: Make::Source(|| Box::new(FileStreamSourceConnector::default())) },
    Plugin { class: "org.apache.kafka.connect.json.JsonConverter", version: CONNECT_VERSION, make: Make::Converter(|| Box::new(JsonConverter::default())) },
    Plugin { class: "org.apache.kafka.connect.storage.StringConverter", version: CONNECT_VERSION, make: Make::Converter(|| Box::new(StringConverter)) },
    Plugin { class: "org.apache.kafka.connect.storage.StringConverter", version: CONNECT_VERSION, make: Make::HeaderConverter(|| Box::new(StringConverter)) },
    Plugin { class: "org.apache.kafka.connect.storage.SimpleHeaderConverter", version: CONNECT_VERSION, make: Make::HeaderConverter(|| Box::new(SimpleHeaderConverter)) },
];
