//! Compiled generators: one per schema node, each makes a value per call.

use connect_api::{ByteString, Bytes, MapValue, Schema, Struct, Value};

use crate::java_random::JavaRandom;
use crate::pattern::Pattern;

/// Which variant a 32- or 64-bit integer becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    Int,
    Long,
    Date,
    Time,
    Timestamp,
}

impl Integer {
    /// The value of a number in the type's range.
    pub(crate) fn value(self, number: i64) -> Value {
        match self {
            Self::Int => Value::Int32(number as i32),
            Self::Long => Value::Int64(number),
            Self::Date => Value::Date(number as i32),
            Self::Time => Value::Time(number as i32),
            Self::Timestamp => Value::Timestamp(number),
        }
    }
}

/// How many characters, bytes, items or entries: `max` is excluded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl Length {
    fn pick(self, random: &mut JavaRandom) -> usize {
        self.min + random.index((self.max - self.min).max(1))
    }
}

/// An `iteration`: from `initial` in steps, back towards `start` at `restart`.
#[derive(Clone, Debug)]
pub(crate) struct Iteration<N> {
    pub(crate) start: N,
    pub(crate) restart: N,
    pub(crate) step: N,
    pub(crate) initial: N,
}

impl Iteration<i64> {
    /// The number of the call with this index, counted from 0.
    fn at(&self, index: u64) -> i64 {
        let start = i128::from(self.start);
        let span = i128::from(self.restart) - start;
        let moved = i128::from(self.initial) - start + i128::from(self.step) * i128::from(index);
        // The sign of the span is the direction; what is moved has the same one.
        (start + moved % span) as i64
    }
}

impl Iteration<f64> {
    fn at(&self, index: u64) -> f64 {
        let moved = self.initial - self.start + self.step * index as f64;
        self.start + moved % (self.restart - self.start)
    }
}

/// Where text comes from.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    /// Random 7-bit characters, control characters included.
    Ascii(Length),
    Pattern(Pattern),
    /// A pattern whose texts have to be of a certain length, if they can.
    BoundedPattern(Pattern, Length),
    Iteration(Iteration<i64>, u64),
}

/// How often a pattern is asked for a text of the right length.
const ATTEMPTS: usize = 100;

impl Text {
    fn generate(&mut self, random: &mut JavaRandom) -> ByteString {
        match self {
            Self::Ascii(length) => {
                let count = length.pick(random);
                (0..count).map(|_| char::from(random.index(128) as u8)).collect::<String>().into()
            }
            Self::Pattern(pattern) => pattern.generate(random),
            Self::BoundedPattern(pattern, length) => {
                let mut text = pattern.generate(random);
                for _ in 1..ATTEMPTS {
                    if (length.min..length.max).contains(&text.len()) {
                        break;
                    }
                    text = pattern.generate(random);
                }
                text
            }
            Self::Iteration(iteration, index) => {
                let number = iteration.at(*index);
                *index += 1;
                number.to_string().into()
            }
        }
    }
}

/// Makes the values of one schema node.
#[derive(Clone, Debug)]
pub(crate) enum Generator {
    Null,
    Options(Vec<Value>),
    Boolean {
        odds: f64,
    },
    Alternate {
        start: bool,
        index: u64,
    },
    IntegerRange {
        kind: Integer,
        min: i64,
        max: i64,
    },
    IntegerIteration {
        kind: Integer,
        iteration: Iteration<i64>,
        index: u64,
    },
    FloatRange {
        min: f32,
        max: f32,
    },
    DoubleRange {
        min: f64,
        max: f64,
    },
    FloatIteration {
        iteration: Iteration<f64>,
        index: u64,
    },
    DoubleIteration {
        iteration: Iteration<f64>,
        index: u64,
    },
    Text(Text),
    Affixed {
        prefix: String,
        suffix: String,
        text: Text,
    },
    Bytes(Length),
    Array {
        length: Length,
        items: Box<Generator>,
    },
    Map {
        length: Length,
        keys: Box<Generator>,
        values: Box<Generator>,
    },
    Record {
        schema: Schema,
        fields: Vec<Generator>,
    },
    /// Null half of the time.
    Optional(Box<Generator>),
}

