//! Kafka's own Java tools, run against a cluster of the test bed.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::Kafka;
use crate::java::Java;
use crate::{Error, owner, paths};

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
        let properties = match client {
            None => self.admin_properties(),
            Some(client) => sasl_ssl_properties(
                client.truststore_type,
                client.truststore,
                client.truststore_password.map(|password| password.expose_secret()),
                client.username,
                client.password.expose_secret(),
            ),
        };
        let max_text = max.to_string();
        let args =
            ["--topic", topic, "--from-beginning", "--max-messages", &max_text, "--timeout-ms", "60000"];
        let out = self.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &args, &properties).await?;
        Ok(out.lines().map(str::to_owned).collect())
    }

    /// Creates a topic as admin.
    pub async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), Error> {
        let partitions = partitions.to_string();
        let args = ["--create", "--topic", topic, "--partitions", &partitions];
        self.tool("org.apache.kafka.tools.TopicCommand", &args, &self.admin_properties()).await?;
        Ok(())
    }

    /// Runs one of Kafka's tools that take `--bootstrap-server` and `--command-config`; returns its stdout.
    pub async fn tool(&self, main: &'static str, args: &[&str], properties: &str) -> Result<String, Error> {
        let dir = owner::dir("tool")?;
        let config = dir.join("client.properties");
        paths::write_private(&config, properties)?;
        let mut words = vec!["--bootstrap-server".to_owned(), self.bootstrap.clone()];
        words.extend(["--command-config".to_owned(), config.display().to_string()]);
        words.extend(args.iter().map(|word| (*word).to_owned()));
        Java::small(main, words).run(&self.jars, &dir).await
    }
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
