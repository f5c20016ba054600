//! Numbers between JSON's text and Java's types.

use num_bigint::BigInt;

use crate::{BytesMut, Decimal};

/// Jackson refuses longer numbers, and so do we: their conversion takes quadratic time.
const LONGEST: usize = 1000;

/// A JSON number, not yet converted: its text with exactly one reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// The text has been checked by the parser, except for its length.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        (text.len() <= LONGEST).then_some(Self(text))
    }

    pub(super) fn is_integral(self) -> bool {
        !self.0.contains(['.', 'e', 'E'])
    }

    /// Whether Jackson holds it as an `int`.
    pub(super) fn as_int(self) -> Option<i32> {
        if self.is_integral() { self.0.parse().ok() } else { None }
    }

    /// `longValue()`: the integer part, its low 64 bits when it is too long.
    pub(super) fn to_i64(self) -> i64 {
        if let Ok(number) = self.0.parse() {
            return number;
        }
        low_64_bits(&self.integer_part())
    }

    pub(super) fn to_f64(self) -> f64 {
        self.0.parse().expect("JSON's number syntax is part of Rust's")
    }

    pub(super) fn to_f32(self) -> f32 {
        self.0.parse().expect("JSON's number syntax is part of Rust's")
    }

    /// `None` when the scale does not fit Java's `int`.
    pub(super) fn to_decimal(self) -> Option<Decimal> {
        Decimal::parse(self.0)
    }

    fn integer_part(self) -> BigInt {
        let Some(decimal) = self.to_decimal() else { return BigInt::ZERO };
        match decimal.scale {
            0 => decimal.unscaled,
            // Ten to the 64th has no bits left among the low 64.
            scale if scale <= -64 => BigInt::ZERO,
            scale if scale < 0 => decimal.unscaled * BigInt::from(10).pow(scale.unsigned_abs()),
            // More digits behind the point than the longest number has.
            scale if scale as usize > LONGEST => BigInt::ZERO,
            scale => decimal.unscaled / BigInt::from(10).pow(scale.unsigned_abs()),
        }
    }
}

fn low_64_bits(number: &BigInt) -> i64 {
    let bytes = number.to_signed_bytes_le();
    let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    let mut low = [fill; 8];
    let count = bytes.len().min(8);
    low[..count].copy_from_slice(&bytes[..count]);
    i64::from_le_bytes(low)
}

/// Appends decimal digits without going through the formatting machinery.
pub(super) fn append_integer(out: &mut BytesMut, number: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}
