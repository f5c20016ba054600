//! All numbers as Prometheus text.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::UNIX_EPOCH;

use crate::metrics::names::{self as n, Kind, Series};
use crate::metrics::process;
use crate::metrics::registry::{Registry, Startups};
use crate::metrics::task::{TaskKind, TaskMetrics};
use crate::names::State;

/// Who this worker says it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build {
    pub(crate) version: &'static str,
    pub(crate) commit: &'static str,
}

/// Samples collected by series, because each series has to stand in one block.
#[derive(Default)]
struct Page {
    blocks: Vec<(Series, String)>,
}

type Labels<'a> = [(&'a str, &'a str)];

impl Page {
    fn add(&mut self, series: Series, labels: &Labels<'_>, value: f64) {
        let at = match self.blocks.iter().position(|(s, _)| s.name == series.name) {
            Some(at) => at,
            None => {
                self.blocks.push((series, String::new()));
                self.blocks.len() - 1
            }
        };
        let block = &mut self.blocks[at].1;
        block.push_str(series.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            block.push(if index == 0 { '{' } else { ',' });
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(block, "{label}=\"{text}\"").expect("writing to a String cannot fail");
        }
        if !labels.is_empty() {
            block.push('}');
        }
        let value = if value.is_infinite() { "+Inf".to_owned() } else { value.to_string() };
        writeln!(block, " {value}").expect("writing to a String cannot fail");
    }

    fn text(self) -> String {
        let mut text = String::new();
        for (series, block) in self.blocks {
            let kind = match series.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            write!(text, "# HELP {0} {1}\n# TYPE {0} {kind}\n{block}", series.name, series.help)
                .expect("writing to a String cannot fail");
        }
        text
    }
}

pub(crate) fn render(registry: &Registry, build: Build) -> String {
    let mut page = Page::default();
    worker(&mut page, registry, build);
    connectors(&mut page, registry);
    group(&mut page, registry);
    for (id, metrics) in registry.tasks() {
        let number = id.task.to_string();
        task(&mut page, &[("connector", id.connector.as_str()), ("task", &number)], &metrics);
    }
    process_numbers(&mut page, registry);
    page.text()
}

fn worker(page: &mut Page, registry: &Registry, build: Build) {
    let numbers = registry.numbers();
    let client = ("client_id", numbers.client_id.as_str());
    let started = numbers.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string();
    for series in [n::APP_INFO, n::APP] {
        page.add(series, &[client, ("version", build.version)], 1.0);
        page.add(series, &[client, ("commit_id", build.commit)], 1.0);
        page.add(series, &[client, ("start_time_ms", &started)], 1.0);
    }
    let all = [("connector", "aggregate")];
    page.add(n::CONNECTOR_COUNT, &all, registry.connectors().len() as f64);
    page.add(n::TASK_COUNT, &all, registry.tasks().len() as f64);
    startups(
        page,
        &numbers.connector_startups,
        [
            n::CONNECTOR_STARTUP_ATTEMPTS,
            n::CONNECTOR_STARTUP_SUCCESS,
            n::CONNECTOR_STARTUP_SUCCESS_SHARE,
            n::CONNECTOR_STARTUP_FAILURE,
            n::CONNECTOR_STARTUP_FAILURE_SHARE,
        ],
    );
    startups(
        page,
        &numbers.task_startups,
        [
            n::TASK_STARTUP_ATTEMPTS,
            n::TASK_STARTUP_SUCCESS,
            n::TASK_STARTUP_SUCCESS_SHARE,
            n::TASK_STARTUP_FAILURE,
            n::TASK_STARTUP_FAILURE_SHARE,
        ],
    );
}

/// `series`: attempts, successes, their share, failures, their share.
fn startups(page: &mut Page, startups: &Startups, series: [Series; 5]) {
    let (successes, failures) = startups.totals();
    let attempts = successes + failures;
    let share = |part: u64| if attempts == 0 { 0.0 } else { part as f64 / attempts as f64 };
    let values = [attempts as f64, successes as f64, share(successes), failures as f64, share(failures)];
    for (series, value) in series.into_iter().zip(values) {
        page.add(series, &[("connector", "aggregate")], value);
    }
}

