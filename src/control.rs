//! What the control machine keeps of a cluster: `certs/<cluster>/`, mode 0700.
//!
//! ```text
//! marker            the cluster's identity; hosts carry the same text
//! ca.pem ca.key     the cluster's certificate authority; the key never leaves this folder
//! secrets/<name>    generated secrets, one per file
//! leaves/<name>/    key.pem and chain.pem of issued certificates
//! stores/           the workers' truststores as PEM, PKCS12 and JKS
//! journal.jsonl     one line per change made, without secrets
//! ```
//!
//! Files are written aside and renamed, so that a run that dies leaves old or new ones, never halves. What it wrote
//! aside has a name of its own for each file: the next run, which writes that file, writes over it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::inventory::model::ClusterName;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not usable")]
    Corrupt {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ControlError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } | Self::Write { .. } => {
                Some("check owner, mode and free space of that folder".into())
            }
            Self::Corrupt { path, .. } => Some(format!(
                "restore {} from the control machine that made it, or from a backup; it is never made anew in silence",
                path.display()
            )),
        }
    }
}

/// The folder of one cluster. Nothing is created before the first write.
#[derive(Debug, Clone)]
pub(crate) struct ControlHome {
    folder: PathBuf,
}

impl ControlHome {
    pub(crate) fn new(certs: &Path, cluster: &ClusterName) -> Self {
        Self { folder: certs.join(cluster.as_str()) }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bytes of a file of the folder; `None` when it is not there.
    pub(crate) fn read_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, ControlError> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ControlError::Read { path, source }),
        }
    }

    /// The text of a file of the folder; `None` when it is not there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, ControlError> {
        let Some(bytes) = self.read_bytes(name)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|source| ControlError::Corrupt {
            path: self.folder.join(name),
            source: Box::new(source),
        })?;
        Ok(Some(text))
    }

    /// Writes a file of the folder, mode 0600, whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ControlError> {
        let path = self.folder.join(name);
        self.write_at(&path, bytes).map_err(|source| ControlError::Write { path: path.clone(), source })
    }

    fn write_at(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        create_private_folders(folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = folder.join(format!(".{name}.new"));
        let written = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&aside)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&aside, path));
        if written.is_err() {
            // What is wrong is told by the error that there is.
            let _ = fs::remove_file(&aside);
        }
        written?;
        File::open(folder)?.sync_all()
    }

    pub(crate) fn read_secret(&self, name: &str) -> Result<Option<SecretString>, ControlError> {
        Ok(self.read(&format!("secrets/{name}"))?.map(|text| SecretString::from(text.trim_end_matches('\n'))))
    }

    pub(crate) fn write_secret(&self, name: &str, secret: &SecretString) -> Result<(), ControlError> {
        self.write(&format!("secrets/{name}"), secret.expose_secret().as_bytes())
    }

    /// The cluster's identity, if this control machine has it.
    pub(crate) fn marker(&self) -> Result<Option<String>, ControlError> {
        Ok(self.read("marker")?.map(|text| text.trim().to_owned()))
    }

    /// The cluster's identity, drawn on first use.
    pub(crate) fn marker_or_draw(&self) -> Result<String, ControlError> {
        if let Some(marker) = self.marker()? {
            return Ok(marker);
        }
        let marker = hex(&rand::random::<[u8; 16]>());
        self.write("marker", format!("{marker}\n").as_bytes())?;
        Ok(marker)
    }

    /// Keeps other runs of this machine from changing the cluster until the lock is dropped; `None` when one does.
    ///
    /// The lock lies beside the cluster's folder, so that taking it makes no folder that could pass for a real one.
    pub(crate) fn lock(&self) -> Result<Option<File>, ControlError> {
        let certs = self.folder.parent().unwrap_or(&self.folder);
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let path = certs.join(format!(".{name}.lock"));
        let open = || {
            create_private_folders(certs)?;
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path)
        };
        let file = open().map_err(|source| ControlError::Write { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(ControlError::Write { path, source }),
        }
    }

    /// Appends one line to the journal.
    pub(crate) fn append_journal(&self, line: &str) -> Result<(), ControlError> {
        let path = self.folder.join("journal.jsonl");
        let append = || {
            create_private_folders(&self.folder)?;
            let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()
        };
        append().map_err(|source| ControlError::Write { path: path.clone(), source })
    }

    /// What a phase created, according to the journal: subject -> named fields.
    pub(crate) fn created(&self, phase: &str) -> Result<BTreeMap<String, BTreeSet<String>>, ControlError> {
        let mut created: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for entry in self.entries(phase)?.iter().filter(|entry| entry["action"] == "create") {
            if let Some(subject) = entry["subject"].as_str() {
                let fields =
                    entry["fields"].as_array().into_iter().flatten().filter_map(|field| field.as_str());
                created.entry(subject.to_owned()).or_default().extend(fields.map(str::to_owned));
            }
        }
        Ok(created)
    }

    /// Subjects that a phase changed on a target, in whatever way, according to the journal.
    pub(crate) fn made(&self, phase: &str, target: &str) -> Result<BTreeSet<String>, ControlError> {
        let entries = self.entries(phase)?;
        let on_target = entries.iter().filter(|entry| entry["target"] == target);
        Ok(on_target.filter_map(|entry| entry["subject"].as_str().map(str::to_owned)).collect())
    }

    /// The journal's entries of a phase for what was made or begun. A change that failed may have been made as well: a
    /// connection that is lost, or a check afterwards, fails it too.
    fn entries(&self, phase: &str) -> Result<Vec<serde_json::Value>, ControlError> {
        let journal = self.read("journal.jsonl")?.unwrap_or_default();
        let mut made: Vec<serde_json::Value> = Vec::new();
        for entry in journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            if entry["phase"] != phase {
                continue;
            }
            let is_open = |begun: &serde_json::Value| {
                begun["outcome"] == "begun"
                    && begun["target"] == entry["target"]
                    && begun["subject"] == entry["subject"]
            };
            if entry["outcome"] == "made" {
                made.retain(|begun| !is_open(begun));
            }
            if entry["outcome"] != "failed" {
                made.push(entry);
            }
        }
        Ok(made)
    }

    /// Removes the whole folder; absence is fine.
    pub(crate) fn remove(&self) -> Result<(), ControlError> {
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ControlError::Write { path: self.folder.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

fn create_private_folders(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn home() -> (tempfile::TempDir, ControlHome) {
        let folder = tempfile::tempdir().unwrap();
        let home = ControlHome { folder: folder.path().join("orders") };
        (folder, home)
    }

    #[test]
    fn nothing_is_created_by_reading() {
        let (_folder, home) = home();
        assert!(home.marker().unwrap().is_none());
        assert!(home.read_secret("connect-user").unwrap().is_none());
        assert!(!home.folder().exists());
    }

    #[test]
    fn secrets_are_private_and_come_back_whole() {
        let (_folder, home) = home();
        home.write_secret("connect-user", &"p\u{e4}ss".into()).unwrap();
        assert_eq!(home.read_secret("connect-user").unwrap().unwrap().expose_secret(), "p\u{e4}ss");
        let mode = fs::metadata(home.folder().join("secrets/connect-user")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mode = fs::metadata(home.folder()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn what_was_begun_counts_as_made_even_if_it_failed() {
        let (_folder, home) = home();
        for (subject, outcome) in
            [("a", "begun"), ("b", "begun"), ("b", "failed"), ("c", "begun"), ("c", "made")]
        {
            let entry = serde_json::json!({
                "phase": "image", "target": "w1", "action": "create", "subject": subject,
                "fields": ["x"], "outcome": outcome,
            });
            home.append_journal(&entry.to_string()).unwrap();
        }
        assert_eq!(home.made("image", "w1").unwrap(), BTreeSet::from(["a", "b", "c"].map(str::to_owned)));
        assert_eq!(home.created("image").unwrap().len(), 3);
        assert!(home.made("image", "w2").unwrap().is_empty() && home.made("files", "w1").unwrap().is_empty());
    }

    #[test]
    fn one_run_at_a_time_holds_the_lock() {
        let (_folder, home) = home();
        let held = home.lock().unwrap();
        assert!(held.is_some());
        assert!(home.lock().unwrap().is_none());
        drop(held);
        assert!(home.lock().unwrap().is_some());
    }

    #[test]
    fn a_marker_is_drawn_once() {
        let (_folder, home) = home();
        let first = home.marker_or_draw().unwrap();
        assert_eq!(home.marker_or_draw().unwrap(), first);
        assert_eq!(first.len(), 32);
    }
}
