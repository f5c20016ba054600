//! An image of the engine, and what it is made of.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use testbed::command;
use testbed::docker::{Docker, docker};

/// Settings of an image that builders write about themselves, and labels, which are compared on their own.
const NOISE: [&str; 4] = ["ArgsEscaped", "Hostname", "Image", "Labels"];

/// An image of the engine; dropping it removes it.
pub(super) struct Image {
    pub(super) name: String,
}

/// What an image is made of.
pub(super) struct Content {
    pub(super) files: BTreeMap<String, File>,
    pub(super) settings: Map<String, Value>,
    pub(super) labels: Map<String, Value>,
}

#[derive(PartialEq)]
pub(super) struct File {
    kind: tar::EntryType,
    mode: u32,
    owner: (u64, u64),
    pub(super) content: Vec<u8>,
}

impl Content {
    pub(super) fn tree(&self) -> String {
        let lines = self.files.iter().map(|(path, file)| {
            let (uid, gid) = file.owner;
            format!("{path} {:o} {uid}:{gid}", file.mode)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Image {
    pub(super) async fn load(archive: &Path) -> Result<Self> {
        Docker::ensure().await?;
        let said = docker(&["load", "--input", &archive.display().to_string()]).await?;
        let name = said.strip_prefix("Loaded image: ").with_context(|| said.clone())?;
        Ok(Self { name: name.to_owned() })
    }

    /// With the builder that the engine has, whichever it is. The context's own path makes the name.
    pub(super) async fn build(context: &Path) -> Result<Self> {
        Docker::ensure().await?;
        let path = context.display().to_string();
        let name = format!("provision-testbed{path}").to_lowercase();
        docker(&["build", "--tag", &name, &path]).await?;
        Ok(Self { name })
    }

    pub(super) async fn content(&self) -> Result<Content> {
        let inspected: Value = serde_json::from_str(&docker(&["inspect", &self.name]).await?)?;
        let image = &inspected[0];
        let mut settings = image["Config"].as_object().context("a configuration")?.clone();
        settings.insert("Architecture".to_owned(), image["Architecture"].clone());
        settings.insert("Os".to_owned(), image["Os"].clone());
        // Engines write out what is not set, each in its own way.
        let is_unset = |value: &Value| [Value::Null, Value::Bool(false), "".into()].contains(value);
        settings.retain(|key, value| !NOISE.contains(&key.as_str()) && !is_unset(value));
        let labels = image["Config"]["Labels"].as_object().cloned().unwrap_or_default();
        Ok(Content { files: self.files().await?, settings, labels })
    }

    /// The files of all layers, as they lie on each other.
    async fn files(&self) -> Result<BTreeMap<String, File>> {
        let saved = command::output("docker", "docker.io", &["save", &self.name], b"").await?;
        let blobs = untar(&saved.stdout)?;
        let manifest: Value = serde_json::from_slice(&blobs["manifest.json"].content)?;
        let mut files = BTreeMap::new();
        for layer in manifest[0]["Layers"].as_array().context("layers")? {
            files.extend(untar(&blobs[layer.as_str().context("a name")?].content)?);
        }
        Ok(files)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // The engine's answer is of no use to a test that is over.
        drop(Command::new("docker").args(["rmi", &self.name]).stdout(Stdio::null()).status());
    }
}

fn untar(archive: &[u8]) -> Result<BTreeMap<String, File>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let header = entry.header().clone();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let file = File {
            kind: header.entry_type(),
            mode: header.mode()? & 0o7777,
            owner: (header.uid()?, header.gid()?),
            content,
        };
        files.insert(entry.path()?.display().to_string(), file);
    }
    Ok(files)
}
