//! What a worker does whose group has read more of the config topic than the worker itself.
//!
//! It reads on, for a short time only: the others wait for it, and for a leader that lags behind they wait in vain. A
//! worker that cannot read leaves the group, and comes back once it can.
//!
//! Source: `handleRebalanceCompleted`, `readConfigToEnd` and `backoff` of Kafka's `DistributedHerder`.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::worker::UnsyncBackoff;
use crate::herder::actor::Actor;
use crate::membership::protocol::Assignment;

/// Before joining again when the config topic, read to its end, does not hold what the leader has read from it.
const LAG_PAUSE: Duration = Duration::from_secs(1);
/// How often the pauses of the cooperative protocols grow before they begin anew.
const GROWING_PAUSES: u32 = 5;

/// Counts how often the config topic could not be read.
#[derive(Default)]
pub(crate) struct Unsynced(u32);

impl Unsynced {
    /// How long to stay out of the group this time.
    fn pause(&mut self, backoff: UnsyncBackoff) -> Duration {
        match backoff {
            UnsyncBackoff::Fixed(pause) => pause,
            UnsyncBackoff::Growing { longest } => {
                let left = GROWING_PAUSES - self.0 % (GROWING_PAUSES + 1);
                self.0 += 1;
                // After the longest one the JVM's worker gives up what it runs, which this one has done already.
                longest.checked_div(10 * left).unwrap_or_default()
            }
        }
    }
}

impl Actor {
    /// Whether work may start. If not, the worker has left the group or is joining it again.
    pub(super) async fn has_caught_up(
        &mut self,
        assignment: &Assignment,
        is_leader: bool,
        shutdown: &CancellationToken,
    ) -> bool {
        if !assignment.is_config_mismatch && !self.is_behind(assignment) {
            return true;
        }
        // A leader that made the others wait would make them wait again.
        if is_leader || self.is_behind(assignment) {
            self.parts.stage.begin("reading to the end of the config topic");
            let has_read = self.has_read_configs().await;
            if !has_read {
                self.stay_away(shutdown).await;
            } else if self.is_behind(assignment) {
                tracing::warn!(
                    ours = self.offset(),
                    assigned = assignment.config_offset,
                    "the config topic does not hold what the leader has read, joining again"
                );
                sleep(LAG_PAUSE, shutdown).await;
            } else if !assignment.is_config_mismatch {
                return true;
            }
        }
        if !shutdown.is_cancelled() {
            self.join().await;
        }
        false
    }

    /// Leaves the group until the config topic can be read, or until shutdown.
    async fn stay_away(&mut self, shutdown: &CancellationToken) {
        self.parts.member.leave("taking too long to read the log").await;
        self.lease_ended();
        while !shutdown.is_cancelled() {
            let pause = self.unsynced.pause(self.parts.config.membership.unsync_backoff);
            tracing::warn!(?pause, "the config topic cannot be read, staying out of the group");
            self.parts.stage.begin("sleeping because the config topic could not be read in time");
            // A topic that is lost says so at once.
            sleep(pause.max(LAG_PAUSE), shutdown).await;
            if self.has_read_configs().await {
                return;
            }
        }
    }

    async fn has_read_configs(&mut self) -> bool {
        let limit = self.parts.config.membership.sync_timeout;
        match tokio::time::timeout(limit, self.parts.configs.read_to_end()).await {
            Ok(Ok(())) => {
                self.unsynced = Unsynced::default();
                true
            }
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "could not read the config topic");
                false
            }
            Err(_) => false,
        }
    }

    fn offset(&self) -> i64 {
        self.parts.configs.look(|state| state.offset())
    }

    fn is_behind(&self, assignment: &Assignment) -> bool {
        self.offset() < assignment.config_offset
    }
}

async fn sleep(pause: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_those_of_the_jvm() {
        let seconds = |backoff: UnsyncBackoff| {
            let mut unsynced = Unsynced::default();
            [(); 7].map(|()| unsynced.pause(backoff).as_secs_f32())
        };
        assert_eq!(seconds(UnsyncBackoff::Fixed(Duration::from_secs(300))), [300.0; 7]);
        let growing = UnsyncBackoff::Growing { longest: Duration::from_secs(300) };
        assert_eq!(seconds(growing), [6.0, 7.5, 10.0, 15.0, 30.0, 0.0, 6.0]);
    }
}
