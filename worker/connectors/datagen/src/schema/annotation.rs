//! `arg.properties`: what an annotation says about a type.

use connect_api::schema::logical;
use connect_api::{Schema, SchemaType, Value};
use serde_json::{Map, Value as Json};

use super::{Problem, constant};
use crate::generator::{Generator, Integer, Iteration, Length, Text};
use crate::pattern::Pattern;

/// The annotation of a type object; an absent one says nothing.
pub(super) struct Annotation<'a> {
    properties: Option<&'a Map<String, Json>>,
    schema: &'a Schema,
}

impl<'a> Annotation<'a> {
    pub(super) fn new(object: &'a Map<String, Json>, schema: &'a Schema) -> Result<Self, Problem> {
        let properties = match object.get("arg.properties") {
            None => None,
            Some(Json::Object(properties)) => Some(properties),
            Some(_) => return Err("arg.properties is not an object".into()),
        };
        let annotation = Self { properties, schema };
        for exclusive in ["options", "iteration"] {
            if annotation.get(exclusive).is_some()
                && let Some(other) = ["length", "regex", "options", "iteration", "range"]
                    .iter()
                    .find(|other| **other != exclusive && annotation.get(other).is_some())
            {
                return Err(format!("{exclusive} and {other} exclude each other"));
            }
        }
        Ok(annotation)
    }

    fn get(&self, name: &str) -> Option<&'a Json> {
        self.properties.and_then(|properties| properties.get(name))
    }

    pub(super) fn options(&self) -> Result<Option<Vec<Value>>, Problem> {
        match self.get("options") {
            None => Ok(None),
            Some(Json::Array(options)) if !options.is_empty() => options
                .iter()
                .map(|option| constant::read(self.schema, option))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(Json::Object(_)) => Err("options in files are not supported".into()),
            Some(_) => Err("options are a list of at least one value".into()),
        }
    }

    /// How long texts, bytes, arrays and maps are.
    pub(super) fn length(&self) -> Result<Length, Problem> {
        self.given_length().map(|length| length.unwrap_or(Length { min: 8, max: 16 }))
    }

    fn given_length(&self) -> Result<Option<Length>, Problem> {
        const LONGEST: u64 = 1 << 20;
        let Some(length) = self.get("length") else { return Ok(None) };
        let number = |json: &Json| {
            json.as_u64()
                .filter(|count| *count <= LONGEST)
                .ok_or(format!("{json} is not a length up to {LONGEST}"))
        };
        let (min, max) = match length {
            Json::Object(bounds) => {
                (bounds.get("min").map_or(Ok(0), number)?, bounds.get("max").map_or(Ok(LONGEST), number)?)
            }
            exact => (number(exact)?, number(exact)? + 1),
        };
        if min >= max {
            return Err(format!("length from {min} to {max}: the end is excluded, nothing is left"));
        }
        Ok(Some(Length { min: min as usize, max: max as usize }))
    }

    /// The generator of a map's keys.
    pub(super) fn keys(&self, schema: &Schema) -> Result<Generator, Problem> {
        let Some(keys) = self.get("keys") else {
            return Ok(Generator::Text(Text::Ascii(Length { min: 1, max: 2 })));
        };
        let properties = Some(keys.as_object().ok_or("keys is not an object")?);
        let annotation = Annotation { properties, schema };
        match annotation.options()? {
            Some(values) => Ok(Generator::Options(values)),
            None => annotation.primitive(),
        }
    }

    /// The generator of a primitive type.
    pub(super) fn primitive(&self) -> Result<Generator, Problem> {
        let name = self.schema.name().map(|name| &**name);
        match (self.schema.kind(), name) {
            (SchemaType::Boolean, _) => self.boolean(),
            (SchemaType::Int32, Some(logical::DATE)) => self.integer(Integer::Date),
            (SchemaType::Int32, Some(logical::TIME)) => self.integer(Integer::Time),
            (SchemaType::Int32, _) => self.integer(Integer::Int),
            (SchemaType::Int64, Some(logical::TIMESTAMP)) => self.integer(Integer::Timestamp),
            (SchemaType::Int64, _) => self.integer(Integer::Long),
            (SchemaType::Float32, _) => self.float(),
            (SchemaType::Float64, _) => self.double(),
            (SchemaType::String, _) => self.text(),
            (SchemaType::Bytes, _) => self.length().map(Generator::Bytes),
            (kind, _) => Err(format!("{kind} is no primitive type")),
        }
    }

    fn boolean(&self) -> Result<Generator, Problem> {
        if let Some(iteration) = self.get("iteration") {
            let start = iteration.get("start").and_then(Json::as_bool);
            return Ok(Generator::Alternate {
                start: start.ok_or("iteration needs a boolean start")?,
                index: 0,
            });
        }
        let odds = self.get("odds").map_or(Some(0.5), Json::as_f64).filter(|odds| (0.0..=1.0).contains(odds));
        Ok(Generator::Boolean { odds: odds.ok_or("odds is a number from 0 to 1")? })
    }

    fn integer(&self, kind: Integer) -> Result<Generator, Problem> {
        let limits = match kind {
            Integer::Long | Integer::Timestamp => (i64::MIN, i64::MAX),
            _ => (i64::from(i32::MIN), i64::from(i32::MAX)),
        };
        if let Some(iteration) = self.get("iteration") {
            return Ok(Generator::IntegerIteration {
                kind,
                iteration: integer_iteration(iteration, limits)?,
                index: 0,
            });
        }
        let bound = |name, default| match self.get("range").and_then(|range| range.get(name)) {
            None => Ok(default),
            Some(bound) => bound
                .as_i64()
                .filter(|bound| (limits.0..=limits.1).contains(bound))
                .ok_or(format!("{bound} is not a bound of this type")),
        };
        let (min, max) = (bound("min", limits.0)?, bound("max", limits.1)?);
        if min >= max {
            return Err(format!("range from {min} to {max}: the end is excluded, nothing is left"));
        }
        Ok(Generator::IntegerRange { kind, min, max })
    }

    fn float(&self) -> Result<Generator, Problem> {
        if let Some(iteration) = self.get("iteration") {
            let iteration = float_iteration(iteration, f64::from(f32::MAX))?;
            return Ok(Generator::FloatIteration { iteration, index: 0 });
        }
        let (min, max) = self.float_range(f64::from(f32::MAX))?;
        Ok(Generator::FloatRange { min: min as f32, max: max as f32 })
    }

    fn double(&self) -> Result<Generator, Problem> {
        if let Some(iteration) = self.get("iteration") {
            return Ok(Generator::DoubleIteration {
                iteration: float_iteration(iteration, f64::MAX)?,
                index: 0,
            });
        }
        let (min, max) = self.float_range(f64::MAX)?;
        Ok(Generator::DoubleRange { min, max })
    }

    fn float_range(&self, limit: f64) -> Result<(f64, f64), Problem> {
        let Some(range) = self.get("range") else { return Ok((0.0, 1.0)) };
        let bound = |name, default| match range.get(name) {
            None => Ok(default),
            Some(bound) => bound.as_f64().ok_or(format!("{bound} is not a bound of this type")),
        };
        let (min, max) = (bound("min", -limit)?, bound("max", limit)?);
        if min >= max {
            return Err(format!("range from {min} to {max}: nothing is in it"));
        }
        Ok((min, max))
    }

    fn text(&self) -> Result<Generator, Problem> {
        let text = match (self.get("iteration"), self.get("regex"), self.given_length()?) {
            (Some(iteration), ..) => {
                Text::Iteration(integer_iteration(iteration, (i64::from(i32::MIN), i64::from(i32::MAX)))?, 0)
            }
            (None, Some(regex), length) => {
                let regex = regex.as_str().ok_or("regex is not a string")?;
                let pattern = Pattern::parse(regex).map_err(|problem| format!("regex {regex}: {problem}"))?;
                match length {
                    Some(length) => Text::BoundedPattern(pattern, length),
                    None => Text::Pattern(pattern),
                }
            }
            (None, None, _) => Text::Ascii(self.length()?),
        };
        let affix = |name| match self.get(name) {
            None => Ok(String::new()),
            Some(affix) => affix.as_str().map(str::to_owned).ok_or(format!("{name} is not a string")),
        };
        let (prefix, suffix) = (affix("prefix")?, affix("suffix")?);
        if prefix.is_empty() && suffix.is_empty() {
            return Ok(Generator::Text(text));
        }
        Ok(Generator::Affixed { prefix, suffix, text })
    }
}

