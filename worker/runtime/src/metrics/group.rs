//! Numbers of the group membership.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::window::{Meter, Window};

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct GroupMetrics(Arc<Numbers>);

#[derive(Default)]
pub(crate) struct Numbers {
    pub(crate) heartbeats: Meter,
    pub(crate) heartbeat_time: Window,
    pub(crate) joins: Meter,
    pub(crate) join_time: Window,
    pub(crate) syncs: Meter,
    pub(crate) sync_time: Window,
    pub(crate) rebalances: Meter,
    pub(crate) rebalance_time: Window,
    pub(crate) rebalance_time_total_ms: AtomicU64,
    pub(crate) failed_rebalances: Meter,
    pub(crate) is_rebalancing: AtomicBool,
    pub(crate) epoch: AtomicI64,
    pub(crate) assigned_connectors: AtomicU64,
    pub(crate) assigned_tasks: AtomicU64,
    last_heartbeat: Mutex<Option<Instant>>,
    last_rebalance: Mutex<Option<Instant>>,
}

impl GroupMetrics {
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.0
    }

    pub(crate) fn heartbeat(&self, time: Duration) {
        self.0.heartbeats.add(1);
        self.0.heartbeat_time.record_time(time);
        set(&self.0.last_heartbeat, Some(Instant::now()));
    }

    pub(crate) fn joined(&self, time: Duration) {
        self.0.joins.add(1);
        self.0.join_time.record_time(time);
    }

    pub(crate) fn synced(&self, time: Duration) {
        self.0.syncs.add(1);
        self.0.sync_time.record_time(time);
    }

    pub(crate) fn rebalance_began(&self) {
        self.0.is_rebalancing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn rebalanced(&self, time: Duration) {
        self.0.rebalances.add(1);
        self.0.rebalance_time.record_time(time);
        self.0.rebalance_time_total_ms.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
        self.0.is_rebalancing.store(false, Ordering::Relaxed);
        set(&self.0.last_rebalance, Some(Instant::now()));
    }

    pub(crate) fn rebalance_failed(&self) {
        self.0.failed_rebalances.add(1);
    }

    pub(crate) fn assigned(&self, epoch: i32, connectors: usize, tasks: usize) {
        self.0.epoch.store(epoch.into(), Ordering::Relaxed);
        self.0.assigned_connectors.store(connectors as u64, Ordering::Relaxed);
        self.0.assigned_tasks.store(tasks as u64, Ordering::Relaxed);
    }
}

impl Numbers {
    /// None before the first one.
    pub(crate) fn since_heartbeat(&self) -> Option<Duration> {
        get(&self.last_heartbeat).map(|at| at.elapsed())
    }

    /// None before the first one.
    pub(crate) fn since_rebalance(&self) -> Option<Duration> {
        get(&self.last_rebalance).map(|at| at.elapsed())
    }
}

fn set<T>(cell: &Mutex<T>, value: T) {
    *cell.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

fn get<T: Clone>(cell: &Mutex<T>) -> T {
    cell.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
