//! The herder's task over logs in memory, in a group that the test plays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::config::properties::Properties;
use crate::config::worker::tests::MINIMAL;
use crate::herder::actor::{Actor, HerderFailure, Inputs, Parts, TaskPublisher};
use crate::herder::distributed::DistributedHerder;
use crate::herder::stage::StageCell;
use crate::herder::{Existing, Herder, HerderError};
use crate::membership::member::{Assigned, Command, GroupEvent, JoinId, MemberHandle, Owners};
use crate::membership::protocol::{Assignment, Work};
use crate::membership::session::Session;
use crate::metrics::group::GroupMetrics;
use crate::metrics::registry::Registry;
use crate::names::{ConnectorName, RawConfig, TargetState};
use crate::storage::config_store::{ConfigStore, ConfigView};
use crate::storage::log::{Ack, LogError, TopicLog};
use crate::storage::memory::MemoryLog;
use crate::storage::offset_store::{OffsetStore, OffsetView};
use crate::storage::records::ConfigRecord;
use crate::storage::status_store::{StatusStore, StatusView};
use crate::worker::controls::Identity;
use crate::worker::instances::{Surroundings, Worker};

const SESSION: Duration = Duration::from_secs(10);
const URL: &str = "http://w:1/";

/// A log whose end cannot be reached while the gate is closed.
struct GatedLog {
    log: Arc<MemoryLog>,
    is_open: watch::Sender<bool>,
}

#[async_trait]
impl TopicLog for GatedLog {
    async fn read_to_end(&self) -> Result<(), LogError> {
        self.is_open.subscribe().wait_for(|is_open| *is_open).await.unwrap();
        self.log.read_to_end().await
    }

    fn append(&self, key: &[u8], value: Option<&[u8]>) -> Result<Ack, LogError> {
        self.log.append(key, value)
    }

    fn fault(&self) -> Option<LogError> {
        self.log.fault()
    }
}

struct NoPublisher;

#[async_trait]
impl TaskPublisher for NoPublisher {
    async fn publish(&self, _leader_url: &str, _name: &ConnectorName, _tasks: &[RawConfig]) {}
}

/// A herder that works, and its group.
struct Bench {
    herder: DistributedHerder,
    configs: Arc<GatedLog>,
    group: Group,
    discarded: Arc<AtomicUsize>,
    shutdown: CancellationToken,
    actor: JoinHandle<Result<(), HerderFailure>>,
}

struct Group {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<(JoinId, GroupEvent)>,
    session: Session,
    configs: ConfigStore,
}

/// A connector that exists from the beginning.
fn connector() -> ConnectorName {
    "c".into()
}

impl Bench {
    fn start(extra: &str) -> Self {
        let properties = Properties::parse(&format!("{MINIMAL}{extra}")).unwrap();
        let config = Arc::new(WorkerConfig::read(properties, &BTreeMap::new()).unwrap());
        let settings =
            [("name", "c"), ("connector.class", "FileStreamSource"), ("file", "/none"), ("topic", "t")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let record = ConfigRecord::Connector { name: connector(), config: Some(settings) };
        let config_view = Arc::<ConfigView>::default();
        let log = MemoryLog::open(vec![record.encode()], config_view.clone());
        let log = Arc::new(GatedLog { log, is_open: watch::Sender::new(true) });
        let configs = ConfigStore::new(config_view, log.clone());
        let status_view = Arc::<StatusView>::default();
        let status = StatusStore::new(status_view.clone(), MemoryLog::open(Vec::new(), status_view));
        let offset_view = Arc::<OffsetView>::default();
        let offsets = OffsetStore::new(offset_view.clone(), MemoryLog::open(Vec::new(), offset_view));
        let (session, stage) = (Session::new(SESSION), StageCell::new("beginning"));
        let identity = Identity { worker_id: "w:1".to_owned(), generation: Arc::new(AtomicI32::new(-1)) };
        let (runner_events, runners) = mpsc::unbounded_channel();
        let worker = Worker::new(Surroundings {
            config: config.clone(),
            status: status.clone(),
            offsets: offsets.clone(),
            registry: Registry::new("w".to_owned()),
            identity: identity.clone(),
            session: session.clone(),
            events: runner_events,
            runtime: Handle::current(),
        });
        let (requests, request_inbox) = mpsc::channel(8);
        let (events, group_events) = mpsc::channel(8);
        let (is_ready, ready_seen) = watch::channel(false);
        let (member, commands) = MemberHandle::fake();
        let discarded = Arc::<AtomicUsize>::default();
        let actor = Actor::new(Parts {
            config: config.clone(),
            configs: configs.clone(),
            statuses: status.clone(),
            worker,
            member,
            session: session.clone(),
            discard_unwritten: Box::new({
                let discarded = discarded.clone();
                move || {
                    discarded.fetch_add(1, Ordering::Relaxed);
                }
            }),
            publisher: Arc::new(NoPublisher),
            identity,
            advertised_url: URL.to_owned(),
            metrics: GroupMetrics::default(),
            stage: stage.clone(),
            is_ready,
        });
        let shutdown = CancellationToken::new();
        let inputs =
            Inputs { group: group_events, requests: request_inbox, runners, shutdown: shutdown.clone() };
        let herder = DistributedHerder {
            cluster_id: "cluster".to_owned(),
            config,
            configs: configs.clone(),
            statuses: status,
            offsets,
            requests,
            stage,
            session: session.clone(),
            is_ready: ready_seen,
        };
        let group = Group { commands, events, session, configs };
        Self { herder, configs: log, group, discarded, shutdown, actor: tokio::spawn(actor.run(inputs)) }
    }

    fn discarded(&self) -> usize {
        self.discarded.load(Ordering::Relaxed)
    }

    fn records(&self) -> usize {
        self.configs.log.records().len()
    }
}

impl Group {
    async fn join(&mut self) -> JoinId {
        match self.commands.recv().await {
            Some(Command::Join(id)) => id,
            other => panic!("not a join: {other:?}"),
        }
    }

