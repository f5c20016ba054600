//! Brokers that stop, freeze and come back, between runs and in the middle of one.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use kafka_control::{ConfigAlteration, ConfigOperation, ConfigResource, CreateMode};

use super::ground::Ground;
use super::site::{CHECK_FAILED, DONE, Site};

/// The only broker is frozen, then stopped.
pub(super) async fn the_only_one(site: &Site, ground: &mut Ground) {
    ground.kafka.broker(1).pause().await.unwrap();
    let says = ["127.0.0.1:", "no answer within 15s", "TLS handshake", "overloaded"];
    site.apply(&site.right).fails("a frozen broker", CHECK_FAILED, &says);
    ground.kafka.broker(1).resume().await.unwrap();
    site.until_settled().await;
    site.converge("the broker was thawed");
    site.is_converged("a frozen broker");

    ground.kafka.broker(1).stop().await.unwrap();
    let says = ["cannot connect", "Connection refused", "is the broker running"];
    site.apply(&site.right).fails("a stopped broker", CHECK_FAILED, &says);
    ground.kafka.broker(1).start().await.unwrap();
    site.until_settled().await;
    site.converge("the broker was started again");
    site.is_converged("a stopped broker");
}

/// One of three brokers is away: the run says so and does its work.
pub(super) async fn one_of_three(site: &Site, ground: &mut Ground) {
    let first = ground.kafka.brokers()[0].address();
    ground.kafka.broker(1).kill().await.unwrap();
    let run = site.apply(&site.right);
    assert_eq!(run.exit, DONE, "one of three brokers is dead: {}", run.told());
    let is_told =
        run.warnings().iter().any(|it| it.contains(&format!("cannot connect to the broker {first}")));
    assert!(is_told, "{}", run.told());
    ground.kafka.broker(1).start().await.unwrap();
    site.converge("the dead broker is back");
    site.is_converged("one of three brokers was dead");

    ground.kafka.broker(1).pause().await.unwrap();
    let run = site.apply(&site.right);
    ground.kafka.broker(1).resume().await.unwrap();
    assert_eq!(run.exit, DONE, "one of three brokers is frozen: {}", run.told());
    site.converge("the frozen broker is back");
    site.is_converged("one of three brokers was frozen");
}

/// A topic that one broker can stop is a warning, and no more.
pub(super) async fn too_many_in_sync(site: &Site, ground: &Ground) {
    let topic = format!("connect-{}-status", site.name);
    let resource = ConfigResource::Topic(topic.clone());
    let alter = async |operation| {
        let alterations = [ConfigAlteration { name: "min.insync.replicas".to_owned(), operation }];
        let admin = ground.admin();
        admin.incremental_alter_configs(&resource, &alterations, CreateMode::Create).await.unwrap();
    };
    alter(ConfigOperation::Set("3".to_owned())).await;
    let run = site.apply(&site.right);
    assert_eq!((run.exit, run.done()), (DONE, Vec::new()), "{}", run.told());
    let is_told = |warning: &String| {
        [topic.as_str(), "min.insync.replicas", "one broker down stops all writes", "lower"]
            .iter()
            .all(|word| warning.contains(word))
    };
    assert!(run.warnings().iter().any(is_told), "{}", run.told());
    alter(ConfigOperation::Delete).await;
}

/// The controller is killed while topics and connectors are being made: the run waits for its successor.
pub(super) async fn the_controller_in_mid_run(site: &mut Site, ground: &mut Ground) {
    let quorum = ["describe", "--status"];
    let told =
        ground.kafka.admin_tool("org.apache.kafka.tools.MetadataQuorumCommand", &quorum).await.unwrap();
    let leader = told.lines().find_map(|line| line.strip_prefix("LeaderId:")).unwrap();
    let leader: u8 = leader.trim().parse().unwrap();

    for number in 0..5 {
        site.right.topics.push_str(&format!("  more-{number}: {{ partitions: 3, replication: 3 }}\n"));
    }
    site.write(&site.right);
    let mut run =
        site.command(&["apply", "--yes"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    for line in BufReader::new(run.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains("topic more-0") {
            ground.kafka.broker(leader).kill().await.unwrap();
        }
        told.push_str(&line);
        told.push('\n');
    }
    let exit = run.wait().unwrap().code();
    assert!(told.contains("topic more-4"), "{told}");
    assert_eq!(exit, Some(DONE), "{told}");
    ground.kafka.broker(leader).start().await.unwrap();
    site.converge("the controller is back");
    site.is_converged("the controller was killed");
}
