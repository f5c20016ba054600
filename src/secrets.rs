//! Where secrets come from: the environment, a file, a command, or this control machine, which draws them once.
//!
//! A secret is fetched at most once per run and never shown: names of sources appear in errors, values do not.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rand::Rng;
use secrecy::SecretString;

use crate::control::{ControlError, ControlHome};
use crate::inventory::model::SecretRef;

/// Length of a drawn secret: 32 letters and digits are 190 bits.
const DRAWN_LENGTH: usize = 32;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("secret {name}: the environment variable {variable} is not set")]
    NoVariable { name: String, variable: String },
    #[error("secret {name}: cannot read {path}")]
    File {
        name: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("secret {name}: cannot run {program}")]
    Spawn {
        name: String,
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("secret {name}: {program} ended with {status}")]
    Command { name: String, program: String, status: String },
    #[error("secret {name}: {origin} gives an empty value")]
    Empty { name: String, origin: String },
    #[error("secret {name}: not drawn yet")]
    NotDrawn { name: String },
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl SecretError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoVariable { variable, .. } => Some(format!("export {variable} before the run")),
            Self::File { .. } => Some("check the path and that you may read it".into()),
            Self::Spawn { .. } | Self::Command { .. } => {
                Some("run the command by hand; it must print the secret and exit with 0".into())
            }
            Self::Empty { .. } => Some("a secret must not be empty".into()),
            Self::NotDrawn { .. } => Some("run `provision apply` without --only or --skip first".into()),
            Self::Control(error) => error.hint(),
        }
    }
}

/// The secrets of one cluster.
pub(crate) struct Secrets {
    home: ControlHome,
    /// Fetched values by secret name.
    fetched: Mutex<HashMap<String, SecretString>>,
}

impl Secrets {
    pub(crate) fn new(home: ControlHome) -> Self {
        Self { home, fetched: Mutex::new(HashMap::new()) }
    }

    /// The secret, or `None` when it is of the generated kind and was not drawn yet. `name` is the file a generated
    /// one is kept in: `connect-user`.
    pub(crate) fn peek(&self, name: &str, origin: &SecretRef) -> Result<Option<SecretString>, SecretError> {
        if let Some(secret) = self.cache().get(name) {
            return Ok(Some(secret.clone()));
        }
        let secret = match origin {
            SecretRef::Generated => self.home.read_secret(name)?,
            SecretRef::Env(variable) => Some(from_env(name, variable.as_str())?),
            SecretRef::File(path) => Some(from_file(name, path)?),
            SecretRef::Command(words) => Some(from_command(name, words)?),
        };
        if let Some(secret) = &secret {
            self.cache().insert(name.to_owned(), secret.clone());
        }
        Ok(secret)
    }

    /// The secret; an error when it was not drawn yet.
    pub(crate) fn get(&self, name: &str, origin: &SecretRef) -> Result<SecretString, SecretError> {
        self.peek(name, origin)?.ok_or_else(|| SecretError::NotDrawn { name: name.to_owned() })
    }

    /// The secret; draws and keeps it when it is of the generated kind and new.
    pub(crate) fn get_or_draw(&self, name: &str, origin: &SecretRef) -> Result<SecretString, SecretError> {
        if let Some(secret) = self.peek(name, origin)? {
            return Ok(secret);
        }
        let secret = draw();
        self.home.write_secret(name, &secret)?;
        self.cache().insert(name.to_owned(), secret.clone());
        Ok(secret)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<String, SecretString>> {
        self.fetched.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn draw() -> SecretString {
    let letters = rand::rng().sample_iter(rand::distr::Alphanumeric).take(DRAWN_LENGTH);
    SecretString::from(letters.map(char::from).collect::<String>())
}

fn from_env(name: &str, variable: &str) -> Result<SecretString, SecretError> {
    let value = std::env::var(variable)
        .map_err(|_| SecretError::NoVariable { name: name.to_owned(), variable: variable.to_owned() })?;
    whole(name, variable, value)
}

fn from_file(name: &str, path: &std::path::Path) -> Result<SecretString, SecretError> {
    let value = std::fs::read_to_string(path).map_err(|source| SecretError::File {
        name: name.to_owned(),
        path: path.to_owned(),
        source,
    })?;
    whole(name, &path.display().to_string(), value)
}

fn from_command(name: &str, words: &[String]) -> Result<SecretString, SecretError> {
    let program = words.first().map(String::as_str).unwrap_or_default();
    let output = Command::new(program)
        .args(words.get(1..).unwrap_or_default())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| SecretError::Spawn {
            name: name.to_owned(),
            program: program.to_owned(),
            source,
        })?;
    if !output.status.success() {
        return Err(SecretError::Command {
            name: name.to_owned(),
            program: program.to_owned(),
            status: output.status.to_string(),
        });
    }
    whole(name, program, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The value without the line end that files and commands add.
fn whole(name: &str, origin: &str, value: String) -> Result<SecretString, SecretError> {
    let value = value.strip_suffix('\n').unwrap_or(&value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        return Err(SecretError::Empty { name: name.to_owned(), origin: origin.to_owned() });
    }
    Ok(SecretString::from(value))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::inventory::model::{ClusterName, VariableName};

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let folder = tempfile::tempdir().unwrap();
        let cluster = ClusterName::parse("orders").unwrap();
        let secrets = Secrets::new(ControlHome::new(folder.path(), &cluster));
        (folder, secrets)
    }

    #[test]
    fn a_generated_secret_is_drawn_once_and_kept() {
        let (folder, secrets) = secrets();
        assert!(secrets.peek("user", &SecretRef::Generated).unwrap().is_none());
        let drawn = secrets.get_or_draw("user", &SecretRef::Generated).unwrap();
        assert_eq!(drawn.expose_secret().len(), DRAWN_LENGTH);
        let again = Secrets::new(ControlHome::new(folder.path(), &ClusterName::parse("orders").unwrap()));
        assert_eq!(again.get("user", &SecretRef::Generated).unwrap().expose_secret(), drawn.expose_secret());
    }

    #[test]
    fn files_and_commands_lose_only_their_line_end() {
        let (folder, secrets) = secrets();
        let path = folder.path().join("password");
        std::fs::write(&path, " two words \r\n").unwrap();
        let secret = secrets.get("file", &SecretRef::File(path)).unwrap();
        assert_eq!(secret.expose_secret(), " two words ");
        let words = ["printf".to_owned(), "a\\nb\\n".to_owned()];
        let secret = secrets.get("command", &SecretRef::Command(words.into())).unwrap();
        assert_eq!(secret.expose_secret(), "a\nb");
    }

    #[test]
    fn errors_name_the_source_and_not_the_value() {
        let (_folder, secrets) = secrets();
        let words = ["sh".to_owned(), "-c".to_owned(), "echo poison; exit 3".to_owned()];
        let error = secrets.get("command", &SecretRef::Command(words.into())).unwrap_err();
        assert_eq!(error.to_string(), "secret command: sh ended with exit status: 3");
        let error = secrets
            .get("v", &SecretRef::Env(VariableName::parse("PROVISION_TEST_NEVER_SET").unwrap()))
            .unwrap_err();
        assert!(error.to_string().contains("PROVISION_TEST_NEVER_SET"));
    }
}
