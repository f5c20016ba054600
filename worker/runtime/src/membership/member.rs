//! The member itself: joins when told to, keeps the session alive, and reports what the group decides.
//!
//! It is one task. The herder sends [`Command`]s and receives [`GroupEvent`]s; between `Rebalance` and the next `Join`
//! the member goes on sending heartbeats, so that the herder can stop its work in order. Every event names the join that
//! it belongs to, so that a word about an earlier one is known as such.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use kafka_control::group::{GroupError, Joined, Member, MemberConfig};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::membership::assignor::{self, Configured};
use crate::membership::protocol::{Assignment, EAGER, MemberMetadata, PROTOCOL_TYPE, ProtocolError};
use crate::membership::session::Session;
use crate::metrics::group::GroupMetrics;
use crate::names::{ConnectorName, TaskId};

/// Pause between two attempts to join.
const RETRY: Duration = Duration::from_millis(250);
/// For the farewell. Without it the group goes on when the session is over.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// What this worker tells the group about itself, and what it would have the group run if it led it. Asked
/// at every join.
pub(crate) trait GroupView: Send + Sync + 'static {
    fn metadata(&self) -> MemberMetadata;
    fn configured(&self) -> Configured;
}

/// Counts the joins that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JoinId(u64);

#[derive(Debug)]
pub(crate) enum Command {
    /// Join, or join again. Nothing that was assigned may be running any more.
    Join(JoinId),
    /// Leave, and do nothing until the next join.
    Leave { reason: &'static str, done: oneshot::Sender<()> },
}

#[derive(Debug)]
pub(crate) enum GroupEvent {
    Assigned(Assigned),
    /// Somebody came or went: stop everything, then join.
    Rebalance,
    /// The group went on without us, or cannot be reached: stop everything, then join.
    Lost,
    /// Trying again cannot help.
    Failed(GroupError),
}

#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) generation: i32,
    pub(crate) assignment: Assignment,
    /// Who runs what, if this member leads the group.
    pub(crate) owners: Option<Owners>,
}

/// Advertised URL of each connector's and task's owner.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    pub(crate) connectors: HashMap<ConnectorName, String>,
    pub(crate) tasks: HashMap<TaskId, String>,
}

#[cfg(test)]
impl JoinId {
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }
}

#[cfg(test)]
impl MemberHandle {
    /// A member that is the test: it receives what the real one is told.
    pub(crate) fn fake() -> (Self, mpsc::Receiver<Command>) {
        let (commands, inbox) = mpsc::channel(8);
        (Self { commands, last: JoinId::default(), task: tokio::spawn(async {}) }, inbox)
    }
}

pub(crate) struct Settings {
    pub(crate) group_id: String,
    /// Kept up to date by the member.
    pub(crate) session: Session,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) rebalance_timeout: Duration,
}

/// The way to the member's task.
pub(crate) struct MemberHandle {
    commands: mpsc::Sender<Command>,
    last: JoinId,
    task: JoinHandle<()>,
}

impl MemberHandle {
    /// Starts the member; it does nothing until it is told to join.
    pub(crate) fn spawn(
        client: kafka_control::Client,
        settings: Settings,
        view: impl GroupView,
        metrics: GroupMetrics,
    ) -> (Self, mpsc::Receiver<(JoinId, GroupEvent)>) {
        let (commands, inbox) = mpsc::channel(8);
        let (events, outbox) = mpsc::channel(8);
        let config = MemberConfig {
            group_id: settings.group_id.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            session_timeout: settings.session.timeout(),
            rebalance_timeout: settings.rebalance_timeout,
            group_instance_id: None,
        };
        let member = Member::new(client, config);
        let task = tokio::spawn(Actor { member, settings, view, metrics, events }.run(inbox));
        (Self { commands, last: JoinId::default(), task }, outbox)
    }

    pub(crate) async fn join(&mut self) {
        self.last = JoinId(self.last.0 + 1);
        // A member that is gone has reported why.
        let _ = self.commands.send(Command::Join(self.last)).await;
    }

    /// Whether an event is about the last join, and not about one that was given up for it.
    pub(crate) fn is_current(&self, id: JoinId) -> bool {
        self.last == id
    }

    /// Leaves the group. Nothing that was assigned may be running any more.
    pub(crate) async fn leave(&mut self, reason: &'static str) {
        // Of the join that ends here nothing matters any more.
        self.last = JoinId(self.last.0 + 1);
        let (done, left) = oneshot::channel();
        if self.commands.send(Command::Leave { reason, done }).await.is_ok()
            && tokio::time::timeout(LEAVE_TIMEOUT, left).await.is_err()
        {
            tracing::warn!("the group could not be told in time that this worker leaves");
        }
    }

    /// Leaves the group and ends the member.
    pub(crate) async fn end(mut self) {
        self.leave("worker is shutting down").await;
        self.task.abort();
    }
}

struct Actor<V> {
    member: Member,
    settings: Settings,
    view: V,
    metrics: GroupMetrics,
    events: mpsc::Sender<(JoinId, GroupEvent)>,
}

/// Why waiting for something ended.
enum Interrupted<T> {
    Done(T),
    By(Option<Command>),
}

