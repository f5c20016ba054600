//! What happens during a run, as typed values; `report` renders them.

use std::sync::Arc;
use std::time::Duration;

use crate::interrupt::Signal;
use crate::inventory::model::HostName;
use crate::phases::Finding;
use crate::plan::{Change, Target};

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    HostConnecting {
        host: &'a HostName,
    },
    HostConnected {
        host: &'a HostName,
    },
    /// Looking at hosts and Kafka began.
    SurveyStarted {
        hosts: &'a [HostName],
    },
    /// The plan stands and is about to be shown.
    Planned,
    /// A phase has nothing to do on any target.
    PhaseUnchanged {
        title: &'a str,
    },
    ChangeStarted {
        title: &'a str,
        change: &'a Change,
    },
    ChangeDone {
        change: &'a Change,
    },
    /// Something a long step wants to say: `waiting for the package lock`.
    Progress {
        target: &'a Target,
        text: &'a str,
    },
    Found {
        finding: &'a Finding,
    },
    Failed {
        failure: &'a Failure,
    },
    VerifyStarted {
        title: &'a str,
    },
    /// A phase looked from outside and found all well.
    Verified {
        title: &'a str,
    },
    /// The user wants an end; what is under way has this long to come to its own.
    Stopping {
        target: &'a Target,
        what: &'a str,
        signal: Signal,
        patience: Duration,
    },
    /// Nothing more happens; the result is about to be shown.
    Ended,
}

/// A target that failed, with everything a person needs to act.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) target: Target,
    /// Title of the phase, or `connect`.
    pub(crate) step: String,
    /// The error and its causes, outermost first, joined by `: `.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Last output of what failed.
    pub(crate) tail: Vec<String>,
    pub(crate) kind: FailureKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Unreachable,
    /// Another run has the host.
    Locked,
    Check,
    Apply,
}

/// Takes events and shows them.
pub(crate) trait Reporter: Send + Sync {
    fn event(&self, event: &Event<'_>);
}

/// The way of events from wherever they happen to the reporter. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Events(Arc<dyn Reporter>);

impl Events {
    pub(crate) fn new(reporter: Arc<dyn Reporter>) -> Self {
        Self(reporter)
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    pub(crate) fn progress(&self, target: &Target, text: &str) {
        self.emit(&Event::Progress { target, text });
    }
}
