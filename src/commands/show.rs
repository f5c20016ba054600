//! Commands that touch no host: `check`, `init`, `schema`.

use serde_json::json;

use super::open;
use super::refusal::Refusal;
use crate::cli::InventoryArgs;
use crate::exit_code::Exit;
use crate::{inventory, report};

/// Reads the inventory and reports every problem of it.
pub(crate) fn check(args: &InventoryArgs) -> Exit {
    match open::load(args, Refusal::new("check", args)) {
        Err(exit) => exit,
        Ok(inventory) => {
            let hosts = inventory.hosts.len();
            if args.json {
                let warnings: Vec<String> = inventory.warnings.iter().map(ToString::to_string).collect();
                report::stdout(&format!(
                    "{:#}\n",
                    json!({
                        "command": "check",
                        "cluster": inventory.cluster.as_str(),
                        "exit": Exit::Done as u8,
                        "problems": [],
                        "warnings": warnings,
                    })
                ));
            } else {
                for warning in &inventory.warnings {
                    report::stderr(&format!("warning: {warning}\n"));
                }
                report::stdout(&format!("cluster {}: {hosts} host(s), no problems\n", inventory.cluster));
            }
            Exit::Done
        }
    }
}

/// Prints an inventory to start from.
pub(crate) fn starter() -> Exit {
    report::stdout(inventory::starter());
    Exit::Done
}

/// Prints the JSON Schema of the inventory.
pub(crate) fn schema() -> Exit {
    report::stdout(&format!("{:#}\n", inventory::schema::json()));
    Exit::Done
}
