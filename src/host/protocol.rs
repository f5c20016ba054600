//! What goes over the wire for one command, whatever the transport: pure.
//!
//! The command line that the login shell sees is a constant (but for the time limit), so it is right in every shell
//! and shows nothing in a process list. Everything that varies follows on standard input:
//!
//! ```text
//! <sudo password>          only with sudo and a password; sudo may or may not read this line
//! provision-begin          everything up to here is skipped, so an unread password never becomes payload
//! <bytes of input> <mode> [<bytes of script>]    mode `watch` or `finish`, see [`OnDisconnect`]
//! <script>                 as it is, or as a line in base64 where input follows
//! <input of the script>    then the stream stays open until the script has ended
//! ```
//!
//! A shell reads a line byte by byte, which takes milliseconds for a script. `head` reads it at once, and in some
//! implementations more than it is told to: so only where nothing follows.
//!
//! The script's output stands between [`BEGIN`] and [`FINISHED`], on both outputs: banners of noisy login shells are told
//! apart, and what a login has left in the background may hold the outputs open.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::OnDisconnect;

/// What the remote side prints on both outputs directly before the script's own output. Neither it nor [`FINISHED`] stands
/// in the command line, which sudo or a login that is traced may print.
pub(super) const BEGIN: &str = "@provision:begin@";

/// What it prints on both when all is over, also when nothing began. An output may just end as well: when a connection is
/// lost, when there is no shell.
const FINISHED: &str = "@provision:end@";

/// Exit status of `timeout` when the limit ended the command.
pub(super) const TIMED_OUT: i32 = 124;

/// The last line of every script: one without it was cut short.
const END: &str = "# provision-end";

/// Exit status of the wrapper when the stream ended before the script was complete.
pub(super) const CUT_SHORT: i32 = 125;

/// The wrapper around every script. No single quote, backslash, exclamation mark or line break: it stands in single
/// quotes for sh, bash, zsh, fish and csh alike.
///
/// The subshell in the background outlives the input: it sees the end of our stream when this machine is gone, and ends
/// the whole process group, which `timeout` has made. When the script is done the session closes and it ends alone: a
/// login shell may still be passing on what the script has said.
const WRAPPER: &str = concat!(
    "LC_ALL=C; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export LC_ALL PATH; umask 022; cd /; ",
    "while IFS= read -r l; do [ \"$l\" = provision-begin ] && break; done; ",
    "read -r n m k || exit 125; ",
    "if [ -n \"$k\" ]; then s=$(head -c \"$k\"); else IFS= read -r s; s=$(echo \"$s\" | base64 -d); fi; ",
    "case $s in *\"# provision-end\") ;; *) exit 125 ;; esac; ",
    "p=@provision:; echo ${p}begin@; echo ${p}begin@ >&2; exec 3<&0; ",
    "{ [ \"$n\" = 0 ] || head -c \"$n\" <&3; ",
    "if [ \"$m\" = watch ]; then ( exec <&3 >/dev/null 2>&1; while read -r l; do :; done; kill -0 $$ && kill -s TERM 0 ) & fi; } ",
    "| ( exec 3<&-; eval \"$s\" )",
);

/// What is done when the wrapper has ended, or sudo has refused it, or the time was over.
const EPILOGUE: &str = "e=$?; p=@provision:; echo ${p}end@; echo ${p}end@ >&2; exit $e";

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
    let sudo = match elevation {
        Elevation::None => "",
        Elevation::Sudo => "LC_ALL=C sudo -n -- ",
        Elevation::SudoWithPassword => "LC_ALL=C sudo -S -p \"\" -- ",
    };
    format!("sh -c '{sudo}timeout -k 5 {seconds} sh -c \"$0\"; {EPILOGUE}' '{WRAPPER}'")
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
    let script = format!("{script}\n{END}");
    let password_line =
        password.map(|password| format!("{}\n", password.expose_secret())).unwrap_or_default();
    let rest = match input_bytes {
        0 => format!("0 {mode} {}\n{script}", script.len()),
        _ => format!("{input_bytes} {mode}\n{}\n", STANDARD.encode(script)),
    };
    format!("{password_line}provision-begin\n{rest}").into_bytes()
}

