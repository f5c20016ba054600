//! Readiness: a condition that is asked again until it holds or its deadline has passed.

use std::time::{Duration, Instant};

use crate::Error;

/// How often a condition is asked.
const INTERVAL: Duration = Duration::from_millis(50);

/// Asks `condition` until it gives a value.
///
/// Errors: [`Error::NotReady`] after `limit`; `log` then says what was last seen. An error of the condition itself
/// ends the wait at once: it means that waiting longer is useless.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<Option<T>, Error>,
    log: impl FnOnce() -> String,
) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await? {
            return Ok(value);
        }
        if start.elapsed() >= limit {
            return Err(Error::NotReady { what: what.to_owned(), waited: limit, log: log() });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
