//! A command that ends before it looks at anything: what is wrong and what to do, as text or as the JSON document.

use serde_json::{Value, json};

use crate::cli::InventoryArgs;
use crate::exit_code::Exit;
use crate::inventory::problem::{Problem, Problems};
use crate::report;

/// Whom a refusal is told, and by which command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub(super) command: &'static str,
    is_json: bool,
}

impl Refusal {
    pub(super) fn new(command: &'static str, args: &InventoryArgs) -> Self {
        Self { command, is_json: args.json }
    }

    /// Tells what is wrong, and returns the exit code that goes with it.
    pub(super) fn tell(self, exit: Exit, message: &str, hint: Option<&str>) -> Exit {
        if self.is_json {
            self.document(exit, &[json!({ "message": message, "hint": hint })]);
        } else {
            let hint = hint.map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
            report::stderr(&format!("error: {message}\n{hint}"));
        }
        exit
    }

    /// Tells every problem of an inventory.
    pub(super) fn tell_problems(self, problems: &Problems) -> Exit {
        if self.is_json {
            let list: Vec<Value> = problems.list.iter().map(problem).collect();
            self.document(Exit::Usage, &list);
        } else {
            report::stderr(&format!("{problems}\n"));
        }
        Exit::Usage
    }

    fn document(self, exit: Exit, problems: &[Value]) {
        let document = json!({
            "command": self.command,
            "exit": exit as u8,
            "problems": problems,
            // Those of an inventory are known once it has no problems.
            "warnings": [],
        });
        report::stdout(&format!("{document:#}\n"));
    }
}

fn problem(problem: &Problem) -> Value {
    json!({
        "file": problem.file,
        "line": problem.position.map(|position| position.line),
        "column": problem.position.map(|position| position.column),
        "path": problem.path.to_string(),
        "message": problem.message,
        "hint": problem.hint,
    })
}
