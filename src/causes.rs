//! An error with everything that caused it, as one line of text.

use std::error::Error;

/// An error and its causes, outermost first, joined by `: `. A cause that its effect has quoted already is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
