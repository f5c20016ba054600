//! References to secrets. What was typed is never repeated in a message: it may be the secret itself.

use super::Validator;
use crate::inventory::model::{SecretRef, VariableName};
use crate::inventory::problem::Path;
use crate::inventory::raw;

/// Whether we may draw the secret ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawing {
    Allowed,
    /// Why not.
    Refused(&'static str),
}

impl Validator<'_, '_> {
    pub(super) fn secret(
        &mut self,
        raw: Option<&raw::Secret>,
        drawing: Drawing,
        path: &Path,
    ) -> Option<SecretRef> {
        match (raw?, drawing) {
            (raw::Secret::Word(raw::SecretWord::Generated), Drawing::Allowed) => Some(SecretRef::Generated),
            (raw::Secret::Word(raw::SecretWord::Generated), Drawing::Refused(why)) => {
                let hint = "use { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }";
                self.report.problem(path, format!("`generated` is not possible here: {why}"), hint);
                None
            }
            (raw::Secret::Source(source), _) => self.source(source, path),
        }
    }

    fn source(&mut self, source: &raw::SecretSource, path: &Path) -> Option<SecretRef> {
        if let Some(variable) = &source.env {
            let Ok(variable) = VariableName::parse(variable) else {
                let hint = "`env` takes the variable's name, not its value";
                self.report.problem(&path.key("env"), "expected the name of an environment variable", hint);
                return None;
            };
            return Some(SecretRef::Env(variable));
        }
        if let Some(file) = &source.file {
            return self.control_path(Some(file), &path.key("file")).map(SecretRef::File);
        }
        let words = source.command.as_ref()?;
        if words.first().is_none_or(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
            let hint = "such as { command: [pass, show, kafka/admin] }";
            self.report.problem(&path.key("command"), "expected a program and its arguments", hint);
            return None;
        }
        Some(SecretRef::Command(words.clone()))
    }
}
