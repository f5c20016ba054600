//! PostgreSQL from Debian's package: a cluster of its own in a folder of this test bed, on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::Rng;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret, SecretString};

use crate::ports::Port;
use crate::process::{Process, Program};
use crate::{Error, command, owner, paths};

const PACKAGE: &str = "postgresql";

/// A running server; dropping it kills and removes it.
#[derive(Debug)]
pub struct Postgres {
    _process: Process,
    port: Port,
    password: SecretString,
    programs: PathBuf,
    dir: PathBuf,
}

impl Postgres {
    /// Starts a server with one super user `postgres` and the database `postgres`.
    ///
    /// Errors: [`Error::Spawn`] when it is not installed, or its early end with the last lines of its log.
    pub async fn start() -> Result<Self, Error> {
        let programs = programs()?;
        let dir = owner::dir("postgres")?;
        let password: String = rand::rng().sample_iter(Alphanumeric).take(24).map(char::from).collect();
        let password_file = dir.join("password");
        paths::write_private(&password_file, &password)?;
        let data = dir.join("data");
        fs::create_dir(&data).map_err(Error::file(&data))?;
        // The server refuses to run as root; then it runs as the package's own user, which must get into the folder.
        let is_root = rustix::process::getuid().is_root();
        if is_root {
            let words = [dir.as_path(), &data, &password_file].map(|path| path.display().to_string());
            let words: Vec<&str> =
                ["postgres:"].into_iter().chain(words.iter().map(String::as_str)).collect();
            command::run("chown", "coreutils", &words).await?;
            for folder in [dir.parent(), dir.parent().and_then(Path::parent)].into_iter().flatten() {
                command::run("chmod", "coreutils", &["a+x", &folder.display().to_string()]).await?;
            }
        }
        let (data, password_file) = (data.display().to_string(), password_file.display().to_string());
        let initdb = programs.join("initdb").display().to_string();
        let mut words = as_server(is_root, &initdb);
        let password_option = format!("--pwfile={password_file}");
        words.extend(["--no-sync", "--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"]);
        words.extend([password_option.as_str(), "--pgdata", &data]);
        command::run(words[0], PACKAGE, &words[1..]).await?;

        let port = Port::reserve()?;
        let number = port.number().to_string();
        let server = programs.join("postgres").display().to_string();
        let sockets = format!("unix_socket_directories={}", dir.display());
        let mut words = as_server(is_root, &server);
        words.extend(["-D", &data, "-h", "127.0.0.1", "-p", &number, "-c", &sockets, "-c", "fsync=off"]);
        let program = Program {
            program: words[0].into(),
            package: PACKAGE,
            args: words[1..].iter().map(|word| (*word).to_owned()).collect(),
            env: Vec::new(),
            log: dir.join("server.log"),
        };
        let mut process = Process::start(&program)?;
        let limit = Duration::from_secs(60);
        let is_ready = async |log: &str| Ok(log.contains("ready to accept connections").then_some(()));
        process.until("PostgreSQL accepts connections", limit, is_ready).await?;
        Ok(Self { _process: process, port, password: password.into(), programs, dir })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The super user.
    pub fn username(&self) -> &str {
        "postgres"
    }

    /// The super user's password.
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// Runs SQL with `psql` and returns its rows, fields divided by `|`.
    pub async fn sql(&self, statements: &str) -> Result<String, Error> {
        let password_file = self.dir.join("pgpass");
        let entry = format!("127.0.0.1:{}:*:postgres:{}\n", self.port(), self.password.expose_secret());
        paths::write_private(&password_file, entry)?;
        let psql = self.programs.join("psql").display().to_string();
        let connection = format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres passfile={}",
            self.port(),
            password_file.display()
        );
        let args =
            ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", &connection];
        command::run_with_input(&psql, PACKAGE, &args, statements.as_bytes()).await
    }
}

/// The words that run `program` as the user the server must run as.
fn as_server(is_root: bool, program: &str) -> Vec<&str> {
    match is_root {
        true => vec!["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", program],
        false => vec![program],
    }
}

/// Debian keeps the server's programs in a folder for each version; the newest is taken.
fn programs() -> Result<PathBuf, Error> {
    let base = Path::new("/usr/lib/postgresql");
    let missing = |source| Error::Spawn { program: "postgres".to_owned(), package: PACKAGE, source };
    let mut versions: Vec<u32> = Vec::new();
    for entry in fs::read_dir(base).map_err(missing)? {
        versions.extend(entry.map_err(missing)?.file_name().to_string_lossy().parse::<u32>().ok());
    }
    let newest = versions.into_iter().max().ok_or_else(|| missing(std::io::ErrorKind::NotFound.into()))?;
    Ok(base.join(newest.to_string()).join("bin"))
}
