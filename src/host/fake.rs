//! A host in memory: answers are scripted by the title of a command, and everything that ran is kept.

use std::sync::Mutex;

use async_trait::async_trait;
use kafka_control::{BoxedStream, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Command, Host, HostError, HostFacts, Output, Sudo};
use crate::inventory::model::HostName;

/// What to do with a command whose title begins with a prefix; `None` leaves it to older answers.
type Answer = Box<dyn FnMut(&Command) -> Option<Output> + Send>;

pub(crate) struct FakeHost {
    name: HostName,
    facts: HostFacts,
    sudo: Sudo,
    answers: Mutex<Vec<(String, Answer)>>,
    ran: Mutex<Vec<Command>>,
    /// Whether every port answers HTTP with 200.
    is_healthy: bool,
}

impl FakeHost {
    /// A Debian 12 of root's; every command succeeds and says nothing.
    pub(crate) fn new(name: &str) -> Self {
        let facts = HostFacts {
            os: "debian".to_owned(),
            os_version: "12".to_owned(),
            os_codename: "bookworm".to_owned(),
            architecture: "x86_64".to_owned(),
            login_user: "root".to_owned(),
            home: "/root".to_owned(),
            hostname: name.to_owned(),
            ..HostFacts::default()
        };
        Self {
            name: HostName::parse(name).expect("tests use valid names"),
            facts,
            sudo: Sudo::NotNeeded,
            answers: Mutex::default(),
            ran: Mutex::default(),
            is_healthy: false,
        }
    }

    /// Answers commands whose title begins with `title`; the newest answer that is one wins.
    pub(crate) fn on(
        self,
        title: &str,
        answer: impl FnMut(&Command) -> Option<Output> + Send + 'static,
    ) -> Self {
        self.answers.lock().expect("no test panics in an answer").push((title.to_owned(), Box::new(answer)));
        self
    }

    /// Every port answers HTTP with 200.
    pub(crate) fn healthy(mut self) -> Self {
        self.is_healthy = true;
        self
    }

    /// Titles of everything that ran, in order.
    pub(crate) fn ran(&self) -> Vec<String> {
        self.ran.lock().expect("no test panics here").iter().map(|command| command.title.clone()).collect()
    }
}

/// A script's success.
pub(crate) fn said(stdout: impl Into<String>) -> Output {
    Output { status: 0, stdout: stdout.into(), stderr: String::new() }
}

#[async_trait]
impl Host for FakeHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    fn facts(&self) -> &HostFacts {
        &self.facts
    }

    fn sudo(&self) -> &Sudo {
        &self.sudo
    }

    async fn run(&self, command: &Command) -> Result<Output, HostError> {
        self.ran.lock().expect("no test panics here").push(command.clone());
        let mut answers = self.answers.lock().expect("no test panics in an answer");
        let given = answers
            .iter_mut()
            .rev()
            .filter(|(title, _)| command.title.starts_with(title.as_str()))
            .find_map(|(_, answer)| answer(command));
        Ok(given.unwrap_or_else(|| said("")))
    }

    async fn connect(&self, to: &Endpoint) -> std::io::Result<BoxedStream> {
        if self.is_healthy {
            let (ours, mut theirs) = tokio::io::duplex(4096);
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = theirs.read(&mut request).await;
                theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await
            });
            return Ok(Box::new(ours));
        }
        Err(std::io::Error::new(std::io::ErrorKind::ConnectionRefused, format!("nothing listens on {to}")))
    }

    async fn lock(&self, _name: &str, _owner: &str) -> Result<(), HostError> {
        Ok(())
    }

    async fn settled(&self) {}

    async fn close(&self) {}
}
