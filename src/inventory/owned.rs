//! Worker properties that `provision` sets itself, with the inventory key that leads to each.

/// Property name, or a prefix that ends with `.`, and what to use in its place.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "kafka.bootstrap"),
    ("security.protocol", "kafka.security"),
    ("sasl.", "kafka.user"),
    ("ssl.", "kafka.trust"),
    ("group.id", "connect.group"),
    ("config.storage.topic", "connect.topics.config.name"),
    ("config.storage.replication.factor", "connect.topics.config.replication"),
    ("offset.storage.topic", "connect.topics.offset.name"),
    ("offset.storage.partitions", "connect.topics.offset.partitions"),
    ("offset.storage.replication.factor", "connect.topics.offset.replication"),
    ("status.storage.topic", "connect.topics.status.name"),
    ("status.storage.partitions", "connect.topics.status.partitions"),
    ("status.storage.replication.factor", "connect.topics.status.replication"),
    ("key.converter", "connect.converters.key"),
    ("value.converter", "connect.converters.value"),
    ("listeners", "connect.rest"),
    ("rest.port", "connect.rest.port"),
    ("rest.host.name", "connect.rest.bind"),
    ("rest.advertised.", "hosts.NAME.connect.advertised_name"),
    ("metrics.listener", "connect.metrics"),
];

/// What carries the workers' own secrets; no key stands for it.
const PROVIDERS: [&str; 2] = ["config.providers", "config.providers.secrets."];

/// The client sections of a worker's properties inherit security only from us.
const CLIENTS: [&str; 3] = ["producer.", "consumer.", "admin."];
const CLIENT_OWNED: [&str; 4] = ["bootstrap.servers", "security.protocol", "sasl.", "ssl."];

/// What to do in place of setting a worker property; `None` when the property is free.
pub(super) fn instead_of(property: &str) -> Option<String> {
    if PROVIDERS.iter().any(|owned| is(property, owned)) {
        return Some("remove it: the workers' own secrets come this way".to_owned());
    }
    let client = CLIENTS.iter().find_map(|client| property.strip_prefix(client));
    OWNED
        .iter()
        .find(|(owned, _)| match client {
            Some(rest) => CLIENT_OWNED.contains(owned) && is(rest, owned),
            None => is(property, owned),
        })
        .map(|(_, key)| format!("use `{key}`"))
}

fn is(property: &str, owned: &str) -> bool {
    property == owned || (owned.ends_with('.') && property.starts_with(owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_properties_are_found_in_every_client_section_and_their_neighbors_are_free() {
        for (property, expected) in [
            ("sasl.jaas.config", "use `kafka.user`"),
            ("producer.ssl.truststore.location", "use `kafka.trust`"),
            ("key.converter", "use `connect.converters.key`"),
            ("config.providers.secrets.class", "remove it: the workers' own secrets come this way"),
        ] {
            assert_eq!(instead_of(property).as_deref(), Some(expected), "{property}");
        }
        for free in [
            "key.converter.schemas.enable",
            "offset.flush.interval.ms",
            "consumer.group.id",
            "listeners.https.ssl.key.password",
            "config.providers.env.class",
            "producer.compression.type",
        ] {
            assert_eq!(instead_of(free), None, "{free}");
        }
    }
}
