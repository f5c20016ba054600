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

/// Runs the command that was asked for.
pub(crate) async fn run(cli: Cli) -> Exit {
    match cli.command {
        None => apply::apply(cli.apply).await,
        Some(Verb::Apply(args)) => apply::apply(args).await,
        Some(Verb::Plan(args)) => apply::plan(args).await,
        Some(Verb::Smoke(args)) => apply::smoke(args).await,
        Some(Verb::Destroy(args)) => destroy::destroy(args).await,
        Some(Verb::Records(args)) => records::records(args).await,
        Some(Verb::Check(args)) => show::check(&args),
        Some(Verb::Image(args)) => image::image(args).await,
        Some(Verb::Init) => show::starter(),
        Some(Verb::Schema) => show::schema(),
    }
}