impl Generator {
    pub(crate) fn generate(&mut self, random: &mut JavaRandom) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Options(values) => values[random.index(values.len())].clone(),
            Self::Boolean { odds } => Value::Boolean(random.next_double() < *odds),
            Self::Alternate { start, index } => {
                let value = *start ^ (*index % 2 == 1);
                *index += 1;
                Value::Boolean(value)
            }
            Self::IntegerRange { kind, min, max } => kind.value(random.between(*min, *max)),
            Self::IntegerIteration { kind, iteration, index } => {
                let number = iteration.at(*index);
                *index += 1;
                kind.value(number)
            }
            Self::FloatRange { min, max } => Value::Float32(*min + (*max - *min) * random.next_float()),
            Self::DoubleRange { min, max } => Value::Float64(*min + (*max - *min) * random.next_double()),
            Self::FloatIteration { iteration, index } => {
                let number = iteration.at(*index);
                *index += 1;
                Value::Float32(number as f32)
            }
            Self::DoubleIteration { iteration, index } => {
                let number = iteration.at(*index);
                *index += 1;
                Value::Float64(number)
            }
            Self::Text(text) => Value::String(text.generate(random)),
            Self::Affixed { prefix, suffix, text } => {
                Value::string([prefix.as_str(), &text.generate(random), suffix.as_str()].concat())
            }
            Self::Bytes(length) => {
                let count = length.pick(random);
                let bytes: Vec<u8> = (0..count).map(|_| random.index(256) as u8).collect();
                Value::Bytes(Bytes::from(bytes))
            }
            Self::Array { length, items } => {
                let count = length.pick(random);
                Value::Array((0..count).map(|_| items.generate(random)).collect::<Vec<_>>().into())
            }
            Self::Map { length, keys, values } => {
                let count = length.pick(random);
                let entries = (0..count).map(|_| (keys.generate(random), values.generate(random)));
                Value::Map(entries.collect::<MapValue>())
            }
            Self::Record { schema, fields } => {
                let values: Vec<_> = fields.iter_mut().map(|field| field.generate(random)).collect();
                Value::Struct(Struct::new(schema.clone(), values.into()))
            }
            Self::Optional(generator) => {
                if random.next_boolean() {
                    generator.generate(random)
                } else {
                    Value::Null
                }
            }
        }
    }

    /// Continues as if `count` values had been made already.
    pub(crate) fn fast_forward(&mut self, count: u64) {
        match self {
            Self::Alternate { index, .. }
            | Self::IntegerIteration { index, .. }
            | Self::FloatIteration { index, .. }
            | Self::DoubleIteration { index, .. }
            | Self::Text(Text::Iteration(_, index))
            | Self::Affixed { text: Text::Iteration(_, index), .. } => *index = count,
            Self::Array { items, .. } => items.fast_forward(count),
            Self::Map { keys, values, .. } => {
                keys.fast_forward(count);
                values.fast_forward(count);
            }
            Self::Record { fields, .. } => fields.iter_mut().for_each(|field| field.fast_forward(count)),
            Self::Optional(generator) => generator.fast_forward(count),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_wrap_at_their_restart() {
        let check = |start, restart, step, initial, expected: &[i64]| {
            let iteration = Iteration::<i64> { start, restart, step, initial };
            let numbers: Vec<_> = (0..expected.len() as u64).map(|index| iteration.at(index)).collect();
            assert_eq!(numbers, expected);
        };
        check(1, i64::MAX, 10, 1, &[1, 11, 21, 31]);
        check(0, 3, 1, 0, &[0, 1, 2, 0, 1]);
        check(0, 3, 2, 1, &[1, 0, 2, 1]);
        check(5, 2, -1, 5, &[5, 4, 3, 5]);
        check(i64::MIN, i64::MAX, i64::MAX, i64::MIN, &[i64::MIN, -1, i64::MAX - 1, -2]);
    }
}
