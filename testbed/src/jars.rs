//! Apache Kafka's jars: brought once through Maven into a cache, each checked against the tracked list.
//!
//! The POM and the list are the very files that `provision` embeds for its lab: `templates/kafka/`.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, command, paths};

const POM: &str = include_str!("../../templates/kafka/pom.xml");
const LIST: &str = include_str!("../../templates/kafka/jars.sha256");

/// The jar that is a plugin and so must not be on the class path.
const PLUGIN: &str = "connect-file-";

/// An unpacked Kafka.
#[derive(Debug, Clone)]
pub struct Jars {
    /// The class path: brokers, tools and the Connect worker.
    pub libs: PathBuf,
    /// `plugin.path` of a Connect worker: a folder for each plugin.
    pub plugins: PathBuf,
}

impl Jars {
    /// Kafka's jars from the cache, brought there first if need be.
    ///
    /// Errors: [`Error::Spawn`] without Maven, [`Error::Command`] when it cannot reach its repository,
    /// [`Error::Digest`] when a jar is not the pinned one.
    pub async fn ensure() -> Result<Self, Error> {
        let list_digest = hex(&Sha256::digest(LIST));
        let home = paths::cache()?.join(format!("kafka-{}", &list_digest[..12]));
        let jars = Self { libs: home.join("libs"), plugins: home.join("plugins") };
        let _lock = paths::lock("jars").await?;
        if home.is_dir() {
            return Ok(jars);
        }
        let aside = tempfile::tempdir_in(paths::cache()?).map_err(Error::file(paths::cache()?))?;
        bring(aside.path()).await?;
        fs::rename(aside.keep(), &home).map_err(Error::file(&home))?;
        Ok(jars)
    }

    /// The class path in the form that the Java launcher expands itself.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.libs.display())
    }

    /// The folder that holds both, to be mounted into containers at the same path.
    pub fn home(&self) -> &Path {
        self.libs.parent().expect("libs is made inside a folder")
    }
}

async fn bring(home: &Path) -> Result<(), Error> {
    let pom = home.join("pom.xml");
    fs::write(&pom, POM).map_err(Error::file(&pom))?;
    let libs = home.join("libs");
    let file = format!("--file={}", pom.display());
    let into = format!("-DoutputDirectory={}", libs.display());
    let args =
        ["--batch-mode", "--quiet", &file, "dependency:copy-dependencies", "-DincludeScope=runtime", &into];
    command::run("mvn", "maven", &args).await?;
    for line in LIST.lines() {
        let (digest, name) = line.split_once("  ").expect("the tracked list is the output of sha256sum");
        let jar = libs.join(name);
        let bytes = fs::read(&jar).map_err(Error::file(&jar))?;
        if hex(&Sha256::digest(bytes)) != digest {
            return Err(Error::Digest { path: jar });
        }
        if let Some(plugin) = name.strip_suffix(".jar").filter(|name| name.starts_with(PLUGIN)) {
            let folder = home.join("plugins").join(plugin);
            fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
            fs::rename(&jar, folder.join(name)).map_err(Error::file(&jar))?;
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