fn connectors(page: &mut Page, registry: &Registry) {
    for (name, facts) in registry.connectors() {
        let connector = ("connector", name.as_str());
        let state = facts.state.as_str().to_lowercase();
        page.add(n::CONNECTOR, &[connector, ("status", &state)], 1.0);
        page.add(n::CONNECTOR, &[connector, ("connector_class", &facts.class)], 1.0);
        page.add(n::CONNECTOR, &[connector, ("connector_type", facts.kind)], 1.0);
        page.add(n::CONNECTOR, &[connector, ("connector_version", &facts.version)], 1.0);
    }
    let tasks = registry.tasks();
    let mut names: Vec<_> = tasks.keys().map(|id| &id.connector).collect();
    names.dedup();
    for name in names {
        let labels = [("connector", name.as_str())];
        let count = |wanted: Option<State>| {
            let own = tasks.iter().filter(|(id, _)| id.connector == *name);
            own.filter(|(_, m)| wanted.is_none_or(|state| m.state() == state)).count() as f64
        };
        page.add(n::TOTAL_TASKS, &labels, count(None));
        page.add(n::RUNNING_TASKS, &labels, count(Some(State::Running)));
        page.add(n::PAUSED_TASKS, &labels, count(Some(State::Paused)));
        page.add(n::FAILED_TASKS, &labels, count(Some(State::Failed)));
        page.add(n::UNASSIGNED_TASKS, &labels, count(Some(State::Unassigned)));
        page.add(n::RESTARTING_TASKS, &labels, count(Some(State::Restarting)));
        page.add(n::DESTROYED_TASKS, &labels, 0.0);
    }
}

fn group(page: &mut Page, registry: &Registry) {
    let numbers = registry.numbers().group.numbers();
    let count = |cell: &std::sync::atomic::AtomicU64| cell.load(Relaxed) as f64;
    let since_rebalance = numbers.since_rebalance();
    page.add(n::EPOCH, &[], numbers.epoch.load(Relaxed) as f64);
    page.add(n::COMPLETED_REBALANCES_TOTAL, &[], numbers.rebalances.total() as f64);
    page.add(n::COMPLETED_REBALANCES, &[], numbers.rebalances.total() as f64);
    page.add(n::REBALANCING, &[], f64::from(u8::from(numbers.is_rebalancing.load(Relaxed))));
    page.add(n::REBALANCE_MAX_TIME, &[], numbers.rebalance_time.max());
    page.add(n::REBALANCE_AVG_TIME, &[], numbers.rebalance_time.average());
    page.add(n::SINCE_REBALANCE, &[], since_rebalance.map_or(f64::INFINITY, |t| t.as_millis() as f64));

    let client = [("client_id", registry.numbers().client_id.as_str())];
    let seconds = |time: Option<std::time::Duration>| time.map_or(-1.0, |t| t.as_secs() as f64);
    for (series, value) in [
        (n::ASSIGNED_CONNECTORS, count(&numbers.assigned_connectors)),
        (n::ASSIGNED_TASKS, count(&numbers.assigned_tasks)),
        (n::HEARTBEAT_RATE, numbers.heartbeats.rate()),
        (n::HEARTBEAT_TOTAL, numbers.heartbeats.total() as f64),
        (n::HEARTBEAT_MAX_TIME, numbers.heartbeat_time.max()),
        (n::SINCE_HEARTBEAT, seconds(numbers.since_heartbeat())),
        (n::JOIN_RATE, numbers.joins.rate()),
        (n::JOIN_TOTAL, numbers.joins.total() as f64),
        (n::JOIN_AVG_TIME, numbers.join_time.average()),
        (n::JOIN_MAX_TIME, numbers.join_time.max()),
        (n::SYNC_RATE, numbers.syncs.rate()),
        (n::SYNC_TOTAL, numbers.syncs.total() as f64),
        (n::SYNC_AVG_TIME, numbers.sync_time.average()),
        (n::SYNC_MAX_TIME, numbers.sync_time.max()),
        (n::GROUP_REBALANCE_TOTAL, numbers.rebalances.total() as f64),
        (n::GROUP_REBALANCE_RATE, numbers.rebalances.rate() * 3600.0),
        (n::GROUP_REBALANCE_AVG, numbers.rebalance_time.average()),
        (n::GROUP_REBALANCE_MAX, numbers.rebalance_time.max()),
        (n::GROUP_REBALANCE_TIME, count(&numbers.rebalance_time_total_ms)),
        (n::FAILED_REBALANCE_TOTAL, numbers.failed_rebalances.total() as f64),
        (n::FAILED_REBALANCE_RATE, numbers.failed_rebalances.rate() * 3600.0),
        (n::SINCE_GROUP_REBALANCE, seconds(since_rebalance)),
    ] {
        page.add(series, &client, value);
    }
}

