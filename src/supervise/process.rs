//! A detached process of the login user: a pid file, a log of bounded size, and nothing else. The runtime without containers.
//!
//! Nothing watches the process between two runs: the next run finds it dead and plans a restart. The verbs are shell
//! functions (`process.sh`), so that looking, stopping, starting and waiting are one round trip when they belong
//! together, on any host.

use std::time::Duration;

use crate::host::{Command, Host, HostError, HostExt};
use crate::shell::quote;

const VERBS: &str = include_str!("process.sh");

/// How long a process may take to end after SIGTERM.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(20);

/// Exit status of `await` in `process.sh`: the process has ended.
const ENDED: i32 = 3;
/// Exit status of `await` in `process.sh`: it runs and is not ready.
const NOT_READY: i32 = 4;

/// Where a process keeps its pid file and its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Absolute, on the host.
    pub(crate) folder: String,
    /// `kafka`, `connect-worker`: names the files in the folder.
    pub(crate) name: String,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The program's absolute path and its arguments; no secrets.
    pub(crate) words: Vec<String>,
    /// Of everything the program reads at start; comes back in [`State::Running`].
    pub(crate) digest: String,
}

/// What is known of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Never started, or stopped in order.
    Absent,
    /// Started, and gone without being asked.
    Dead,
    Running {
        pid: u32,
        /// [`Program::digest`] of the start.
        digest: String,
    },
}

impl State {
    /// Reads one line of `report` in `process.sh`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        match (words.next()?, words.next(), words.next()) {
            ("absent", None, None) => Some(Self::Absent),
            ("dead", None, None) => Some(Self::Dead),
            ("running", Some(pid), digest) => {
                Some(Self::Running { pid: pid.parse().ok()?, digest: digest.unwrap_or_default().to_owned() })
            }
            _ => None,
        }
    }

    /// What a start of a program with `digest` would be.
    pub(crate) fn need(&self, digest: &str) -> Need {
        match self {
            Self::Absent => Need::Start,
            Self::Dead => Need::Revive,
            Self::Running { digest: running, .. } if running == digest => Need::Nothing,
            Self::Running { .. } => Need::Restart,
        }
    }
}

/// What has to happen so that a process runs from what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// It is not there.
    Start,
    /// It died.
    Revive,
    /// It runs from something else.
    Restart,
}

/// Why a started process is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unready {
    /// It ended by itself.
    Ended { tail: Vec<String> },
    /// It runs, and its condition does not come true.
    NotInTime { tail: Vec<String> },
}

/// The verbs of `process.sh` for the process at `place`, to be followed by a script that uses them.
pub(crate) fn verbs(place: &Place) -> String {
    format!("folder={}\nname={}\n{VERBS}", quote(&place.folder), quote(&place.name))
}

/// Looks whether the process runs.
pub(crate) async fn look(host: &dyn Host, place: &Place) -> Result<State, HostError> {
    let title = format!("look at the process {}", place.name);
    let output = host.check(&Command::look(&title, format!("{}\nreport", verbs(place)))).await?;
    State::parse(output.trim()).ok_or_else(|| HostError::Protocol {
        host: host.name().clone(),
        title,
        detail: output.clone(),
    })
}

/// Stops the process, if it runs, and starts the program in its place. Returns as soon as it is started.
pub(crate) async fn restart(host: &dyn Host, place: &Place, program: &Program) -> Result<(), HostError> {
    let words: Vec<String> = program.words.iter().map(|word| quote(word)).collect();
    let script = format!(
        "{}\ngrace={}\nstarted_from={}\nstop && start {}",
        verbs(place),
        STOP_GRACE.as_secs(),
        quote(&program.digest),
        words.join(" ")
    );
    host.check(&Command::new(format!("start {}", place.name), script)).await?;
    Ok(())
}

