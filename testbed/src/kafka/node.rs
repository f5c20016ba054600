//! One node: its files, its process or container, its life.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::properties::{self, Endpoints};
use super::{Jvm, KafkaSpec, Place, tools};
use crate::certificates::Leaf;
use crate::docker::image::Image;
use crate::docker::{Container, Network};
use crate::jars::Jars;
use crate::java::{self, Java};
use crate::ports::Port;
use crate::process::{Process, Program, Signal};
use crate::{Error, paths, wait};

/// What a broker prints once it is unfenced and its client listener is open.
const STARTED: &str = "Kafka Server started";

/// One Kafka node.
#[derive(Debug)]
pub struct Broker {
    endpoints: Endpoints,
    dir: PathBuf,
    ground: Ground,
    jvm: Jvm,
    running: Option<Running>,
}

/// What a node stands on for its whole life.
#[derive(Debug)]
enum Ground {
    Loopback { _ports: Vec<Port> },
    Network(Network),
}

#[derive(Debug)]
enum Running {
    Process(Process),
    Container(Container),
}

impl Broker {
    pub(super) fn reserve(id: u8, kafka: &Path, spec: &KafkaSpec) -> Result<Self, Error> {
        let dir = paths::private_dir(kafka.join(format!("broker-{id}")))?;
        let (endpoints, ground) = match &spec.place {
            Place::Loopback => {
                let count = 3 + spec.listeners.len();
                let ports = (0..count).map(|_| Port::reserve()).collect::<Result<Vec<_>, _>>()?;
                let further = spec.listeners.iter().zip(&ports[3..]);
                let endpoints = Endpoints {
                    id,
                    bind: "127.0.0.1".to_owned(),
                    advertised: "127.0.0.1".to_owned(),
                    internal: "127.0.0.1".to_owned(),
                    client_port: ports[0].number(),
                    internal_port: ports[1].number(),
                    controller_port: ports[2].number(),
                    further: further.map(|(listener, port)| (listener.name, port.number())).collect(),
                };
                (endpoints, Ground::Loopback { _ports: ports })
            }
            Place::Network(network) => {
                let name = format!("broker-{id}.kafka.test");
                let endpoints = Endpoints {
                    id,
                    bind: "0.0.0.0".to_owned(),
                    advertised: name.clone(),
                    internal: name,
                    client_port: 9092,
                    internal_port: 9093,
                    controller_port: 9094,
                    further: Vec::new(),
                };
                (endpoints, Ground::Network(network.clone()))
            }
        };
        Ok(Self { endpoints, dir, ground, jvm: spec.jvm, running: None })
    }

    /// The node's id.
    pub fn id(&self) -> u8 {
        self.endpoints.id
    }

    /// The name that clients are told.
    pub fn host(&self) -> &str {
        &self.endpoints.advertised
    }

    /// The port that clients are told.
    pub fn port(&self) -> u16 {
        self.endpoints.client_port
    }

