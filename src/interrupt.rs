//! The wish to stop, as work can ask for it and wait for it: Ctrl-C, `kill`, a closed terminal.
//!
//! The first signal asks for an end in order: no change is begun any more, one that is under way gets a while to end,
//! and what only looks is dropped. The second ends the run where it is. What runs on hosts ends with their connections.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The signals that mean "stop". The values are their numbers, the same on every architecture of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    HangUp = 1,
    Interrupt = 2,
    Terminate = 15,
}

impl Signal {
    const ALL: [Self; 3] = [Self::HangUp, Self::Interrupt, Self::Terminate];

    /// For people: `Ctrl-C`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HangUp => "SIGHUP",
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// What was asked so far.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    first: Option<Signal>,
    is_urgent: bool,
}

/// Knows whether the run shall stop. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<Asked>);

impl Interrupt {
    /// Takes the signals over from now on, but for those that whoever started this program has told it to ignore:
    /// `nohup` means what it says.
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = ignored_signals(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
        let (asked, seen) = watch::channel(Asked::default());
        for kind in Signal::ALL {
            if ignored & 1 << (kind as u32 - 1) != 0 {
                continue;
            }
            let mut signals = signal(SignalKind::from_raw(kind as i32))?;
            let asked = asked.clone();
            // Ends with the runtime, as the signals do.
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    asked.send_modify(|asked| match asked.first {
                        None => asked.first = Some(kind),
                        Some(_) => asked.is_urgent = true,
                    });
                }
            });
        }
        Ok(Self(seen))
    }

    /// Nobody will ask.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(watch::channel(Asked::default()).1)
    }

    /// The signal that asked, if one has.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.0.borrow().first
    }

    /// Waits for the first signal.
    pub(crate) async fn asked(&self) -> Signal {
        self.wait(|asked| asked.first).await
    }

    /// Waits for the second signal; says which one came first.
    pub(crate) async fn urged(&self) -> Signal {
        self.wait(|asked| asked.first.filter(|_| asked.is_urgent)).await
    }

    /// Does `work` unless a signal comes first, which drops it.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Signal> {
        tokio::select! {
            biased;
            signal = self.asked() => Err(signal),
            done = work => Ok(done),
        }
    }

    async fn wait(&self, wanted: impl Fn(&Asked) -> Option<Signal>) -> Signal {
        let mut asked = self.0.clone();
        match asked.wait_for(|asked| wanted(asked).is_some()).await.map(|asked| wanted(&asked)) {
            Ok(Some(signal)) => signal,
            // Every signal is ignored: nobody can ask.
            _ => std::future::pending().await,
        }
    }
}

/// The mask of ignored signals in the text of `/proc/self/status`, signal 1 in the lowest bit.
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_were_ignored_at_the_start_are_seen() {
        let under_nohup = "Name:\tprovision\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_signals(under_nohup), 1 | 1 << 12);
        assert_eq!(ignored_signals(""), 0);
    }

    #[tokio::test]
    async fn the_first_signal_asks_and_the_second_urges() {
        let (send, seen) = watch::channel(Asked::default());
        let interrupt = Interrupt(seen);
        assert_eq!(interrupt.unless(async { 7 }).await, Ok(7));
        send.send_replace(Asked { first: Some(Signal::Terminate), is_urgent: false });
        assert_eq!(interrupt.unless(async { 7 }).await, Err(Signal::Terminate));
        send.send_replace(Asked { first: Some(Signal::Terminate), is_urgent: true });
        assert_eq!(interrupt.urged().await, Signal::Terminate);
    }
}
