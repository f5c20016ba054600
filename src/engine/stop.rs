//! An end in order: what is under way when the user asks to stop gets a while to end, and is dropped then.

use std::future::Future;
use std::time::Duration;

use super::event::Event;
use crate::interrupt::Signal;
use crate::phases::Scoped;
use crate::plan::Target;

/// How long a change may take to its end after the wish to stop. Longer than most take; one that was cut off is
/// planned again by the next run.
pub(crate) const FOR_A_CHANGE: Duration = Duration::from_secs(20);

/// The same for a look that may have made something to look with, and removes it then.
pub(crate) const FOR_A_LOOK: Duration = Duration::from_secs(5);

/// Does `work` on a target to its end, or until `patience` is over after the wish to stop. Dropping it ends what it
/// runs on hosts, but for scripts that must not be cut off: those are waited for.
pub(crate) async fn bounded<T>(
    at: &Scoped<'_>,
    what: &str,
    patience: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Signal> {
    let over = async {
        let signal = at.ctx.interrupt.asked().await;
        at.ctx.events.emit(&Event::Stopping { target: at.target, what, signal, patience });
        tokio::time::sleep(patience).await;
        if let Target::Host(_) = at.target {
            at.host().settled().await;
        }
        signal
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        signal = over => Err(signal),
    }
}
