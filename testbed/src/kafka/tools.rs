//! Kafka's own Java tools, run against a cluster of the test bed.

use std::fs;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::{Kafka, Place};
use crate::docker::image::Image;
use crate::jars::Jars;
use crate::java::Java;
use crate::{Error, docker, owner, paths};

/// Who reads with Kafka's console consumer, and whom it trusts.
#[derive(Debug, Clone)]
pub struct JavaClient<'a> {
    /// `JKS`, `PKCS12` or `PEM`.
    pub truststore_type: &'a str,
    /// The truststore's file.
    pub truststore: &'a Path,
    /// `None` for PEM.
    pub truststore_password: Option<&'a SecretString>,
    /// SCRAM user.
    pub username: &'a str,
    /// SCRAM password.
    pub password: &'a SecretString,
}

impl Kafka {
    /// Reads a topic from its beginning with Kafka's console consumer until it has `max` records.
    ///
    /// `client` is `None` for the cluster's own admin. Errors: [`Error::Command`] when fewer arrive within 60 s.
    pub async fn console_consume(
        &self,
        topic: &str,
        client: Option<&JavaClient<'_>>,
        max: usize,
    ) -> Result<Vec<String>, Error> {
        let dir = owner::dir("tool")?;
        let properties = match client {
            None => self.admin_properties(&dir)?,
            Some(client) => {
                let copy = dir.join("truststore");
                fs::copy(client.truststore, &copy).map_err(Error::file(client.truststore))?;
                sasl_ssl_properties(
                    client.truststore_type,
                    &copy,
                    client.truststore_password.map(|password| password.expose_secret()),
                    client.username,
                    client.password.expose_secret(),
                )
            }
        };
        let max_text = max.to_string();
        let args =
            ["--topic", topic, "--from-beginning", "--max-messages", &max_text, "--timeout-ms", "60000"];
        let out =
            self.tool_in(&dir, "org.apache.kafka.tools.consumer.ConsoleConsumer", &args, &properties).await?;
        Ok(out.lines().map(str::to_owned).collect())
    }

    /// Creates a topic as admin.
    pub async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), Error> {
        let partitions = partitions.to_string();
        let args = ["--create", "--topic", topic, "--partitions", &partitions];
        self.admin_tool("org.apache.kafka.tools.TopicCommand", &args).await.map(drop)
    }

    /// Makes a SCRAM-SHA-512 login as admin.
    pub async fn create_user(&self, username: &str, password: &SecretString) -> Result<(), Error> {
        let credential = format!("SCRAM-SHA-512=[password={}]", password.expose_secret());
        let args =
            ["--alter", "--entity-type", "users", "--entity-name", username, "--add-config", &credential];
        self.admin_tool("kafka.admin.ConfigCommand", &args).await.map(drop)
    }

    /// Runs [`Self::tool`] as admin.
    pub async fn admin_tool(&self, main: &'static str, args: &[&str]) -> Result<String, Error> {
        let dir = owner::dir("tool")?;
        let properties = self.admin_properties(&dir)?;
        self.tool_in(&dir, main, args, &properties).await
    }

    /// Runs one of Kafka's tools that take `--bootstrap-server` and `--command-config`; returns its stdout. It runs
    /// where the brokers are reached: for brokers in a network, in a container there.
    pub async fn tool(&self, main: &'static str, args: &[&str], properties: &str) -> Result<String, Error> {
        self.tool_in(&owner::dir("tool")?, main, args, properties).await
    }

    async fn tool_in(
        &self,
        dir: &Path,
        main: &'static str,
        args: &[&str],
        properties: &str,
    ) -> Result<String, Error> {
        let config = dir.join("client.properties");
        paths::write_private(&config, properties)?;
        let mut words = vec!["--bootstrap-server".to_owned(), self.bootstrap.clone()];
        words.extend(["--command-config".to_owned(), config.display().to_string()]);
        words.extend(args.iter().map(|word| (*word).to_owned()));
        let tool = Java::small(main, words);
        let network = match &self.place {
            Place::Loopback => return tool.run(&self.jars, dir).await,
            Place::Network(network) => network,
        };
        let image = Image::Broker.ensure().await?;
        let argument = tool.argument_file(&self.jars, &dir.join("tool.args"))?;
        let mut words = vec!["run".to_owned(), "--rm".to_owned()];
        words.extend(docker::label()?);
        words.extend(["--network".to_owned(), network.name().to_owned()]);
        words.extend(mounts(&self.jars, dir));
        words.extend([image, "java".to_owned(), argument]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        docker::docker(&words).await
    }
}

/// The options that show a folder and Kafka's jars to a container at the paths they have here.
pub(super) fn mounts(jars: &Jars, dir: &Path) -> Vec<String> {
    let user = format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    vec![
        format!("--user={user}"),
        format!("--volume={0}:{0}:ro", jars.home().display()),
        format!("--volume={0}:{0}", dir.display()),
    ]
}

/// The properties of a Java client with TLS and SCRAM.
pub(super) fn sasl_ssl_properties(
    truststore_type: &str,
    truststore: &Path,
    truststore_password: Option<&str>,
    username: &str,
    password: &str,
) -> String {
    let login = format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{}\" password=\"{}\";",
        jaas(username),
        jaas(password)
    );
    let mut text = format!(
        "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nssl.truststore.type={truststore_type}\n\
         ssl.truststore.location={}\nsasl.jaas.config={}\n",
        truststore.display(),
        login.replace('\\', "\\\\")
    );
    if let Some(password) = truststore_password {
        text.push_str(&format!("ssl.truststore.password={}\n", password.replace('\\', "\\\\")));
    }
    text
}

/// Quotes a value inside a JAAS string.
fn jaas(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}
