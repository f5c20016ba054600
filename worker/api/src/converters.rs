//! Kafka's own converters. They live beside the traits because the worker's internal topics, the compliance
//! suite and every benchmark need them, and because none of them needs a dependency of its own.

mod json;
mod literal;
mod primitive;
mod simple_header;
mod string;

pub use json::JsonConverter;
pub use primitive::PrimitiveConverter;
pub use simple_header::SimpleHeaderConverter;
pub use string::StringConverter;

use crate::{
    ConfigDef, ConfigKey, ConnectError, ConverterKind, Importance, ParsedConfig, Props, Type, Validator,
};

const KIND: &str = "converter.type";

/// The row that every converter has.
fn configuration() -> ConfigDef {
    ConfigDef::default().define(
        ConfigKey::new(KIND, Type::String, Importance::Low, "How this converter will be used.")
            .validator(Validator::one_of(&["key", "value", "header"])),
    )
}

/// Parses a converter's settings; the worker says what the converter is for, the user need not.
fn parse_configuration(
    def: &ConfigDef,
    props: &Props,
    kind: ConverterKind,
) -> Result<ParsedConfig, ConnectError> {
    let mut props = props.clone();
    let kind = match kind {
        ConverterKind::Key => "key",
        ConverterKind::Value => "value",
        ConverterKind::Header => "header",
    };
    props.insert(KIND.to_owned(), kind.to_owned());
    def.parse(&props)
}