fn integer_iteration(json: &Json, limits: (i64, i64)) -> Result<Iteration<i64>, Problem> {
    let number = |name: &str| match json.get(name) {
        None => Ok(None),
        Some(number) => number
            .as_i64()
            .filter(|number| (limits.0..=limits.1).contains(number))
            .map(Some)
            .ok_or(format!("iteration: {name} {number} is not a number of this type")),
    };
    let start = number("start")?.ok_or("iteration: start is missing")?;
    let (restart, step) = (number("restart")?, number("step")?);
    let (restart, step) = match (restart, step) {
        (Some(restart), step) => (restart, step.unwrap_or(if restart > start { 1 } else { -1 })),
        (None, step) => {
            let step = step.unwrap_or(1);
            (if step > 0 { limits.1 } else { limits.0 }, step)
        }
    };
    check_direction(start == restart, step == 0, (restart > start) == (step > 0))?;
    let initial = number("initial")?.unwrap_or(start);
    let (low, high) = (start.min(restart), start.max(restart));
    if !(low..=high).contains(&initial) || initial == restart {
        return Err(format!(
            "iteration: initial {initial} is not between start {start} and restart {restart}"
        ));
    }
    Ok(Iteration { start, restart, step, initial })
}

fn float_iteration(json: &Json, limit: f64) -> Result<Iteration<f64>, Problem> {
    let number = |name: &str| match json.get(name) {
        None => Ok(None),
        Some(number) => {
            number.as_f64().map(Some).ok_or(format!("iteration: {name} {number} is not a number"))
        }
    };
    let start = number("start")?.ok_or("iteration: start is missing")?;
    let (restart, step) = match (number("restart")?, number("step")?) {
        (Some(restart), step) => (restart, step.unwrap_or(if restart > start { 1.0 } else { -1.0 })),
        (None, step) => {
            let step = step.unwrap_or(1.0);
            (if step > 0.0 { limit } else { -limit }, step)
        }
    };
    check_direction(start == restart, step == 0.0, (restart > start) == (step > 0.0))?;
    let initial = number("initial")?.unwrap_or(start);
    if initial < start.min(restart) || initial > start.max(restart) || initial == restart {
        return Err(format!(
            "iteration: initial {initial} is not between start {start} and restart {restart}"
        ));
    }
    Ok(Iteration { start, restart, step, initial })
}

fn check_direction(is_empty: bool, stands_still: bool, is_forward: bool) -> Result<(), Problem> {
    match (is_empty, stands_still, is_forward) {
        (true, ..) => Err("iteration: start and restart are equal".into()),
        (_, true, _) => Err("iteration: step is 0".into()),
        (.., false) => Err("iteration: step leads away from restart".into()),
        _ => Ok(()),
    }
}
