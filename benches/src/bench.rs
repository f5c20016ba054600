//! What a chapter of the page is made of, and what its measurements are given.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use testbed::Error;

use crate::figure::Figure;

/// A chapter of the page.
pub(crate) struct Section {
    /// As on the command line, and in the page's markers.
    pub(crate) id: &'static str,
    pub(crate) groups: &'static [&'static dyn Group],
    /// The versions of the peers, each as a line.
    pub(crate) versions: fn() -> Versions,
}

/// What [`Section::versions`] finds out.
pub(crate) type Versions = std::pin::Pin<Box<dyn Future<Output = Vec<String>> + Send>>;

/// Figures that are measured together, because they come from one run of the programs.
#[async_trait(?Send)]
pub(crate) trait Group: Sync {
    /// As on the command line, and in the page's markers.
    fn name(&self) -> &'static str;

    /// The heading of its table.
    fn title(&self) -> &'static str;

    /// How it is measured, in Markdown: what counts, and everything that a reader needs to repeat it by hand.
    fn method(&self) -> String;

    /// Measures. Ours and the peers take turns within each round, on the same ground. A result that is wrong (data that
    /// differs) is an error, however quick it came.
    async fn measure(&self, bench: &Bench) -> anyhow::Result<Vec<Figure>>;
}

/// What every measurement is given.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) rounds: usize,
    pub(crate) scale: Scale,
    pub(crate) peers: Peers,
    /// The folder of the programs that are measured.
    pub(crate) programs: PathBuf,
}

/// Whether the peers are measured, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peers {
    Measured,
    LeftOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    /// As little as shows that the benchmark itself works.
    Quick,
}

impl Bench {
    /// The path of one of our programs.
    pub(crate) fn program(&self, name: &'static str) -> Result<PathBuf, Error> {
        let path = self.programs.join(name);
        if path.is_file() { Ok(path) } else { Err(Error::NotBuilt { name, path }) }
    }

    /// One of two values.
    pub(crate) fn scaled<T>(&self, full: T, quick: T) -> T {
        match self.scale {
            Scale::Full => full,
            Scale::Quick => quick,
        }
    }
}

/// The workspace's root.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the workspace")
}
