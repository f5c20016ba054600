//! The settings of a Java producer -> those of ours.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_control::{Acks, Compression, ProducerConfig};

use crate::config::Problem;
use crate::config::client;
use crate::config::security::ClientSecurity;
use crate::config::settings_reader::{METADATA_MAX_AGE, SettingsReader};

const ACKS: &str = "acks";
const BATCH_SIZE: &str = "batch.size";
const BUFFER_MEMORY: &str = "buffer.memory";
const COMPRESSION: &str = "compression.type";
const GZIP_LEVEL: &str = "compression.gzip.level";
const DELIVERY_TIMEOUT: &str = "delivery.timeout.ms";
const IDEMPOTENCE: &str = "enable.idempotence";
const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
const LINGER: &str = "linger.ms";
const MAX_REQUEST_SIZE: &str = "max.request.size";
const REQUEST_TIMEOUT: &str = "request.timeout.ms";
const RETRIES: &str = "retries";
const RETRY_BACKOFF: &str = "retry.backoff.ms";
const RETRY_BACKOFF_MAX: &str = "retry.backoff.max.ms";

const READ: &[&str] = &[
    ACKS,
    BATCH_SIZE,
    BUFFER_MEMORY,
    COMPRESSION,
    GZIP_LEVEL,
    DELIVERY_TIMEOUT,
    IDEMPOTENCE,
    IN_FLIGHT,
    LINGER,
    MAX_REQUEST_SIZE,
    METADATA_MAX_AGE,
    REQUEST_TIMEOUT,
    RETRIES,
    RETRY_BACKOFF,
    RETRY_BACKOFF_MAX,
    "bootstrap.servers",
    "client.id",
];

/// What every client of Kafka takes and ours decides for itself, in addition to what has no meaning without a JVM.
const OURS_TO_DECIDE: &[&str] = &[
    "compression.lz4.level",
    "compression.zstd.level",
    "connections.max.idle.ms",
    "key.serializer",
    "max.block.ms",
    "metadata.max.idle.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.ignore.keys",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "send.buffer.bytes",
    "socket.connection.setup.timeout.ms",
    "transaction.timeout.ms",
    "value.serializer",
];

/// Larger batches than the JVM's 16 kB: a broker takes them for less, and nobody waits longer for them.
const USUAL_BATCH: usize = 1_000_000;
/// Room for a few of them, in the place of the JVM's 32 MiB: a worker has many tasks, and each has its own.
const USUAL_MEMORY: usize = 4 * 1024 * 1024;
/// What the JVM has room for: a request that may be larger than usual must find it here as well.
const JAVA_MEMORY: usize = 32 * 1024 * 1024;

