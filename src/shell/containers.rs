//! The containers of a host. Several phases want to know of them: all ask in the same words, so that looks which go
//! together ask the engine once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Deserialize;

use super::fields::Fields;
use super::quote;
use crate::host::{Command, Privilege};

/// What a host's engine says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Engine {
    /// There is no client to ask with.
    Absent,
    /// It does not answer; what the client said.
    Silent { said: String },
    /// All containers, running or not.
    Answers(Vec<Container>),
}

/// A container as the engine has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) name: String,
    /// `running`, `exited`, `restarting`…
    pub(crate) status: String,
    /// `healthy`, `starting`, `unhealthy`; empty without a health check, and where it does not run.
    pub(crate) health: String,
    /// The name of the image that it was made from, as long as that image has it.
    pub(crate) image: String,
    /// TCP ports of the host that lead to it.
    pub(crate) ports: Vec<RangeInclusive<u16>>,
    /// Those of its image among them.
    pub(crate) labels: BTreeMap<String, String>,
}

/// How the client prints a container: a JSON array, for labels of others may hold anything. Without `.Size`, which takes
/// the engine long.
const FORMAT: &str =
    "container=[{{json .Names}},{{json .Status}},{{json .Image}},{{json .Ports}},{{json .Labels}}]";

/// Where the client finds the engine, unless it is told of another.
const SOCKET: &str = "/var/run/docker.sock";

/// Looks at the containers. Parse the answer with [`Engine::parse`].
pub(crate) fn look(privilege: Privilege) -> Command {
    Command { privilege, ..Command::look("look at containers", script(SOCKET)) }
}

fn script(socket: &str) -> String {
    format!("format={} socket={}\n{}", quote(FORMAT), quote(socket), include_str!("containers.sh"))
}

impl Engine {
    /// Reads the answer of [`look`].
    pub(crate) fn parse(answer: &str) -> Self {
        let fields = Fields::parse(answer);
        if let Some(said) = fields.optional("engine_error") {
            return Self::Silent { said };
        }
        match (fields.text("engine"), fields.optional("containers")) {
            ("answers", Some(list)) => match serde_json::from_str::<Vec<Listed>>(&list) {
                Ok(listed) => Self::Answers(listed.into_iter().map(Container::from).collect()),
                Err(error) => {
                    Self::Silent { said: format!("its list of containers is not understood: {error}") }
                }
            },
            ("answers", None) => Self::Answers(
                fields.all("container").iter().filter_map(|row| Container::parse(row)).collect(),
            ),
            _ => Self::Absent,
        }
    }

    /// None where the engine does not answer.
    pub(crate) fn containers(&self) -> &[Container] {
        match self {
            Self::Answers(containers) => containers,
            Self::Absent | Self::Silent { .. } => &[],
        }
    }
}

