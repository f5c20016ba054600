//! What the herder is doing, so that a request that waited in vain can say for what.

use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct StageCell(Arc<Mutex<Stage>>);

#[derive(Clone, Copy)]
struct Stage {
    what: &'static str,
    began: OffsetDateTime,
    ended: Option<OffsetDateTime>,
}

impl StageCell {
    pub(crate) fn new(what: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Stage { what, began: OffsetDateTime::now_utc(), ended: None })))
    }

    /// `what` fits into "The worker is currently ...".
    pub(crate) fn begin(&self, what: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Stage { what, began: OffsetDateTime::now_utc(), ended: None };
    }

    pub(crate) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended = Some(OffsetDateTime::now_utc());
    }

    pub(crate) fn summary(&self) -> String {
        let Stage { what, began, ended } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        match ended {
            None => format!("The worker is currently {what}, which began at {}.", text(began)),
            Some(ended) => format!(
                "The last operation the worker completed was {what}, which began at {} and completed at {}.",
                text(began),
                text(ended)
            ),
        }
    }
}
