//! The managed Kafka: one KRaft node on the host it is declared for, SASL_SSL and SCRAM-SHA-512 from its first boot.
//!
//! Storage is formatted once and belongs to the cluster of our marker: a folder formatted for another one is an error
//! that the operator sees, never formatted over. The node is a detached process; its digest says what it was started
//! from, so that a changed certificate or property restarts it, and nothing else does.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use kafka_control::LoginError;
use kafka_control::scram::{MAX_ITERATIONS, ScramCredential, ScramMechanism};
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Finding, Phase, PhaseError, Planned, Removed, Scope, Scoped, Severity};
use crate::desired::broker::{self, Layout, Material, Node};
use crate::host::{Command, HostError, HostExt, Stdin};
use crate::inventory::model::{Login, ManagedKafka};
use crate::kafka_access::{self, ADMIN_SECRET};
use crate::kafka_home::{self, Found};
use crate::plan::Change;
use crate::shell::fields::Fields;
use crate::shell::files::{self, FileKind, FileState, FileToWrite};
use crate::shell::quote;
use crate::supervise::process::{self, Program, State};
use crate::{authority, desired};
use decision::{FILES, JARS, STORAGE, Seen, decide};

mod decision;

/// How long a node may take from its start to its first login.
const START_LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);
const FORMAT_LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Kafka;

/// What the host of the managed node has; `None` on every other host.
#[derive(Debug, Clone)]
pub(crate) struct KafkaFacts(Option<Seen>);

#[async_trait]
impl Phase for Kafka {
    type Facts = KafkaFacts;

    const ID: &'static str = "kafka";
    const TITLE: &'static str = "Kafka";
    const SCOPE: Scope = Scope::EachHost;

    async fn check(&self, at: &Scoped<'_>) -> Result<KafkaFacts, PhaseError> {
        let Some(managed) = managed_here(at) else { return Ok(KafkaFacts(None)) };
        let layout = layout(at, managed);
        let material = existing_material(at, managed).await?;
        let answer = at.host().check(&look(managed, &layout)).await?;
        let fields = Fields::parse(&answer);
        let found = Found::read(&fields);
        let states = files::parse_states(&answer);
        let state = State::parse(fields.text("process")).ok_or_else(|| HostError::Protocol {
            host: at.host().name().clone(),
            title: "look at Kafka".to_owned(),
            detail: answer.clone(),
        })?;
        let wanted = material.as_ref().and_then(|material| wanted(at, managed, &layout, material, &found));
        let stale = match &wanted {
            Some((files, _)) => stale(files, &states),
            None => vec!["all".to_owned()],
        };
        let running = matches!(state, State::Running { .. });
        let taken = [(managed.port, "port"), (managed.controller_port, "controller_port")]
            .into_iter()
            .filter(|(_, key)| !running && fields.is_yes(&format!("taken_{key}")))
            .map(|(port, key)| (port.number(), key))
            .collect();
        Ok(KafkaFacts(Some(Seen {
            formatted: fields.optional("cluster_id"),
            ours: at.ctx.home.marker()?.map(|marker| broker::cluster_id(&marker)),
            has_files: states.contains_key(&layout.properties()),
            digest: wanted.map(|(_, program)| program.digest),
            found,
            answers: !running || answers(at).await,
            state,
            stale,
            taken,
            data: layout.data,
            home: at.ctx.home.folder().display().to_string(),
        })))
    }

    fn plan(&self, at: &Scoped<'_>, facts: &KafkaFacts) -> Planned {
        match (&facts.0, managed_here(at)) {
            (Some(seen), Some(managed)) => decide(at.target, managed, seen),
            _ => Planned::default(),
        }
    }

