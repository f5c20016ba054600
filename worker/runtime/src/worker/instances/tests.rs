//! A connector that hangs keeps nobody else from anything.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::AtomicI32;

use async_trait::async_trait;
use connect_api::{ConfigDef, ConnectorContext, Props, SourceConnector, SourceTask};
use connector_file::FileStreamSourceConnector;

use super::*;
use crate::config::properties::Properties;
use crate::config::worker::tests::MINIMAL;
use crate::plugins::registry::Make;
use crate::storage::memory::MemoryLog;
use crate::storage::offset_store::OffsetView;
use crate::storage::status_store::StatusView;

/// In which of its calls a connector hangs.
#[derive(Clone, Copy, PartialEq)]
enum In {
    Start,
    TaskConfigs,
    Stop,
}

struct Hanging {
    hangs: In,
    inner: FileStreamSourceConnector,
}

impl Hanging {
    fn make(hangs: In) -> Box<dyn SourceConnector> {
        Box::new(Self { hangs, inner: FileStreamSourceConnector::default() })
    }

    async fn call(&self, call: In) {
        if self.hangs == call {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl SourceConnector for Hanging {
    fn config_def(&self) -> &ConfigDef {
        self.inner.config_def()
    }

    async fn start(&mut self, _ctx: Arc<dyn ConnectorContext>, _props: &Props) -> Result<(), ConnectError> {
        self.call(In::Start).await;
        Ok(())
    }

    async fn task_configs(&self, _max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        self.call(In::TaskConfigs).await;
        Ok(Vec::new())
    }

    async fn stop(&mut self) -> Result<(), ConnectError> {
        self.call(In::Stop).await;
        Ok(())
    }

    fn task_class(&self) -> &'static str {
        self.inner.task_class()
    }

    fn task(&self) -> Box<dyn SourceTask> {
        self.inner.task()
    }
}

const fn plugin(class: &'static str, make: fn() -> Box<dyn SourceConnector>) -> Plugin {
    Plugin { class, version: "1", make: Make::Source(make) }
}

static HANGING: [Plugin; 3] = [
    plugin("Start", || Hanging::make(In::Start)),
    plugin("TaskConfigs", || Hanging::make(In::TaskConfigs)),
    plugin("Stop", || Hanging::make(In::Stop)),
];

#[tokio::test(start_paused = true)]
async fn hanging_connector_blocks_nothing() {
    for plugin in &HANGING {
        let properties = Properties::parse(MINIMAL).unwrap();
        let config = Arc::new(WorkerConfig::read(properties, &BTreeMap::new()).unwrap());
        let view = Arc::<StatusView>::default();
        let status = StatusStore::new(view.clone(), MemoryLog::open(Vec::new(), view));
        let offsets = Arc::<OffsetView>::default();
        let session = Session::new(Duration::from_secs(3600));
        session.confirm(Instant::now());
        let (events, mut heard) = mpsc::unbounded_channel();
        let mut worker = Worker::new(Surroundings {
            config,
            status: status.clone(),
            offsets: OffsetStore::new(offsets.clone(), MemoryLog::open(Vec::new(), offsets)),
            registry: Registry::new("w".to_owned()),
            identity: Identity { worker_id: "w:1".to_owned(), generation: Arc::new(AtomicI32::new(1)) },
            session,
            events,
            runtime: Handle::current(),
        });
        let (hanging, well) = (ConnectorName::from("hanging"), ConnectorName::from("well"));
        let props = [("connector.class", "FileStreamSource"), ("file", "/none"), ("topic", "t")];
        let props: RawConfig = props.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        worker.run_connector(&hanging, plugin, props.clone(), TargetState::Started);
        worker.start_connector(&well, &props, TargetState::Started).await;

        // More than the hanging one has room for.
        for _ in 0..100 {
            worker.ask_for_tasks(&hanging, 1);
            worker.set_target(&hanging, TargetState::Paused);
            worker.set_target(&hanging, TargetState::Started);
        }
        worker.fail_connector(&hanging, ConnectError::connect("no good"));
        worker.ask_for_tasks(&well, 1);
        let planned = async {
            loop {
                match heard.recv().await.unwrap() {
                    WorkerEvent::TasksPlanned(name, plan, _) if name == well => break plan.unwrap(),
                    _ => {}
                }
            }
        };
        assert_eq!(planned.await.configs.len(), 1, "{}", plugin.class);

        let unknown = ConnectorName::from("unknown");
        let nothing: RawConfig = [("connector.class".to_owned(), "Nothing".to_owned())].into();
        worker.start_connector(&unknown, &nothing, TargetState::Started).await;
        assert_eq!(status.connector(&unknown).unwrap().state, State::Failed, "{}", plugin.class);
        assert!(worker.has_connector(&unknown), "a restart is for whoever has it");
        worker.stop_connectors(std::slice::from_ref(&unknown), true).await;
        assert_eq!(status.connector(&unknown).unwrap().state, State::Failed, "{}", plugin.class);

        let began = Instant::now();
        worker.stop_connectors(&[hanging.clone(), well.clone()], true).await;
        assert_eq!(began.elapsed(), CONNECTOR_STOP, "{}", plugin.class);
        assert_eq!(status.connector(&well).unwrap().state, State::Unassigned, "{}", plugin.class);
        let last = status.connector(&hanging).map(|status| status.state);
        assert_ne!(last, Some(State::Unassigned), "{}", plugin.class);

        worker.start_connector(&hanging, &props, TargetState::Paused).await;
        let began = Instant::now();
        worker.stop_connectors(std::slice::from_ref(&hanging), true).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "{}", plugin.class);
        assert_eq!(status.connector(&hanging).unwrap().state, State::Unassigned, "{}", plugin.class);
    }
}
