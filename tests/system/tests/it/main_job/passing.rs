//! Files that come and go: names that appear in a folder of a host, told by the kernel (inotify).
//!
//! For folders in which others make and remove files all the time, so that the folder's own time says nothing. The
//! folder is watched from here, by the way into the host that `/proc` shows.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use testbed::docker::docker;
use testbed::ssh_host::SshHost;

/// One folder of one host.
pub(super) struct Passing {
    folder: &'static str,
    events: OwnedFd,
    /// What others call their files there.
    theirs: &'static [&'static str],
}

impl Passing {
    /// Begins to watch `folder` for names that do not begin with one of `theirs`.
    pub(super) async fn watch(
        host: &SshHost,
        folder: &'static str,
        theirs: &'static [&'static str],
    ) -> Result<Self> {
        let process = docker(&["inspect", "--format", "{{.State.Pid}}", host.container().name()]).await?;
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let made = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(&events, format!("/proc/{process}/root{folder}"), made)?;
        Ok(Self { folder, events, theirs })
    }

    /// The paths that appeared since the last call, whether they are still there or not.
    pub(super) fn seen(&self) -> Result<BTreeSet<String>> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&self.events, &mut buffer);
        let mut seen = BTreeSet::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                    // Without a name the kernel says that it could not keep up.
                    let name = name.unwrap_or_else(|| "too many to tell".to_owned());
                    if !self.theirs.iter().any(|start| name.starts_with(start)) {
                        seen.insert(format!("{}/{name}", self.folder));
                    }
                }
                Err(Errno::AGAIN) => return Ok(seen),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
