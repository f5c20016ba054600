//! Faults of a Kafka of our own: its authority, its storage, its start.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use pki::{Authority, AuthoritySpec, Validity};
use secrecy::ExposeSecret;
use testbed::wait;
use time::OffsetDateTime;

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

/// The cluster's authority has expired: it is moved away as the hint says, and everything that rests on it is renewed.
pub(super) fn expired_authority(site: &Site) {
    let long_ago = OffsetDateTime::now_utc() - time::Duration::days(400);
    let expired = Authority::create(&AuthoritySpec {
        common_name: "expired authority".to_owned(),
        validity: Validity::starting(long_ago, time::Duration::days(365)),
    })
    .unwrap();
    let (certificate, key) = (site.kept().join("ca.pem"), site.kept().join("ca.key"));
    fs::write(&certificate, expired.certificate_pem()).unwrap();
    fs::write(&key, expired.key_pem().expose_secret()).unwrap();
    let folder = site.kept().display().to_string();
    let says = ["authority in", &folder, "expired on", "ca.pem and", "ca.key away", "new authority"];
    site.apply(&site.right).fails("an expired authority of ours", CHECK_FAILED, &says);

    for file in [certificate, key] {
        fs::rename(&file, file.with_extension("expired")).unwrap();
    }
    let done = site.converge("the expired authority is out of the way");
    for change in [
        "trust create certificate authority",
        "kafka update broker configuration",
        "kafka restart broker",
        "services restart connect-worker",
    ] {
        assert!(done.contains(&change.to_owned()), "{change}: {done:#?}");
    }
    site.is_converged("a new authority");
}