/// The script's own output, or `None` when it never began.
pub(super) fn after_begin(output: &[u8]) -> Option<&[u8]> {
    let marker = BEGIN.as_bytes();
    let at = output.windows(marker.len()).position(|window| window == marker)?;
    let rest = &output[at + marker.len()..];
    Some(rest.strip_prefix(b"\n").unwrap_or(rest))
}

/// Where the script's own output ends in what has been read, if its end is there. Nothing of it was there in the first
/// `known` bytes.
pub(super) fn finished_at(output: &[u8], known: usize) -> Option<usize> {
    let marker = FINISHED.as_bytes();
    let from = known.saturating_sub(marker.len() - 1);
    let at = output[from..].windows(marker.len()).position(|window| window == marker)?;
    Some(from + at)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn wrapper_is_safe_in_every_login_shell() {
        let line = command_line(Elevation::SudoWithPassword, Duration::from_secs(7));
        assert!(!line.contains(['\\', '!', '\n']) && line.matches('\'').count() == 4, "{line}");
        assert!(WRAPPER.contains(END) && !line.contains(BEGIN) && !line.contains(FINISHED), "{line}");
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
    fn the_end_is_found_however_it_arrives() {
        let output = b"@provision:begin@\nfoo@provision:end@\nlogout\n";
        for known in 0..=30 {
            assert_eq!(finished_at(output, known), Some(21), "{known} bytes known");
        }
        assert_eq!(finished_at(&output[..35], 0), None);
    }

    #[test]
    fn script_and_password_are_not_in_the_command_line() {
        for elevation in [Elevation::None, Elevation::Sudo, Elevation::SudoWithPassword] {
            let line = command_line(elevation, Duration::from_secs(7));
            assert!(line.contains("timeout -k 5 7 sh -c"));
        }
        let header = header(Some(&"pw".into()), "echo $1", 3, OnDisconnect::End);
        let script = STANDARD.encode("echo $1\n# provision-end");
        assert_eq!(String::from_utf8(header).unwrap(), format!("pw\nprovision-begin\n3 watch\n{script}\n"));
    }

    /// Status and own output of the wrapper in a real shell that reads this.
    fn wrapped(stream: &[u8]) -> (Option<i32>, String) {
        let mut sh = Command::new("sh");
        sh.args(["-c", &command_line(Elevation::None, Duration::from_secs(60))]).stdin(Stdio::piped());
        let mut child = sh.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stream).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(finished_at(&output.stderr, 0).is_some(), "{output:?}");
        let end = finished_at(&output.stdout, 0).unwrap();
        let said = after_begin(&output.stdout[..end]).unwrap_or(b"never began");
        (output.status.code(), String::from_utf8(said.to_vec()).unwrap())
    }

    #[test]
    fn a_shell_runs_the_script_with_its_input_and_ends_as_it_does() {
        // Nobody watches for the end of the stream, which has ended by then.
        let stream = |script: &str, input: &[u8]| {
            let header = header(None, script, input.len(), OnDisconnect::Finish);
            [b"banner\n", header.as_slice(), input].concat()
        };
        assert_eq!(
            wrapped(&stream("printf '%s\\n' 'a\\b  \"c\"'", b"")),
            (Some(0), "a\\b  \"c\"\n".to_owned())
        );
        assert_eq!(wrapped(&stream("cat; false", b"")), (Some(1), String::new()));
        assert_eq!(wrapped(&stream("cat; exit 7", b"x\ny")), (Some(7), "x\ny".to_owned()));
        let long = format!("x={}\necho ${{#x}}", "y".repeat(100_000));
        assert_eq!(wrapped(&stream(&long, b"")), (Some(0), "100000\n".to_owned()));
    }

    #[test]
    fn half_a_script_is_not_run() {
        for input in [0, 1] {
            let header = header(None, "echo one\necho two", input, OnDisconnect::Finish);
            for length in [header.len() - 4, header.len() - 16, header.len() - 24, 20] {
                let (status, said) = wrapped(&header[..length]);
                assert_eq!((status, said.as_str()), (Some(CUT_SHORT), "never began"), "{length} bytes");
            }
        }
    }
}
