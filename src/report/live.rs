//! A line per host that changes in place, and everything of lasting interest above it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::lines;
use crate::engine::event::{Event, Reporter};

const TICK: Duration = Duration::from_millis(120);

pub(super) struct Live {
    all: MultiProgress,
    /// One spinner per target, by its name.
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Live {
    pub(super) fn new() -> Self {
        Self { all: MultiProgress::new(), bars: Mutex::new(HashMap::new()) }
    }

    fn say(&self, target: &str, text: impl Into<String>) {
        let mut bars = self.bars.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let bar = bars.entry(target.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix:.bold}  {wide_msg}")
                .expect("the template is a constant that indicatif accepts");
            let bar =
                self.all.add(ProgressBar::new_spinner().with_style(style).with_prefix(target.to_owned()));
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(text.into());
    }

    fn keep(&self, text: &str) {
        // Without a terminal behind it the display swallows lines; there is one, or `Lines` were used.
        let _ = self.all.println(text);
    }
}

impl Reporter for Live {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::HostConnecting { host } => self.say(host.as_str(), "connecting"),
            Event::HostConnected { host } => self.say(host.as_str(), "connected"),
            Event::SurveyStarted { .. } => self.say("cluster", "looking at hosts and Kafka"),
            Event::Planned | Event::Ended => {
                let mut bars = self.bars.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for (_, bar) in bars.drain() {
                    bar.finish_and_clear();
                }
            }
            Event::ChangeStarted { title, change } => {
                self.say(&change.target.to_string(), format!("{title}: {}", change.subject));
            }
            Event::Progress { target, text } => self.say(&target.to_string(), *text),
            Event::VerifyStarted { title } => self.say("cluster", format!("{title}: looking again")),
            Event::ChangeDone { change } => self.keep(&format!("{}: {}", change.target, change.subject)),
            Event::PhaseUnchanged { .. }
            | Event::Found { .. }
            | Event::Failed { .. }
            | Event::Stopping { .. }
            | Event::Verified { .. } => {
                if let Some(text) = lines::line(event) {
                    self.keep(&text);
                }
            }
        }
    }
}
