//! Single message transforms and the predicates that guard them.

use crate::{ConfigDef, ConnectError, ConnectRecord, Props};

/// Changes records one by one. One instance serves one task; calls never overlap.
pub trait Transform: Send {
    /// The settings without their prefix.
    fn config_def(&self) -> &ConfigDef;

    /// Takes the settings, without their prefix. Called once, before the first record.
    ///
    /// # Errors
    /// Config.
    fn configure(&mut self, props: &Props) -> Result<(), ConnectError>;

    /// The changed record; `None` drops it.
    ///
    /// # Errors
    /// Retriable: called again with the same record. Others follow `errors.tolerance`.
    fn apply(&mut self, record: ConnectRecord) -> Result<Option<ConnectRecord>, ConnectError>;
}

/// Decides whether a transform is applied. One instance serves one task; calls never overlap.
pub trait Predicate: Send {
    /// The settings without their prefix.
    fn config_def(&self) -> &ConfigDef;

    /// Takes the settings, without their prefix. Called once, before the first record.
    ///
    /// # Errors
    /// Config.
    fn configure(&mut self, props: &Props) -> Result<(), ConnectError>;

    /// Whether the predicate holds for the record.
    ///
    /// # Errors
    /// As for [`Transform::apply`].
    fn test(&mut self, record: &ConnectRecord) -> Result<bool, ConnectError>;
}
