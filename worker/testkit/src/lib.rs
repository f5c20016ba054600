//! The compliance suite that every connector runs.