/// A container as the engine itself lists it (`GET /containers/json` of Docker's API).
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listed {
    /// Each with a slash before it; one with another slash in it is what a linked container calls this one.
    names: Option<Vec<String>>,
    image: String,
    ports: Option<Vec<ListedPort>>,
    labels: Option<BTreeMap<String, String>>,
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListedPort {
    public_port: Option<u16>,
    r#type: String,
}

impl From<Listed> for Container {
    fn from(listed: Listed) -> Self {
        let name = listed
            .names
            .iter()
            .flatten()
            .filter_map(|name| name.strip_prefix('/'))
            .find(|name| !name.contains('/'));
        let ports = listed.ports.unwrap_or_default().into_iter().filter(|port| port.r#type == "tcp");
        Self {
            name: name.unwrap_or_default().to_owned(),
            status: state(&listed.status),
            health: health(&listed.status).to_owned(),
            image: listed.image,
            ports: ports.filter_map(|port| port.public_port).map(|port| port..=port).collect(),
            labels: listed.labels.unwrap_or_default(),
        }
    }
}

impl Container {
    /// Reads a line of the client's.
    fn parse(row: &str) -> Option<Self> {
        let [name, status, image, ports, labels]: [String; 5] = serde_json::from_str(row).ok()?;
        Some(Self {
            name,
            health: health(&status).to_owned(),
            status: state(&status),
            image,
            ports: ports.split(", ").filter_map(published).collect(),
            labels: pairs(&labels),
        })
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether its processes exist, so that what it publishes is taken.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.status.as_str(), "running" | "paused" | "restarting")
    }

    /// Whether connections to this TCP port of the host go to it.
    pub(crate) fn publishes(&self, port: u16) -> bool {
        self.ports.iter().any(|range| range.contains(&port))
    }
}

/// `running` of `Up 3 minutes (healthy)`: clients before 20.10 have no word for the bare state.
fn state(status: &str) -> String {
    match status.split(' ').next().unwrap_or_default() {
        "Up" if status.contains("(Paused)") => "paused".to_owned(),
        "Up" => "running".to_owned(),
        "Removal" => "removing".to_owned(),
        first => first.to_lowercase(),
    }
}

fn health(status: &str) -> &str {
    let last = status.rsplit_once('(').and_then(|(_, last)| last.strip_suffix(')')).unwrap_or_default();
    match last.trim_start_matches("health: ") {
        health @ ("healthy" | "unhealthy" | "starting") => health,
        _ => "",
    }
}

/// Reads `10.0.0.1:8079-8083->8079-8083/tcp`; a port that is not published has no arrow.
fn published(port: &str) -> Option<RangeInclusive<u16>> {
    let (from, to) = port.split_once("->")?;
    to.ends_with("/tcp").then_some(())?;
    let (_, ports) = from.rsplit_once(':')?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// Reads `key=value,key=value`. A value with a comma is cut short there: ours have none.
fn pairs(labels: &str) -> BTreeMap<String, String> {
    let pairs = labels.split(',').filter_map(|label| label.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What the look says where `docker` is this function of the shell, and the engine's socket is here.
    fn said_with(docker: &str, socket: &str) -> Engine {
        let script = format!("docker() {{ {docker}; }}\ntimeout() {{ shift; \"$@\"; }}\n") + &script(socket);
        let mut sh = std::process::Command::new("sh");
        sh.arg("-c")
            .arg(script)
            .env_remove("DOCKER_HOST")
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_CONFIG", "/nowhere");
        let output = sh.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        Engine::parse(&String::from_utf8(output.stdout).unwrap())
    }

    /// The same without an engine that could be asked past the client.
    fn said(docker: &str) -> Engine {
        said_with(docker, "/nowhere")
    }

    /// What the look says where the engine answers with this, and the client with [`ROW`].
    fn listed(answer: &str) -> Engine {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = answer.to_owned();
        let engine = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = String::new();
            let mut lines = BufReader::new(&client);
            while !request.ends_with("\r\n\r\n") {
                lines.read_line(&mut request).unwrap();
            }
            client.write_all(answer.as_bytes()).unwrap();
            request
        });
        let said = said_with(&format!("echo '{ROW}'"), &socket.display().to_string());
        assert!(engine.join().unwrap().starts_with("GET /containers/json?all=1 HTTP/1.0\r\n"));
        said
    }

    const ROW: &str = r#"container=["a","Up 3 minutes (healthy)","i:1","10.0.0.1:8083->8083/tcp, [::]:80->80/udp, 9000/tcp, 0.0.0.0:8070-8079->70-79/tcp","x.y=1=2,provision.cluster=orders,odd"]"#;

    #[test]
    fn containers_are_read() {
        let engine = said(&format!("echo 'WARNING: no swap limit' >&2; echo '{ROW}'"));
        let [container] = engine.containers() else { panic!("{engine:?}") };
        let Container { name, status, health, image, .. } = container;
        assert_eq!([name, status, health, image], ["a", "running", "healthy", "i:1"]);
        assert_eq!((container.label("provision.cluster"), container.label("x.y")), ("orders", "1=2"));
        assert_eq!(container.label("odd"), "");
        let published = [8083, 8070, 8079].map(|port| container.publishes(port));
        assert_eq!(published, [true; 3], "{container:?}");
        assert_eq!([80, 9000, 8080].map(|port| container.publishes(port)), [false; 3], "{container:?}");
    }

    #[test]
    fn the_engines_own_list_is_read() {
        let ours = r#"{"Names":["/other/alias","/a"],"Image":"i:1","Status":"Up 3 minutes (healthy)",
            "Ports":[{"IP":"10.0.0.1","PrivatePort":80,"PublicPort":8083,"Type":"tcp"},{"PrivatePort":9000,"Type":"tcp"},
            {"IP":"::","PrivatePort":81,"PublicPort":81,"Type":"udp"}],"Labels":{"x":"1,y=2"}}"#;
        let bare = r#"{"Names":["/b"],"Image":"sha256:0","Status":"Created","Ports":null,"Labels":null}"#;
        let list = format!("[{ours},{bare}]").replace('\n', "");
        let engine = listed(&format!("HTTP/1.0 200 OK\r\nServer: Docker/26\r\n\r\n{list}\n"));
        let [first, second] = engine.containers() else { panic!("{engine:?}") };
        let Container { name, status, health, image, .. } = first;
        assert_eq!([name, status, health, image], ["a", "running", "healthy", "i:1"]);
        assert_eq!(first.label("x"), "1,y=2");
        assert_eq!([8083, 9000, 81, 80].map(|port| first.publishes(port)), [true, false, false, false]);
        assert_eq!([&second.name, &second.status], ["b", "created"]);
        assert_eq!(listed("HTTP/1.0 200 OK\r\n\r\n[]\n"), Engine::Answers(Vec::new()));
    }

    #[test]
    fn an_engine_that_answers_otherwise_is_asked_by_the_client() {
        for answer in ["", "HTTP/1.0 500 Internal Server Error\r\n\r\n[]", "HTTP/1.0 200 OK\r\n\r\n[{"] {
            assert_eq!(listed(answer), said(&format!("echo '{ROW}'")), "{answer}");
        }
        assert!(matches!(listed("HTTP/1.0 200 OK\r\n\r\n[7]"), Engine::Silent { .. }));
    }

    #[test]
    fn states_and_healths_are_read() {
        let check = |text: &str, expected: (&str, &str)| {
            assert_eq!((state(text).as_str(), health(text)), expected, "{text}");
        };
        check("Up 3 minutes", ("running", ""));
        check("Up About an hour (health: starting)", ("running", "starting"));
        check("Up 2 hours (unhealthy)", ("running", "unhealthy"));
        check("Up 2 hours (Paused)", ("paused", ""));
        check("Exited (137) 3 seconds ago", ("exited", ""));
        check("Restarting (1) 2 seconds ago", ("restarting", ""));
        check("Created", ("created", ""));
        check("Removal In Progress", ("removing", ""));
        check("Dead", ("dead", ""));
    }

    #[test]
    fn an_engine_without_containers_is_not_a_silent_one() {
        assert_eq!(said("true"), Engine::Answers(Vec::new()));
        let error = "Cannot connect to the Docker daemon.";
        assert_eq!(said(&format!("echo {error} >&2; exit 1")), Engine::Silent { said: error.to_owned() });
        assert_eq!(said("return 124"), Engine::Silent { said: "no answer within 20 s".to_owned() });
        assert_eq!(Engine::parse(""), Engine::Absent);
    }
}