    async fn apply(&self, at: &Scoped<'_>, facts: &KafkaFacts, change: &Change) -> Result<(), PhaseError> {
        let managed = managed_here(at).expect("changes are planned for the node's own host only");
        if change.subject == JARS {
            at.ctx.events.progress(at.target, "Maven brings Kafka's jars, once");
            return Ok(kafka_home::bring(at.host().as_ref()).await?);
        }
        let layout = layout(at, managed);
        let material = make_material(at, managed).await?;
        // Looked for again: the jars and Java may have come since the facts were taken.
        let found = kafka_home::find(at.host().as_ref(), managed.home.as_deref()).await?;
        let (files, program) = wanted(at, managed, &layout, &material, &found).ok_or_else(|| {
            PhaseError::refused(
                at.target,
                "Java or Kafka's jars are missing",
                "run without --only or --skip first",
            )
        })?;
        match change.subject.as_str() {
            FILES => {
                let node = node(at, managed, &layout, &material);
                let write = files::write_files("write Kafka's configuration", &node.directories, &files);
                at.host().check(&write).await?;
                Ok(())
            }
            STORAGE => {
                let seen = facts.0.as_ref().expect("changes are planned for the node's own host only");
                if seen.formatted.is_some() {
                    return Ok(());
                }
                format(at, &layout, &material, &found).await
            }
            _ => {
                let seen = facts.0.as_ref().expect("changes are planned for the node's own host only");
                if !seen.is_starting() {
                    process::restart(at.host().as_ref(), &layout.place(), &program).await?;
                }
                await_login(at, managed, &layout, &material).await
            }
        }
    }

    async fn verify(&self, at: &Scoped<'_>, seen: Option<&Self::Facts>) -> Result<Vec<Finding>, PhaseError> {
        let Some(managed) = managed_here(at) else { return Ok(Vec::new()) };
        let state = match seen {
            Some(KafkaFacts(Some(seen))) => seen.state.clone(),
            _ => process::look(at.host().as_ref(), &layout(at, managed).place()).await?,
        };
        if matches!(state, State::Running { .. }) {
            return Ok(Vec::new());
        }
        Ok(vec![Finding {
            severity: Severity::Error,
            place: at.target.to_string(),
            message: "Kafka does not run".to_owned(),
            hint: Some("run `provision apply` again; it starts what it finds dead".to_owned()),
        }])
    }

    /// Stops the node and removes everything of it. Data of another cluster is left alone.
    async fn remove(&self, at: &Scoped<'_>) -> Result<Removed, PhaseError> {
        let Some(managed) = managed_here(at) else { return Ok(Removed::default()) };
        let layout = layout(at, managed);
        let host = at.host().as_ref();
        let mut removed = Vec::new();
        if process::stop(host, &layout.place()).await? {
            removed.push("Kafka node".to_owned());
        }
        let ours = at.ctx.home.marker()?.map(|marker| broker::cluster_id(&marker)).unwrap_or_default();
        let script = format!(
            "data={}\nfolder={}\nours={}\n{REMOVE}",
            quote(&layout.data),
            quote(&layout.folder),
            quote(&ours)
        );
        let output = host.check(&Command::new("remove Kafka's files", script)).await?;
        let fields = Fields::parse(&output);
        let lines = |key| fields.all(key).iter().map(|path| (*path).to_owned());
        removed.extend(lines("removed"));
        let left = lines("left").map(|path| format!("{path}: the data of another Kafka cluster")).collect();
        Ok(Removed { removed, left })
    }
}

