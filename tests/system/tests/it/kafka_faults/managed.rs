//! Faults of a Kafka of our own: its storage, its start.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use testbed::wait;

use super::site::{CHECK_FAILED, PARTLY_APPLIED, Run, Site};

/// The broker is killed as soon as it has been started.
pub(super) async fn killed_at_start(site: &Site) {
    site.write(&site.right);
    let run = site.command(&["apply", "--yes", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let pid_file = site.state().join("kafka/kafka.pid");
    let pid = async || Ok(fs::read_to_string(&pid_file).ok());
    let text =
        wait::until("the broker was started", Duration::from_secs(240), pid, String::new).await.unwrap();
    let pid = text.split_whitespace().next().unwrap();
    assert!(std::process::Command::new("kill").args(["-9", pid]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap();
    let run = Run { exit: output.status.code().unwrap(), document };
    let says = ["here: Kafka", "Kafka ended while it was starting", "kafka.log"];
    run.fails("a broker that is killed at its start", PARTLY_APPLIED, &says);
    let done = site.converge("the broker may live");
    assert!(done.iter().any(|change| change.ends_with("broker")), "{done:?}");
    assert!(!done.contains(&"kafka create broker storage".to_owned()), "formatted once: {done:?}");
    site.is_converged("a broker that was killed at its start");
}

/// The storage says that it belongs to another cluster.
pub(super) fn storage_of_another_cluster(site: &Site) {
    let file = site.state().join("kafka/data/meta.properties");
    let ours = fs::read_to_string(&file).unwrap();
    let id = ours.lines().find_map(|line| line.strip_prefix("cluster.id=")).unwrap();
    fs::write(&file, ours.replace(id, "AAAAAAAAAAAAAAAAAAAAAA")).unwrap();
    let says = ["here", "kafka/data", "another Kafka cluster (AAAAAAAAAAAAAAAAAAAAAA)", "move the storage"];
    site.apply(&site.right).fails("storage of another cluster", CHECK_FAILED, &says);
    fs::write(&file, ours).unwrap();
    site.is_converged("storage of another cluster");
}
