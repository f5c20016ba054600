//! Looks at a host that are asked for at the same time go there as one script: a session, a login to root and a shell
//! cost more than most looks themselves.
//!
//! Only what changes nothing is put together ([`Purpose::Look`]), so that a look which fails can simply be taken again
//! alone, with everything that it has to say. Nothing here knows what is looked at.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Command, Output, Privilege, Purpose, Sensitivity, Stdin};
use crate::shell::quote;

/// How long the first look waits for company: the phases ask one after another, without a pause.
pub(super) const GATHERING: Duration = Duration::from_millis(2);

const LOOK: &str = "@provision:look@";
const STATUS: &str = "@provision:status@";

/// All looks run side by side, and each says what it has to say when it is its turn: whoever reads the only line of a pipe
/// writes, and puts the line back. So their outputs are kept apart without a file, and with two processes for each.
/// What they print on standard error is dropped; see [`split`].
const FUNCTION: &str = "look() {\n\
    said=$(exec </dev/null 2>/dev/null 8<&- 9>&-; trap 'echo \"@provision:status@$?\"' EXIT; eval \"$2\"; exit)\n\
    read -r turn <&8; printf '%s\\n' \"@provision:look@$1\" \"$said\"; echo >&9\n\
    }\n";

/// Whether a command may go with others.
pub(super) fn may_join(command: &Command) -> bool {
    command.purpose == Purpose::Look
        && command.sensitivity == Sensitivity::Public
        && matches!(command.stdin, Stdin::Empty)
}

/// Looks that wait to be sent.
#[derive(Default)]
pub(super) struct Gathered(Mutex<Vec<Waiting>>);

/// A look and where its answer goes: to everybody who asked for the same. Without an answer each takes it alone.
pub(super) struct Waiting {
    pub(super) command: Command,
    pub(super) answers: Vec<oneshot::Sender<Output>>,
}

impl Gathered {
    /// Adds a look; one that waits already is not taken twice. Whoever adds the first of a privilege sends them all.
    pub(super) fn add(&self, command: &Command, answer: oneshot::Sender<Output>) -> Option<Lead<'_>> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let privilege = command.privilege;
        let is_first = gathered.iter().all(|other| other.command.privilege != privilege);
        let is_same = |other: &&mut Waiting| {
            other.command.privilege == privilege && other.command.script == command.script
        };
        match gathered.iter_mut().find(is_same) {
            Some(same) => same.answers.push(answer),
            None => gathered.push(Waiting { command: command.clone(), answers: vec![answer] }),
        }
        // Not `then_some`: a lead that is made and dropped here would wait for the lock that is held here.
        is_first.then(|| Lead { gathered: self, privilege, is_over: false })
    }

    fn take(&self, privilege: Privilege) -> Vec<Waiting> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, left) = std::mem::take(&mut *gathered)
            .into_iter()
            .partition(|other| other.command.privilege == privilege);
        *gathered = left;
        taken
    }
}

/// The duty to send all looks of a privilege. When it is dropped instead, they are taken alone.
pub(super) struct Lead<'a> {
    gathered: &'a Gathered,
    privilege: Privilege,
    is_over: bool,
}

impl Lead<'_> {
    /// The looks to send.
    pub(super) fn take(mut self) -> Vec<Waiting> {
        self.is_over = true;
        self.gathered.take(self.privilege)
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.gathered.take(self.privilege));
        }
    }
}

/// All of `looks` as one look; they are of one privilege.
pub(super) fn combine(looks: &[Waiting]) -> Command {
    let call =
        |(number, look): (usize, &Waiting)| format!("look {number} {} &\n", quote(&look.command.script));
    let calls: String = looks.iter().enumerate().map(call).collect();
    let titles: Vec<&str> = looks.iter().map(|look| look.command.title.as_str()).collect();
    let script = format!("{FUNCTION}echo | {{\nexec 8<&0 9>/proc/self/fd/0 </dev/null\n{calls}wait\n}}\n");
    let mut combined = Command::look(titles.join(", "), script);
    combined.timeout = looks.iter().map(|look| look.command.timeout).max().unwrap_or(combined.timeout);
    combined.privilege = looks.first().map_or(Privilege::Login, |look| look.command.privilege);
    combined
}

