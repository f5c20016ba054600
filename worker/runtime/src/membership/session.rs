//! [`Session`]: whether this worker is a member of its group, as far as it can know by itself.
//!
//! A worker that was frozen or cut off for longer than the session timeout has been replaced without having heard of
//! it. So membership is a lease and no flag: it ends by itself when the coordinator has confirmed nothing for that
//! long. The time counts from when the confirmed request was sent, so a lease never ends later here than there.
//!
//! Who would write something that belongs to the owner of a connector or task asks here first. What is on its way to
//! Kafka at the very moment at which a process is frozen cannot be called back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {
    timeout: Duration,
    lease: watch::Sender<Lease>,
}

#[derive(Clone, Copy, Default)]
struct Lease {
    confirmed: Option<Instant>,
    /// The coordinator, or the time, has said that it is over.
    is_over: bool,
}

impl Session {
    /// The session of a worker that has not joined yet.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self(Arc::new(Inner { timeout, lease: watch::Sender::default() }))
    }

    /// The coordinator has said yes to a request that was sent at `sent`.
    pub(crate) fn confirm(&self, sent: Instant) {
        self.0.lease.send_replace(Lease { confirmed: Some(sent), is_over: false });
    }

    /// The group goes on without this worker.
    pub(crate) fn end(&self) {
        self.0.lease.send_modify(|lease| lease.is_over = true);
    }

    pub(crate) fn is_alive(&self) -> bool {
        let lease = *self.0.lease.borrow();
        !lease.is_over && self.expiry().is_some_and(|expiry| Instant::now() < expiry)
    }

    /// Returns when the lease is over. Cancel-safe.
    pub(crate) async fn over(&self) {
        let mut lease = self.0.lease.subscribe();
        while self.is_alive() {
            let expiry = self.expiry().unwrap_or_else(Instant::now);
            tokio::select! {
                // The sender lives as long as this does.
                _ = lease.changed() => {}
                () = tokio::time::sleep_until(expiry) => {}
            }
        }
    }

    /// When the group may go on without this worker, unless something is confirmed before; `None` before the first join.
    pub(crate) fn expiry(&self) -> Option<Instant> {
        Some(self.0.lease.borrow().confirmed? + self.0.timeout)
    }

    /// How long the coordinator has confirmed nothing, once that is longer than a session lasts.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let silence = self.0.lease.borrow().confirmed?.elapsed();
        (silence >= self.0.timeout).then_some(silence)
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Whether the worker is a member, once that is known: it waits while a lease has run out and nobody has said yet
    /// what became of it. Cancel-safe.
    pub(crate) async fn decided(&self) -> bool {
        let mut lease = self.0.lease.subscribe();
        loop {
            let Lease { confirmed, is_over } = *lease.borrow_and_update();
            if is_over || confirmed.is_none() {
                return false;
            }
            if self.is_alive() {
                return true;
            }
            if lease.changed().await.is_err() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn lease_counts_from_when_the_request_was_sent() {
        let session = Session::new(TIMEOUT);
        assert!(!session.is_alive() && session.silence().is_none());
        let sent = Instant::now();
        tokio::time::advance(Duration::from_secs(4)).await;
        session.confirm(sent);
        tokio::time::advance(Duration::from_millis(5_999)).await;
        assert!(session.is_alive() && session.silence().is_none());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!session.is_alive());
        assert_eq!(session.silence(), Some(TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_coordinator_says_ends_it_before_its_time() {
        let session = Session::new(TIMEOUT);
        session.confirm(Instant::now());
        assert!(session.decided().await);
        session.end();
        assert!(!session.is_alive() && !session.decided().await);
        session.confirm(Instant::now());
        assert!(session.is_alive());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_that_it_is_over() {
        let session = Session::new(TIMEOUT);
        session.over().await;
        let began = Instant::now();
        session.confirm(began);
        let over = tokio::spawn({
            let session = session.clone();
            async move { session.over().await }
        });
        tokio::time::sleep(TIMEOUT / 2).await;
        session.confirm(Instant::now());
        over.await.unwrap();
        assert_eq!(began.elapsed(), TIMEOUT * 3 / 2);
        session.confirm(Instant::now());
        session.end();
        session.over().await;
        assert_eq!(began.elapsed(), TIMEOUT * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn lease_that_has_run_out_is_decided_by_the_coordinator() {
        for is_member in [true, false] {
            let session = Session::new(TIMEOUT);
            session.confirm(Instant::now());
            tokio::time::advance(TIMEOUT).await;
            let asked = tokio::spawn({
                let session = session.clone();
                async move { session.decided().await }
            });
            tokio::task::yield_now().await;
            assert!(!asked.is_finished());
            if is_member {
                session.confirm(Instant::now())
            } else {
                session.end()
            }
            assert_eq!(asked.await.unwrap(), is_member);
        }
    }
}
