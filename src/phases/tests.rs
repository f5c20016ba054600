//! What every phase on hosts promises, tried on hosts in memory: a plan after its apply is empty, and applying twice is
//! applying once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::conflicts::Conflicts;
use super::docker::Docker;
use super::image::Image;
use super::preflight::Preflight;
use super::services::Services;
use super::{Context, Phase, Scoped, Severity, package_lock};
use crate::control::ControlHome;
use crate::desired::worker;
use crate::engine::event::{Event, Events, Reporter};
use crate::host::Host;
use crate::host::fake::{FakeHost, said};
use crate::interrupt::Interrupt;
use crate::inventory;
use crate::inventory::model::Runtime;
use crate::kafka_access::KafkaAccess;
use crate::plan::Target;
use crate::secrets::Secrets;
use crate::supervise::Service;

const INVENTORY: &str = "\
cluster: orders
hosts:
  w1:
    address: 10.0.0.1
kafka:
  bootstrap: [broker-1:9092]
  security: PLAINTEXT
conflicts: [confluent-kafka-connect]
";

struct Silent;

impl Reporter for Silent {
    fn event(&self, _: &Event<'_>) {}
}

fn context(host: Arc<FakeHost>, folder: &Path) -> Context {
    let file = folder.join("inventory.yml");
    std::fs::write(&file, INVENTORY).unwrap();
    let inventory = inventory::load(&file).unwrap_or_else(|problems| panic!("{problems}"));
    let home = ControlHome::new(folder, &inventory.cluster);
    let name = host.name().clone();
    Context {
        hosts: BTreeMap::from([(name, host as Arc<dyn Host>)]),
        routes: BTreeMap::new(),
        claimed: Default::default(),
        secrets: Secrets::new(home.clone(), Vec::new()),
        home,
        kafka: KafkaAccess::default(),
        worker: Some(static_program(folder)),
        artifact: OnceCell::new(),
        events: Events::new(Arc::new(Silent)),
        interrupt: Interrupt::never(),
        probe: AtomicBool::new(false),
        inventory,
    }
}

/// The header of a static program for x86_64, which is all that is looked at.
fn static_program(folder: &Path) -> std::path::PathBuf {
    let mut header = vec![0; 64];
    header[..6].copy_from_slice(b"\x7fELF\x02\x01");
    header[18] = 62;
    let path = folder.join("worker");
    std::fs::write(&path, header).unwrap();
    path
}

async fn converges<P: Phase>(phase: P, host: FakeHost, changes: usize) -> Arc<FakeHost> {
    let folder = tempfile::tempdir().unwrap();
    let host = Arc::new(host);
    let ctx = context(Arc::clone(&host), folder.path());
    let target = Target::Host(host.name().clone());
    let at = Scoped { ctx: &ctx, target: &target };

    let facts = phase.check(&at).await.unwrap();
    let planned = phase.plan(&at, &facts);
    assert_eq!(planned.changes.len(), changes, "{planned:?}");
    assert_eq!(planned.changes, phase.plan(&at, &facts).changes, "planning is pure");
    for _twice in 0..2 {
        for change in &planned.changes {
            phase.apply(&at, &facts, change).await.unwrap();
        }
        let facts = phase.check(&at).await.unwrap();
        assert_eq!(phase.plan(&at, &facts).changes, [], "a plan after its apply is empty");
    }
    assert_eq!(phase.verify(&at, None).await.unwrap(), []);
    host
}

/// A host whose answer to `look` changes for good when a command of the title `change` runs.
fn host_that_changes(
    look: &str,
    before: impl Into<String>,
    change: &str,
    after: impl Into<String>,
) -> FakeHost {
    let is_changed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_changed);
    let (before, after) = (before.into(), after.into());
    FakeHost::new("w1")
        .on(change, move |_| {
            is_changed.store(true, Ordering::Relaxed);
            None
        })
        .on(look, move |_| Some(said(if seen.load(Ordering::Relaxed) { &after } else { &before })))
}

