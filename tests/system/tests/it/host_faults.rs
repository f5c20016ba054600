//! Faults of hosts, SSH and Docker, made for real. Each ends with the right exit code and with a message that names
//! place, cause and remedy, leaves old or new whole files and nothing else, and is followed by a run that converges.

mod before;
mod fault;
mod ground;
mod leftovers;
mod midway;
mod program;

use std::time::Duration;

/// How long anything but a run may take that is waited for; machines are slow.
const PATIENCE: Duration = Duration::from_secs(120);

#[expect(clippy::print_stdout, reason = "a long table says where it is")]
fn say(text: &str) {
    println!("{text}");
}