/// Waits on the host until the command made of `words` succeeds, in one round trip; see [`Unready`].
pub(crate) async fn await_ready(
    host: &dyn Host,
    place: &Place,
    words: &[String],
    patience: Duration,
) -> Result<Result<(), Unready>, HostError> {
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    let seconds = patience.as_secs();
    let words = words.join(" ");
    // What the condition last said is why the process is not ready.
    let script = format!(
        "{}\npatience={seconds}\nawait {words}\nstatus=$?\n\
         [ \"$status\" != {NOT_READY} ] || timeout 10 {words} 2>&1 | tail -n 3\nexit \"$status\"",
        verbs(place)
    );
    let title = format!("wait for {}", place.name);
    let command = Command::new(title, script).timeout(patience + Duration::from_secs(15));
    let output = host.run(&command).await?;
    match output.status {
        0 => Ok(Ok(())),
        ENDED => Ok(Err(Unready::Ended { tail: tail(host, place).await? })),
        NOT_READY => {
            let mut lines = tail(host, place).await?;
            lines.extend(output.stdout.lines().map(str::to_owned));
            Ok(Err(Unready::NotInTime { tail: lines }))
        }
        _ => Err(HostError::failed(host.name(), &command, output)),
    }
}

/// Stops the process. Says whether it ran.
pub(crate) async fn stop(host: &dyn Host, place: &Place) -> Result<bool, HostError> {
    let grace = STOP_GRACE.as_secs();
    let script = format!("{}\ngrace={grace}\nreport\nstop", verbs(place));
    let output = host.check(&Command::new(format!("stop {}", place.name), script)).await?;
    Ok(output.starts_with("running"))
}

/// Stops the process and removes its output. Says whether there was anything.
pub(crate) async fn remove(host: &dyn Host, place: &Place) -> Result<bool, HostError> {
    let grace = STOP_GRACE.as_secs();
    // What is still being written would be there again.
    let script = format!(
        "{}\ngrace={grace}\nreport\nstop && last_words >/dev/null && \
         rm -f \"$folder/$name.out\" \"$folder/$name.out.1\" \"$folder/$name\".*.pipe",
        verbs(place)
    );
    let output = host.check(&Command::new(format!("stop {}", place.name), script)).await?;
    Ok(output.trim() != "absent")
}

