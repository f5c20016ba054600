//! Text as Java prints it: `toString()` of numbers and of Connect values.

use std::fmt::{self, Write as _};

use crate::Value;
use crate::calendar::{MILLIS_PER_DAY, date_of_day, time_of_day};

/// `Double.toString` (JDK 19 and later, where it prints the shortest text that reads back as the same number).
pub fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let mut scientific = format!("{value:e}");
    if value.is_subnormal() && !scientific.contains('.') {
        // Java prints at least two digits and takes the closest such text: 4.9E-324, not 5E-324.
        scientific = two_digits(scientific, format!("{value:.1e}"), |text| text.parse() == Ok(value));
    }
    layout(&scientific)
}

/// `Float.toString`, likewise.
pub fn float(value: f32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let mut scientific = format!("{value:e}");
    if value.is_subnormal() && !scientific.contains('.') {
        scientific = two_digits(scientific, format!("{value:.1e}"), |text| text.parse() == Ok(value));
    }
    layout(&scientific)
}

fn two_digits(shortest: String, closest: String, reads_back: impl Fn(&str) -> bool) -> String {
    if reads_back(&closest) { closest } else { shortest }
}

/// From `-d.ddde-x` to Java's layout: plain between 10^-3 and 10^7, else one digit, a point and an exponent.
fn layout(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').expect("the `e` format always has an exponent");
    let exponent: i32 = exponent.parse().expect("the `e` format has a small exponent");
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !(-3..7).contains(&exponent) {
        let rest = if rest.is_empty() { "0" } else { rest };
        return format!("{sign}{first}.{rest}E{exponent}");
    }
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{first}{rest}");
    }
    let whole_digits = exponent as usize;
    if rest.len() > whole_digits {
        let (whole, fraction) = rest.split_at(whole_digits);
        return format!("{sign}{first}{whole}.{fraction}");
    }
    format!("{sign}{first}{rest}{}.0", "0".repeat(whole_digits - rest.len()))
}

/// `toString()` of a Connect value: `Struct{a=1,b=x}`, `{a=1, b=x}`, `[1, 2]`. Absent struct members are left
/// out. Bytes print as Java's heap buffers do; the dates print as `Date.toString()` in UTC.
pub(crate) fn write_value(f: &mut fmt::Formatter<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Null => f.write_str("null"),
        Value::Boolean(value) => write!(f, "{value}"),
        Value::Int8(value) => write!(f, "{value}"),
        Value::Int16(value) => write!(f, "{value}"),
        Value::Int32(value) => write!(f, "{value}"),
        Value::Int64(value) => write!(f, "{value}"),
        Value::Float32(value) => f.write_str(&float(*value)),
        Value::Float64(value) => f.write_str(&double(*value)),
        Value::String(text) => f.write_str(text),
        Value::Bytes(bytes) => {
            write!(f, "java.nio.HeapByteBuffer[pos=0 lim={} cap={}]", bytes.len(), bytes.len())
        }
        Value::Decimal(decimal) => write!(f, "{decimal}"),
        Value::Date(days) => write_date(f, i64::from(*days) * 86_400_000),
        Value::Time(millis) => write_date(f, i64::from(*millis)),
        Value::Timestamp(millis) => write_date(f, *millis),
        Value::Array(items) => {
            f.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                write_value(f, item)?;
            }
            f.write_char(']')
        }
        Value::Map(map) => {
            f.write_char('{')?;
            for (index, (key, value)) in map.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                write_value(f, key)?;
                f.write_char('=')?;
                write_value(f, value)?;
            }
            f.write_char('}')
        }
        Value::Struct(structure) => {
            f.write_str("Struct{")?;
            let mut separator = "";
            for (field, value) in structure.schema().fields().iter().zip(structure.values()) {
                if value.is_null() {
                    continue;
                }
                write!(f, "{separator}{}=", field.name)?;
                write_value(f, value)?;
                separator = ",";
            }
            f.write_char('}')
        }
    }
}

/// `Date.toString()`: `Thu Jan 01 00:00:00 UTC 1970`.
fn write_date(f: &mut fmt::Formatter<'_>, millis: i64) -> fmt::Result {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = millis.div_euclid(MILLIS_PER_DAY);
    let (year, month, day) = date_of_day(days);
    let (hour, minute, second, _) = time_of_day(millis);
    let (weekday, month) = (WEEKDAYS[days.rem_euclid(7) as usize], MONTHS[usize::from(month) - 1]);
    write!(f, "{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year:04}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapValue, Schema, Struct};

    #[test]
    fn doubles_are_javas() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.000_99, "9.9E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (123_456.789, "123456.789"),
            (100.0, "100.0"),
            (1.5e300, "1.5E300"),
            (-2.5e-5, "-2.5E-5"),
            (2e23, "2.0E23"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), text);
        }
        for (value, text) in
            [(1.1_f32, "1.1"), (1e10, "1.0E10"), (f32::from_bits(1), "1.4E-45"), (3.4e38, "3.4E38")]
        {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn values_are_javas() {
        let schema = Schema::structure()
            .field("a", Schema::int64())
            .field("b", Schema::optional_string())
            .field("c", Schema::string())
            .build();
        let structure = Struct::new(schema, vec![Value::Int64(1), Value::Null, Value::string("x")].into());
        let map: MapValue = [(Value::string("k"), Value::Struct(structure))].into_iter().collect();
        let list = Value::Array(vec![Value::Map(map), Value::Null, Value::Timestamp(0)].into());
        assert_eq!(list.to_string(), "[{k=Struct{a=1,c=x}}, null, Thu Jan 01 00:00:00 UTC 1970]");
    }
}
