//! From what a connector returned for its tasks to what the config topic holds.

use crate::config::providers::ConfigProviders;
use crate::names::{ConnectorName, RawConfig};
use crate::worker::connector_runner::TaskPlan;

/// Adds what every task config holds, and puts variables back where the connector's raw config has them, so that
/// no secret is stored.
pub(crate) fn raw_configs(plan: TaskPlan, connector: &RawConfig) -> Vec<RawConfig> {
    let is_sink = connector.contains_key("topics") || connector.contains_key("topics.regex");
    plan.configs
        .into_iter()
        .map(|mut task| {
            task.insert("task.class".to_owned(), plan.task_class.to_owned());
            for key in ["topics", "topics.regex"] {
                if let (true, Some(value)) = (is_sink, connector.get(key)) {
                    task.insert(key.to_owned(), value.clone());
                }
            }
            for (key, raw) in connector.iter().filter(|(_, raw)| ConfigProviders::has_variable(raw)) {
                if let Some(value) = task.get_mut(key) {
                    value.clone_from(raw);
                }
            }
            task
        })
        .collect()
}

/// Errors: the message of a connector that made more tasks than it may.
pub(crate) fn check_count(name: &ConnectorName, count: usize, max: usize) -> Result<(), String> {
    if count <= max {
        return Ok(());
    }
    Err(format!(
        "The connector {name} has generated {count} tasks, which is greater than {max}, the maximum number of tasks \
         it is configured to create. This behaviour should be considered a bug and is disallowed. If necessary, it \
         can be permitted by reconfiguring the connector with 'tasks.max.enforce' set to false; however, this option \
         will be removed in a future release of Kafka Connect."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> RawConfig {
        entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn secrets_are_not_stored() {
        let connector = map(&[("topics", "t"), ("password", "${file:/x:p}"), ("user", "u")]);
        let plan = TaskPlan { task_class: "T", configs: vec![map(&[("password", "s3cret"), ("user", "u")])] };
        let expected =
            map(&[("password", "${file:/x:p}"), ("task.class", "T"), ("topics", "t"), ("user", "u")]);
        assert_eq!(raw_configs(plan, &connector), [expected]);
    }

    #[test]
    fn too_many_tasks_are_refused() {
        check_count(&"c".into(), 2, 2).unwrap();
        assert!(check_count(&"c".into(), 3, 2).unwrap_err().contains("generated 3 tasks"));
    }
}
