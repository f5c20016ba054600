//! Connects to the hosts of a run, side by side, and makes sure that they are this control machine's to work on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use futures::StreamExt;

use super::event::{Event, Events, Failure, FailureKind};
use crate::causes::chain;
use crate::control::{ControlError, ControlHome};
use crate::desired::{host_root, host_root_word, privilege};
use crate::host::{
    Command, Host, HostError, HostExt, LocalTransport, Privilege, RemoteHost, SshHop, SshRun, SshTarget,
    Transport,
};
use crate::inventory::model::{self, Bind, Connection, HostName, Inventory, Ssh, Sudo};
use crate::plan::Target;
use crate::secrets::{SecretError, Secrets};
use crate::shell::fields::Fields;
use crate::shell::quote;

/// The hosts that answered, what is known of their routes, and those that did not.
#[derive(Default)]
pub(crate) struct Connected {
    pub(crate) hosts: BTreeMap<HostName, Arc<dyn Host>>,
    pub(crate) routes: BTreeMap<HostName, IpAddr>,
    /// Hosts that bear our marker.
    pub(crate) claimed: BTreeSet<HostName>,
    pub(crate) failures: Vec<Failure>,
}

#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("{host}: belongs to cluster {cluster} as made from another control machine")]
    Foreign { host: HostName, cluster: String, folder: String },
    #[error("{host}: {path} cannot be read, so nobody knows whose host it is")]
    HiddenMarker { host: HostName, path: String },
    #[error("{host}: has no route to {broker}, so `bind: private` has no address")]
    NoRoute { host: HostName, broker: String },
}

impl ConnectError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Host(error) if error.is_unreachable() => FailureKind::Unreachable,
            Self::Host(_)
            | Self::Secret(_)
            | Self::Control(_)
            | Self::Foreign { .. }
            | Self::HiddenMarker { .. }
            | Self::NoRoute { .. } => FailureKind::Check,
        }
    }

    /// Last output of what failed.
    fn tail(&self) -> Vec<String> {
        match self {
            Self::Host(error) => error.tail().to_vec(),
            _ => Vec::new(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Host(error) => error.hint(),
            Self::Secret(error) => error.hint(),
            Self::Control(error) => error.hint(),
            Self::NoRoute { .. } => {
                Some("give the host's IP address as its `address`, or choose another `bind`".into())
            }
            Self::HiddenMarker { path, .. } => Some(format!("see what `cat {path}` says there")),
            Self::Foreign { folder, .. } => Some(format!(
                "bring {folder} from the control machine that made the cluster (it is private: use scp -r), then run \
                 again; nothing is minted anew in silence"
            )),
        }
    }
}

/// Connects to `wanted`, at most `parallel` at once.
pub(crate) async fn connect(
    run: &Arc<SshRun>,
    inventory: &Inventory,
    wanted: &[&model::Host],
    secrets: &Secrets,
    home: &ControlHome,
    events: &Events,
    parallel: usize,
) -> Connected {
    let mut attempts = futures::stream::iter(wanted.iter().map(|spec| async move {
        events.emit(&Event::HostConnecting { host: &spec.name });
        let outcome = one(run, inventory, spec, secrets, home).await;
        if outcome.is_ok() {
            events.emit(&Event::HostConnected { host: &spec.name });
        }
        (spec.name.clone(), outcome)
    }))
    .buffer_unordered(parallel.max(1));

    let mut connected = Connected::default();
    while let Some((name, outcome)) = attempts.next().await {
        match outcome {
            Ok((host, seen)) => {
                connected.routes.extend(seen.route.map(|route| (name.clone(), route)));
                if seen.is_claimed {
                    connected.claimed.insert(name.clone());
                }
                connected.hosts.insert(name, host);
            }
            Err(error) => {
                let failure = Failure {
                    target: Target::Host(name),
                    step: "connect".to_owned(),
                    message: chain(&error),
                    hint: error.hint(),
                    tail: error.tail(),
                    kind: error.kind(),
                };
                events.emit(&Event::Failed { failure: &failure });
                connected.failures.push(failure);
            }
        }
    }
    connected.failures.sort_by(|a, b| a.target.cmp(&b.target));
    connected
}

