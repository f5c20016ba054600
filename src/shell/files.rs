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

/// The script of [`states`], for checks that look at more than files.
pub(crate) fn states_script<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    let paths: Vec<String> = paths.into_iter().map(quote).collect();
    if paths.is_empty() {
        return String::new();
    }
    format!(
        "for path in {}; do\n\
         if [ -L \"$path\" ] || [ -e \"$path\" ]; then\n\
         kind=other; sum=-\n\
         if [ ! -L \"$path\" ]; then\n\
         if [ -d \"$path\" ]; then kind=directory\n\
         elif [ -f \"$path\" ]; then kind=file; sum=$(sha256sum < \"$path\") || exit 1; fi\n\
         fi\n\
         echo \"path=$(stat -c '%a %u %g' -- \"$path\") $kind ${{sum%% *}} $path\"\n\
         fi\n\
         done\n",
        paths.join(" ")
    )
}

/// Reads the `path=` lines of [`states`]; paths that are absent on the host are absent here.
pub(crate) fn parse_states(answer: &str) -> BTreeMap<String, FileState> {
    answer.lines().filter_map(|line| line.strip_prefix("path=")).filter_map(parse_state).collect()
}

fn parse_state(line: &str) -> Option<(String, FileState)> {
    let mut words = line.splitn(6, ' ');
    let access = Access {
        mode: u32::from_str_radix(words.next()?, 8).ok()?,
        uid: words.next()?.parse().ok()?,
        gid: words.next()?.parse().ok()?,
    };
    let kind = words.next()?;
    let digest = words.next()?.to_owned();
    let kind = match kind {
        "directory" => FileKind::Directory,
        "file" => FileKind::File { digest },
        _ => FileKind::Other,
    };
    Some((words.next()?.to_owned(), FileState { access, kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read() {
        let answer =
            "path=640 0 65532 file abc /etc/a b\npath=755 0 0 directory - /etc\npath=777 0 0 other - /l\n";
        let states = parse_states(answer);
        let file = FileState {
            access: Access { mode: 0o640, uid: 0, gid: 65532 },
            kind: FileKind::File { digest: "abc".to_owned() },
        };
        assert_eq!(states["/etc/a b"], file);
        assert_eq!((&states["/etc"].kind, &states["/l"].kind), (&FileKind::Directory, &FileKind::Other));
    }
}
