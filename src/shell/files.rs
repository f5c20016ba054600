//! Files and directories on a host: written whole or not at all, read and compared by digest.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::quote;
use crate::host::{Command, Stdin};

/// Owner and permissions of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Access {
    /// Permission bits: `0o640`.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A file as it should be.
#[derive(Clone)]
pub(crate) struct FileToWrite {
    /// Absolute.
    pub(crate) path: String,
    pub(crate) access: Access,
    pub(crate) bytes: Vec<u8>,
}

/// A directory as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Absolute.
    pub(crate) path: String,
    pub(crate) access: Access,
}

/// What is at a path. Absence is the absence of this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) access: Access,
    pub(crate) kind: FileKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileKind {
    Directory,
    File {
        /// SHA-256 of the content in lower-case hexadecimal.
        digest: String,
    },
    /// A link, a socket, a device: nothing of ours.
    Other,
}

/// SHA-256 in lower-case hexadecimal, as [`states`] reports it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes many files in one transfer.
///
/// Directories come first, outermost first. Every file is written aside in its own directory, compared by digest, given
/// owner and mode and forced to disk; only when all of them are there are they renamed into place. A failure before
/// that leaves the old files and nothing else. Parents that are not in `directories` are made with mode 0755.
///
/// Runs as the login user; call [`Command::as_root`] for system paths.
pub(crate) fn write_files(title: &str, directories: &[Directory], files: &[FileToWrite]) -> Command {
    let mut script = String::from(WRITE_FUNCTIONS);
    for Directory { path, access } in directories {
        script += &format!("directory {} {:o} {} {}\n", quote(path), access.mode, access.uid, access.gid);
    }
    let mut payload = Vec::new();
    for FileToWrite { path, access, bytes } in files {
        script += &format!(
            "aside {} {:o} {} {} {} {}\n",
            quote(path),
            access.mode,
            access.uid,
            access.gid,
            bytes.len(),
            digest(bytes)
        );
        payload.extend_from_slice(bytes);
    }
    script += "flush_aside\n";
    for FileToWrite { path, .. } in files {
        script += &format!("place {}\n", quote(path));
    }
    script += "flush_folders\n";
    Command::new(title, script).stdin(Stdin::Bytes(payload.into()))
}

/// Definitions that the calls of [`write_files`] use. `written` and `folders` are lists of lines.
const WRITE_FUNCTIONS: &str = r#"
set -eu
written=
folders=
nl='
'
forget() { echo "$written" | while IFS= read -r file; do [ -z "$file" ] || rm -f -- "$file"; done; }
trap forget EXIT
trap 'exit 143' TERM INT HUP
fail() { echo "$1" >&2; exit 1; }
directory() {
  if [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; then fail "$1 is in the way: not a directory"; fi
  [ -d "$1" ] || mkdir -p -- "$1"
  [ "$(stat -c '%u %g' -- "$1")" = "$3 $4" ] || chown "$3:$4" -- "$1"
  [ "$(stat -c %a -- "$1")" = "$2" ] || chmod "$2" -- "$1"
}
aside() {
  folder=${1%/*}; new="$folder/.${1##*/}.provision-new"
  [ -d "${folder:-/}" ] || mkdir -p -- "$folder"
  if [ -d "$1" ]; then fail "$1 is in the way: a directory"; fi
  rm -f -- "$new"
  written="$written$nl$new"
  (umask 077; set -C; head -c "$5" > "$new")
  set -- "$@" "$(sha256sum < "$new")"
  [ "${7%% *}" = "$6" ] || fail "$1: the content did not arrive whole"
  [ "$(stat -c '%u %g' -- "$new")" = "$3 $4" ] || chown "$3:$4" -- "$new"
  chmod "$2" -- "$new"
}
flush_aside() { echo "$written" | while IFS= read -r file; do [ -z "$file" ] || sync -- "$file"; done; }
place() {
  folder=${1%/*}
  mv -fT -- "$folder/.${1##*/}.provision-new" "$1"
  case "$nl$folders$nl" in *"$nl${folder:-/}$nl"*) ;; *) folders="$folders$nl${folder:-/}" ;; esac
}
flush_folders() { echo "$folders" | while IFS= read -r folder; do [ -z "$folder" ] || sync -- "$folder"; done; }
"#;

/// Looks at paths: digest, owner and mode of each. Parse the answer with [`parse_states`].
pub(crate) fn states<'a>(title: &str, paths: impl IntoIterator<Item = &'a str>) -> Command {
    Command::look(title, states_script(paths))
}

