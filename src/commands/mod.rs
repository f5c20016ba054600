//! One file per subcommand. A command reads the inventory, opens a run, and turns what came of it into an exit code.

mod apply;
mod destroy;
mod image;
mod open;
mod records;
mod refusal;
mod show;

use crate::cli::{Cli, Verb};
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;

/// Runs the command that was asked for, until it is done or the user wants an end.
pub(crate) async fn run(cli: Cli, interrupt: &Interrupt) -> Exit {
    match cli.command {
        None => apply::apply(cli.apply, interrupt).await,
        Some(Verb::Apply(args)) => apply::apply(args, interrupt).await,
        Some(Verb::Plan(args)) => apply::plan(args, interrupt).await,
        Some(Verb::Smoke(args)) => apply::smoke(args, interrupt).await,
        Some(Verb::Destroy(args)) => destroy::destroy(args, interrupt).await,
        Some(Verb::Records(args)) => records::records(args, interrupt).await,
        Some(Verb::Check(args)) => show::check(&args),
        Some(Verb::Image(args)) => interrupt.unless(image::image(args)).await.unwrap_or_else(Exit::from),
        Some(Verb::Init) => show::starter(),
        Some(Verb::Schema) => show::schema(),
    }
}
