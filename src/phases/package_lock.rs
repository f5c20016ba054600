//! Waits, and says for whom, while something else installs packages on a host: a machine that has just booted does.

use std::time::Duration;

use tokio::time::Instant;

use super::{PhaseError, Scoped};
use crate::host::HostExt;
use crate::shell::packages::{self, PATIENCE};

const PAUSE: Duration = Duration::from_secs(1);

/// Returns when nobody else is at work with packages. Said once for each who is.
///
/// Somebody may begin between this and the installation; that waits as well, without a word.
pub(super) async fn wait(at: &Scoped<'_>) -> Result<(), PhaseError> {
    wait_at_most(at, PATIENCE).await
}

pub(super) async fn wait_at_most(at: &Scoped<'_>, patience: Duration) -> Result<(), PhaseError> {
    let host = at.host();
    let began = Instant::now();
    let mut told = String::new();
    while let Some(holder) = packages::parse_holder(&host.check(&packages::look_for_holder()).await?) {
        if began.elapsed() >= patience {
            return Err(PhaseError::refused(
                at.target,
                format!("packages are being installed by {holder}, for {} s already", patience.as_secs()),
                "let it finish, or end it if it hangs, then run again",
            ));
        }
        if told != holder {
            let text = format!("waiting for the package manager: {holder} is at work");
            at.ctx.events.progress(at.target, &text);
            told = holder;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