#[tokio::test]
async fn docker_converges() {
    let after =
        "client=docker\nengine=20.10.24\nstandalone=1.29.2\nunit=yes\nenabled=yes\nactive=yes\napt=yes\n";
    let host = host_that_changes("look at Docker", "client=absent\napt=yes\n", "install Docker", after);
    converges(Docker, host, 1).await;
    let stopped = "client=docker\nplugin=2.26.1\nunit=yes\napt=yes\n";
    let running = format!("{stopped}engine=26.1.5\nenabled=yes\nactive=yes\n");
    let host = host_that_changes("look at Docker", stopped, "start Docker", running);
    let host = converges(Docker, host, 1).await;
    assert!(!host.ran().iter().any(|title| title.starts_with("install")));
}

#[tokio::test]
async fn services_converge() {
    let folder = tempfile::tempdir().unwrap();
    let host = Arc::new(FakeHost::new("w1"));
    let ctx = context(Arc::clone(&host), folder.path());
    let Some(Service::Container { labels, .. }) = worker::service(&ctx, host.as_ref()).await.unwrap() else {
        panic!("everything that this worker reads is known")
    };
    let container = |status: &str, labels: &str| {
        format!("engine=answers\ncontainer=[\"provision-orders-worker\",{status:?},\"i\",\"\",{labels:?}]\n")
    };
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let running = container("Up 3 seconds (health: starting)", &labels.join(","));
    for before in [
        String::new(),
        container("Up 2 hours (healthy)", "provision.digest=older"),
        container("Exited (1) 2 hours ago", &labels.join(",")),
    ] {
        let host =
            host_that_changes("look at container", before, "start container", running.as_str()).healthy();
        converges(Services, host, 1).await;
    }
    let host = FakeHost::new("w1").on("look at container", move |_| Some(said(&running))).healthy();
    let host = converges(Services, host, 0).await;
    assert!(!host.ran().iter().any(|title| title.starts_with("start")));
}

#[tokio::test]
async fn conflicts_converge() {
    let (before, after) =
        ("unit=enabled active confluent-kafka-connect\n", "unit=disabled inactive confluent-kafka-connect\n");
    let host =
        host_that_changes("look at conflicting", before, "stop and disable confluent-kafka-connect", after);
    converges(Conflicts, host, 1).await;
    converges(Conflicts, FakeHost::new("w1"), 0).await;
}

#[tokio::test]
async fn image_converges() {
    let folder = tempfile::tempdir().unwrap();
    let artifact =
        crate::worker_build::locate(Some(&static_program(folder.path())), Runtime::Docker, &[], &|_| {})
            .await
            .unwrap();
    let after = format!("image={}\n", artifact.image_digest());
    let host =
        host_that_changes("look at the worker image", "image=of another program\n", "load the worker", after);
    converges(Image, host, 1).await;

    let (reference, digest) = (artifact.image(), artifact.image_digest().to_owned());
    let made_from = |image: &str| {
        let label = format!("provision.image-digest={digest}");
        format!("engine=answers\ncontainer=[\"w\",\"Up 1 second\",{image:?},\"\",{label:?}]\n")
    };
    for (image, changes) in [(reference.as_str(), 0), ("0123456789ab", 1)] {
        let answer = made_from(image);
        let folder = tempfile::tempdir().unwrap();
        let host = Arc::new(FakeHost::new("w1").on("look at containers", move |_| Some(said(&answer))));
        let ctx = context(Arc::clone(&host), folder.path());
        let target = Target::Host(host.name().clone());
        let at = Scoped { ctx: &ctx, target: &target };
        let facts = Image.check(&at).await.unwrap();
        assert_eq!(Image.plan(&at, &facts).changes.len(), changes, "{image}");
        // Asked for only where no container tells of it.
        assert_eq!(host.ran().contains(&"look at the worker image".to_owned()), changes > 0, "{image}");
    }
}