/// The last lines of what the process printed.
pub(crate) async fn tail(host: &dyn Host, place: &Place) -> Result<Vec<String>, HostError> {
    let script = format!("{}\nlast_words", verbs(place));
    let output = host.check(&Command::new(format!("read the log of {}", place.name), script)).await?;
    Ok(output.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::{LocalTransport, RemoteHost};
    use crate::inventory::model::HostName;

    #[test]
    fn states_are_read_from_one_line() {
        let check = |line: &str, expected: Option<State>| assert_eq!(State::parse(line), expected, "{line}");
        check("absent", Some(State::Absent));
        check("dead", Some(State::Dead));
        check("running 17 abc", Some(State::Running { pid: 17, digest: "abc".into() }));
        check("running 17", Some(State::Running { pid: 17, digest: String::new() }));
        check("running x abc", None);
        check("sleeping", None);
        check("", None);
    }

    #[test]
    fn only_another_digest_restarts_what_runs() {
        let running = State::Running { pid: 1, digest: "a".into() };
        assert_eq!(running.need("a"), Need::Nothing);
        assert_eq!(running.need("b"), Need::Restart);
        assert_eq!(State::Dead.need("a"), Need::Revive);
        assert_eq!(State::Absent.need("a"), Need::Start);
    }

    /// This machine, and a place in a folder of its own.
    async fn here() -> (tempfile::TempDir, RemoteHost, Place) {
        let folder = tempfile::tempdir().unwrap();
        let name = HostName::parse("here").unwrap();
        let transport = Arc::new(LocalTransport::new(Vec::new()));
        let (host, _) = RemoteHost::connect(name, transport, None, false, "").await.unwrap();
        let place = Place { folder: folder.path().display().to_string(), name: "sleeper".into() };
        (folder, host, place)
    }

    /// What is in the folder.
    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn program(words: &[&str], digest: &str) -> Program {
        Program { words: words.iter().map(|word| (*word).to_owned()).collect(), digest: digest.into() }
    }

    #[tokio::test]
    async fn a_process_is_started_found_dead_replaced_and_stopped() {
        let (_folder, host, place) = here().await;
        assert_eq!(look(&host, &place).await.unwrap(), State::Absent);
        restart(&host, &place, &program(&["sleep", "600"], "a")).await.unwrap();
        let State::Running { pid: first, digest } = look(&host, &place).await.unwrap() else {
            panic!("not running")
        };
        assert_eq!(digest, "a");
        let environment = std::fs::read_to_string(format!("/proc/{first}/environ")).unwrap();
        assert!(!environment.contains("CARGO"), "{environment}");

        let kill = Command::new(
            "kill",
            format!("kill -9 {first}; while kill -0 {first} 2>/dev/null; do sleep 0.01; done"),
        );
        host.check(&kill).await.unwrap();
        assert_eq!(look(&host, &place).await.unwrap(), State::Dead);

        restart(&host, &place, &program(&["sleep", "600"], "b")).await.unwrap();
        let State::Running { pid: second, .. } = look(&host, &place).await.unwrap() else {
            panic!("not running")
        };
        restart(&host, &place, &program(&["sleep", "600"], "c")).await.unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{second}/cwd")).exists(), "the old process is gone");
        assert!(stop(&host, &place).await.unwrap());
        assert_eq!(look(&host, &place).await.unwrap(), State::Absent);
        assert!(!stop(&host, &place).await.unwrap());
    }

    #[tokio::test]
    async fn a_recycled_process_id_is_not_ours() {
        let (folder, host, place) = here().await;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let pid = std::process::id();
        std::fs::write(folder.path().join("sleeper.pid"), format!("{pid} 1 {} a\n", boot.trim())).unwrap();
        assert_eq!(look(&host, &place).await.unwrap(), State::Dead);
    }

    #[tokio::test]
    async fn what_a_process_prints_is_kept_within_bounds() {
        let (folder, host, place) = here().await;
        let words = ["sh", "-c", "yes | head -c 200000000; echo the end"];
        restart(&host, &place, &program(&words, "a")).await.unwrap();
        let ended = Command::new("wait", format!("{}\nwhile look; do sleep 0.01; done", verbs(&place)));
        host.check(&ended).await.unwrap();
        let last = tail(&host, &place).await.unwrap();
        assert_eq!(last.last().map(String::as_str), Some("the end"));
        for name in ["sleeper.out", "sleeper.out.1"] {
            let length = std::fs::metadata(folder.path().join(name)).unwrap().len();
            assert!((1..=32 << 20).contains(&length), "{name} has {length} bytes");
        }
        assert_eq!(names(&folder), ["sleeper.out", "sleeper.out.1", "sleeper.pid"]);
        assert!(remove(&host, &place).await.unwrap());
        assert_eq!(names(&folder), [""; 0], "nothing is left");
    }

    #[tokio::test]
    async fn short_lines_are_kept_up_to_the_same_bound() {
        let (folder, host, place) = here().await;
        // A write each, as a program's log lines are.
        let lines = "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); echo \"line $i\"; done";
        restart(&host, &place, &program(&["sh", "-c", lines], "a")).await.unwrap();
        let ended = Command::new("wait", format!("{}\nwhile look; do sleep 0.01; done", verbs(&place)));
        host.check(&ended).await.unwrap();
        assert_eq!(tail(&host, &place).await.unwrap().last().map(String::as_str), Some("line 200000"));
        let kept = std::fs::read_to_string(folder.path().join("sleeper.out")).unwrap();
        assert!(kept.lines().eq((1..=200_000).map(|number| format!("line {number}"))), "a line is lost");
        assert_eq!(names(&folder), ["sleeper.out", "sleeper.pid"]);
    }

    #[tokio::test]
    async fn waiting_ends_when_the_process_does_and_when_patience_does() {
        let (_folder, host, place) = here().await;
        let wait = async |condition: &str, seconds| {
            await_ready(&host, &place, &[condition.to_owned()], Duration::from_secs(seconds)).await.unwrap()
        };
        restart(&host, &place, &program(&["sh", "-c", "echo broken; exit 3"], "a")).await.unwrap();
        assert_eq!(wait("false", 30).await, Err(Unready::Ended { tail: vec!["broken".into()] }));
        restart(&host, &place, &program(&["sleep", "600"], "a")).await.unwrap();
        assert_eq!(wait("true", 30).await, Ok(()));
        assert_eq!(wait("false", 1).await, Err(Unready::NotInTime { tail: Vec::new() }));
        assert!(remove(&host, &place).await.unwrap());
    }
}
