//! The containers of a host. Several phases want to know of them, and a start of Docker's client costs more than most
//! looks: all ask in the same words, so that looks which go together ask the engine once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

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

/// One JSON array per container: labels of others may hold anything. Without `.Size`, which takes the engine long.
const FORMAT: &str =
    "container=[{{json .Names}},{{json .Status}},{{json .Image}},{{json .Ports}},{{json .Labels}}]";

/// Looks at the containers. Parse the answer with [`Engine::parse`].
pub(crate) fn look(privilege: Privilege) -> Command {
    let script = format!(
        "command -v docker >/dev/null 2>&1 || exit 0\n\
         said=$(timeout 20 docker ps --all --format {} 2>&1)\n\
         case $? in\n\
         0) printf '%s\\n' engine=answers \"$said\" ;;\n\
         124) echo 'engine_error=no answer within 20 s' ;;\n\
         *) echo \"engine_error=$(echo $said)\" ;;\n\
         esac\n",
        quote(FORMAT)
    );
    Command { privilege, ..Command::look("look at containers", script) }
}

impl Engine {
    /// Reads the answer of [`look`].
    pub(crate) fn parse(answer: &str) -> Self {
        let fields = Fields::parse(answer);
        if let Some(said) = fields.optional("engine_error") {
            return Self::Silent { said };
        }
        match fields.text("engine") {
            "answers" => Self::Answers(
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

impl Container {
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
    use super::*;

    /// What the look says where `docker` is this function of the shell.
    fn said(docker: &str) -> Engine {
        let script = format!("docker() {{ {docker}; }}\ntimeout() {{ shift; \"$@\"; }}\n");
        let script = script + &look(Privilege::Root).script;
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        Engine::parse(&String::from_utf8(output.stdout).unwrap())
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
