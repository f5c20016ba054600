//! What goes over the wire for one command, whatever the transport: pure.
//!
//! The command line that the login shell sees is a constant (but for the time limit), so it is right in every shell
//! and shows nothing in a process list. Everything that varies follows on standard input:
//!
//! ```text
//! <sudo password>          only with sudo and a password; sudo may or may not read this line
//! provision-begin          everything up to here is skipped, so an unread password never becomes payload
//! <bytes of input> <mode>  mode `watch` or `finish`, see [`OnDisconnect`]
//! <base64 of the script>
//! <input of the script>    then the stream stays open until the script has ended
//! ```
//!
//! The script's output starts after [`BEGIN`], on both outputs, so banners of noisy login shells are told apart.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::OnDisconnect;

/// What the remote side prints on both outputs directly before the script's own output.
pub(super) const BEGIN: &str = "@provision:begin@";

/// Exit status of `timeout` when the limit ended the command.
pub(super) const TIMED_OUT: i32 = 124;

/// Exit status of the wrapper when the stream ended before the script was complete.
pub(super) const CUT_SHORT: i32 = 125;

/// The wrapper around every script. No single quote, backslash, exclamation mark or line break: it stands in single
/// quotes for sh, bash, zsh, fish and csh alike.
///
/// The subshell in the background outlives the input: it sees the end of our stream when this machine is gone, and ends the
/// whole process group, which `timeout` has made. When the script is done the session closes and it ends too.
const WRAPPER: &str = concat!(
    "LC_ALL=C; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export LC_ALL PATH; umask 022; cd /; ",
    "while IFS= read -r l; do [ \"$l\" = provision-begin ] && break; done; ",
    "read -r n m && IFS= read -r s && s=$(echo \"$s\" | base64 -d) || exit 125; ",
    "echo @provision:begin@; echo @provision:begin@ >&2; exec 3<&0; ",
    "{ [ \"$n\" = 0 ] || head -c \"$n\" <&3; ",
    "if [ \"$m\" = watch ]; then ( exec <&3 >/dev/null 2>&1; cat; kill -s TERM 0 ) & fi; } ",
    "| ( exec 3<&-; eval \"$s\" )",
);

/// Whether the wrapper is started through sudo, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elevation {
    None,
    Sudo,
    SudoWithPassword,
}

/// The command line for the login shell.
pub(super) fn command_line(elevation: Elevation, limit: Duration) -> String {
    let seconds = limit.as_secs().max(1);
    let wrapped = format!("timeout -k 5 {seconds} sh -c '{WRAPPER}'");
    match elevation {
        Elevation::None => wrapped,
        Elevation::Sudo => format!("env LC_ALL=C sudo -n -- {wrapped}"),
        Elevation::SudoWithPassword => format!("env LC_ALL=C sudo -S -p '' -- {wrapped}"),
    }
}

/// What precedes the script's input on the stream.
pub(super) fn header(
    password: Option<&SecretString>,
    script: &str,
    input_bytes: usize,
    on_disconnect: OnDisconnect,
) -> Vec<u8> {
    let mode = match on_disconnect {
        OnDisconnect::End => "watch",
        OnDisconnect::Finish => "finish",
    };
    let script = STANDARD.encode(script);
    let password_line =
        password.map(|password| format!("{}\n", password.expose_secret())).unwrap_or_default();
    format!("{password_line}provision-begin\n{input_bytes} {mode}\n{script}\n").into_bytes()
}

/// The script's own output, or `None` when it never began.
pub(super) fn after_begin(output: &[u8]) -> Option<&[u8]> {
    let marker = BEGIN.as_bytes();
    let at = output.windows(marker.len()).position(|window| window == marker)?;
    let rest = &output[at + marker.len()..];
    Some(rest.strip_prefix(b"\n").unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapper_is_safe_in_every_login_shell() {
        assert!(!WRAPPER.contains(['\'', '\\', '!', '\n']));
        assert!(WRAPPER.contains(BEGIN));
    }

    #[test]
    fn banners_are_stripped() {
        let check = |output: &str, expected: Option<&str>| {
            assert_eq!(after_begin(output.as_bytes()), expected.map(str::as_bytes));
        };
        check("@provision:begin@\nhello\n", Some("hello\n"));
        check("Welcome to prod!@provision:begin@\n", Some(""));
        check("sudo: a password is required\n", None);
    }

    #[test]
    fn script_and_password_are_not_in_the_command_line() {
        for elevation in [Elevation::None, Elevation::Sudo, Elevation::SudoWithPassword] {
            let line = command_line(elevation, Duration::from_secs(7));
            assert!(line.contains("timeout -k 5 7 sh -c"));
        }
        let header = header(Some(&"pw".into()), "echo $1", 3, OnDisconnect::End);
        assert_eq!(String::from_utf8(header).unwrap(), "pw\nprovision-begin\n3 watch\nZWNobyAkMQ==\n");
    }
}
