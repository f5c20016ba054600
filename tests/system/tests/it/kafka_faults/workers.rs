//! Workers that end, hang or are killed, and connectors that cannot work: told with the worker's own words, and set right
//! by the run after the fault.

use std::process::{Command, Stdio};
use std::time::Duration;

use testbed::wait;

use super::ground::Ground;
use super::site::{CHECK_FAILED, PARTLY_APPLIED, Run, Site, USAGE};

pub(super) async fn all(site: &Site, ground: &Ground) {
    wrong_property(site);
    killed(site);
    impossible_connectors(site, ground).await;
    failing_task(site);
}

/// A worker that ends at once tells which property it cannot work with.
fn wrong_property(site: &Site) {
    let mut inventory = site.right.clone();
    inventory.connect.push_str("  properties: { offset.flush.interval.ms: never }\n");
    let says = ["here: Services", "the worker ended", "offset.flush.interval.ms", "never", "mend"];
    site.apply(&inventory).fails("a worker property of the wrong type", PARTLY_APPLIED, &says);
    let done = site.converge("the worker property is right again");
    assert!(done.iter().any(|change| change.starts_with("files update")), "{done:?}");
    assert!(done.iter().any(|change| change.ends_with("connect-worker")), "{done:?}");
    site.is_converged("the worker property was set right");
}

fn killed(site: &Site) {
    site.signal_worker("KILL");
    let plan = site.plan(&site.right);
    let fields = &plan.document["plan"]["changes"][0]["fields"];
    assert_eq!(fields[0], "found dead", "{:#}", plan.document);
    assert_eq!(site.converge("the worker was killed"), ["services restart connect-worker"]);
    site.is_converged("the worker was started again");
}

async fn impossible_connectors(site: &Site, ground: &Ground) {
    let mut inventory = site.right.clone();
    inventory.connectors.push_str("  absent:\n    connector.class: com.example.NobodyHasThis\n");
    let says = ["connectors.absent", "com.example.NobodyHasThis"];
    let before = ground.standing(site).await;
    let run = site.apply(&inventory);
    assert_eq!(run.exit, USAGE, "{:#}", run.document);
    let problems = run.document.to_string();
    assert!(says.iter().all(|word| problems.contains(word)), "{problems}");
    before.is_still(ground, site, "a class that no worker has").await;

    let mut inventory = site.right.clone();
    inventory.connectors = inventory.connectors.replace("max.interval: 100", "max.interval: soon");
    let name = format!("{}-users", site.name);
    let place = format!("connector {name}");
    let says = [&place, "refuses its config (1 error)", "max.interval", &format!("connectors.{name}")];
    site.apply(&inventory).fails("a config that the connector refuses", CHECK_FAILED, &says);
    before.is_still(ground, site, "a config that the connector refuses").await;
    site.is_converged("impossible connectors");
}

/// A task that fails brings its trace, and runs once its cause is gone.
fn failing_task(site: &Site) {
    let folder = site.state().join("lines");
    let mut inventory = site.right.clone();
    inventory.connectors.push_str(&format!(
        "  lines:\n    connector.class: FileStreamSinkConnector\n    topics: {}-users\n    tasks.max: 1\n    \
         file: {}/out\n",
        site.name,
        folder.display()
    ));
    let says = ["connector lines", "task 0 failed", "lines/out", "failed tasks are restarted"];
    site.apply(&inventory).fails("a task that fails at its start", PARTLY_APPLIED, &says);
    let again = site.apply(&inventory);
    again.fails("a task that fails again", PARTLY_APPLIED, &says);
    assert_eq!(again.done(), Vec::<String>::new());

    std::fs::create_dir(&folder).unwrap();
    let mended = site.apply(&inventory);
    assert_eq!(mended.exit, 0, "{}", mended.told());
    assert_eq!(mended.done(), ["connectors restart connector lines"]);
    let last = site.apply(&inventory);
    assert_eq!((last.exit, last.done()), (0, Vec::new()), "{}", last.told());
}

/// Starts a run whose worker is frozen as soon as it exists, so that it never becomes healthy.
pub(super) async fn freeze_at_start(site: &Site) -> std::process::Child {
    site.write(&site.right);
    let run = site.command(&["apply", "--yes", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let has_started = async || Ok(site.state().join("connect-worker.pid").exists().then_some(()));
    wait::until("the worker has started", Duration::from_secs(240), has_started, String::new).await.unwrap();
    site.signal_worker("STOP");
    run
}

/// What the run of [`freeze_at_start`] came to, and the runs after it.
pub(super) fn thaw(site: &Site, run: std::process::Child) {
    let output = run.wait_with_output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap();
    let run = Run { exit: output.status.code().unwrap(), document };
    let says = ["here: Services", "not healthy after 90 s", "mend"];
    run.fails("a worker that never becomes healthy", PARTLY_APPLIED, &says);
    site.signal_worker("CONT");
    let done = site.converge("the worker was thawed");
    assert!(done.contains(&format!("connectors create connector {}-users", site.name)), "{done:?}");
    site.is_converged("the thawed worker");
}

impl Site {
    fn signal_worker(&self, signal: &str) {
        let text = std::fs::read_to_string(self.state().join("connect-worker.pid")).unwrap();
        let pid = text.split_whitespace().next().unwrap();
        assert!(Command::new("kill").args(["-s", signal, pid]).status().unwrap().success());
    }
}