/// Reads the settings of a Java producer; those that are not there have Kafka's defaults, but for batches and memory.
pub(crate) fn from_java(java: &BTreeMap<String, String>) -> Result<ProducerConfig, Vec<Problem>> {
    let mut reader = SettingsReader::new(java);
    let default = ProducerConfig::default();
    let yes_or_no = [("true", true), ("false", false)];
    let gzip_level = match reader.number(GZIP_LEVEL, -1, -1) {
        -1 => 6,
        level => level.unsigned_abs().clamp(1, 9),
    };
    let max_request_size = reader.bytes(MAX_REQUEST_SIZE, default.max_request_size);
    let mut config = ProducerConfig {
        // A broker that is not asked to say anything is asked all the same: we would not know where we are.
        acks: reader.one_of(
            ACKS,
            default.acks,
            &[("all", Acks::All), ("-1", Acks::All), ("1", Acks::Leader), ("0", Acks::Leader)],
        ),
        is_idempotent: reader.one_of(IDEMPOTENCE, default.is_idempotent, &yes_or_no),
        batch_size: reader.bytes(BATCH_SIZE, USUAL_BATCH.min(max_request_size)),
        linger: reader.millis(LINGER, default.linger),
        buffer_memory: reader.bytes(BUFFER_MEMORY, USUAL_MEMORY.max(max_request_size.min(JAVA_MEMORY))),
        max_request_size,
        compression: reader.one_of(
            COMPRESSION,
            default.compression,
            &[
                ("none", Compression::None),
                ("gzip", Compression::Gzip(gzip_level)),
                ("snappy", Compression::Snappy),
                ("lz4", Compression::Lz4),
                ("zstd", Compression::Zstd),
            ],
        ),
        retries: reader.number(RETRIES, i32::MAX, 0).unsigned_abs(),
        retry_backoff: reader.millis(RETRY_BACKOFF, default.retry_backoff),
        retry_backoff_max: reader.millis(RETRY_BACKOFF_MAX, default.retry_backoff_max),
        delivery_timeout: reader.millis(DELIVERY_TIMEOUT, default.delivery_timeout),
        may_create_topics: default.may_create_topics,
        metadata_max_age: reader.metadata_max_age(default.metadata_max_age),
    };
    // One request at a time to a broker: never more than is allowed.
    let _in_flight = reader.number(IN_FLIGHT, 1, 1);
    let _request_timeout = reader.millis(REQUEST_TIMEOUT, Duration::ZERO);
    // As in Java: whoever asks for it must not ask for what it cannot be with.
    let asks_for_it = reader.text(IDEMPOTENCE).is_some();
    for (key, is_against) in [(ACKS, config.acks != Acks::All), (RETRIES, config.retries == 0)] {
        if config.is_idempotent && is_against {
            if asks_for_it {
                let needed = if key == ACKS { "must be all" } else { "must not be 0" };
                reader.problem(key, format!("{needed} where enable.idempotence is true"));
            } else {
                config.is_idempotent = false;
            }
        }
    }
    for key in java.keys() {
        let is_known = READ.contains(&key.as_str())
            || OURS_TO_DECIDE.contains(&key.as_str())
            || client::has_no_meaning(key);
        match key.as_str() {
            "interceptor.classes" | "partitioner.class" => {
                if reader.text(key).is_some() {
                    reader.problem(key, "not supported: it names a Java class");
                }
            }
            "transactional.id" => reader.problem(key, "not supported: there are no transactions here"),
            _ if is_known => {}
            // The value may be a secret under a name that was mistyped.
            _ => reader.problem(key, "not a setting of Kafka's producer"),
        }
    }
    let security = ClientSecurity::from_java(java).err().unwrap_or_default();
    match reader.finish(config) {
        Ok(config) if security.is_empty() => Ok(config),
        Ok(_) => Err(security),
        Err(problems) => Err(problems.into_iter().chain(security).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<ProducerConfig, Vec<Problem>> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        from_java(&settings.iter().map(owned).collect())
    }

    #[test]
    fn defaults_are_kafkas_but_for_batches_and_memory() {
        let expected = ProducerConfig {
            batch_size: USUAL_BATCH,
            buffer_memory: USUAL_MEMORY,
            retries: i32::MAX.unsigned_abs(),
            ..ProducerConfig::default()
        };
        assert_eq!(read(&[("client.id", "c"), ("key.serializer", "x")]).unwrap(), expected);
    }

    #[test]
    fn settings_are_read() {
        let config = read(&[
            (ACKS, "1"),
            (IDEMPOTENCE, "false"),
            (BATCH_SIZE, "2"),
            (LINGER, "3"),
            (BUFFER_MEMORY, "4"),
            (MAX_REQUEST_SIZE, "5"),
            (COMPRESSION, "gzip"),
            (GZIP_LEVEL, "9"),
            (RETRIES, "7"),
            (RETRY_BACKOFF, "8"),
            (RETRY_BACKOFF_MAX, "9"),
            (DELIVERY_TIMEOUT, "2147483647"),
            (METADATA_MAX_AGE, "11000"),
        ])
        .unwrap();
        let expected = ProducerConfig {
            acks: Acks::Leader,
            is_idempotent: false,
            batch_size: 2,
            linger: Duration::from_millis(3),
            buffer_memory: 4,
            max_request_size: 5,
            compression: Compression::Gzip(9),
            retries: 7,
            retry_backoff: Duration::from_millis(8),
            retry_backoff_max: Duration::from_millis(9),
            delivery_timeout: Duration::from_millis(2_147_483_647),
            may_create_topics: true,
            metadata_max_age: Duration::from_secs(11),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn a_larger_request_finds_room() {
        let room = |size: &str| read(&[("max.request.size", size)]).unwrap().buffer_memory;
        assert_eq!(
            (room("1048576"), room("20971520"), room("99999999")),
            (USUAL_MEMORY, 20 << 20, JAVA_MEMORY)
        );
    }

    #[test]
    fn acks_that_an_idempotent_producer_cannot_have() {
        assert!(!read(&[(ACKS, "1")]).unwrap().is_idempotent);
        assert_eq!(read(&[(ACKS, "1"), (IDEMPOTENCE, "true")]).unwrap_err()[0].property, ACKS);
        assert!(!read(&[(RETRIES, "0")]).unwrap().is_idempotent);
        assert_eq!(read(&[(RETRIES, "0"), (IDEMPOTENCE, "true")]).unwrap_err()[0].property, RETRIES);
    }

    #[test]
    fn numbers_of_more_than_32_bits_are_read() {
        let config = read(&[(BUFFER_MEMORY, "3000000000"), (LINGER, "3000000000")]).unwrap();
        assert_eq!((config.buffer_memory, config.linger.as_millis()), (3_000_000_000, 3_000_000_000));
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let wrong = [
            (ACKS, "two"),
            (LINGER, "-1"),
            (COMPRESSION, "brotli"),
            ("transactional.id", "t"),
            ("partitioner.class", "com.example.P"),
            ("sasl_jaas_config", "hunter2"),
            ("security.protocol", "TLS"),
        ];
        let problems = read(&wrong).unwrap_err();
        assert_eq!(problems.len(), wrong.len(), "{problems:?}");
        for (key, _) in wrong {
            assert!(problems.iter().any(|problem| problem.property == key), "{key} in {problems:?}");
        }
        assert!(!format!("{problems:?}").contains("hunter2"));
    }
}
