//! `java.util.Random`: the generator whose seeds stand in Datagen's offsets.

/// A linear congruential generator with 48 bits of state, as Java's documentation prescribes it.
#[derive(Clone, Debug)]
pub(crate) struct JavaRandom(u64);

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

impl JavaRandom {
    pub(crate) fn new(seed: i64) -> Self {
        let mut random = Self(0);
        random.set_seed(seed);
        random
    }

    pub(crate) fn set_seed(&mut self, seed: i64) {
        self.0 = (seed as u64 ^ MULTIPLIER) & MASK;
    }

    fn next(&mut self, bits: u32) -> i32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        (self.0 >> (48 - bits)) as i32
    }

    pub(crate) fn next_long(&mut self) -> i64 {
        (i64::from(self.next(32)) << 32).wrapping_add(i64::from(self.next(32)))
    }

    /// From 0, included, to 1, excluded.
    pub(crate) fn next_double(&mut self) -> f64 {
        ((i64::from(self.next(26)) << 27) + i64::from(self.next(27))) as f64 / (1_i64 << 53) as f64
    }

    pub(crate) fn next_float(&mut self) -> f32 {
        self.next(24) as f32 / (1 << 24) as f32
    }

    pub(crate) fn next_boolean(&mut self) -> bool {
        self.next(1) != 0
    }

    /// An index below `bound`, which is positive.
    pub(crate) fn index(&mut self, bound: usize) -> usize {
        let bound = i32::try_from(bound).expect("lists and alphabets have less than two billion members");
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(self.next(31))) >> 31) as usize;
        }
        loop {
            let bits = self.next(31);
            let value = bits % bound;
            // Java's overflow test: the last, incomplete stretch of numbers would favor small values.
            if bits.wrapping_sub(value).wrapping_add(bound - 1) >= 0 {
                return value as usize;
            }
        }
    }

    /// From `min`, included, to `max`, excluded; `min < max`.
    pub(crate) fn between(&mut self, min: i64, max: i64) -> i64 {
        let span = (i128::from(max) - i128::from(min)) as u128;
        let offset = (u128::from(self.next_long() as u64) * span) >> 64;
        // Less than `max`, because the offset is less than the span.
        (i128::from(min) + offset as i128) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_javas() {
        // What `new Random(42)` gives.
        let mut random = JavaRandom::new(42);
        assert_eq!(random.next(32), -1_170_105_035);
        assert_eq!(random.next(32), 234_785_527);
        assert_eq!(JavaRandom::new(42).next_long(), -5_025_562_857_975_149_833);
        assert_eq!(JavaRandom::new(42).index(10), 0);
        assert_eq!(JavaRandom::new(42).next_double(), 0.727_563_680_032_868_1);
        assert!(JavaRandom::new(42).next_boolean());
    }

    #[test]
    fn ranges_exclude_their_end() {
        let mut random = JavaRandom::new(7);
        for (min, max) in [(0, 1), (-3, 4), (i64::MIN, i64::MAX), (i64::MAX - 1, i64::MAX)] {
            for _ in 0..1000 {
                let number = random.between(min, max);
                assert!((min..max).contains(&number), "{number} is not in {min}..{max}");
            }
        }
    }
}