fn task(page: &mut Page, labels: &Labels<'_>, m: &TaskMetrics) {
    let (running, paused) = m.ratios();
    let success = m.commit_success.average();
    let has_commits = m.commit_success.rate() > 0.0 || m.commit_time.max() > 0.0;
    let mut add = |series, value| page.add(series, labels, value);
    add(n::RUNNING_RATIO, running);
    add(n::PAUSE_RATIO, paused);
    add(n::COMMIT_MAX_TIME, m.commit_time.max());
    add(n::COMMIT_AVG_TIME, m.commit_time.average());
    add(n::COMMIT_SUCCESS, success);
    add(n::COMMIT_FAILURE, if has_commits { 1.0 - success } else { 0.0 });
    add(n::BATCH_SIZE_MAX, m.batch_size.max());
    add(n::BATCH_SIZE_AVG, m.batch_size.average());
    let active = m.active.load(Relaxed) as f64;
    match m.kind {
        TaskKind::Source => {
            add(n::SOURCE_POLL_RATE, m.taken.rate());
            add(n::SOURCE_POLL_TOTAL, m.taken.total() as f64);
            add(n::SOURCE_WRITE_RATE, m.given.rate());
            add(n::SOURCE_WRITE_TOTAL, m.given.total() as f64);
            add(n::POLL_BATCH_MAX_TIME, m.batch_time.max());
            add(n::POLL_BATCH_AVG_TIME, m.batch_time.average());
            add(n::SOURCE_ACTIVE, active);
            add(n::SOURCE_ACTIVE_MAX, m.active_window.max());
            add(n::SOURCE_ACTIVE_AVG, m.active_window.average());
        }
        TaskKind::Sink => {
            add(n::SINK_READ_RATE, m.taken.rate());
            add(n::SINK_READ_TOTAL, m.taken.total() as f64);
            add(n::SINK_SEND_RATE, m.given.rate());
            add(n::SINK_SEND_TOTAL, m.given.total() as f64);
            add(n::PARTITION_COUNT, m.partitions.load(Relaxed) as f64);
            add(n::COMMIT_SEQ_NO, m.commit_seq_no.load(Relaxed) as f64);
            add(n::COMMIT_COMPLETION_RATE, m.commits_completed.rate());
            add(n::COMMIT_COMPLETION_TOTAL, m.commits_completed.total() as f64);
            add(n::COMMIT_SKIP_RATE, m.commits_skipped.rate());
            add(n::COMMIT_SKIP_TOTAL, m.commits_skipped.total() as f64);
            add(n::PUT_BATCH_MAX_TIME, m.batch_time.max());
            add(n::PUT_BATCH_AVG_TIME, m.batch_time.average());
            add(n::SINK_ACTIVE, active);
            add(n::SINK_ACTIVE_MAX, m.active_window.max());
            add(n::SINK_ACTIVE_AVG, m.active_window.average());
        }
    }
    let errors = &m.errors;
    add(n::RECORD_FAILURES, errors.failures.load(Relaxed) as f64);
    add(n::RECORD_ERRORS, errors.errors.load(Relaxed) as f64);
    add(n::RECORDS_SKIPPED, errors.skipped.load(Relaxed) as f64);
    add(n::RETRIES, errors.retries.load(Relaxed) as f64);
    add(n::ERRORS_LOGGED, errors.logged.load(Relaxed) as f64);
    add(n::DLQ_REQUESTS, 0.0);
    add(n::DLQ_FAILURES, 0.0);
    add(n::LAST_ERROR, errors.last_ms.load(Relaxed) as f64);
}

fn process_numbers(page: &mut Page, registry: &Registry) {
    let numbers = process::read();
    let started = registry.numbers().started.duration_since(UNIX_EPOCH).unwrap_or_default();
    page.add(n::CPU_SECONDS, &[], numbers.cpu_seconds);
    page.add(n::RESIDENT_BYTES, &[], numbers.resident_bytes);
    page.add(n::VIRTUAL_BYTES, &[], numbers.virtual_bytes);
    page.add(n::OPEN_FDS, &[], numbers.open_fds);
    page.add(n::THREADS, &[], numbers.threads);
    page.add(n::START_TIME, &[], started.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TaskId;

    #[test]
    fn page_has_one_block_per_series_and_escapes_labels() {
        let registry = Registry::new("connect-w:8083".to_owned());
        let metrics = registry.add_task(&TaskId::new("a\"b", 0), TaskKind::Source);
        registry.add_task(&TaskId::new("a\"b", 1), TaskKind::Source);
        metrics.set_state(State::Running);
        metrics.taken.add(3);
        let page = render(&registry, Build { version: "4.3.1", commit: "c" });
        let polled =
            "kafka_connect_source_task_metrics_source_record_poll_total{connector=\"a\\\"b\",task=\"0\"} 3\n";
        assert!(page.contains(polled), "{page}");
        let running =
            "kafka_connect_connect_worker_metrics_connector_running_task_count{connector=\"a\\\"b\"} 1\n";
        assert!(page.contains(running));
        assert!(page.contains("time_since_last_rebalance_ms +Inf\n"));
        for name in page.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
            assert_eq!(page.matches(&format!("# TYPE {name}\n")).count(), 1);
        }
    }
}
