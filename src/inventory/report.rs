//! Where problems and warnings are collected while a file is read.

use super::problem::{Path, Position, Problem, Warning};
use super::tree::Node;

/// Problems and warnings so far, and the tree that tells where things stand.
pub(super) struct Report<'t> {
    file: &'t str,
    pub(super) tree: &'t Node,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
    /// Keys that are meant by something misspelt: not to be called missing as well.
    misspelt: Vec<Path>,
}

impl<'t> Report<'t> {
    pub(super) fn new(file: &'t str, tree: &'t Node, problems: Vec<Problem>) -> Self {
        Self { file, tree, problems, warnings: Vec::new(), misspelt: Vec::new() }
    }

    pub(super) fn problem(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.problem_at(self.tree.position(path), path, message, hint);
    }

    /// A problem whose position is not that of its path's value.
    pub(super) fn problem_at(
        &mut self,
        position: Position,
        path: &Path,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.problems.push(Problem {
            file: self.file.to_owned(),
            path: path.clone(),
            position: Some(position),
            message: message.into(),
            hint,
        });
    }

    /// A key is needed and not there. Silent when it is there after all, and was reported as wrong, or is misspelt.
    pub(super) fn missing(&mut self, path: &Path, hint: impl Into<String>) {
        if self.tree.get(path).is_none() && !self.misspelt.contains(path) {
            self.problem(path, "missing", hint);
        }
    }

    pub(super) fn is_misspelling_of(&mut self, path: Path) {
        self.misspelt.push(path);
    }

    pub(super) fn warn(&mut self, path: &Path, message: impl Into<String>) {
        self.warnings.push(Warning { path: path.clone(), message: message.into() });
    }
}
