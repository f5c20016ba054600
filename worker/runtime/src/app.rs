//! Every concrete part of a distributed worker, joined. Nobody else names them all.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use kafka_control::{Client, ProducerConfig};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::WorkerConfig;
use crate::config::client;
use crate::config::fetch::FetchSettings;
use crate::config::listener::authority;
use crate::config::produce;
use crate::config::security::SecurityError;
use crate::herder::Herder;
use crate::herder::actor::{Actor, DiscardUnwritten, HerderFailure, Inputs, Parts};
use crate::herder::distributed::DistributedHerder;
use crate::herder::stage::StageCell;
use crate::membership::assignor::Configured;
use crate::membership::member::{GroupView, MemberHandle, Settings};
use crate::membership::protocol::MemberMetadata;
use crate::membership::session::Session;
use crate::metrics::registry::Registry;
use crate::names::{ConnectorName, TaskId};
use crate::rest::forward::RestPublisher;
use crate::rest::metrics_page;
use crate::rest::routes::{self, Api};
use crate::rest::server::{self, BindError};
use crate::storage::config_store::{ConfigStore, ConfigStoreError, ConfigView};
use crate::storage::internal_topics::{self, TopicError};
use crate::storage::kafka_log::KafkaLog;
use crate::storage::log::{Fold, LogError, TopicLog};
use crate::storage::offset_store::{OffsetStore, OffsetView};
use crate::storage::status_store::{StatusStore, StatusView};
use crate::storage::writer::Writer;
use crate::worker::controls::Identity;
use crate::worker::instances::{Surroundings, Worker};

