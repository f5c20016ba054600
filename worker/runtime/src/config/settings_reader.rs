//! Reads the settings of a Java client, and remembers all that is wrong with them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Problem;

/// So that every duration can be added to a point in time.
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Producers and consumers have it.
pub(super) const METADATA_MAX_AGE: &str = "metadata.max.age.ms";

/// Nobody has to be asked more often who leads what.
const LEAST_METADATA_AGE: Duration = Duration::from_secs(1);

pub(super) struct SettingsReader<'a> {
    java: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl<'a> SettingsReader<'a> {
    pub(super) fn new(java: &'a BTreeMap<String, String>) -> Self {
        Self { java, problems: Vec::new() }
    }

    /// What was read, or all that is wrong.
    pub(super) fn finish<T>(self, settings: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() { Ok(settings) } else { Err(self.problems) }
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.java.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(super) fn number(&mut self, key: &str, default: i32, least: i32) -> i32 {
        let number = self.in_range(key, least.into(), i32::MAX.into());
        number.and_then(|number| i32::try_from(number).ok()).unwrap_or(default)
    }

    fn in_range(&mut self, key: &str, least: i64, most: i64) -> Option<i64> {
        let text = self.text(key)?;
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.problem(
                key,
                format!("expected a number in the range from {least} to {most}, found {text:?}"),
            );
        }
        number
    }

    pub(super) fn millis(&mut self, key: &str, default: Duration) -> Duration {
        let millis = self.in_range(key, 0, i64::MAX / NANOS_PER_MILLI);
        millis.map_or(default, |millis| Duration::from_millis(millis.unsigned_abs()))
    }

    pub(super) fn metadata_max_age(&mut self, default: Duration) -> Duration {
        self.millis(METADATA_MAX_AGE, default).max(LEAST_METADATA_AGE)
    }

    pub(super) fn bytes(&mut self, key: &str, default: usize) -> usize {
        let bytes = self.in_range(key, 0, i64::MAX);
        bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(default)
    }

    pub(super) fn one_of<T: Copy>(&mut self, key: &str, default: T, known: &[(&str, T)]) -> T {
        let Some(text) = self.text(key) else { return default };
        let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        if let Some((_, value)) = found {
            return *value;
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        self.problem(key, format!("expected one of {}, found {text:?}", names.join(", ")));
        default
    }

    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(key, message));
    }
}