/// The folder of the data may be a mount point that is not ours to remove; its contents are, if they are this cluster's.
const REMOVE: &str = r#"
set -e
if [ -e "$data" ]; then
    found=$(sed -n 's/^cluster\.id=//p' "$data/meta.properties" 2>/dev/null) || found=
    # A format that was cut off leaves no id; in our own folder nobody else can have begun it.
    case $data in "$folder"/*) found=${found:-$ours} ;; esac
    if [ "$found" != "$ours" ] && [ -n "$(ls -A "$data")" ]; then echo "left=$data"; exit 0; fi
    find "$data" -xdev -mindepth 1 -delete
    rmdir "$data" 2>/dev/null || true
    echo "removed=$data"
fi
if [ -e "$folder" ]; then
    rm -rf -- "$folder"
    echo "removed=$folder"
fi
"#;

fn managed_here<'a>(at: &Scoped<'a>) -> Option<&'a ManagedKafka> {
    at.inventory().kafka.managed().filter(|managed| managed.host == *at.host().name())
}

fn layout(at: &Scoped<'_>, managed: &ManagedKafka) -> Layout {
    let root = desired::host_root(at.inventory(), at.host().as_ref());
    Layout::new(&root.display().to_string(), managed)
}

fn admin<'a>(at: &Scoped<'a>) -> &'a Login {
    at.inventory().kafka.admin.as_ref().expect("a managed Kafka has an admin user")
}

/// One look at everything: programs, process, files, storage, ports.
fn look(managed: &ManagedKafka, layout: &Layout) -> Command {
    let paths = broker::paths(layout);
    let script = format!(
        "{find}\n{verbs}\necho \"process=$(report)\"\n{states}\n\
         echo \"cluster_id=$(sed -n 's/^cluster\\.id=//p' {data}/meta.properties 2>/dev/null)\"\n\
         taken() {{\n\
             cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |\n\
                 grep -qiE \"^ *[0-9]+: [0-9A-F]+:$(printf %04X \"$2\") [0-9A-F]+:0000 0A\" && echo \"taken_$1=yes\"\n\
         }}\n\
         taken port {port}\ntaken controller_port {controller_port}\ntrue\n",
        find = kafka_home::find_script(managed.home.as_deref()),
        verbs = process::verbs(&layout.place()),
        states = files::states_script(paths.iter().map(String::as_str)),
        data = quote(&layout.data),
        port = managed.port,
        controller_port = managed.controller_port,
    );
    Command::look("look at Kafka", script)
}

/// What goes into the node's files, if all of it was made before.
async fn existing_material(at: &Scoped<'_>, managed: &ManagedKafka) -> Result<Option<Material>, PhaseError> {
    let now = OffsetDateTime::now_utc();
    let home = &at.ctx.home;
    let Some(admin_password) = at.ctx.secrets.peek(ADMIN_SECRET, &admin(at).password).await? else {
        return Ok(None);
    };
    let Some(authority) = authority::load(home, now)? else { return Ok(None) };
    let sans = broker::sans(at.inventory(), managed);
    let leaf = authority::current_leaf(home, &authority, &broker::leaf_name(managed), &sans, now);
    let Some(identity) = leaf? else { return Ok(None) };
    Ok(Some(Material { admin_password, identity, authority_pem: authority.certificate_pem() }))
}

/// The same, made where it is missing.
async fn make_material(at: &Scoped<'_>, managed: &ManagedKafka) -> Result<Material, PhaseError> {
    let now = OffsetDateTime::now_utc();
    let home = &at.ctx.home;
    let admin_password = at.ctx.secrets.get_or_draw(ADMIN_SECRET, &admin(at).password).await?;
    let cluster = &at.inventory().cluster;
    let authority = authority::load_or_create(home, cluster, now)?;
    let sans = broker::sans(at.inventory(), managed);
    let identity = authority::leaf(home, &authority, &broker::leaf_name(managed), &sans, now);
    Ok(Material { admin_password, identity: identity?, authority_pem: authority.certificate_pem() })
}

fn node(at: &Scoped<'_>, managed: &ManagedKafka, layout: &Layout, material: &Material) -> Node {
    broker::node(at.inventory(), managed, layout, material, at.host().facts())
}

/// Every file and the program, once Java and the jars are there.
fn wanted(
    at: &Scoped<'_>,
    managed: &ManagedKafka,
    layout: &Layout,
    material: &Material,
    found: &Found,
) -> Option<(Vec<FileToWrite>, Program)> {
    let (java, libs) = (found.java.as_ref()?, found.libs.as_ref()?);
    let node = node(at, managed, layout, material);
    let (arguments, program) = broker::program(layout, &node, java, libs);
    let mut files = node.files;
    files.push(arguments);
    Some((files, program))
}

/// Names of the files that are not on the host as they should be.
fn stale(files: &[FileToWrite], states: &BTreeMap<String, FileState>) -> Vec<String> {
    let is_current = |file: &FileToWrite| {
        states.get(&file.path).is_some_and(|state| {
            state.access == file.access && state.kind == FileKind::File { digest: files::digest(&file.bytes) }
        })
    };
    let name = |file: &FileToWrite| file.path.rsplit('/').next().unwrap_or_default().to_owned();
    files.iter().filter(|file| !is_current(file)).map(name).collect()
}

/// Formats the storage with the admin user's salted credential in it. What the tool prints holds keys of that
/// credential, so none of it is kept.
async fn format(
    at: &Scoped<'_>,
    layout: &Layout,
    material: &Material,
    found: &Found,
) -> Result<(), PhaseError> {
    let (Some(java), Some(libs)) = (&found.java, &found.libs) else {
        unreachable!("files are wanted only with Java and the jars there")
    };
    let cluster_id = broker::cluster_id(&at.ctx.home.marker_or_draw()?);
    let salt: [u8; 24] = rand::random();
    let credential =
        ScramCredential::new(ScramMechanism::Sha512, &material.admin_password, MAX_ITERATIONS, salt.to_vec())
            .map_err(|error| PhaseError::make("credential of Kafka's admin user", error))?;
    let arguments = broker::format_arguments(layout, libs, &cluster_id, admin(at), &credential);
    let file = layout.format_arguments();
    let script = format!(
        "umask 077\nfile={file}\ntrap 'rm -f \"$file\" \"$file.out\"' EXIT\ntrap 'exit 143' TERM INT HUP\n\
         cat >\"$file\" || exit 1\n\
         {java} \"@$file\" >/dev/null 2>\"$file.out\"\nstatus=$?\n\
         [ \"$status\" = 0 ] || grep -v -i -e salt -e scram \"$file.out\" | tail -n 12 >&2\n\
         rm -f \"$file.out\"\nexit \"$status\"\n",
        file = quote(&file),
        java = quote(java),
    );
    let command = Command::new("format Kafka's storage", script)
        .stdin(Stdin::Bytes(arguments.expose_secret().as_bytes().to_vec().into()))
        .timeout(FORMAT_LIMIT);
    at.host().check(&command).await?;
    Ok(())
}

/// Whether a node that runs lets its admin user in. One that refuses does answer: why is told by whoever logs in next.
async fn answers(at: &Scoped<'_>) -> bool {
    !matches!(at.ctx.kafka.look(at.ctx).await, Ok(None))
}

/// Waits until the admin user can log in to a node that was started.
async fn await_login(
    at: &Scoped<'_>,
    managed: &ManagedKafka,
    layout: &Layout,
    material: &Material,
) -> Result<(), PhaseError> {
    let host = at.host().as_ref();
    let sasl = kafka_access::sasl(admin(at), material.admin_password.clone());
    let client = kafka_access::client(at.ctx, Some(sasl)).await?;
    let deadline = Instant::now() + START_LIMIT;
    loop {
        let error = match kafka_access::log_in(&client, &client.config().bootstrap).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let alive = matches!(process::look(host, &layout.place()).await?, State::Running { .. });
        let settled = alive && is_starting(&error);
        if !settled || Instant::now() >= deadline {
            let message = if alive {
                format!("Kafka on port {} does not let its admin user in: {error}", managed.port)
            } else {
                "Kafka ended while it was starting".to_owned()
            };
            return Err(PhaseError::Refused {
                place: at.target.to_string(),
                message,
                hint: Some(format!("its whole log is {}", layout.log())),
                tail: log_tail(at, layout).await?,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a login may fail like this while a node starts: its listeners open before its credentials are read.
fn is_starting(error: &LoginError) -> bool {
    !matches!(
        error,
        LoginError::CertificateName { .. }
            | LoginError::CertificateExpired { .. }
            | LoginError::CertificateNotYetValid { .. }
            | LoginError::CertificateIssuer { .. }
            | LoginError::NotTls { .. }
    )
}

async fn log_tail(at: &Scoped<'_>, layout: &Layout) -> Result<Vec<String>, PhaseError> {
    let mut lines = process::tail(at.host().as_ref(), &layout.place()).await?;
    let log = quote(&layout.log());
    let script = format!("[ ! -e {log} ] || grep -e ERROR -e FATAL -e Exception {log} | tail -n 8");
    let output = at.host().check(&Command::new("read Kafka's log", script)).await?;
    lines.extend(output.lines().map(str::to_owned));
    Ok(lines)
}
