//! Days and dates of the proleptic Gregorian calendar, in UTC. Java's classes switch to the Julian calendar
//! before October 1582; dates that old are not worth that here.

pub(crate) const MILLIS_PER_DAY: i64 = 86_400_000;

/// Year, month (from 1) and day (from 1) of a day counted from the epoch.
pub(crate) fn date_of_day(day: i64) -> (i64, u8, u8) {
    // Years begin in March here, so that the leap day is the last of its year; eras have 400 years.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u8, day as u8)
}

/// The day of a date. Months and days out of range roll over, as in Java's lenient calendars.
pub(crate) fn day_of_date(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468 + day - 1
}

/// Hours, minutes, seconds and milliseconds of a number of milliseconds since the epoch.
pub(crate) fn time_of_day(millis: i64) -> (i64, i64, i64, i64) {
    let rest = millis.rem_euclid(MILLIS_PER_DAY);
    (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (18_000, (2019, 4, 14)),
            (2_932_896, (9999, 12, 31)),
        ] {
            assert_eq!(date_of_day(day), date);
            assert_eq!(day_of_date(date.0, date.1.into(), date.2.into()), day);
        }
        assert_eq!(day_of_date(2019, 13, 1), day_of_date(2020, 1, 1));
        assert_eq!(day_of_date(2020, 1, 0), day_of_date(2019, 12, 31));
    }

    proptest::proptest! {
        #[test]
        fn dates_lead_back_to_their_day(day in -1_000_000_000..1_000_000_000_i64) {
            let (year, month, day_of_month) = date_of_day(day);
            proptest::prop_assert_eq!(day_of_date(year, month.into(), day_of_month.into()), day);
        }
    }
}
