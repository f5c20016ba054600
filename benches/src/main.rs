//! Measures the programs of this workspace beside their peers, and writes what came out to `docs/benchmarks.md`.
//!
//! A [`Section`] is a chapter of that page, a [`Group`] a few figures that are measured together. To add a chapter, add
//! a module with its groups and a line in [`SECTIONS`]. A figure that could not be measured is reported as such and the
//! others go on; a figure that misses its target is written down as missed.

mod bench;
mod figure;
mod lab;
mod machine;
mod programs;
mod provision;
mod report;
mod stat;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;

use crate::bench::{Bench, Group, Peers, Scale, Section};
use crate::report::{Outcome, say};

/// Every chapter, in the order of the page.
const SECTIONS: &[Section] = &[worker::SECTION, provision::SECTION, lab::SECTION];

/// Exit code when a group could not be measured.
const FAILED: u8 = 1;
/// Exit code when everything was measured and a figure misses its target.
const MISSED: u8 = 3;

/// Measures everything again and writes docs/benchmarks.md. Leave the machine alone meanwhile.
///
/// Exit codes: 0 every target is met, 1 something could not be measured, 2 wrong arguments, 3 a target is missed.
#[derive(Debug, Parser)]
#[command(name = "benchmarks")]
struct Arguments {
    /// `worker`, another chapter, or `all`.
    #[arg(default_value = "all")]
    section: String,
    /// Only the groups of these names.
    names: Vec<String>,
    /// How often each figure is measured; its median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Tiny data, one round, programs that lie beside this one: shows that the benchmarks work. Its figures mean
    /// nothing, no target is judged and no page is written unless `--page` is given.
    #[arg(long)]
    quick: bool,
    /// Leave the peers out, for work on our own programs. Comparing targets are not met then.
    #[arg(long)]
    ours: bool,
    /// Where the built programs are that are measured, in place of building them.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// The page to bring up to date.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    if let [_, word, listen, to, milliseconds] = std::env::args().collect::<Vec<_>>().as_slice()
        && word == provision::DELAY
    {
        let round_trip = Duration::from_millis(milliseconds.parse()?);
        provision::delay::serve(listen.parse()?, to.parse()?, round_trip).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    let chosen = choose(&arguments.section, &arguments.names)?;
    let scale = if arguments.quick { Scale::Quick } else { Scale::Full };
    let page =
        arguments.page.or_else(|| (scale == Scale::Full && !arguments.ours).then(report::default_page));
    let rounds = if arguments.quick { 1 } else { arguments.rounds.max(1) };
    let programs = match (arguments.programs, scale) {
        (Some(folder), _) => std::path::absolute(folder)?,
        (None, Scale::Quick) => programs::beside()?,
        (None, Scale::Full) => programs::build().await?,
    };
    let peers = if arguments.ours { Peers::LeftOut } else { Peers::Measured };
    let bench = Bench { rounds, scale, peers, programs };

    let (mut has_failed, mut has_missed) = (false, false);
    for (section, groups) in chosen {
        let about = machine::describe(&bench, &(section.versions)().await);
        if let Some(page) = &page {
            report::update(page, section.id, &about)?;
        }
        for group in groups {
            let (id, began) = (format!("{}/{}", section.id, group.name()), Instant::now());
            say(&format!("{id}: measuring"));
            let outcome = Outcome::of(group.measure(&bench).await, began.elapsed());
            has_failed |= outcome.has_failed();
            has_missed |= scale == Scale::Full && outcome.has_missed();
            let text = report::render(group, &outcome);
            report::stdout(&text);
            if let Some(page) = &page {
                report::update(page, &id, &text)?;
            }
        }
    }
    Ok(match (has_failed, has_missed) {
        (true, _) => ExitCode::from(FAILED),
        (false, true) => ExitCode::from(MISSED),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// The chapters and groups that were asked for.
fn choose(
    section: &str,
    names: &[String],
) -> anyhow::Result<Vec<(&'static Section, Vec<&'static dyn Group>)>> {
    let is_chosen = |known: &&Section| section == "all" || section == known.id;
    let sections: Vec<&Section> = SECTIONS.iter().filter(is_chosen).collect();
    ensure!(!sections.is_empty(), "no section {section}: there are {}", {
        SECTIONS.iter().map(|section| section.id).collect::<Vec<_>>().join(", ")
    });
    let all = || sections.iter().flat_map(|section| section.groups.iter().copied());
    for name in names {
        all().find(|group| group.name() == name).with_context(|| {
            let known: Vec<&str> = all().map(|group| group.name()).collect();
            format!("no group {name}: there are {}", known.join(", "))
        })?;
    }
    let wanted =
        |group: &&'static dyn Group| names.is_empty() || names.iter().any(|name| name == group.name());
    let chosen = sections.iter().map(|section| (*section, section.groups.iter().copied().filter(wanted)));
    Ok(chosen.map(|(section, groups)| (section, groups.collect())).collect())
}
