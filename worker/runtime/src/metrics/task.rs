//! Numbers of one task. All of it is touched once per batch, not once per record.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::metrics::window::{Meter, Window};
use crate::names::State;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskKind {
    Source,
    Sink,
}

pub(crate) struct TaskMetrics {
    pub(crate) kind: TaskKind,
    state: AtomicU8,
    times: Mutex<Times>,
    /// Polled by a source, read by a sink.
    pub(crate) taken: Meter,
    /// Acknowledged for a source, put for a sink.
    pub(crate) given: Meter,
    /// Of `poll` or `put`.
    pub(crate) batch_time: Window,
    pub(crate) batch_size: Window,
    pub(crate) active: AtomicI64,
    pub(crate) active_window: Window,
    pub(crate) commit_time: Window,
    pub(crate) commit_success: Window,
    pub(crate) commits_completed: Meter,
    pub(crate) commits_skipped: Meter,
    pub(crate) commit_seq_no: AtomicU64,
    pub(crate) partitions: AtomicU64,
    pub(crate) errors: ErrorMetrics,
}

#[derive(Default)]
pub(crate) struct ErrorMetrics {
    pub(crate) failures: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) logged: AtomicU64,
    pub(crate) last_ms: AtomicU64,
}

impl ErrorMetrics {
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.errors.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_ms.store(now.as_millis() as u64, Ordering::Relaxed);
    }
}

/// How long the task was in each state.
struct Times {
    since: Instant,
    running: Duration,
    paused: Duration,
    other: Duration,
}

impl TaskMetrics {
    pub(crate) fn new(kind: TaskKind) -> Self {
        let zero = Duration::ZERO;
        Self {
            kind,
            state: AtomicU8::new(State::Unassigned as u8),
            times: Mutex::new(Times { since: Instant::now(), running: zero, paused: zero, other: zero }),
            taken: Meter::default(),
            given: Meter::default(),
            batch_time: Window::default(),
            batch_size: Window::default(),
            active: AtomicI64::new(0),
            active_window: Window::default(),
            commit_time: Window::default(),
            commit_success: Window::default(),
            commits_completed: Meter::default(),
            commits_skipped: Meter::default(),
            commit_seq_no: AtomicU64::new(0),
            partitions: AtomicU64::new(0),
            errors: ErrorMetrics::default(),
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        self.settle();
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> State {
        let state = self.state.load(Ordering::Relaxed);
        State::ALL.into_iter().find(|s| *s as u8 == state).unwrap_or(State::Unassigned)
    }

    /// Shares of time spent running and paused.
    pub(crate) fn ratios(&self) -> (f64, f64) {
        self.settle();
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let all = (times.running + times.paused + times.other).as_secs_f64();
        if all == 0.0 {
            return (0.0, 0.0);
        }
        (times.running.as_secs_f64() / all, times.paused.as_secs_f64() / all)
    }

    pub(crate) fn add_active(&self, count: i64) {
        let now = self.active.fetch_add(count, Ordering::Relaxed) + count;
        self.active_window.record(now as f64);
    }

    pub(crate) fn committed(&self, time: Duration, is_success: bool) {
        self.commit_time.record_time(time);
        self.commit_success.record(if is_success { 1.0 } else { 0.0 });
    }

    fn settle(&self) {
        let state = self.state();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = times.since.elapsed();
        times.since += passed;
        match state {
            State::Running => times.running += passed,
            State::Paused => times.paused += passed,
            _ => times.other += passed,
        }
    }
}
