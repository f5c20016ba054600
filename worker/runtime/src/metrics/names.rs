//! THE TABLE of series: name, type, meaning. Labels are those of the JMX-exporter dashboards.
//!
//! Names that begin with `kafka_connect_` are the JMX attributes of Kafka Connect as the rules of
//! `jmx-monitoring-stacks` (`kafka_connect.yml`) write them; `*_percentage` are fractions from 0 to 1, rates are
//! per second over the last minute, times are in milliseconds. `process_*` are Prometheus' own.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// One series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
}

macro_rules! table {
    ($($constant:ident = $kind:ident $name:literal $help:literal;)*) => {
        $(pub(crate) const $constant: Series = Series { name: $name, kind: Kind::$kind, help: $help };)*
        /// All rows.
        #[cfg(test)]
        const ALL: &[Series] = &[$($constant),*];
    };
}

table! {
    // Labels: client_id and one of version, commit_id, start_time_ms.
    APP_INFO = Gauge "kafka_connect_app_info" "Always 1; the labels say what runs.";
    APP = Gauge "kafka_connect_app" "Always 1; the same under its newer name.";

    // Label: connector, which is `aggregate` for the whole worker.
    CONNECTOR_COUNT = Gauge "kafka_connect_connect_worker_metrics_connector_count" "Connectors on this worker.";
    TASK_COUNT = Gauge "kafka_connect_connect_worker_metrics_task_count" "Tasks on this worker.";
    CONNECTOR_STARTUP_ATTEMPTS = Counter "kafka_connect_connect_worker_metrics_connector_startup_attempts_total" "Starts of connectors.";
    CONNECTOR_STARTUP_SUCCESS = Counter "kafka_connect_connect_worker_metrics_connector_startup_success_total" "Starts of connectors that succeeded.";
    CONNECTOR_STARTUP_SUCCESS_SHARE = Gauge "kafka_connect_connect_worker_metrics_connector_startup_success_percentage" "Share of starts of connectors that succeeded.";
    CONNECTOR_STARTUP_FAILURE = Counter "kafka_connect_connect_worker_metrics_connector_startup_failure_total" "Starts of connectors that failed.";
    CONNECTOR_STARTUP_FAILURE_SHARE = Gauge "kafka_connect_connect_worker_metrics_connector_startup_failure_percentage" "Share of starts of connectors that failed.";
    TASK_STARTUP_ATTEMPTS = Counter "kafka_connect_connect_worker_metrics_task_startup_attempts_total" "Starts of tasks.";
    TASK_STARTUP_SUCCESS = Counter "kafka_connect_connect_worker_metrics_task_startup_success_total" "Starts of tasks that succeeded.";
    TASK_STARTUP_SUCCESS_SHARE = Gauge "kafka_connect_connect_worker_metrics_task_startup_success_percentage" "Share of starts of tasks that succeeded.";
    TASK_STARTUP_FAILURE = Counter "kafka_connect_connect_worker_metrics_task_startup_failure_total" "Starts of tasks that failed.";
    TASK_STARTUP_FAILURE_SHARE = Gauge "kafka_connect_connect_worker_metrics_task_startup_failure_percentage" "Share of starts of tasks that failed.";
    TOTAL_TASKS = Gauge "kafka_connect_connect_worker_metrics_connector_total_task_count" "Tasks of a connector on this worker.";
    RUNNING_TASKS = Gauge "kafka_connect_connect_worker_metrics_connector_running_task_count" "Running tasks of a connector on this worker.";
    PAUSED_TASKS = Gauge "kafka_connect_connect_worker_metrics_connector_paused_task_count" "Paused tasks of a connector on this worker.";
    FAILED_TASKS = Gauge "kafka_connect_connect_worker_metrics_connector_failed_task_count" "Failed tasks of a connector on this worker.";
    UNASSIGNED_TASKS = Gauge "kafka_connect_connect_worker_metrics_connector_unassigned_task_count" "Tasks of a connector on this worker that have not begun to run.";
    DESTROYED_TASKS = Gauge "kafka_connect_connect_worker_metrics_connector_destroyed_task_count" "Deleted tasks of a connector on this worker.";
    RESTARTING_TASKS = Gauge "kafka_connect_connect_worker_metrics_connector_restarting_task_count" "Restarting tasks of a connector on this worker.";

    // No labels.
    EPOCH = Gauge "kafka_connect_connect_worker_rebalance_metrics_epoch" "Generation of the group.";
    COMPLETED_REBALANCES_TOTAL = Counter "kafka_connect_connect_worker_rebalance_metrics_completed_rebalances_total" "Rebalances that this worker has completed.";
    COMPLETED_REBALANCES = Gauge "kafka_connect_connect_worker_rebalance_metrics_completed_rebalances" "The same under its newer name.";
    REBALANCING = Gauge "kafka_connect_connect_worker_rebalance_metrics_rebalancing" "1 while this worker rebalances.";
    REBALANCE_MAX_TIME = Gauge "kafka_connect_connect_worker_rebalance_metrics_rebalance_max_time_ms" "Longest rebalance.";
    REBALANCE_AVG_TIME = Gauge "kafka_connect_connect_worker_rebalance_metrics_rebalance_avg_time_ms" "Average rebalance.";
    SINCE_REBALANCE = Gauge "kafka_connect_connect_worker_rebalance_metrics_time_since_last_rebalance_ms" "Time since the last rebalance; +Inf before the first.";

    // Label: client_id.
    ASSIGNED_CONNECTORS = Gauge "kafka_connect_connect_coordinator_metrics_assigned_connectors" "Connectors assigned to this worker.";
    ASSIGNED_TASKS = Gauge "kafka_connect_connect_coordinator_metrics_assigned_tasks" "Tasks assigned to this worker.";
    HEARTBEAT_RATE = Gauge "kafka_connect_connect_coordinator_metrics_heartbeat_rate" "Heartbeats per second.";
    HEARTBEAT_TOTAL = Counter "kafka_connect_connect_coordinator_metrics_heartbeat_total" "Heartbeats.";
    HEARTBEAT_MAX_TIME = Gauge "kafka_connect_connect_coordinator_metrics_heartbeat_response_time_max" "Slowest answer to a heartbeat.";
    SINCE_HEARTBEAT = Gauge "kafka_connect_connect_coordinator_metrics_last_heartbeat_seconds_ago" "Seconds since the last heartbeat; -1 before the first.";
    JOIN_RATE = Gauge "kafka_connect_connect_coordinator_metrics_join_rate" "Joins per second.";
    JOIN_TOTAL = Counter "kafka_connect_connect_coordinator_metrics_join_total" "Joins.";
    JOIN_AVG_TIME = Gauge "kafka_connect_connect_coordinator_metrics_join_time_avg" "Average join.";
    JOIN_MAX_TIME = Gauge "kafka_connect_connect_coordinator_metrics_join_time_max" "Longest join.";
    SYNC_RATE = Gauge "kafka_connect_connect_coordinator_metrics_sync_rate" "Syncs per second.";
    SYNC_TOTAL = Counter "kafka_connect_connect_coordinator_metrics_sync_total" "Syncs.";
    SYNC_AVG_TIME = Gauge "kafka_connect_connect_coordinator_metrics_sync_time_avg" "Average sync.";
    SYNC_MAX_TIME = Gauge "kafka_connect_connect_coordinator_metrics_sync_time_max" "Longest sync.";
    GROUP_REBALANCE_TOTAL = Counter "kafka_connect_connect_coordinator_metrics_rebalance_total" "Rebalances.";
    GROUP_REBALANCE_RATE = Gauge "kafka_connect_connect_coordinator_metrics_rebalance_rate_per_hour" "Rebalances per hour.";
    GROUP_REBALANCE_AVG = Gauge "kafka_connect_connect_coordinator_metrics_rebalance_latency_avg" "Average rebalance.";
    GROUP_REBALANCE_MAX = Gauge "kafka_connect_connect_coordinator_metrics_rebalance_latency_max" "Longest rebalance.";
    GROUP_REBALANCE_TIME = Counter "kafka_connect_connect_coordinator_metrics_rebalance_latency_total" "Time spent in rebalances.";
    FAILED_REBALANCE_TOTAL = Counter "kafka_connect_connect_coordinator_metrics_failed_rebalance_total" "Rebalances that failed.";
    FAILED_REBALANCE_RATE = Gauge "kafka_connect_connect_coordinator_metrics_failed_rebalance_rate_per_hour" "Rebalances that failed, per hour.";
    SINCE_GROUP_REBALANCE = Gauge "kafka_connect_connect_coordinator_metrics_last_rebalance_seconds_ago" "Seconds since the last rebalance; -1 before the first.";

    // Labels: connector and one of status, connector_class, connector_type, connector_version.
    CONNECTOR = Gauge "kafka_connect_connector_metrics" "Always 1; the labels describe a connector on this worker.";

    // Labels: connector, task.
    RUNNING_RATIO = Gauge "kafka_connect_connector_task_metrics_running_ratio" "Share of time spent running.";
    PAUSE_RATIO = Gauge "kafka_connect_connector_task_metrics_pause_ratio" "Share of time spent paused.";
    COMMIT_MAX_TIME = Gauge "kafka_connect_connector_task_metrics_offset_commit_max_time_ms" "Longest commit of offsets.";
    COMMIT_AVG_TIME = Gauge "kafka_connect_connector_task_metrics_offset_commit_avg_time_ms" "Average commit of offsets.";
    COMMIT_SUCCESS = Gauge "kafka_connect_connector_task_metrics_offset_commit_success_percentage" "Share of commits that succeeded.";
    COMMIT_FAILURE = Gauge "kafka_connect_connector_task_metrics_offset_commit_failure_percentage" "Share of commits that failed.";
    BATCH_SIZE_MAX = Gauge "kafka_connect_connector_task_metrics_batch_size_max" "Largest batch.";
    BATCH_SIZE_AVG = Gauge "kafka_connect_connector_task_metrics_batch_size_avg" "Average batch.";

    SOURCE_POLL_RATE = Gauge "kafka_connect_source_task_metrics_source_record_poll_rate" "Records polled per second.";
    SOURCE_POLL_TOTAL = Counter "kafka_connect_source_task_metrics_source_record_poll_total" "Records polled.";
    SOURCE_WRITE_RATE = Gauge "kafka_connect_source_task_metrics_source_record_write_rate" "Records acknowledged by Kafka per second.";
    SOURCE_WRITE_TOTAL = Counter "kafka_connect_source_task_metrics_source_record_write_total" "Records acknowledged by Kafka.";
    POLL_BATCH_MAX_TIME = Gauge "kafka_connect_source_task_metrics_poll_batch_max_time_ms" "Longest poll.";
    POLL_BATCH_AVG_TIME = Gauge "kafka_connect_source_task_metrics_poll_batch_avg_time_ms" "Average poll.";
    SOURCE_ACTIVE = Gauge "kafka_connect_source_task_metrics_source_record_active_count" "Records polled and not yet written.";
    SOURCE_ACTIVE_MAX = Gauge "kafka_connect_source_task_metrics_source_record_active_count_max" "Most of these.";
    SOURCE_ACTIVE_AVG = Gauge "kafka_connect_source_task_metrics_source_record_active_count_avg" "Average of these.";

    SINK_READ_RATE = Gauge "kafka_connect_sink_task_metrics_sink_record_read_rate" "Records read from Kafka per second.";
    SINK_READ_TOTAL = Counter "kafka_connect_sink_task_metrics_sink_record_read_total" "Records read from Kafka.";
    SINK_SEND_RATE = Gauge "kafka_connect_sink_task_metrics_sink_record_send_rate" "Records given to the task per second.";
    SINK_SEND_TOTAL = Counter "kafka_connect_sink_task_metrics_sink_record_send_total" "Records given to the task.";
    PARTITION_COUNT = Gauge "kafka_connect_sink_task_metrics_partition_count" "Partitions assigned.";
    COMMIT_SEQ_NO = Gauge "kafka_connect_sink_task_metrics_offset_commit_seq_no" "Number of the last commit.";
    COMMIT_COMPLETION_RATE = Gauge "kafka_connect_sink_task_metrics_offset_commit_completion_rate" "Commits completed per second.";
    COMMIT_COMPLETION_TOTAL = Counter "kafka_connect_sink_task_metrics_offset_commit_completion_total" "Commits completed.";
    COMMIT_SKIP_RATE = Gauge "kafka_connect_sink_task_metrics_offset_commit_skip_rate" "Answers to commits that came too late, per second.";
    COMMIT_SKIP_TOTAL = Counter "kafka_connect_sink_task_metrics_offset_commit_skip_total" "Answers to commits that came too late.";
    PUT_BATCH_MAX_TIME = Gauge "kafka_connect_sink_task_metrics_put_batch_max_time_ms" "Longest put.";
    PUT_BATCH_AVG_TIME = Gauge "kafka_connect_sink_task_metrics_put_batch_avg_time_ms" "Average put.";
    SINK_ACTIVE = Gauge "kafka_connect_sink_task_metrics_sink_record_active_count" "Records read and not yet committed.";
    SINK_ACTIVE_MAX = Gauge "kafka_connect_sink_task_metrics_sink_record_active_count_max" "Most of these.";
    SINK_ACTIVE_AVG = Gauge "kafka_connect_sink_task_metrics_sink_record_active_count_avg" "Average of these.";

    RECORD_FAILURES = Counter "kafka_connect_task_error_metrics_total_record_failures" "Failed attempts to process a record.";
    RECORD_ERRORS = Counter "kafka_connect_task_error_metrics_total_record_errors" "Operations on a record that failed.";
    RECORDS_SKIPPED = Counter "kafka_connect_task_error_metrics_total_records_skipped" "Records skipped because errors are tolerated.";
    RETRIES = Counter "kafka_connect_task_error_metrics_total_retries" "Operations tried again.";
    ERRORS_LOGGED = Counter "kafka_connect_task_error_metrics_total_errors_logged" "Errors logged.";
    DLQ_REQUESTS = Counter "kafka_connect_task_error_metrics_deadletterqueue_produce_requests" "Records written to a dead letter queue.";
    DLQ_FAILURES = Counter "kafka_connect_task_error_metrics_deadletterqueue_produce_failures" "Records that a dead letter queue did not take.";
    LAST_ERROR = Gauge "kafka_connect_task_error_metrics_last_error_timestamp" "When the last error was, in milliseconds since the epoch; 0 is never.";

    // No labels.
    CPU_SECONDS = Counter "process_cpu_seconds_total" "User and system CPU time.";
    RESIDENT_BYTES = Gauge "process_resident_memory_bytes" "Resident memory.";
    VIRTUAL_BYTES = Gauge "process_virtual_memory_bytes" "Virtual memory.";
    OPEN_FDS = Gauge "process_open_fds" "Open file descriptors.";
    THREADS = Gauge "process_threads" "Threads.";
    START_TIME = Gauge "process_start_time_seconds" "When the process started, in seconds since the epoch.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_valid() {
        for (at, series) in ALL.iter().enumerate() {
            assert!(ALL[at + 1..].iter().all(|s| s.name != series.name), "{}", series.name);
            assert!(series.name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()));
            assert!(series.help.ends_with('.'), "{}", series.name);
        }
    }

    #[test]
    fn names_of_counters_end_as_prometheus_or_kafka_wants() {
        let kafkas = "kafka_connect_task_error_metrics_";
        for series in ALL.iter().filter(|s| s.kind == Kind::Counter && !s.name.starts_with(kafkas)) {
            assert!(series.name.ends_with("_total"), "{}", series.name);
        }
    }
}
