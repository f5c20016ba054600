//! Where secrets come from: the environment, a file, a command, or this control machine, which draws them once.
//!
//! A secret is fetched at most once per run and never shown: names of sources appear in errors, values do not.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::Rng;
use secrecy::SecretString;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::control::{ControlError, ControlHome};
use crate::inventory::model::SecretRef;

/// Length of a drawn secret: 32 letters and digits are 190 bits.
const DRAWN_LENGTH: usize = 32;

/// How long a command may take to print a secret: somebody may have to touch a key or type a password first.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

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
    #[error("secret {name}: {program} has not ended after {} s", COMMAND_LIMIT.as_secs())]
    TimedOut { name: String, program: String },
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
            Self::TimedOut { .. } => {
                Some("run the command by hand: does it wait for an answer that nobody gives?".into())
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
    /// Variables of our environment that hold secrets: a command that prints one needs none of the others.
    private: Vec<String>,
    /// Fetched values by secret name. Whoever asks while one is fetched waits for it.
    fetched: Mutex<HashMap<String, Arc<OnceCell<SecretString>>>>,
}

impl Secrets {
    pub(crate) fn new(home: ControlHome, private: Vec<String>) -> Self {
        Self { home, private, fetched: Mutex::new(HashMap::new()) }
    }

    /// The secret, or `None` when it is of the generated kind and was not drawn yet. `name` is the file a generated
    /// one is kept in: `connect-user`.
    pub(crate) async fn peek(
        &self,
        name: &str,
        origin: &SecretRef,
    ) -> Result<Option<SecretString>, SecretError> {
        match self.fetch(name, origin).await {
            Ok(secret) => Ok(Some(secret)),
            Err(SecretError::NotDrawn { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The secret; an error when it was not drawn yet.
    pub(crate) async fn get(&self, name: &str, origin: &SecretRef) -> Result<SecretString, SecretError> {
        self.fetch(name, origin).await
    }

    /// The secret; draws and keeps it when it is of the generated kind and new.
    pub(crate) async fn get_or_draw(
        &self,
        name: &str,
        origin: &SecretRef,
    ) -> Result<SecretString, SecretError> {
        if let Some(secret) = self.peek(name, origin).await? {
            return Ok(secret);
        }
        let drawn = async {
            let secret = draw();
            self.home.write_secret(name, &secret)?;
            Ok(secret)
        };
        self.slot(name).get_or_try_init(|| drawn).await.cloned()
    }

    async fn fetch(&self, name: &str, origin: &SecretRef) -> Result<SecretString, SecretError> {
        let fetched = async {
            match origin {
                SecretRef::Generated => self
                    .home
                    .read_secret(name)?
                    .ok_or_else(|| SecretError::NotDrawn { name: name.to_owned() }),
                SecretRef::Env(variable) => from_env(name, variable.as_str()),
                SecretRef::File(path) => from_file(name, path),
                SecretRef::Command(words) => from_command(name, words, &self.private, COMMAND_LIMIT).await,
            }
        };
        self.slot(name).get_or_try_init(|| fetched).await.cloned()
    }

    fn slot(&self, name: &str) -> Arc<OnceCell<SecretString>> {
        let mut slots = self.fetched.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(slots.entry(name.to_owned()).or_default())
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

async fn from_command(
    name: &str,
    words: &[String],
    private: &[String],
    limit: Duration,
) -> Result<SecretString, SecretError> {
    let program = words.first().map(String::as_str).unwrap_or_default();
    let mut command = Command::new(program);
    for variable in private {
        command.env_remove(variable);
    }
    let output = command
        .args(words.get(1..).unwrap_or_default())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(limit, output)
        .await
        .map_err(|_elapsed| SecretError::TimedOut { name: name.to_owned(), program: program.to_owned() })?
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
        let secrets = Secrets::new(ControlHome::new(folder.path(), &cluster), Vec::new());
        (folder, secrets)
    }

    #[tokio::test]
    async fn a_generated_secret_is_drawn_once_and_kept() {
        let (folder, secrets) = secrets();
        assert!(secrets.peek("user", &SecretRef::Generated).await.unwrap().is_none());
        let drawn = secrets.get_or_draw("user", &SecretRef::Generated).await.unwrap();
        assert_eq!(drawn.expose_secret().len(), DRAWN_LENGTH);
        let again =
            Secrets::new(ControlHome::new(folder.path(), &ClusterName::parse("orders").unwrap()), Vec::new());
        assert_eq!(
            again.get("user", &SecretRef::Generated).await.unwrap().expose_secret(),
            drawn.expose_secret()
        );
    }

    #[tokio::test]
    async fn files_and_commands_lose_only_their_line_end() {
        let (folder, secrets) = secrets();
        let path = folder.path().join("password");
        std::fs::write(&path, " two words \r\n").unwrap();
        let secret = secrets.get("file", &SecretRef::File(path)).await.unwrap();
        assert_eq!(secret.expose_secret(), " two words ");
        let words = ["printf".to_owned(), "a\\nb\\n".to_owned()];
        let secret = secrets.get("command", &SecretRef::Command(words.into())).await.unwrap();
        assert_eq!(secret.expose_secret(), "a\nb");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_given_up() {
        let words = ["sleep".to_owned(), "1000".to_owned()];
        let error = from_command("command", &words, &[], Duration::from_millis(1)).await.unwrap_err();
        assert!(matches!(error, SecretError::TimedOut { .. }), "{error}");
    }

    #[tokio::test]
    async fn errors_name_the_source_and_not_the_value() {
        let (_folder, secrets) = secrets();
        let words = ["sh".to_owned(), "-c".to_owned(), "echo poison; exit 3".to_owned()];
        let error = secrets.get("command", &SecretRef::Command(words.into())).await.unwrap_err();
        assert_eq!(error.to_string(), "secret command: sh ended with exit status: 3");
        let error = secrets
            .get("v", &SecretRef::Env(VariableName::parse("PROVISION_TEST_NEVER_SET").unwrap()))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("PROVISION_TEST_NEVER_SET"));
    }
}
