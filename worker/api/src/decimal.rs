//! Decimal numbers as Java's `BigDecimal`: an unscaled integer of any size and a scale.

use num_bigint::{BigInt, Sign};

/// `unscaled × 10^-scale`. Two decimals are equal when both parts are (as in Java, `1.0` is not `1.00`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The digits.
    pub unscaled: BigInt,
    /// How many of the digits stand behind the decimal point; negative for trailing zeros.
    pub scale: i32,
}

impl Decimal {
    /// From an integer and a scale.
    pub fn new(unscaled: impl Into<BigInt>, scale: i32) -> Self {
        Self { unscaled: unscaled.into(), scale }
    }

    /// From two's complement, big-endian, as Connect's `Decimal` logical type stores it. Empty bytes are zero.
    pub fn from_be_bytes(bytes: &[u8], scale: i32) -> Self {
        Self { unscaled: BigInt::from_signed_bytes_be(bytes), scale }
    }

    /// The shortest two's complement, big-endian form.
    pub fn to_be_bytes(&self) -> Vec<u8> {
        self.unscaled.to_signed_bytes_be()
    }

    /// Parses Java's `BigDecimal` syntax: sign, digits, point, exponent. `None` when the text is no such number
    /// or its scale does not fit.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all: String = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let magnitude = BigInt::parse_bytes(all.as_bytes(), 10)?;
        let scale = i32::try_from(i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?).ok()?;
        Some(Self { unscaled: if negative { -magnitude } else { magnitude }, scale })
    }

    /// `BigDecimal.toPlainString()`: never an exponent.
    pub fn to_plain_string(&self) -> String {
        let (sign, digits) = self.sign_and_digits();
        if self.scale <= 0 {
            let zeros = if digits == "0" { 0 } else { self.scale.unsigned_abs() as usize };
            return format!("{sign}{digits}{}", "0".repeat(zeros));
        }
        let scale = self.scale as usize;
        if digits.len() > scale {
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{sign}{whole}.{fraction}")
        } else {
            format!("{sign}0.{}{digits}", "0".repeat(scale - digits.len()))
        }
    }

    fn sign_and_digits(&self) -> (&'static str, String) {
        let sign = if self.unscaled.sign() == Sign::Minus { "-" } else { "" };
        (sign, self.unscaled.magnitude().to_string())
    }
}

/// `BigDecimal.toString()`: an exponent when the scale is negative or the number is very small.
impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, digits) = self.sign_and_digits();
        let adjusted = digits.len() as i64 - 1 - i64::from(self.scale);
        if self.scale >= 0 && adjusted >= -6 {
            return f.write_str(&self.to_plain_string());
        }
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        if adjusted == 0 {
            return write!(f, "{sign}{first}{point}{rest}");
        }
        write!(f, "{sign}{first}{point}{rest}E{adjusted:+}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_javas() {
        let check = |text: &str, shown: &str, plain: &str| {
            let decimal = Decimal::parse(text).expect(text);
            assert_eq!((decimal.to_string().as_str(), decimal.to_plain_string().as_str()), (shown, plain));
        };
        check("0", "0", "0");
        check("-12.340", "-12.340", "-12.340");
        check("+1E+3", "1E+3", "1000");
        check("1.5e3", "1.5E+3", "1500");
        check("0.0000001", "1E-7", "0.0000001");
        check("0.000001", "0.000001", "0.000001");
        check("0E+3", "0E+3", "0");
        check("12345678901234567890.5", "12345678901234567890.5", "12345678901234567890.5");
        for bad in ["", "-", ".", "1e", "0x1", "1.2.3", "１"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn bytes_are_twos_complement() {
        let check = |unscaled: i64, bytes: &[u8]| {
            assert_eq!(Decimal::new(unscaled, 2).to_be_bytes(), bytes);
            assert_eq!(Decimal::from_be_bytes(bytes, 2), Decimal::new(unscaled, 2));
        };
        check(0, &[0]);
        check(-1, &[0xff]);
        check(128, &[0, 0x80]);
        check(99_273, &[1, 0x83, 0xc9]);
    }
}
