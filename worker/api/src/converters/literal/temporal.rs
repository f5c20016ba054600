//! Dates, times and timestamps, with the leniency of `SimpleDateFormat`: fields may have fewer digits and roll
//! over, and what follows the pattern does not matter. Only the length of the text is strict.

use crate::calendar::{MILLIS_PER_DAY, day_of_date};
use crate::{Schema, Value};

/// The value of a text of 10, 13 or 24 characters.
pub(super) fn parse_temporal(text: &str) -> Option<(Schema, Value)> {
    // Colons may have been escaped, being delimiters.
    let text = text.replace("\\:", ":");
    let mut fields = Fields(&text);
    match text.encode_utf16().count() {
        10 => {
            let day = i32::try_from(fields.date()?).ok()?;
            Some((Schema::date().build(), Value::Date(day)))
        }
        13 => {
            let millis = i32::try_from(fields.time()?).ok()?;
            Some((Schema::time().build(), Value::Time(millis)))
        }
        24 => {
            let day = fields.date()?;
            let millis = day * MILLIS_PER_DAY + fields.literal('T')?.time()?;
            Some((Schema::timestamp().build(), Value::Timestamp(millis)))
        }
        _ => None,
    }
}

struct Fields<'a>(&'a str);

impl Fields<'_> {
    fn date(&mut self) -> Option<i64> {
        let year = self.number()?;
        let month = self.literal('-')?.number()?;
        let day = self.literal('-')?.number()?;
        Some(day_of_date(year, month, day))
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.number()?;
        let minute = self.literal(':')?.number()?;
        let second = self.literal(':')?.number()?;
        let milli = self.literal('.')?.number()?;
        self.literal('Z')?;
        Some(((hour * 60 + minute) * 60 + second) * 1000 + milli)
    }

    fn literal(&mut self, expected: char) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(self)
    }

    fn number(&mut self) -> Option<i64> {
        let text = self.0.trim_start_matches([' ', '\t']);
        let digits = text.strip_prefix('-').unwrap_or(text);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (number, rest) = text.split_at(text.len() - digits.len() + end);
        self.0 = rest;
        // At most 24 characters are parsed, but even those can hold too many digits for a date.
        number.parse().ok().filter(|number: &i64| number.abs() < 1_000_000_000)
    }
}