/// Pause between two attempts to reach Kafka at start.
const CONNECT_RETRY: Duration = Duration::from_secs(1);
/// How long requests in progress may go on after the worker has stopped.
const REST_GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("security settings")]
    Security(#[from] SecurityError),
    #[error("settings of the worker's own clients: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Clients(Vec<crate::config::Problem>),
    #[error("internal topics")]
    Topics(#[from] TopicError),
    #[error("internal topics")]
    Log(#[from] LogError),
    #[error("config topic")]
    Configs(#[from] ConfigStoreError),
    #[error(transparent)]
    Herder(#[from] HerderFailure),
}

/// Runs a worker until shutdown. `tasks` is where connectors and tasks run.
pub(crate) async fn run(
    config: WorkerConfig,
    tasks: Handle,
    shutdown: CancellationToken,
) -> Result<(), AppError> {
    let config = Arc::new(config);
    let mut sockets = Vec::new();
    for listener in &config.rest.listeners {
        sockets.push(server::bind("listeners", listener).await?);
    }
    let metrics_socket = match &config.metrics_listener {
        Some(listener) => Some(server::bind("metrics.listener", listener).await?),
        None => None,
    };
    let advertised = advertised_authority(&config, &sockets);
    let client_id = match config.client_id.as_str() {
        "" => format!("connect-{advertised}"),
        id => id.to_owned(),
    };
    let registry = Registry::new(client_id.clone());
    let (herder, herder_seen) = watch::channel::<Option<Arc<dyn Herder>>>(None);
    // REST says what the worker waits for, also before there is a herder.
    let stage = StageCell::new("connecting to Kafka");
    let servers = TaskTracker::new();
    let servers_end = CancellationToken::new();
    for socket in sockets {
        if let Some(address) = server::local_address(&socket) {
            tracing::info!(%address, advertised = format!("http://{advertised}/"), "REST server listens");
        }
        servers.spawn(server::serve(
            socket,
            routes::router(Api::new(herder_seen.clone(), stage.clone())),
            servers_end.clone(),
        ));
    }
    if let Some(socket) = metrics_socket {
        if let Some(address) = server::local_address(&socket) {
            tracing::info!(%address, "metrics are served");
        }
        servers.spawn(server::serve(socket, metrics_page::router(registry.clone()), servers_end.clone()));
    }
    servers.close();

    let beginning = Beginning { config, tasks, advertised, client_id, registry, herder, stage };
    let result = work(beginning, shutdown).await;
    servers_end.cancel();
    if tokio::time::timeout(REST_GRACE, servers.wait()).await.is_err() {
        tracing::warn!("requests in progress are cut off");
    }
    result
}

/// What there is before Kafka answers.
struct Beginning {
    config: Arc<WorkerConfig>,
    tasks: Handle,
    /// `host:port`.
    advertised: String,
    client_id: String,
    registry: Registry,
    herder: watch::Sender<Option<Arc<dyn Herder>>>,
    stage: StageCell,
}

async fn work(beginning: Beginning, shutdown: CancellationToken) -> Result<(), AppError> {
    let Beginning { config, tasks, advertised, client_id, registry, herder, stage } = beginning;
    let client = wire_client(&config, client_id)?;
    let Some(cluster_id) = until(&shutdown, cluster_id(&client)).await else { return Ok(()) };
    tracing::info!(cluster_id, "connected to Kafka");

    stage.begin("making sure that the internal topics exist");
    let partitions = match until(&shutdown, prepared_topics(&client, &config)).await {
        Some(prepared) => prepared?,
        None => return Ok(()),
    };
    let stores = Stores::open(&config, partitions, &client)?;
    let (requests, request_inbox) = mpsc::channel(256);
    let (is_ready, ready_seen) = watch::channel(false);
    let session = Session::new(config.membership.session_timeout);
    let distributed = DistributedHerder {
        cluster_id,
        config: config.clone(),
        configs: stores.configs.clone(),
        statuses: stores.statuses.clone(),
        offsets: stores.offsets.clone(),
        requests,
        stage: stage.clone(),
        session: session.clone(),
        is_ready: ready_seen,
    };
    herder.send_replace(Some(Arc::new(distributed)));

    stage.begin("reading the internal topics");
    match until(&shutdown, stores.replay()).await {
        Some(replayed) => replayed?,
        None => return Ok(()),
    }
    let advertised_url = format!("http://{advertised}/");
    let identity = Identity { worker_id: advertised, generation: Arc::new(AtomicI32::new(-1)) };
    let (events, runners) = mpsc::unbounded_channel();
    let worker = Worker::new(Surroundings {
        config: config.clone(),
        status: stores.statuses.clone(),
        offsets: stores.offsets.clone(),
        registry: registry.clone(),
        identity: identity.clone(),
        session: session.clone(),
        events,
        runtime: tasks,
    });
    let membership = &config.membership;
    let settings = Settings {
        session: session.clone(),
        heartbeat_interval: membership.heartbeat_interval,
        rebalance_timeout: membership.rebalance_timeout,
        group_id: config.group_id.clone(),
    };
    let view = View { url: advertised_url.clone(), configs: stores.configs.clone() };
    let metrics = registry.numbers().group.clone();
    let (member, group) = MemberHandle::spawn(client, settings, view, metrics.clone());
    let actor = Actor::new(Parts {
        config,
        configs: stores.configs.clone(),
        statuses: stores.statuses.clone(),
        worker,
        member,
        session,
        discard_unwritten: stores.discard_unwritten,
        publisher: Arc::new(RestPublisher),
        identity,
        advertised_url,
        metrics,
        stage,
        is_ready,
    });
    actor.run(Inputs { group, requests: request_inbox, runners, shutdown }).await?;
    Ok(())
}

/// `None` when shutdown comes first.
async fn until<T>(shutdown: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        value = future => Some(value),
    }
}

/// The three stores over their topics.
struct Stores {
    configs: ConfigStore,
    statuses: StatusStore,
    offsets: OffsetStore,
    /// Of all three.
    discard_unwritten: DiscardUnwritten,
}

impl Stores {
    fn open(
        config: &WorkerConfig,
        partitions: internal_topics::Partitions,
        client: &Client,
    ) -> Result<Self, AppError> {
        let mut settings = client::own_settings(&config.properties);
        let fetching = FetchSettings::from_java(&settings).map_err(AppError::Clients)?.fetch;
        settings.insert("linger.ms".to_owned(), "0".to_owned());
        let producing = ProducerConfig {
            is_idempotent: false,
            // As long as it takes: what is of no use any more is discarded.
            delivery_timeout: Duration::from_millis(i32::MAX.unsigned_abs().into()),
            // A topic that somebody deleted must not come back as one of the brokers' making.
            may_create_topics: false,
            ..produce::from_java(&settings).map_err(AppError::Clients)?
        };
        let writer = Arc::new(Writer::new(client.clone(), producing));
        let open = |topic: &str, partitions: i32, fold: Arc<dyn Fold>| -> Arc<dyn TopicLog> {
            let (client, fetching, writer) = (client.clone(), fetching.clone(), writer.clone());
            Arc::new(KafkaLog::open(topic, partitions, client, fetching, writer, fold))
        };
        let (config_view, status_view, offset_view) =
            (Arc::<ConfigView>::default(), Arc::<StatusView>::default(), Arc::<OffsetView>::default());
        let configs = open(&config.config_topic.name, partitions.config, config_view.clone());
        let statuses = open(&config.status_topic.name, partitions.status, status_view.clone());
        let offsets = open(&config.offset_topic.name, partitions.offset, offset_view.clone());
        Ok(Self {
            configs: ConfigStore::new(config_view, configs),
            statuses: StatusStore::new(status_view, statuses),
            offsets: OffsetStore::new(offset_view, offsets),
            discard_unwritten: Box::new(move || writer.discard()),
        })
    }

    async fn replay(&self) -> Result<(), AppError> {
        let (configs, statuses, offsets) =
            tokio::join!(self.configs.start(), self.statuses.start(), self.offsets.start());
        configs?;
        statuses?;
        offsets?;
        Ok(())
    }
}

fn wire_client(config: &WorkerConfig, client_id: String) -> Result<Client, AppError> {
    Ok(config.security.wire_client(config.bootstrap.clone(), client_id, config.request_timeout)?)
}

/// Tries until Kafka answers. Errors: what waiting cannot help.
async fn prepared_topics(
    client: &Client,
    config: &WorkerConfig,
) -> Result<internal_topics::Partitions, TopicError> {
    loop {
        match internal_topics::prepare(client, config).await {
            Err(error) if error.is_out_of_reach() => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "Kafka cannot be reached any more, trying again"
                );
                tokio::time::sleep(CONNECT_RETRY).await;
            }
            result => return result,
        }
    }
}

/// Asks until Kafka answers.
async fn cluster_id(client: &Client) -> String {
    loop {
        match client.describe_cluster().await {
            Ok(cluster) => return cluster.cluster_id,
            Err(error) => {
                let hint = error.hint().unwrap_or_default();
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    hint,
                    "Kafka cannot be reached, trying again"
                );
                tokio::time::sleep(CONNECT_RETRY).await;
            }
        }
    }
}

