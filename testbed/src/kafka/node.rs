//! One node: its files, its process, its life.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::KafkaSpec;
use super::properties::{self, Endpoints};
use crate::certificates::Leaf;
use crate::jars::Jars;
use crate::java::{self, Java};
use crate::ports::Port;
use crate::process::{Process, Program, Signal};
use crate::{Error, paths};

const LOG4J: &str = "\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
";

/// What a broker prints once it is unfenced and its client listener is open.
const STARTED: &str = "Kafka Server started";

/// One Kafka node.
#[derive(Debug)]
pub struct Broker {
    endpoints: Endpoints,
    dir: PathBuf,
    process: Option<Process>,
    _ports: [Port; 3],
}

impl Broker {
    pub(super) fn reserve(id: u16, kafka: &Path) -> Result<Self, Error> {
        let dir = paths::private_dir(kafka.join(format!("broker-{id}")))?;
        let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let endpoints = Endpoints {
            id,
            bind: "127.0.0.1".to_owned(),
            advertised: "127.0.0.1".to_owned(),
            internal: "127.0.0.1".to_owned(),
            client_port: ports[0].number(),
            internal_port: ports[1].number(),
            controller_port: ports[2].number(),
        };
        Ok(Self { endpoints, dir, process: None, _ports: ports })
    }

    /// The node's id.
    pub fn id(&self) -> u16 {
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

    /// What the broker has logged.
    pub fn log(&self) -> String {
        paths::read_log(&self.dir.join("broker.log"))
    }

    /// Starts the broker again after [`Self::stop`] or [`Self::kill`], and waits until it serves.
    pub async fn start(&mut self) -> Result<(), Error> {
        let jars = Jars::ensure().await?;
        self.launch(&jars)?;
        self.wait_until_started(super::START_LIMIT).await
    }

    /// Ends the broker in order: partitions are handed over first.
    pub async fn stop(&mut self) -> Result<(), Error> {
        if let Some(mut process) = self.process.take() {
            process.stop(Duration::from_secs(30)).await?;
        }
        Ok(())
    }

    /// Ends the broker at once.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Freezes the broker: its connections stay open and silent.
    pub fn pause(&mut self) {
        self.signal(Signal::Stop);
    }

    /// Thaws the broker.
    pub fn resume(&mut self) {
        self.signal(Signal::Continue);
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(process) = &mut self.process {
            process.signal(signal);
        }
    }

    pub(super) fn endpoints(&self) -> Endpoints {
        self.endpoints.clone()
    }

    /// The names that the broker's certificate carries.
    pub(super) fn names(&self) -> Vec<String> {
        ["127.0.0.1", "localhost"].map(str::to_owned).to_vec()
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
        paths::write_private(&self.dir.join("log4j2.properties"), LOG4J)?;
        let text = properties::render(spec, &self.endpoints, all, &self.dir.join("data"), certificate);
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

    pub(super) fn launch(&mut self, jars: &Jars) -> Result<(), Error> {
        let mut broker = Java::small("kafka.Kafka", vec![self.properties_file().display().to_string()]);
        let log4j = self.dir.join("log4j2.properties");
        broker.options.extend([
            "-Xms128m".to_owned(),
            "-Xmx512m".to_owned(),
            format!("-Dlog4j2.configurationFile={}", log4j.display()),
        ]);
        let argument = broker.argument_file(jars, &self.dir.join("broker.args"))?;
        let log = self.dir.join("broker.log");
        // A second start must not take the first one's lines for its own.
        fs::write(&log, "").map_err(Error::file(&log))?;
        let program = Program {
            program: java::program(),
            package: java::PACKAGE,
            args: vec![argument],
            env: Vec::new(),
            log,
        };
        self.process = Some(Process::start(&program)?);
        Ok(())
    }

    pub(super) async fn wait_until_started(&mut self, limit: Duration) -> Result<(), Error> {
        let what = format!("broker {} serves clients", self.id());
        let process = self.process.as_mut().expect("a broker is waited for after its launch");
        process.until(&what, limit, async |log| Ok(log.contains(STARTED).then_some(()))).await
    }
}