#[tokio::test]
async fn what_files_say_of_docker_is_believed_only_of_an_engine_that_answers() {
    let check = async |containers: &'static str, finding: Option<&str>| {
        let folder = tempfile::tempdir().unwrap();
        let glance =
            "client=docker\nengine=26.1.5\nplugin=2.26.1\nunit=yes\nenabled=yes\nactive=yes\napt=yes\n";
        let beside = "client=docker\nplugin=2.26.1\nunit=yes\nenabled=yes\nactive=yes\n";
        let host = FakeHost::new("w1")
            .on("look at Docker", move |_| Some(said(glance)))
            .on("look at Docker beside", move |_| Some(said(beside)))
            .on("look at containers", move |_| Some(said(containers)));
        let host = Arc::new(host);
        let ctx = context(Arc::clone(&host), folder.path());
        let target = Target::Host(host.name().clone());
        let at = Scoped { ctx: &ctx, target: &target };
        let facts = Docker.check(&at).await.unwrap();
        let planned = Docker.plan(&at, &facts);
        assert_eq!(planned.changes, []);
        let found: Vec<&str> = planned.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(found, finding.into_iter().collect::<Vec<_>>());
    };
    check("engine=answers\n", None).await;
    let silent = "Docker is installed and its engine does not answer: it hangs";
    check("engine_error=it hangs\n", Some(silent)).await;
}

#[tokio::test]
async fn preflight_finds_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = "systemd=yes\nmemory=4000000\navailable=2000000\nbroker=0 refused\n";
    let holders = "held=8083 no nginx.service nginx, process 7\n";
    let host = FakeHost::new("w1").on("look at the host's means", move |_| Some(said(taken)));
    let host = Arc::new(host.on("look for the holders of ports", move |_| Some(said(holders))));
    let ctx = context(Arc::clone(&host), folder.path());
    let target = Target::Host(host.name().clone());
    let at = Scoped { ctx: &ctx, target: &target };
    let facts = Preflight.check(&at).await.unwrap();
    let planned = Preflight.plan(&at, &facts);
    assert_eq!(planned.changes, []);
    assert_eq!(planned.findings.len(), 2, "{:?}", planned.findings);
    assert!(planned.findings.iter().all(|finding| finding.severity == Severity::Error));
    assert_eq!(
        host.ran(),
        ["look at the host's means", "look at containers", "look for the holders of ports"]
    );
}

#[tokio::test]
async fn nobody_looks_for_who_holds_the_ports_of_our_own_container() {
    let folder = tempfile::tempdir().unwrap();
    let ports = r#""10.0.0.1:8083->8083/tcp, 10.0.0.1:8079->8079/tcp""#;
    let row = format!(r#"container=["worker","Up 2 minutes","i:1",{ports},"provision.cluster=orders"]"#);
    let host =
        FakeHost::new("w1").on("look at containers", move |_| Some(said(format!("engine=answers\n{row}\n"))));
    let host = Arc::new(host);
    let ctx = context(Arc::clone(&host), folder.path());
    let target = Target::Host(host.name().clone());
    let at = Scoped { ctx: &ctx, target: &target };
    let facts = Preflight.check(&at).await.unwrap();
    let findings = Preflight.plan(&at, &facts).findings;
    assert!(findings.iter().all(|finding| !finding.message.contains("port 80")), "{findings:?}");
    assert_eq!(host.ran(), ["look at the host's means", "look at containers"]);
}

#[tokio::test]
async fn packages_are_waited_for_but_not_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut looks = 0;
    let host = FakeHost::new("w1").on("look for other package managers", move |_| {
        looks += 1;
        Some(said(if looks < 3 { "holder=unattended-upgr, process 17\n" } else { "" }))
    });
    let host = Arc::new(host);
    let ctx = context(Arc::clone(&host), folder.path());
    let target = Target::Host(host.name().clone());
    let at = Scoped { ctx: &ctx, target: &target };
    let error = package_lock::wait_at_most(&at, Duration::ZERO).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "w1: packages are being installed by unattended-upgr, process 17, for 0 s already"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("end it")));
    package_lock::wait(&at).await.unwrap();
    assert_eq!(host.ran().len(), 3);
}
