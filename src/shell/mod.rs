//! Pure builders of the scripts that run on hosts, and parsers of their answers.
//!
//! Scripts are POSIX `sh`; every value in one goes through [`mod@quote`], once. Nothing here runs anything.

pub(crate) mod containers;
pub(crate) mod docker;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod packages;
pub(crate) mod preflight;
mod quote;
pub(crate) mod units;

pub(crate) use quote::quote;
