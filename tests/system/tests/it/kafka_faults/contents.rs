//! What is wrong inside Kafka: topics, rights, groups, users. Found before anything is changed, or set right.

use kafka_control::group::{Member, MemberConfig};
use kafka_control::scram::{ScramCredential, ScramMechanism};
use kafka_control::{
    AclFilter, Client, ConfigAlteration, ConfigOperation, ConfigResource, CreateMode, ResourceType,
    ScramUserUpsertion,
};
use secrecy::SecretString;
use std::time::Duration;

use bytes::Bytes;

use super::ground::{self, Ground};
use super::site::{CHECK_FAILED, Inventory, Site};

pub(super) async fn all(site: &Site, ground: &Ground) {
    let admin = ground.admin();
    wrong_topics(site, ground, &admin).await;
    groups_of_others(site, ground).await;
    lost_rights(site, ground, &admin).await;
    changed_password(site, &admin).await;
    powerless_admin(site, ground, &admin).await;
}

/// An inventory that is refused while Kafka is as it is; nothing is made.
async fn refused(site: &Site, ground: &Ground, name: &str, inventory: &Inventory, says: &[&str]) {
    let before = ground.standing(site).await;
    site.apply(inventory).fails(name, CHECK_FAILED, says);
    before.is_still(ground, site, name).await;
}

async fn wrong_topics(site: &Site, ground: &Ground, admin: &Client) {
    let made = admin.create_topics(&[ground::topic("two-configs", 2, "compact")], CreateMode::Create).await;
    made.unwrap()["two-configs"].as_ref().unwrap();
    let mut inventory = site.right.clone();
    inventory.connect = inventory.connect.replace("config: {", "config: { name: two-configs,");
    let says = ["topic two-configs", "has 2 partitions", "exactly 1", "connect.topics.config.name"];
    refused(site, ground, "a config topic with two partitions", &inventory, &says).await;

    for topic in ["configs", "offsets", "status"] {
        let topic = format!("connect-{}-{topic}", site.name);
        set_policy(admin, &topic, "delete").await;
        let says = [&topic, "cleanup.policy=delete", "compact", "kafka-configs.sh --alter"];
        refused(site, ground, &format!("{topic} with another policy"), &site.right, &says).await;
        set_policy(admin, &topic, "compact").await;
    }

    let mut inventory = site.right.clone();
    inventory.topics.push_str("  many: { replication: 3 }\n");
    let says = ["topic many", "INVALID_REPLICATION_FACTOR", "topics.many.replication", "brokers"];
    refused(site, ground, "more replicas than brokers", &inventory, &says).await;

    let mut inventory = site.right.clone();
    inventory.connect = inventory.connect.replace("status: {", "status: { name: other-status,");
    inventory.connect = inventory.connect.replace("replication: 1, partitions: 1", "replication: 2");
    let says = ["topic other-status", "INVALID_REPLICATION_FACTOR", "connect.topics.status.replication"];
    refused(site, ground, "more replicas of an internal topic than brokers", &inventory, &says).await;

    let mut inventory = site.right.clone();
    inventory.topics.push_str("  odd: { replication: 1, config: { retention.ms: soon } }\n");
    let says = ["topic odd", "INVALID_CONFIG", "retention.ms", "topics.odd.config"];
    refused(site, ground, "a topic configuration that Kafka refuses", &inventory, &says).await;
    site.is_converged("wrong topics");
}

async fn set_policy(admin: &Client, topic: &str, policy: &str) {
    let alteration = ConfigAlteration {
        name: "cleanup.policy".to_owned(),
        operation: ConfigOperation::Set(policy.to_owned()),
    };
    let resource = ConfigResource::Topic(topic.to_owned());
    admin.incremental_alter_configs(&resource, &[alteration], CreateMode::Create).await.unwrap();
}