async fn one(
    run: &Arc<SshRun>,
    inventory: &Inventory,
    spec: &model::Host,
    secrets: &Secrets,
    home: &ControlHome,
) -> Result<(Arc<dyn Host>, Seen), ConnectError> {
    let (transport, password): (Arc<dyn Transport>, _) = match &spec.connection {
        Connection::Local => (Arc::new(LocalTransport::new(inventory.secret_variables())), None),
        Connection::Ssh(ssh) => {
            let password = match &ssh.sudo {
                Sudo::None | Sudo::Passwordless => None,
                Sudo::Password(origin) => Some(secrets.get(&format!("sudo-{}", spec.name), origin).await?),
            };
            (Arc::new(run.connect(&target(spec, ssh)).await?), password)
        }
    };
    let questions = Questions::new(inventory, spec);
    let script = questions.script(&host_root_word(inventory, spec));
    let will_need_root = privilege(inventory) == Privilege::Root;
    let name = spec.name.clone();
    let connected =
        RemoteHost::connect(name, Arc::clone(&transport), password, will_need_root, &script).await;
    let (host, answer): (Arc<dyn Host>, _) = match connected {
        Ok((host, answer)) => (Arc::new(host), answer),
        Err(error) => {
            transport.close().await;
            return Err(error.into());
        }
    };
    match look(&questions, answer, inventory, spec, host.as_ref(), home).await {
        Ok(seen) => Ok((host, seen)),
        Err(error) => {
            host.close().await;
            Err(error)
        }
    }
}

/// What the first look at a host brought.
struct Seen {
    route: Option<IpAddr>,
    /// It bears our marker.
    is_claimed: bool,
}

/// What is asked of a host before anything else.
struct Questions {
    /// The first broker, where a listener is bound by the host's route to it.
    broker: Option<String>,
}

impl Questions {
    fn new(inventory: &Inventory, spec: &model::Host) -> Self {
        let is_private = |listener: model::Listener| listener.bind == Bind::Private;
        let is_asked =
            spec.address.ip().is_none() && (is_private(spec.worker.rest) || is_private(spec.worker.metrics));
        let address = || {
            let broker =
                inventory.kafka.bootstrap.first().expect("an inventory has at least one bootstrap server");
            let extra = inventory.kafka.extra_hosts.get(&broker.host).map(ToString::to_string);
            extra.unwrap_or_else(|| broker.host.to_string())
        };
        Self { broker: is_asked.then(address) }
    }

    /// Asks for the marker in `root`, a word of the shell, and for the route.
    fn script(&self, root: &str) -> String {
        let marker = format!(
            "if {{ read -r marker <{root}/marker; }} 2>/dev/null || marker=$(cat {root}/marker 2>&1); then\n\
             echo \"marker=$marker\"; else case $marker in *'No such file'*|*'Not a directory'*) ;; *) echo marker_hidden=yes ;; esac; fi\n"
        );
        let route = self.broker.as_ref().map(|broker| {
            format!(
                "broker=$(getent ahosts {} | awk 'NR==1 {{print $1}}')\n\
                 [ -z \"$broker\" ] || ip -o route get \"$broker\" | sed -n 's/.* src \\([^ ]*\\).*/route=\\1/p'\n",
                quote(broker)
            )
        });
        marker + &route.unwrap_or_default()
    }
}

/// Judges the host's marker and, where a listener is bound by it, its route to the first broker.
async fn look(
    questions: &Questions,
    mut answer: String,
    inventory: &Inventory,
    spec: &model::Host,
    host: &dyn Host,
    home: &ControlHome,
) -> Result<Seen, ConnectError> {
    if Fields::parse(&answer).is_yes("marker_hidden") {
        let root = host_root(inventory, host);
        let mut command = Command::look("read the marker", questions.script(&quote(&root.to_string_lossy())));
        command.privilege = privilege(inventory);
        answer = host.check(&command).await?;
        if Fields::parse(&answer).is_yes("marker_hidden") {
            let path = root.join("marker").display().to_string();
            return Err(ConnectError::HiddenMarker { host: spec.name.clone(), path });
        }
    }
    let fields = Fields::parse(&answer);
    let theirs = fields.optional("marker");
    if theirs.is_some() && home.marker()? != theirs {
        return Err(ConnectError::Foreign {
            host: spec.name.clone(),
            cluster: inventory.cluster.to_string(),
            folder: home.folder().display().to_string(),
        });
    }
    let route = fields.text("route").parse().ok();
    match &questions.broker {
        Some(broker) if route.is_none() => {
            Err(ConnectError::NoRoute { host: spec.name.clone(), broker: broker.clone() })
        }
        _ => Ok(Seen { route, is_claimed: theirs.is_some() }),
    }
}

fn target(spec: &model::Host, ssh: &Ssh) -> SshTarget {
    let hop = SshHop {
        address: spec.address.to_string(),
        port: ssh.port.map(model::Port::number),
        user: ssh.user.as_ref().map(ToString::to_string),
        identity: ssh.identity.clone(),
        host_keys: ssh.host_keys.iter().map(ToString::to_string).collect(),
    };
    let jump = ssh
        .jump
        .iter()
        .map(|jump| SshHop {
            address: jump.address.to_string(),
            port: jump.port.map(model::Port::number),
            user: jump.user.as_ref().map(ToString::to_string),
            identity: jump.identity.clone(),
            host_keys: jump.host_keys.iter().map(ToString::to_string).collect(),
        })
        .collect();
    SshTarget { host: spec.name.clone(), hop, jump }
}