    /// `HOST:PORT`, as clients are told.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host(), self.port())
    }

    /// `HOST:PORT` where a further listener really is, whatever it tells clients.
    ///
    /// Panics: when there is no such listener.
    pub fn listener(&self, name: &str) -> String {
        let further = self.endpoints.further.iter();
        let port = further.filter(|(found, _)| *found == name).map(|(_, port)| *port).next();
        format!("{}:{}", self.host(), port.expect("the test asks for a listener it declared"))
    }

    /// What the broker has logged.
    pub fn log(&self) -> String {
        paths::read_log(&self.dir.join("broker.log"))
    }

    /// The broker's IP address, which stays the same when it is started again.
    pub fn ip(&self) -> IpAddr {
        match &self.ground {
            Ground::Loopback { .. } => Ipv4Addr::LOCALHOST.into(),
            Ground::Network(network) => network.address(100 + self.endpoints.id).into(),
        }
    }

    /// Starts the broker again after [`Self::stop`] or [`Self::kill`], and waits until it serves.
    pub async fn start(&mut self) -> Result<(), Error> {
        let jars = Jars::ensure().await?;
        self.launch(&jars).await?;
        self.wait_until_started(super::START_LIMIT).await
    }

    /// Ends the broker in order: partitions are handed over first.
    pub async fn stop(&mut self) -> Result<(), Error> {
        match &mut self.running {
            Some(Running::Process(process)) => process.stop(Duration::from_secs(60)).await.map(drop),
            Some(Running::Container(container)) => container.stop().await,
            None => Ok(()),
        }
    }

    /// Ends the broker at once.
    pub async fn kill(&mut self) -> Result<(), Error> {
        match &mut self.running {
            Some(Running::Process(process)) => process.kill().map(drop),
            Some(Running::Container(container)) => container.kill().await,
            None => Ok(()),
        }
    }

    /// Freezes the broker: its connections stay open and silent.
    pub async fn pause(&mut self) -> Result<(), Error> {
        match &mut self.running {
            Some(Running::Process(process)) => process.signal(Signal::Stop),
            Some(Running::Container(container)) => container.pause().await?,
            None => {}
        }
        Ok(())
    }

    /// Thaws the broker.
    pub async fn resume(&mut self) -> Result<(), Error> {
        match &mut self.running {
            Some(Running::Process(process)) => process.signal(Signal::Continue),
            Some(Running::Container(container)) => container.resume().await?,
            None => {}
        }
        Ok(())
    }

    pub(super) fn endpoints(&self) -> Endpoints {
        self.endpoints.clone()
    }

    /// The names that the broker's certificate carries.
    pub(super) fn names(&self) -> Vec<String> {
        match &self.ground {
            Ground::Loopback { .. } => ["127.0.0.1", "localhost"].map(str::to_owned).to_vec(),
            Ground::Network(_) => vec![self.endpoints.advertised.clone()],
        }
    }

    fn properties_file(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    pub(super) fn write_properties(
        &self,
        spec: &KafkaSpec,
        all: &[Endpoints],
        certificate: Option<&Leaf>,
    ) -> Result<(), Error> {
        paths::write_private(&self.dir.join("log4j2.properties"), java::LOG4J)?;
        let keystore = self.dir.join("keystore.pem");
        if let Some(leaf) = certificate {
            fs::copy(&leaf.key_and_chain, &keystore).map_err(Error::file(&keystore))?;
        }
        let keystore = certificate.map(|_| keystore.as_path());
        let text = properties::render(spec, &self.endpoints, all, &self.dir.join("data"), keystore);
        paths::write_private(&self.properties_file(), text)
    }

    /// Formats the node's storage, with the super user's login from the first boot on.
    pub(super) async fn format(
        &self,
        jars: &Jars,
        cluster_id: &str,
        admin_password: Option<&SecretString>,
    ) -> Result<(), Error> {
        let mut args = vec!["format".to_owned(), "--cluster-id".to_owned(), cluster_id.to_owned()];
        args.extend(["--config".to_owned(), self.properties_file().display().to_string()]);
        if let Some(password) = admin_password {
            args.push("--add-scram".to_owned());
            args.push(format!("SCRAM-SHA-512=[name=admin,password={}]", password.expose_secret()));
        }
        let tool = Java::small("kafka.tools.StorageTool", args);
        tool.run(jars, &self.dir).await?;
        let argument_file = self.dir.join("StorageTool.args");
        fs::remove_file(&argument_file).map_err(Error::file(&argument_file))
    }

    pub(super) async fn launch(&mut self, jars: &Jars) -> Result<(), Error> {
        let log4j = self.dir.join("log4j2.properties");
        let mut options = self.jvm.options();
        options.push(format!("-Dlog4j2.configurationFile={}", log4j.display()));
        let args = vec![self.properties_file().display().to_string()];
        let broker = Java { options, main: "kafka.Kafka", args };
        let argument = broker.argument_file(jars, &self.dir.join("broker.args"))?;
        let log = self.dir.join("broker.log");
        // A second start must not take the first one's lines for its own.
        fs::write(&log, "").map_err(Error::file(&log))?;
        match (&self.ground, &self.running) {
            (Ground::Loopback { .. }, _) => {
                let program = Program {
                    program: java::program(),
                    package: java::PACKAGE,
                    args: vec![argument],
                    env: Vec::new(),
                    log,
                };
                self.running = Some(Running::Process(Process::start(&program)?));
            }
            (Ground::Network(_), Some(Running::Container(container))) => container.start().await?,
            (Ground::Network(network), _) => {
                let mut options = tools::mounts(jars, &self.dir);
                options.extend(["--ip".to_owned(), self.ip().to_string()]);
                options.extend(["--hostname".to_owned(), self.host().to_owned()]);
                let shell = format!("exec java '{argument}' >>'{}' 2>&1", log.display());
                let command = ["sh", "-c", &shell].map(str::to_owned);
                let image = Image::Broker.ensure().await?;
                let aliases = [self.host().to_owned()];
                let what = format!("broker-{}", self.id());
                let container =
                    Container::run(&what, &image, &[network], &aliases, &options, &command).await?;
                self.running = Some(Running::Container(container));
            }
        }
        Ok(())
    }

    pub(super) async fn wait_until_started(&mut self, limit: Duration) -> Result<(), Error> {
        let what = format!("broker {} serves clients", self.id());
        match self.running.as_mut().expect("a broker is waited for after its launch") {
            Running::Process(process) => {
                process.until(&what, limit, async |log| Ok(log.contains(STARTED).then_some(()))).await
            }
            Running::Container(container) => {
                let file = self.dir.join("broker.log");
                let log = || paths::read_log(&file);
                let is_started = async || {
                    if log().contains(STARTED) {
                        return Ok(Some(()));
                    }
                    if container.is_running().await? {
                        return Ok(None);
                    }
                    let (command, output) = (what.clone(), paths::tail(&log(), 40));
                    Err(Error::Command { command, status: "the container ended".to_owned(), output })
                };
                wait::until(&what, limit, is_started, || paths::tail(&log(), 40)).await
            }
        }
    }
}