/// The script of [`states`], for checks that look at more than files. Few programs, for it runs on every host in every run.
pub(crate) fn states_script<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    let paths: Vec<String> = paths.into_iter().map(quote).collect();
    if paths.is_empty() {
        return String::new();
    }
    format!("{STATES}states {}\n", paths.join(" "))
}

/// A link is looked at itself, and only files proper are read.
const STATES: &str = r#"
states() {
  for path do shift; if [ -L "$path" ] || [ -e "$path" ]; then set -- "$@" "$path"; fi; done
  [ $# = 0 ] || stat -c 'path=%f %u %g %n' -- "$@" || exit 1
  for path do shift; if [ ! -L "$path" ] && [ -f "$path" ]; then set -- "$@" "$path"; fi; done
  [ $# = 0 ] || sha256sum -- "$@" || exit 1
}
"#;

/// Reads what [`states`] has said; paths that are absent on the host are absent here.
pub(crate) fn parse_states(answer: &str) -> BTreeMap<String, FileState> {
    let digests: BTreeMap<String, &str> = answer.lines().filter_map(parse_digest).collect();
    let read = |line: &str| parse_state(line.strip_prefix("path=")?, &digests);
    answer.lines().filter_map(read).collect()
}

fn parse_state(line: &str, digests: &BTreeMap<String, &str>) -> Option<(String, FileState)> {
    let mut words = line.splitn(4, ' ');
    let mode = u32::from_str_radix(words.next()?, 16).ok()?;
    let access =
        Access { mode: mode & 0o7777, uid: words.next()?.parse().ok()?, gid: words.next()?.parse().ok()? };
    let path = words.next()?;
    let kind = match mode & FORMAT {
        FORMAT_DIRECTORY => FileKind::Directory,
        // One without a digest came into being between the two programs.
        FORMAT_FILE => FileKind::File { digest: (*digests.get(path)?).to_owned() },
        _ => FileKind::Other,
    };
    Some((path.to_owned(), FileState { access, kind }))
}

/// What `st_mode` says beside the permissions, see inode(7).
const FORMAT: u32 = 0o170_000;
const FORMAT_DIRECTORY: u32 = 0o040_000;
const FORMAT_FILE: u32 = 0o100_000;

/// Reads a line of `sha256sum`: digest, space, space or asterisk, path. A path with backslashes is written with each of
/// them doubled, and with one before the digest.
fn parse_digest(line: &str) -> Option<(String, &str)> {
    let (line, is_escaped) = match line.strip_prefix('\\') {
        Some(line) => (line, true),
        None => (line, false),
    };
    let (digest, path) = line.split_at_checked(2 * Sha256::output_size())?;
    let path = path.strip_prefix(' ')?.strip_prefix([' ', '*'])?;
    let path = if is_escaped { path.replace(r"\\", r"\") } else { path.to_owned() };
    digest.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some((path, digest))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    /// What a real shell says of these paths.
    fn look(paths: &[&str]) -> std::process::Output {
        let script = states_script(paths.iter().copied());
        std::process::Command::new("sh").arg("-c").arg(script).output().unwrap()
    }

    #[test]
    fn states_are_seen_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (file, odd, link, pipe) = (at("a b"), at("it's \\ odd"), at("link"), at("pipe"));
        std::fs::write(&file, "x").unwrap();
        std::fs::write(&odd, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4640)).unwrap();
        std::fs::set_permissions(&odd, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let here = folder.path().display().to_string();
        std::fs::set_permissions(&here, std::fs::Permissions::from_mode(0o750)).unwrap();

        let output = look(&[&here, &file, &at("absent"), &odd, &link, &pipe]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let states = parse_states(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(states.keys().collect::<Vec<_>>(), [&here, &file, &odd, &link, &pipe]);
        let owner = std::fs::metadata(&file).unwrap();
        let access = |mode| Access { mode, uid: owner.uid(), gid: owner.gid() };
        assert_eq!(states[&here], FileState { access: access(0o750), kind: FileKind::Directory });
        let kind = |text: &str| FileKind::File { digest: digest(text.as_bytes()) };
        assert_eq!(states[&file], FileState { access: access(0o4640), kind: kind("x") });
        assert_eq!(states[&odd], FileState { access: access(0o600), kind: kind("") });
        assert_eq!((&states[&link].kind, &states[&pipe].kind), (&FileKind::Other, &FileKind::Other));
    }

    #[test]
    fn nothing_there_is_no_failure_and_says_nothing() {
        for output in [look(&["/nowhere/a", "/nowhere/b"]), look(&[])] {
            assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        }
    }
}