async fn groups_of_others(site: &Site, ground: &Ground) {
    for (protocol_type, metadata, says) in [
        ("consumer", Bytes::new(), ["group taken-consumer", "of type `consumer`", "connect.group"]),
        (
            "connect",
            Bytes::from_static(b"\x00\x01\x00\x15http://10.0.9.9:8083/\0\0\0\0\0\0\0\x07"),
            ["group taken-connect", "another Connect cluster: http://10.0.9.9:8083/", "connect.group"],
        ),
    ] {
        let group = format!("taken-{protocol_type}");
        let member = Member::new(
            ground.admin(),
            MemberConfig {
                group_id: group.clone(),
                protocol_type: protocol_type.to_owned(),
                session_timeout: Duration::from_secs(300),
                rebalance_timeout: Duration::from_secs(300),
                group_instance_id: None,
            },
        );
        let joined = member.join(&[("default", metadata)], "test").await.unwrap();
        let assignments = vec![(joined.member_id.clone(), Bytes::new())].into_iter().collect();
        member.sync(&joined, assignments).await.unwrap();
        let mut inventory = site.right.clone();
        inventory.connect = format!("  group: {group}\n{}", inventory.connect);
        inventory.connect =
            inventory.connect.replace("config: {", &format!("config: {{ name: {group}-configs,"));
        refused(site, ground, &format!("a group of type {protocol_type}"), &inventory, &says).await;
        member.leave("test").await.unwrap();
    }
    site.is_converged("groups of others");
}

/// Rights that somebody has taken away are named exactly, and given back when that is wanted.
async fn lost_rights(site: &Site, ground: &Ground, admin: &Client) {
    let principal = format!("User:connect-{}", site.name);
    let lost = [
        (ResourceType::Group, format!("connect-{}", site.name), "Read --group"),
        (ResourceType::Topic, format!("connect-{}-configs", site.name), "DescribeConfigs --topic"),
        (ResourceType::Topic, format!("{}-users", site.name), "Write --topic"),
    ];
    let mut commands = Vec::new();
    for (resource_type, name, words) in &lost {
        let filter = AclFilter {
            resource_type: *resource_type,
            resource_name: Some(name.clone()),
            principal: Some(principal.clone()),
            ..AclFilter::default()
        };
        assert!(admin.delete_acls(&filter).await.unwrap() > 0, "{name} had ACLs");
        commands
            .push(format!("kafka-acls.sh --add --allow-principal {principal} --operation {words} {name}"));
    }
    let mut inventory = site.right.clone();
    inventory.user = "{ acls: check }".to_owned();
    let mut says = vec![principal.as_str(), "lacks 7 ACLs", "kafka.user.acls: create"];
    says.extend(commands.iter().map(String::as_str));
    refused(site, ground, "rights that were taken away", &inventory, &says).await;

    let done = site.converge("rights are given back");
    for (resource_type, name, _) in &lost {
        let kind = if *resource_type == ResourceType::Group { "group" } else { "topic" };
        let change = format!("credentials create ACLs of {principal} on {kind} {name}");
        assert!(done.contains(&change), "{change}: {done:?}");
    }
    site.is_converged("rights were given back");
}

/// Another tool has given the workers' user another password.
async fn changed_password(site: &Site, admin: &Client) {
    let name = format!("connect-{}", site.name);
    let password = SecretString::from("another");
    let credential = ScramCredential::new(ScramMechanism::Sha512, &password, 4096, vec![7; 24]).unwrap();
    let upsertion = ScramUserUpsertion { name: name.clone(), credential };
    admin.upsert_scram_users(&[upsertion]).await.unwrap()[&name].as_ref().unwrap();
    let done = site.converge("the user's password was changed");
    assert!(done.contains(&format!("credentials update user {name}")), "{done:?}");
    site.is_converged("the user's password was set back");
}

/// An admin user without any right is told which it needs.
async fn powerless_admin(site: &Site, ground: &Ground, admin: &Client) {
    let password = SecretString::from("powerless");
    let credential = ScramCredential::new(ScramMechanism::Sha512, &password, 4096, vec![7; 24]).unwrap();
    let upsertion = ScramUserUpsertion { name: "powerless".to_owned(), credential };
    admin.upsert_scram_users(&[upsertion]).await.unwrap()["powerless"].as_ref().unwrap();
    let mut inventory = site.right.clone();
    inventory.admin = "{ username: powerless, password: { command: [echo, powerless] } }".to_owned();
    inventory.topics.push_str("  more: { replication: 1 }\n");
    let says = ["topic", "TOPIC_AUTHORIZATION_FAILED", "ACL"];
    refused(site, ground, "an admin user without rights", &inventory, &says).await;
    site.is_converged("an admin user without rights");
}
