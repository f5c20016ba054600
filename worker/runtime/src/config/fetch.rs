//! The settings of a Java consumer that are about fetching records -> those of our fetcher.
//!
//! The other settings, of the group and of commits, go to librdkafka; see [`super::client`].

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_control::{FetchConfig, Isolation, OffsetReset};

use crate::config::Problem;
use crate::config::settings_reader::SettingsReader;

const MIN_BYTES: &str = "fetch.min.bytes";
const MAX_BYTES: &str = "fetch.max.bytes";
const MAX_WAIT: &str = "fetch.max.wait.ms";
const PARTITION_MAX_BYTES: &str = "max.partition.fetch.bytes";
const MAX_POLL_RECORDS: &str = "max.poll.records";
const ISOLATION: &str = "isolation.level";
const RESET: &str = "auto.offset.reset";
const CHECK_CRCS: &str = "check.crcs";
const RACK: &str = "client.rack";

/// What is read here and nowhere else. The isolation level, the rack and the age of metadata are the group's too.
pub(crate) const SETTINGS: &[&str] =
    &[MIN_BYTES, MAX_BYTES, MAX_WAIT, PARTITION_MAX_BYTES, MAX_POLL_RECORDS, RESET, CHECK_CRCS];

/// Records of one batch unless `max.poll.records` says otherwise; the JVM's default is 500.
const USUAL_BATCH: i32 = 2_000;

/// How records are fetched and given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchSettings {
    pub(crate) fetch: FetchConfig,
    /// The most records of one batch.
    pub(crate) max_poll_records: usize,
}

impl FetchSettings {
    /// Reads the settings of a Java consumer; those that are not there have Kafka's defaults.
    pub(crate) fn from_java(java: &BTreeMap<String, String>) -> Result<Self, Vec<Problem>> {
        let mut reader = SettingsReader::new(java);
        let default = FetchConfig::default();
        let settings = Self {
            fetch: FetchConfig {
                min_bytes: reader.number(MIN_BYTES, default.min_bytes, 0),
                max_bytes: reader.number(MAX_BYTES, default.max_bytes, 0),
                max_wait: Duration::from_millis(reader.number(MAX_WAIT, 500, 0).unsigned_abs().into()),
                partition_max_bytes: reader.number(PARTITION_MAX_BYTES, default.partition_max_bytes, 0),
                isolation: reader.one_of(
                    ISOLATION,
                    default.isolation,
                    &[
                        ("read_uncommitted", Isolation::ReadUncommitted),
                        ("read_committed", Isolation::ReadCommitted),
                    ],
                ),
                reset: reader.one_of(
                    RESET,
                    default.reset,
                    &[
                        ("earliest", OffsetReset::Earliest),
                        ("latest", OffsetReset::Latest),
                        ("none", OffsetReset::None),
                    ],
                ),
                checks_crc: reader.one_of(
                    CHECK_CRCS,
                    default.checks_crc,
                    &[("true", true), ("false", false)],
                ),
                rack: reader.text(RACK).unwrap_or_default().to_owned(),
                metadata_max_age: reader.metadata_max_age(default.metadata_max_age),
                tells_unknown: default.tells_unknown,
            },
            max_poll_records: usize::try_from(reader.number(MAX_POLL_RECORDS, USUAL_BATCH, 1)).unwrap_or(1),
        };
        reader.finish(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<FetchSettings, Vec<Problem>> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        FetchSettings::from_java(&settings.iter().map(owned).collect())
    }

    #[test]
    fn defaults_are_kafkas() {
        let settings = read(&[("linger.ms", "5")]).unwrap();
        assert_eq!(settings, FetchSettings { fetch: FetchConfig::default(), max_poll_records: 2_000 });
    }

    #[test]
    fn settings_are_read() {
        let settings = read(&[
            (MIN_BYTES, "2"),
            (MAX_BYTES, "3"),
            (MAX_WAIT, "4"),
            (PARTITION_MAX_BYTES, "5"),
            (MAX_POLL_RECORDS, "6"),
            (ISOLATION, "READ_COMMITTED"),
            (RESET, "none"),
            (CHECK_CRCS, "false"),
            (RACK, "a"),
            ("metadata.max.age.ms", "7000"),
        ])
        .unwrap();
        let fetch = FetchConfig {
            min_bytes: 2,
            max_bytes: 3,
            max_wait: Duration::from_millis(4),
            partition_max_bytes: 5,
            isolation: Isolation::ReadCommitted,
            reset: OffsetReset::None,
            checks_crc: false,
            rack: "a".to_owned(),
            metadata_max_age: Duration::from_secs(7),
            tells_unknown: false,
        };
        assert_eq!(settings, FetchSettings { fetch, max_poll_records: 6 });
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let wrong = [(MAX_POLL_RECORDS, "0"), (MAX_WAIT, "-1"), (RESET, "smallest"), (CHECK_CRCS, "maybe")];
        let problems = read(&wrong).unwrap_err();
        assert_eq!(problems.len(), wrong.len(), "{problems:?}");
        for (key, _) in wrong {
            assert!(problems.iter().any(|problem| problem.property == key), "{key} in {problems:?}");
        }
    }
}
