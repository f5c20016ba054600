use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::Value;

use super::model::{
    AclPolicy, Bind, ByteSize, Connection, DockerSource, NameCheck, Ownership, Runtime, SecretRef,
    StoreLocation, Sudo, Trust,
};
use super::*;

const EXAMPLE: &str = include_str!("../../inventory/example.yml");

fn place(file: &str) -> Place {
    Place {
        file: file.to_owned(),
        folder: PathBuf::from("/inventories"),
        home: Some(PathBuf::from("/home/me")),
    }
}

fn good(text: &str) -> Inventory {
    parse(text, &place("good.yml")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/inventory")
}

/// Every `NAME.yml` there is wrong, and `NAME.txt` is what is said about it: where, what, and what to do.
#[test]
fn every_bad_inventory_gets_all_of_its_problems_told() {
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    cases.sort();
    assert!(cases.len() >= 50, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let told = match parse(&std::fs::read_to_string(&case).unwrap(), &place(&name)) {
            Ok(_) => "no problems\n".to_owned(),
            Err(problems) => {
                for problem in &problems.list {
                    assert!(problem.position.is_some() && problem.hint.is_some(), "{problem}");
                }
                format!("{problems}\n")
            }
        };
        let expected = std::fs::read_to_string(case.with_extension("txt")).unwrap_or_default();
        if told != expected {
            wrong.push(format!("{name}: told:\n{told}expected:\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_lab_is_one_process_host_with_everything_of_ours() {
    let lab = lab();
    assert_eq!((lab.cluster.as_str(), lab.runtime), ("lab", Runtime::Process));
    assert!(matches!(lab.hosts[0].connection, Connection::Local));
    let managed = lab.kafka.managed().unwrap();
    assert_eq!((managed.host.as_str(), managed.port.number()), ("localhost", 9093));
    assert_eq!(lab.kafka.bootstrap_servers(), "127.0.0.1:9093");
    assert_eq!(lab.kafka.security.protocol(), "SASL_SSL");
    assert_eq!(lab.kafka.security.tls().unwrap().trust, Trust::Ours);
    let user = lab.kafka.user.unwrap();
    assert_eq!((user.login.name.as_str(), user.login.password), ("connect-lab", SecretRef::Generated));
    assert_eq!((user.ownership, user.acls), (Ownership::Managed, AclPolicy::Create));
    assert_eq!(lab.kafka.admin.unwrap().password, SecretRef::Generated);
    assert_eq!(lab.connect.topics.offset.replication.get(), 1);
    assert_eq!(lab.hosts[0].worker.rest.bind, Bind::Loopback);
    let users = lab.connectors.values().next().unwrap();
    assert_eq!(users.class.as_str(), "io.confluent.kafka.connect.datagen.DatagenConnector");
    assert_eq!(users.config["max.interval"], "100");
    assert_eq!(lab.warnings, []);
}

#[test]
fn two_production_hosts_fit_in_30_lines() {
    let is_content = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let lines = starter().lines().filter(is_content).count();
    assert!(lines <= 30, "{lines} lines");
    let inventory = good(starter());
    assert_eq!(inventory.hosts.len(), 2);
    assert_eq!(inventory.kafka.security.protocol(), "SASL_SSL");
    assert_eq!(inventory.connect.group.as_str(), "connect-orders");
    assert_eq!(inventory.connect.topics.status.name.as_str(), "connect-orders-status");
    assert_eq!(inventory.conflicts[0].as_str(), "confluent-kafka-connect");
    for host in &inventory.hosts {
        assert_eq!((host.worker.rest.bind, host.worker.metrics.bind), (Bind::Private, Bind::Private));
        assert_eq!((host.worker.rest.port.number(), host.worker.metrics.port.number()), (8083, 8079));
        assert_eq!(host.docker.source, DockerSource::Auto);
    }
    assert_eq!(inventory.warnings.len(), 1, "{:?}", inventory.warnings);
    assert!(
        inventory.warnings[0].to_string().contains("no authentication, and is open on connect-1, connect-2")
    );
}

#[test]
fn the_starters_commented_keys_are_keys() {
    // Inner comments go; what is commented out stays, as it would read without its `#`.
    let uncommented: Vec<&str> = starter()
        .lines()
        .skip_while(|line| !line.starts_with("# topics:"))
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .collect();
    let inventory = good(&format!("{}\n{}\n", starter(), uncommented.join("\n")));
    assert_eq!((inventory.topics.len(), inventory.connectors.len()), (1, 1));
}

#[test]
fn the_example_is_sound_and_means_what_it_says() {
    let example = good(EXAMPLE);
    let Connection::Ssh(ssh) = &example.hosts[1].connection else { panic!("connect-2 is reached over SSH") };
    assert_eq!(ssh.port.unwrap().number(), 2222);
    assert_eq!(ssh.user.as_ref().unwrap().as_str(), "deploy");
    assert_eq!(ssh.identity.as_deref(), Some(std::path::Path::new("/home/me/.ssh/id_ed25519")));
    assert_eq!(ssh.host_keys.len(), 1);
    assert_eq!(ssh.jump.len(), 2);
    let SecretRef::Env(variable) = (match &ssh.sudo {
        Sudo::Password(secret) => secret,
        other => panic!("{other:?}"),
    }) else {
        panic!("an environment variable")
    };
    assert_eq!(variable.as_str(), "SUDO_PASSWORD");
    let worker = &example.hosts[1].worker;
    assert_eq!((worker.rest.port.number(), worker.memory), (18083, ByteSize(1 << 30)));
    assert_eq!(worker.cpus.unwrap().to_string(), "1.5");
    assert_eq!(worker.properties["offset.flush.interval.ms"], "10000");
    assert_eq!(example.hosts[0].worker.memory, ByteSize(512 << 20));
    assert_eq!(example.hosts[1].docker.source, DockerSource::Present);
    let Trust::Store(store) = &example.kafka.security.tls().unwrap().trust else { panic!("a store") };
    assert!(
        matches!(&store.location, StoreLocation::Host(path) if path.as_str() == "/etc/kafka/truststore.p12")
    );
    assert_eq!(store.password, Some(SecretRef::File(PathBuf::from("/home/me/.secrets/truststore"))));
    assert_eq!(example.kafka.security.tls().unwrap().names, NameCheck::Verify);
    let words = ["pass", "show", "kafka/admin"].map(str::to_owned).to_vec();
    assert_eq!(example.kafka.admin.unwrap().password, SecretRef::Command(words));
    let broker = model::Address::parse("broker-1.kafka.internal").unwrap();
    assert_eq!(example.kafka.extra_hosts[&broker], IpAddr::from([10, 0, 9, 1]));
}

#[test]
fn what_a_host_says_comes_before_what_all_say() {
    let inventory = good(
        r#"
cluster: orders
hosts:
  a: { address: 10.0.0.1 }
  b:
    address: 10.0.0.2
    ssh: { user: root, jump: [] }
    connect: { metrics: { port: 9079 }, properties: { x: b, z: b } }
    docker: { source: vendor }
ssh: { user: deploy, jump: [gate], sudo: passwordless }
connect: { metrics: { bind: all }, pids: 100, properties: { x: all, y: all } }
docker: { vendor: { url: "http://10.0.0.9/docker/", fingerprint: 9dc8 5822 9fc7 dd38 854a e2d8 8d81 803c 0ebf cd88 } }
kafka: { bootstrap: ["[fd00::9]:9092"], security: PLAINTEXT }
"#,
    );
    let [a, b] = inventory.hosts.as_slice() else { panic!("two hosts") };
    let (Connection::Ssh(to_a), Connection::Ssh(to_b)) = (&a.connection, &b.connection) else {
        panic!("SSH")
    };
    assert_eq!((to_a.jump.len(), to_b.jump.len()), (1, 0));
    assert_eq!((to_b.user.as_ref().unwrap().as_str(), &to_b.sudo), ("root", &Sudo::Passwordless));
    assert_eq!((b.worker.metrics.port.number(), b.worker.metrics.bind), (9079, Bind::All));
    assert_eq!((a.worker.pids.get(), b.worker.pids.get()), (100, 100));
    let properties: Vec<(&str, &str)> =
        b.worker.properties.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(properties, [("x", "b"), ("y", "all"), ("z", "b")]);
    assert_eq!((a.docker.source, b.docker.source), (DockerSource::Auto, DockerSource::Vendor));
    assert_eq!(b.docker.vendor.url.as_str(), "http://10.0.0.9/docker");
    assert_eq!(b.docker.vendor.fingerprint.as_str(), "9DC858229FC7DD38854AE2D88D81803C0EBFCD88");
    assert_eq!(inventory.kafka.bootstrap_servers(), "[fd00::9]:9092");
    assert!(inventory.kafka.user.is_none() && inventory.kafka.admin.is_none());
}

#[test]
fn root_needs_no_sudo_unless_it_is_asked_for() {
    let inventory = good(&starter().replace("user: deploy", "user: root"));
    let Connection::Ssh(ssh) = &inventory.hosts[0].connection else { panic!("SSH") };
    assert_eq!(ssh.sudo, Sudo::None);
}

/// Every key that a schema or a part of it names, with what the key takes.
fn schema_keys<'s>(schema: &'s Value, keys: &mut Vec<(&'s str, &'s Value)>) {
    let Value::Object(object) = schema else { return };
    for named in ["properties", "$defs"] {
        for (key, part) in object.get(named).and_then(Value::as_object).into_iter().flatten() {
            if named == "properties" {
                keys.push((key, part));
            }
            schema_keys(part, keys);
        }
    }
    for part in ["items", "additionalProperties"].into_iter().filter_map(|name| object.get(name)) {
        schema_keys(part, keys);
    }
    for part in object.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        schema_keys(part, keys);
    }
}

#[test]
fn every_key_of_the_schema_is_in_the_example() {
    let schema = schema::json();
    let mut keys = Vec::new();
    schema_keys(&schema, &mut keys);
    let keys: BTreeSet<&str> = keys.into_iter().map(|(key, _)| key).collect();
    assert!(keys.len() > 60, "{keys:?}");
    let words: BTreeSet<&str> =
        EXAMPLE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').collect();
    let absent: Vec<&&str> = keys.iter().filter(|key| !words.contains(format!("{key}:").as_str())).collect();
    assert!(absent.is_empty(), "not in example.yml: {absent:?}");
}

#[test]
fn every_key_of_the_schema_is_described() {
    let schema = schema::json();
    let mut keys = Vec::new();
    schema_keys(&schema, &mut keys);
    let silent: Vec<&str> = keys
        .into_iter()
        .filter(|(_, takes)| takes.get("description").is_none())
        .map(|(key, _)| key)
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_examples_managed_kafka_is_sound() {
    let managed: Vec<&str> = EXAMPLE
        .lines()
        .skip_while(|line| *line != "#   kafka:")
        .take_while(|line| *line != "#")
        .map(|line| line.trim_start_matches("#   "))
        .collect();
    let text = format!(
        "cluster: lab\nruntime: process\nhosts: {{ localhost: {{ connection: local }} }}\n{}\n",
        managed.join("\n")
    );
    let managed = good(&text).kafka.managed().cloned().unwrap();
    assert_eq!(managed.data.unwrap().as_str(), "/var/lib/kafka");
    assert_eq!(managed.home.unwrap(), PathBuf::from("/home/me/kafka_2.13-4.3.1"));
}

/// A secret that was typed where a reference belongs must not come back in any message.
#[test]
fn a_typed_secret_is_never_repeated() {
    const POISON: &str = "hunter2-Xyzzy";
    let forms = [
        POISON.to_owned(),
        format!("{{ value: {POISON} }}"),
        format!("{{ {POISON} }}"),
        format!("{{ {POISON}: x, env: A }}"),
        format!("[{POISON}]"),
        format!("{{ env: \"{POISON}\" }}"),
        format!("{{ env: [{POISON}] }}"),
        format!("{{ command: {POISON} }}"),
        format!("{{ file: \"{POISON}\\n\" }}"),
        format!("!{POISON}"),
        format!("&{POISON}"),
        format!("*{POISON}"),
        format!("| {POISON}"),
        format!("{POISON}: {POISON}"),
        format!("{{ env: A, file: {POISON} }}"),
        format!("{{ env: A, env: {POISON} }}"),
        format!("\"{POISON}"),
    ];
    let text = |secret: &str| {
        format!(
            "cluster: orders\nhosts:\n  connect-1: {{ address: 10.0.1.11 }}\nssh: {{ sudo: {{ password: {secret} }} }}\n\
             kafka:\n  bootstrap: [broker-1:9093]\n  trust: {{ jks: a, password: {secret} }}\n  \
             admin: {{ username: admin, password: {secret} }}\n  user: {{ password: {secret} }}\n"
        )
    };
    for form in forms {
        let problems = parse(&text(&form), &place("bad.yml")).expect_err(&form);
        assert!(!format!("{problems} {problems:?}").contains("hunter2"), "{form}: {problems}");
    }
    // One step too high, or with the colon forgotten.
    for line in [
        "kafka: POISON",
        "kafka: { user: POISON }",
        "kafka: { user: [POISON] }",
        "kafka: { user: { POISON } }",
        "kafka: { user: { password POISON } }",
        "kafka: { admin: POISON }",
        "kafka: { trust: POISON }",
        "ssh: POISON",
        "ssh: { sudo: POISON }",
        "ssh: { sudo: { POISON } }",
        "hosts: { a: POISON }",
        "hosts: { a: { ssh: { sudo: [POISON] } } }",
        "connect: { properties: { ssl.keystore.password: [POISON] } }",
        "POISON",
    ] {
        let line = line.replace("POISON", POISON);
        let problems = parse(&format!("cluster: orders\n{line}\n"), &place("bad.yml")).expect_err(&line);
        assert!(!format!("{problems} {problems:?}").contains("hunter2"), "{line}: {problems}");
    }
    // The search can find: elsewhere what was typed is repeated.
    let problems = parse(&format!("cluster: {POISON}\n"), &place("bad.yml")).unwrap_err();
    assert!(problems.to_string().contains(POISON));
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_with_a_hint() {
    let missing = golden().join("no-such-file.yml");
    let problems = load(&missing).unwrap_err();
    assert!(
        problems.to_string().contains("no-such-file.yml: cannot read this file: No such file"),
        "{problems}"
    );
    let folder = load(&golden()).unwrap_err();
    assert_eq!((folder.list.len(), folder.list[0].position), (1, None));
}

#[test]
fn relative_files_start_at_the_inventorys_folder() {
    let inventory = good(starter());
    let Trust::Store(store) = &inventory.kafka.security.tls().unwrap().trust else { panic!("a store") };
    assert_eq!(store.location, StoreLocation::Control(PathBuf::from("/inventories/./kafka-ca.pem")));
}

/// One line of the example, replaced by something else.
fn damaged() -> impl Strategy<Value = String> {
    let lines: Vec<&str> = EXAMPLE.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let damage = prop_oneof![
        Just(String::new()),
        Just("x".to_owned()),
        Just(": ".to_owned()),
        Just("- 1".to_owned()),
        Just("{}".to_owned()),
        Just("[[]]".to_owned()),
        "[ -~]{0,20}",
    ];
    (0..lines.len(), damage, any::<bool>()).prop_map(move |(index, damage, keeps_key)| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let indent = lines[index].len() - lines[index].trim_start().len();
        lines[index] = match lines[index].split_once(':') {
            Some((key, _)) if keeps_key => format!("{key}: {damage}"),
            _ => format!("{}{damage}", " ".repeat(indent)),
        };
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn what_the_schema_passes_is_what_the_types_take(text in damaged()) {
        let (tree, problems) = tree::parse(&text, "damaged.yml");
        if let Some(tree) = tree {
            let mut report = Report::new("damaged.yml", &tree, problems);
            let sound = shape::check(&schema::json(), &mut report);
            prop_assert!(raw::Inventory::deserialize(sound).is_ok(), "{text}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in prop_oneof![any::<String>(), damaged()]) {
        if let Err(problems) = parse(&text, &place("any.yml")) {
            prop_assert!(!problems.list.is_empty());
            prop_assert!(problems.list.iter().all(|problem| problem.position.is_some()));
        }
    }
}