/// The answers of combined looks, in their order: `None` for one that failed, whose own words are lost.
///
/// Nothing when the outputs cannot be told apart.
pub(super) fn split(stdout: &str, count: usize) -> Vec<Option<Output>> {
    let mut parts: BTreeMap<usize, String> = BTreeMap::new();
    let mut current = None;
    for line in stdout.split_inclusive('\n') {
        if let Some(number) = line.strip_prefix(LOOK) {
            let Ok(number) = number.trim_end().parse() else { return Vec::new() };
            if parts.insert(number, String::new()).is_some() {
                return Vec::new();
            }
            current = Some(number);
        } else if let Some(part) = current.and_then(|number| parts.get_mut(&number)) {
            part.push_str(line);
        }
    }
    if !parts.keys().copied().eq(0..count) {
        return Vec::new();
    }
    let read = |part: &String| {
        let (stdout, status) = part.rsplit_once(STATUS)?;
        (status.trim() == "0").then(|| Output { status: 0, stdout: stdout.to_owned(), stderr: String::new() })
    };
    parts.values().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(scripts: &[&str]) -> Vec<Waiting> {
        let waiting =
            |script: &&str| Waiting { command: Command::look("look", *script), answers: Vec::new() };
        scripts.iter().map(waiting).collect()
    }

    fn run(scripts: &[&str]) -> Vec<Option<String>> {
        let script = combine(&waiting(scripts)).script;
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let answers = split(&String::from_utf8(output.stdout).unwrap(), scripts.len());
        answers.into_iter().map(|answer| answer.map(|output| output.stdout)).collect()
    }

    #[test]
    fn each_look_gets_its_own_answer() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            run(&["echo a; echo b", "printf c", "true", "echo 'it''s'; exit 0", "x=1; set -eu; echo \"$x\""]),
            [some("a\nb\n"), some("c"), some(""), some("its\n"), some("1\n")]
        );
    }

    #[test]
    fn one_that_fails_or_reads_leaves_the_others_alone() {
        assert_eq!(
            run(&["echo a >&2; exit 3", "cat; echo b", "no-such-program", "echo c"]),
            [None, Some("b\n".to_owned()), None, Some("c\n".to_owned())]
        );
    }

    #[test]
    fn more_than_a_pipe_holds_comes_through() {
        let long = "head -c 300000 /dev/zero | tr '\\0' x";
        let answers = run(&[long, "echo end", long]);
        assert_eq!(answers[1].as_deref(), Some("end\n"));
        assert!(
            [0, 2].iter().all(|index| answers[*index].as_ref().is_some_and(|text| text.len() == 300_000))
        );
    }

    #[test]
    fn answers_that_were_cut_off_are_none() {
        assert!(split("@provision:look@0\nfoo", 2).is_empty());
        assert_eq!(split("@provision:look@0\nfoo", 1), [None]);
        assert!(split("@provision:look@0\n@provision:look@0\n", 1).is_empty());
    }

    #[test]
    fn the_first_of_a_privilege_sends_them_all() {
        let gathered = Gathered::default();
        let add = |command| gathered.add(&command, oneshot::channel().0);
        let login = add(Command::look("a", "a")).unwrap();
        let root = add(Command::look("b", "b").as_root()).unwrap();
        assert!(add(Command::look("c", "c").as_root()).is_none());
        assert_eq!(root.take().len(), 2);
        assert!(add(Command::look("d", "d").as_root()).is_some());
        assert_eq!(login.take().len(), 1);
    }

    #[test]
    fn equal_looks_are_one_with_an_answer_for_each() {
        let gathered = Gathered::default();
        let add = |command: Command| gathered.add(&command, oneshot::channel().0);
        let lead = add(Command::look("containers", "docker ps").as_root()).unwrap();
        assert!(add(Command::look("ports", "ss").as_root()).is_none());
        assert!(add(Command::look("containers", "docker ps").as_root()).is_none());
        assert!(add(Command::look("containers", "docker ps")).is_some(), "as another user it is another");
        let taken = lead.take();
        let askers = taken.iter().map(|look| (look.command.title.as_str(), look.answers.len()));
        assert_eq!(askers.collect::<Vec<_>>(), [("containers", 2), ("ports", 1)]);
    }

    #[test]
    fn a_lead_that_is_given_up_leaves_nobody_waiting() {
        let gathered = Gathered::default();
        let (answer, mut answered) = oneshot::channel();
        drop(gathered.add(&Command::look("a", ""), answer));
        assert_eq!(answered.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
