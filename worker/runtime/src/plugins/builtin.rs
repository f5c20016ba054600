//! THE TABLE of plugins that this worker has, in the order in which REST lists each kind.

use connect_api::converters::{JsonConverter, PrimitiveConverter, SimpleHeaderConverter, StringConverter};
use connector_datagen::DatagenConnector;
use connector_file::{FileStreamSinkConnector, FileStreamSourceConnector};

use crate::plugins::registry::{Make, Plugin};

/// The version of Kafka Connect that this worker stands in for, and that of Kafka's own plugins.
pub(crate) const CONNECT_VERSION: &str = "4.3.1";
/// The version of the Datagen connector whose settings and offsets ours takes.
const DATAGEN_VERSION: &str = "0.6.6";

const fn kafka(class: &'static str, make: Make) -> Plugin {
    Plugin { class, version: CONNECT_VERSION, make }
}

use Make::{Converter, HeaderConverter, Sink, Source};

#[rustfmt::skip]
pub(crate) const PLUGINS: &[Plugin] = &[
    kafka("org.apache.kafka.connect.file.FileStreamSinkConnector", Sink(|| Box::new(FileStreamSinkConnector::default()))),

    Plugin { class: "io.confluent.kafka.connect.datagen.DatagenConnector", version: DATAGEN_VERSION, make: Source(|| Box::new(DatagenConnector::default())) },
    kafka("org.apache.kafka.connect.file.FileStreamSourceConnector", Source(|| Box::new(FileStreamSourceConnector::default()))),

    kafka("org.apache.kafka.connect.converters.BooleanConverter", Converter(|| Box::new(PrimitiveConverter::boolean()))),
    kafka("org.apache.kafka.connect.converters.ByteArrayConverter", Converter(|| Box::new(PrimitiveConverter::byte_array()))),
    kafka("org.apache.kafka.connect.converters.DoubleConverter", Converter(|| Box::new(PrimitiveConverter::double()))),
    kafka("org.apache.kafka.connect.converters.FloatConverter", Converter(|| Box::new(PrimitiveConverter::float()))),
    kafka("org.apache.kafka.connect.converters.IntegerConverter", Converter(|| Box::new(PrimitiveConverter::integer()))),
    kafka("org.apache.kafka.connect.converters.LongConverter", Converter(|| Box::new(PrimitiveConverter::long()))),
    kafka("org.apache.kafka.connect.converters.ShortConverter", Converter(|| Box::new(PrimitiveConverter::short()))),
    kafka("org.apache.kafka.connect.json.JsonConverter", Converter(|| Box::new(JsonConverter::default()))),
    kafka("org.apache.kafka.connect.storage.StringConverter", Converter(|| Box::new(StringConverter))),

    kafka("org.apache.kafka.connect.converters.BooleanConverter", HeaderConverter(|| Box::new(PrimitiveConverter::boolean()))),
    kafka("org.apache.kafka.connect.converters.ByteArrayConverter", HeaderConverter(|| Box::new(PrimitiveConverter::byte_array()))),
    kafka("org.apache.kafka.connect.converters.DoubleConverter", HeaderConverter(|| Box::new(PrimitiveConverter::double()))),
    kafka("org.apache.kafka.connect.converters.FloatConverter", HeaderConverter(|| Box::new(PrimitiveConverter::float()))),
    kafka("org.apache.kafka.connect.converters.IntegerConverter", HeaderConverter(|| Box::new(PrimitiveConverter::integer()))),
    kafka("org.apache.kafka.connect.converters.LongConverter", HeaderConverter(|| Box::new(PrimitiveConverter::long()))),
    kafka("org.apache.kafka.connect.converters.ShortConverter", HeaderConverter(|| Box::new(PrimitiveConverter::short()))),
    kafka("org.apache.kafka.connect.json.JsonConverter", HeaderConverter(|| Box::new(JsonConverter::default()))),
    kafka("org.apache.kafka.connect.storage.SimpleHeaderConverter", HeaderConverter(|| Box::new(SimpleHeaderConverter))),
    kafka("org.apache.kafka.connect.storage.StringConverter", HeaderConverter(|| Box::new(StringConverter))),
];