/// `host:port` under which other workers reach this one.
fn advertised_authority(config: &WorkerConfig, sockets: &[TcpListener]) -> String {
    let bound = sockets.first().and_then(server::local_address);
    let port = config.rest.advertised_port.or_else(|| bound.map(|a| a.port())).unwrap_or_default();
    let listener_host = config.rest.listeners.first().map(|l| l.host.clone()).unwrap_or_default();
    let is_any = matches!(listener_host.as_str(), "" | "0.0.0.0" | "::");
    let host = match &config.rest.advertised_host {
        Some(host) => host.clone(),
        None if !is_any => listener_host,
        None => own_name(),
    };
    authority(&host, port)
}

/// The host's name, or loopback when it has none.
fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "127.0.0.1".to_owned(),
        name => name.to_owned(),
    }
}

/// What the group learns of this worker.
struct View {
    url: String,
    configs: ConfigStore,
}

impl GroupView for View {
    fn metadata(&self) -> MemberMetadata {
        MemberMetadata { url: self.url.clone(), config_offset: self.configs.look(|s| s.offset()) }
    }

    fn configured(&self) -> Configured {
        self.configs.look(|state| {
            let connectors: Vec<ConnectorName> = state.connectors().cloned().collect();
            let tasks: Vec<TaskId> = connectors.iter().flat_map(|name| state.task_ids(name)).collect();
            Configured { config_offset: state.offset(), connectors, tasks }
        })
    }
}

#[cfg(test)]
mod tests;
