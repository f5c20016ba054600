//! The compliance suite that every connector runs.
//!
//! [`source::complies`] and [`sink::complies`] drive a connector through the same trait, in the same order and
//! with the same interruptions as the worker, and panic with what is wrong. A connector brings a case: its
//! settings and what there is to read or where to look at what was written. The worker, Kafka and converters
//! are not involved.

pub mod context;
mod settings;
pub mod sink;
pub mod source;

use std::future::Future;
use std::time::Duration;

/// Nothing that a connector does in the suite takes this long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what} took longer than {PATIENCE:?}"),
    }
}
