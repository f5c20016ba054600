//! What is asked of every fault, whatever it is.

use anyhow::{Result, ensure};

use super::program::Run;

/// How a fault has to be told: at which place, with which words of its cause, with which of its remedy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) place: &'a str,
    pub(super) cause: &'a [&'a str],
    pub(super) remedy: &'a [&'a str],
}

impl Told<'_> {
    /// Fails unless one error of the run tells it: `error: PLACE: …`, its last output, and a hint.
    pub(super) fn judge(&self, run: &Run) -> Result<()> {
        let start = format!("error: {}: ", self.place);
        let mut errors = errors(&run.text).into_iter().filter(|error| error.text.starts_with(&start));
        let is_told = errors.any(|error| {
            self.cause.iter().all(|words| error.text.contains(words))
                && self.remedy.iter().all(|words| error.hint.contains(words))
        });
        ensure!(is_told, "no error tells {self:?}");
        Ok(())
    }
}

/// An error as the summary has it: its line with the last output below, and the hint.
struct Error<'a> {
    text: String,
    hint: &'a str,
}

fn errors(text: &str) -> Vec<Error<'_>> {
    let mut errors: Vec<Error<'_>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("error: ") {
            errors.push(Error { text: line.to_owned(), hint: "" });
        } else if let Some(error) = errors.last_mut() {
            match line.strip_prefix("  hint: ") {
                Some(hint) => error.hint = hint,
                None if line.starts_with("  | ") => error.text += line,
                None => {}
            }
        }
    }
    errors
}
