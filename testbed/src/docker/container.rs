//! A container of this test bed.

use std::sync::Arc;

use super::{Network, docker, docker_on_drop, label};
use crate::{Error, command, owner};

/// A container; dropping it removes it with its volumes.
#[derive(Debug)]
pub struct Container {
    name: String,
    /// Kept so that a network goes after the containers in it.
    _networks: Vec<Arc<super::network::Owned>>,
}

impl Container {
    /// Runs an image in the background, attached to `networks` (the first is the default route), with the options of
    /// `docker run`. `aliases` are its names in the last network.
    pub async fn run(
        what: &str,
        image: &str,
        networks: &[&Network],
        aliases: &[String],
        options: &[String],
        command: &[String],
    ) -> Result<Self, Error> {
        let name = owner::unique(what)?;
        let mut words = vec!["create".to_owned(), "--name".to_owned(), name.clone()];
        words.extend(label()?);
        words.extend(options.iter().cloned());
        if let Some(first) = networks.first() {
            words.extend(["--network".to_owned(), first.name().to_owned()]);
        }
        if networks.len() == 1 {
            words.extend(aliases.iter().flat_map(|alias| ["--network-alias".to_owned(), alias.clone()]));
        }
        words.push(image.to_owned());
        words.extend(command.iter().cloned());
        // From here on the name may exist, so it is dropped on every way out.
        let container = Self { name, _networks: networks.iter().map(|network| network.owned()).collect() };
        docker(&as_words(&words)).await?;
        for network in networks.iter().skip(1) {
            let mut words = vec!["network".to_owned(), "connect".to_owned()];
            words.extend(aliases.iter().flat_map(|alias| ["--alias".to_owned(), alias.clone()]));
            words.extend([network.name().to_owned(), container.name.clone()]);
            docker(&as_words(&words)).await?;
        }
        docker(&["start", &container.name]).await?;
        Ok(container)
    }

    /// The engine's name for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address in a network.
    pub async fn address(&self, network: &Network) -> Result<String, Error> {
        let format = format!("{{{{(index .NetworkSettings.Networks \"{}\").IPAddress}}}}", network.name());
        docker(&["inspect", "--format", &format, &self.name]).await
    }

    /// Runs a shell script inside as root; the script comes on stdin, so it may hold secrets. Returns stdout.
    pub async fn exec(&self, script: &str) -> Result<String, Error> {
        let args = ["exec", "--interactive", &self.name, "sh", "-e"];
        command::run_with_input("docker", super::PACKAGE, &args, script.as_bytes()).await
    }

    /// What it has printed.
    pub async fn log(&self) -> Result<String, Error> {
        let output = command::output("docker", super::PACKAGE, &["logs", &self.name], b"").await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }

    /// Whether its first process runs.
    pub async fn is_running(&self) -> Result<bool, Error> {
        Ok(docker(&["inspect", "--format", "{{.State.Running}}", &self.name]).await? == "true")
    }

    /// Asks its first process to end and waits for it, a minute at most.
    pub async fn stop(&self) -> Result<(), Error> {
        docker(&["stop", "--time", "60", &self.name]).await.map(drop)
    }

    /// Ends its processes at once. The container stays, with its address.
    pub async fn kill(&self) -> Result<(), Error> {
        docker(&["kill", &self.name]).await.map(drop)
    }

    /// Starts it again.
    pub async fn start(&self) -> Result<(), Error> {
        docker(&["start", &self.name]).await.map(drop)
    }

    /// Freezes all its processes.
    pub async fn pause(&self) -> Result<(), Error> {
        docker(&["pause", &self.name]).await.map(drop)
    }

    /// Thaws them.
    pub async fn resume(&self) -> Result<(), Error> {
        docker(&["unpause", &self.name]).await.map(drop)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker_on_drop(&["rm", "--force", "--volumes", &self.name]);
    }
}

fn as_words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