    /// Lets the worker go that asks to leave.
    async fn leave(&mut self) {
        match self.commands.recv().await {
            Some(Command::Leave { done, .. }) => {
                self.session.end();
                done.send(()).unwrap();
            }
            other => panic!("not a farewell: {other:?}"),
        }
    }

    fn offset(&self) -> i64 {
        self.configs.look(|state| state.offset())
    }

    /// An assignment of nothing.
    async fn assign(&mut self, id: JoinId, is_leader: bool, config_offset: i64, is_config_mismatch: bool) {
        self.session.confirm(Instant::now());
        let assignment = Assignment {
            is_config_mismatch,
            leader: "leader".to_owned(),
            leader_url: URL.to_owned(),
            config_offset,
            work: Work::default(),
        };
        let owners = is_leader.then(Owners::default);
        let assigned = Assigned { generation: 1, assignment, owners };
        self.events.send((id, GroupEvent::Assigned(assigned))).await.unwrap();
    }

    async fn make_leader(&mut self) {
        let id = self.join().await;
        self.assign(id, true, self.offset(), false).await;
    }

    /// Makes the worker leader as often as it joins.
    async fn lead(&mut self) {
        loop {
            self.make_leader().await;
        }
    }
}

fn set(key: &str, value: &str) -> Vec<(String, Option<String>)> {
    vec![(key.to_owned(), Some(value.to_owned()))]
}

#[tokio::test]
async fn patches_at_the_same_time_are_all_kept() {
    let Bench { herder, mut group, .. } = Bench::start("");
    let patches = async {
        let name = connector();
        let (one, two, three) = tokio::join!(
            herder.patch(&name, set("a", "1")),
            herder.patch(&name, set("b", "2")),
            herder.patch(&name, vec![("topic".to_owned(), Some("u".to_owned())), ("none".to_owned(), None)]),
        );
        one.and(two).and(three).unwrap();
        herder.info(&name).await.unwrap().config
    };
    let config = tokio::select! {
        config = patches => config,
        () = group.lead() => unreachable!("it goes on forever"),
    };
    for (key, expected) in [("a", "1"), ("b", "2"), ("topic", "u"), ("file", "/none")] {
        assert_eq!(config.get(key).map(String::as_str), Some(expected), "{key}");
    }
}

#[tokio::test]
async fn patch_does_not_bring_back_what_is_deleted_meanwhile() {
    let Bench { herder, mut group, .. } = Bench::start("");
    let requests = async {
        let name = connector();
        let (deleted, patched) = tokio::join!(herder.delete(&name), herder.patch(&name, set("a", "1")));
        deleted.unwrap();
        assert!(matches!(patched, Err(HerderError::NotFound(_))), "{patched:?}");
        assert!(matches!(herder.info(&name).await, Err(HerderError::NotFound(_))));
    };
    tokio::select! {
        () = requests => {}
        () = group.lead() => unreachable!("it goes on forever"),
    }
}

#[tokio::test(start_paused = true)]
async fn worker_that_is_no_member_writes_nothing() {
    let mut bench = Bench::start("");
    bench.group.make_leader().await;
    let (herder, name) = (&bench.herder, connector());
    herder.set_target(&name, TargetState::Paused).await.unwrap();
    let written = bench.records();
    bench.group.session.end();
    for target in [TargetState::Started, TargetState::Paused] {
        let set = herder.set_target(&name, target).await;
        assert!(matches!(set, Err(HerderError::Conflict)), "{target:?} {set:?}");
    }
    assert!(matches!(herder.reset_topics(&name).await, Err(HerderError::Conflict)));
    for led in [
        herder.set_target(&name, TargetState::Stopped).await,
        herder.delete(&name).await,
        herder.publish_tasks(&name, vec![RawConfig::new()]).await,
        herder.patch(&name, set("a", "1")).await.map(drop),
        herder.put(&name, herder.info(&name).await.unwrap().config, None, Existing::Replace).await.map(drop),
    ] {
        assert!(matches!(led, Err(HerderError::NotLeader { leader_url: None })), "{led:?}");
    }
    assert_eq!(bench.records(), written);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_dropped_also_while_the_group_is_joined_again() {
    let mut bench = Bench::start("");
    bench.group.make_leader().await;
    bench.herder.connectors().await.unwrap();
    bench.group.events.send((JoinId::of(1), GroupEvent::Rebalance)).await.unwrap();
    let id = bench.group.join().await;
    assert_eq!(bench.discarded(), 0);
    // Nobody answers until the session is over.
    tokio::time::sleep(SESSION * 2).await;
    assert_eq!(bench.discarded(), 1);
    bench.group.assign(id, true, bench.group.offset(), false).await;
    bench.herder.delete(&"other".into()).await.unwrap_err();
    assert_eq!(bench.discarded(), 1);
    // The coordinator has put the worker out.
    bench.group.session.end();
    bench.group.events.send((id, GroupEvent::Lost)).await.unwrap();
    bench.group.join().await;
    assert_eq!(bench.discarded(), 2);
}

#[tokio::test(start_paused = true)]
async fn worker_that_cannot_read_leaves_and_comes_back_when_it_can() {
    let backoff = Duration::from_secs(60);
    for (is_leader, is_mismatch, ahead) in
        [(true, true, 0), (true, true, 5), (false, false, 5), (false, true, 5)]
    {
        let mut bench = Bench::start("connect.protocol=eager\nworker.unsync.backoff.ms=60000\n");
        let id = bench.group.join().await;
        bench.configs.is_open.send_replace(false);
        let began = Instant::now();
        bench.group.assign(id, is_leader, bench.group.offset() + ahead, is_mismatch).await;
        bench.group.leave().await;
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        tokio::time::sleep(backoff * 3 / 2).await;
        assert!(bench.group.commands.is_empty(), "it stays away as long as it cannot read");
        assert_eq!(bench.discarded(), 1);
        bench.configs.is_open.send_replace(true);
        let id = bench.group.join().await;
        assert_eq!(began.elapsed(), (Duration::from_secs(3) + backoff) * 2);
        // A word about the join that it left changes nothing.
        bench.group.assign(JoinId::of(1), true, 0, false).await;
        bench.group.assign(id, is_leader, bench.group.offset(), false).await;
        assert_eq!(bench.herder.connectors().await.unwrap(), [connector()]);

        bench.shutdown.cancel();
        bench.group.leave().await;
        bench.actor.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn others_join_again_without_reading_when_only_the_leader_lags() {
    let mut bench = Bench::start("");
    let id = bench.group.join().await;
    bench.configs.is_open.send_replace(false);
    let began = Instant::now();
    bench.group.assign(id, false, bench.group.offset(), true).await;
    bench.group.join().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_time_out_of_the_group() {
    let mut bench = Bench::start("connect.protocol=eager\n");
    let id = bench.group.join().await;
    bench.configs.is_open.send_replace(false);
    bench.group.assign(id, true, bench.group.offset(), true).await;
    bench.group.leave().await;
    bench.shutdown.cancel();
    bench.group.leave().await;
    bench.actor.await.unwrap().unwrap();
}