#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error("the group speaks protocol {0:?}")]
    Protocol(String),
    #[error("metadata of another member")]
    Metadata(#[source] ProtocolError),
    #[error("the leader's assignment")]
    Assignment(#[source] ProtocolError),
}

impl<V: GroupView> Actor<V> {
    async fn run(self, mut inbox: mpsc::Receiver<Command>) {
        let mut command = inbox.recv().await;
        loop {
            command = match command {
                None => return,
                Some(Command::Leave { reason, done }) => {
                    self.settings.session.end();
                    match interruptible(&mut inbox, self.member.leave(reason)).await {
                        Interrupted::By(command) => command,
                        Interrupted::Done(left) => {
                            if let Err(error) = left {
                                let error = &error as &dyn std::error::Error;
                                tracing::warn!(error, "could not leave the group");
                            }
                            // The asker may have given up.
                            let _ = done.send(());
                            inbox.recv().await
                        }
                    }
                }
                Some(Command::Join(id)) => match interruptible(&mut inbox, self.join()).await {
                    Interrupted::By(command) => command,
                    Interrupted::Done(Err(error)) => {
                        self.report(id, GroupEvent::Failed(error)).await;
                        inbox.recv().await
                    }
                    Interrupted::Done(Ok(assigned)) => {
                        self.report(id, GroupEvent::Assigned(assigned)).await;
                        self.stay(id, &mut inbox).await
                    }
                },
            };
        }
    }

    async fn report(&self, id: JoinId, event: GroupEvent) {
        // Without a herder there is nobody to tell.
        let _ = self.events.send((id, event)).await;
    }

    /// Joins until it succeeds. Errors: what trying again cannot help.
    async fn join(&self) -> Result<Assigned, GroupError> {
        loop {
            let began = Instant::now();
            match self.round().await {
                Ok(assigned) => {
                    self.metrics.rebalanced(began.elapsed());
                    return Ok(assigned);
                }
                Err(RoundError::Group(error)) if !error.is_transient() => return Err(error),
                Err(RoundError::Group(GroupError::RebalanceInProgress)) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "could not join the group, trying again"
                    );
                    self.metrics.rebalance_failed();
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn round(&self) -> Result<Assigned, RoundError> {
        let metadata = Bytes::from(self.view.metadata().encode());
        let began = Instant::now();
        let joined = self.member.join(&[(EAGER, metadata)], "worker has work to share").await?;
        self.metrics.joined(began.elapsed());
        if joined.protocol != EAGER {
            return Err(RoundError::Protocol(joined.protocol));
        }
        let (assignments, owners) = match joined.is_leader() {
            true => self.assign(&joined).map(|(dealt, owners)| (dealt, Some(owners)))?,
            false => (Vec::new(), None),
        };
        let began = Instant::now();
        let assignment = self.member.sync(&joined, assignments).await?;
        self.settings.session.confirm(began);
        self.metrics.synced(began.elapsed());
        Ok(Assigned {
            generation: joined.generation,
            owners,
            assignment: Assignment::decode(&assignment).map_err(RoundError::Assignment)?,
        })
    }

    fn assign(&self, joined: &Joined) -> Result<(Vec<(String, Bytes)>, Owners), RoundError> {
        let decode = |metadata: &Bytes| MemberMetadata::decode(metadata).map_err(RoundError::Metadata);
        let members = joined
            .members
            .iter()
            .map(|m| Ok((m.member_id.clone(), decode(&m.metadata)?)))
            .collect::<Result<BTreeMap<_, _>, RoundError>>()?;
        let dealt = assignor::assign(&joined.leader_id, &members, &self.view.configured());
        let mut owners = Owners::default();
        for (id, assignment) in &dealt {
            let url = members.get(id).map(|m| m.url.clone()).unwrap_or_default();
            let work = &assignment.work;
            owners.connectors.extend(work.connectors.iter().map(|name| (name.clone(), url.clone())));
            owners.tasks.extend(work.tasks.iter().map(|id| (id.clone(), url.clone())));
        }
        let encoded = dealt.into_iter().map(|(id, a)| (id, Bytes::from(a.encode()))).collect();
        Ok((encoded, owners))
    }

    /// Sends heartbeats until the next command. Reports the end of the assignment once.
    async fn stay(&self, id: JoinId, inbox: &mut mpsc::Receiver<Command>) -> Option<Command> {
        let session = &self.settings.session;
        let mut is_over = false;
        let mut ticks = tokio::time::interval(self.settings.heartbeat_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = inbox.recv() => return command,
                _ = ticks.tick() => {}
            }
            let began = Instant::now();
            // However long the client would look for the coordinator: the session does not wait for it.
            let beat = tokio::time::timeout_at(session.expiry().unwrap_or(began), self.member.heartbeat());
            let beat = match interruptible(inbox, beat).await {
                Interrupted::By(command) => return command,
                Interrupted::Done(beat) => beat,
            };
            let event = match beat {
                Ok(Ok(())) => {
                    session.confirm(began);
                    self.metrics.heartbeat(began.elapsed());
                    continue;
                }
                Ok(Err(GroupError::RebalanceInProgress)) => {
                    session.confirm(began);
                    GroupEvent::Rebalance
                }
                Ok(Err(
                    GroupError::UnknownMemberId | GroupError::IllegalGeneration | GroupError::NotJoined,
                )) => {
                    session.end();
                    GroupEvent::Lost
                }
                Err(_) => {
                    session.end();
                    self.member.forget_connections();
                    GroupEvent::Lost
                }
                Ok(Err(error)) if error.is_transient() => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "heartbeat failed");
                    continue;
                }
                Ok(Err(error)) => {
                    session.end();
                    GroupEvent::Failed(error)
                }
            };
            let is_member = matches!(event, GroupEvent::Rebalance);
            if !is_over {
                is_over = true;
                self.report(id, event).await;
            }
            if !is_member {
                return inbox.recv().await;
            }
        }
    }
}

/// Runs a cancel-safe future unless a command comes first.
async fn interruptible<T>(
    inbox: &mut mpsc::Receiver<Command>,
    future: impl Future<Output = T>,
) -> Interrupted<T> {
    tokio::pin!(future);
    tokio::select! {
        command = inbox.recv() => Interrupted::By(command),
        done = &mut future => Interrupted::Done(done),
    }
}
