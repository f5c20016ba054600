//! The page: a block for each chapter and each group, between markers. What stands outside the markers is written by
//! people and survives. And the terminal: this is the only place that prints.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::bench::{Group, workspace};
use crate::figure::{Figure, Peer, Samples, Target, Unit};

/// What came of one group.
#[derive(Debug)]
pub(crate) struct Outcome {
    result: anyhow::Result<Vec<Figure>>,
    took: Duration,
}

impl Outcome {
    pub(crate) fn of(result: anyhow::Result<Vec<Figure>>, took: Duration) -> Self {
        Self { result, took }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.result.is_err()
    }

    pub(crate) fn has_missed(&self) -> bool {
        self.result.as_ref().is_ok_and(|figures| figures.iter().any(Figure::is_missed))
    }
}

pub(crate) fn default_page() -> PathBuf {
    workspace().join("docs/benchmarks.md")
}

/// A group's block: heading, table, method.
pub(crate) fn render(group: &dyn Group, outcome: &Outcome) -> String {
    let mut text = format!("### {}\n\n", group.title());
    match &outcome.result {
        Ok(figures) => text.push_str(&table(figures)),
        Err(error) => {
            let causes: Vec<String> = error.chain().map(|cause| cause.to_string()).collect();
            writeln!(text, "**Not measured**:\n\n```text\n{}\n```", causes.join(": "))
                .expect("writing to a string cannot fail");
        }
    }
    let seconds = outcome.took.as_secs_f64();
    writeln!(text, "\n{}\nMeasured within {seconds:.0} s.", group.method())
        .expect("writing to a string cannot fail");
    text
}

fn table(figures: &[Figure]) -> String {
    let mut text =
        "| figure | ours | peer | factor | target | result |\n|---|---|---|---|---|---|\n".to_owned();
    for figure in figures {
        if figure.peers.is_empty() {
            text.push_str(&row(figure, &figure.name, None));
        }
        for (index, peer) in figure.peers.iter().enumerate() {
            let name = if index == 0 { figure.name.as_str() } else { "" };
            text.push_str(&row(figure, name, Some(peer)));
        }
    }
    text
}

/// One figure beside one peer.
fn row(figure: &Figure, name: &str, peer: Option<&Peer>) -> String {
    let (unit, ours) = (figure.unit, figure.ours.median());
    let theirs = peer.map(|peer| peer.samples.median());
    let is_held_against = peer.is_none_or(|peer| peer.is_target);
    let is_shown = |target: &Target| if target.is_relative() { is_held_against } else { !name.is_empty() };
    let targets: Vec<Target> = figure.targets.iter().copied().filter(is_shown).collect();
    let missed = targets.iter().any(|target| !target.is_met(ours, theirs));
    let result = match (targets.is_empty(), missed) {
        (true, _) => "",
        (false, true) => "**missed**",
        (false, false) => "met",
    };
    let peer_cell =
        peer.map(|peer| format!("{}: {}", peer.name, shown(unit, &peer.samples))).unwrap_or_default();
    let is_more = targets.iter().any(|target| matches!(target, Target::TimesMore(_) | Target::AtLeast(_)))
        || unit == Unit::PerSecond;
    let factor = match theirs {
        Some(theirs) if is_more => format!("{:.1}×", theirs.recip() * ours),
        Some(theirs) => format!("{:.1}×", theirs / ours),
        None => String::new(),
    };
    let targets: Vec<String> = targets.iter().map(|target| promise(unit, *target)).collect();
    let ours = if name.is_empty() { String::new() } else { shown(unit, &figure.ours) };
    format!("| {name} | {ours} | {peer_cell} | {factor} | {} | {result} |\n", targets.join("; "))
}

fn promise(unit: Unit, target: Target) -> String {
    match target {
        Target::AtMost(limit) => format!("≤ {}", with_unit(unit, limit)),
        Target::AtLeast(limit) => format!("≥ {}", with_unit(unit, limit)),
        Target::TimesLess(factor) => format!("≤ 1/{factor}"),
        Target::TimesMore(factor) => format!("≥ {factor}×"),
    }
}

/// The median, with least and most if there is more than one.
fn shown(unit: Unit, samples: &Samples) -> String {
    let median = with_unit(unit, samples.median());
    match samples.0.len() {
        0 => "none".to_owned(),
        1 => format!("{median} (once)"),
        _ => format!("{median} ({}–{})", number(unit, samples.min()), number(unit, samples.max())),
    }
}

fn with_unit(unit: Unit, value: f64) -> String {
    let name = match unit {
        Unit::Seconds => "s",
        Unit::CpuSeconds => "CPU s",
        Unit::Megabytes => "MB",
        Unit::PerSecond => "/s",
    };
    format!("{} {name}", number(unit, value))
}

fn number(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds if value < 10.0 => format!("{value:.3}"),
        Unit::CpuSeconds => format!("{value:.2}"),
        Unit::Seconds | Unit::Megabytes => format!("{value:.1}"),
        Unit::PerSecond => thousands(value),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Puts a block in place of the one with its id, or at the end of the page.
pub(crate) fn update(page: &Path, id: &str, block: &str) -> anyhow::Result<()> {
    let old = match fs::read_to_string(page) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => "# Benchmarks\n".to_owned(),
        Err(error) => return Err(error).with_context(|| page.display().to_string()),
    };
    fs::create_dir_all(page.parent().context("a page lies in a folder")?)?;
    fs::write(page, replaced(&old, id, block)).with_context(|| page.display().to_string())
}

fn replaced(page: &str, id: &str, block: &str) -> String {
    let (begin, end) = (format!("<!-- begin {id} -->"), format!("<!-- end {id} -->"));
    let new = format!("{begin}\n\n{}\n\n{end}", block.trim());
    let found = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match found {
        Some((before, after)) => format!("{before}{new}{after}"),
        None => format!("{}\n\n{new}\n", page.trim_end()),
    }
}

/// Says what is being done.
pub(crate) fn say(line: &str) {
    // Nobody who closed standard error wants to know.
    writeln!(io::stderr(), "{line}").ok();
}

/// Prints a result.
pub(crate) fn stdout(text: &str) {
    // A closed pipe is no reason to stop measuring: the page is written too.
    writeln!(io::stdout(), "{text}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_takes_the_place_of_its_older_self_and_nothing_else() {
        let page = replaced("# Page\n", "a/b", "one");
        assert_eq!(page, "# Page\n\n<!-- begin a/b -->\n\none\n\n<!-- end a/b -->\n");
        let page = replaced(&format!("{page}\nA note.\n"), "a", "two");
        let page = replaced(&page, "a/b", "three");
        assert_eq!(
            page,
            "# Page\n\n<!-- begin a/b -->\n\nthree\n\n<!-- end a/b -->\n\nA note.\n\n\
             <!-- begin a -->\n\ntwo\n\n<!-- end a -->\n"
        );
    }

    #[test]
    fn a_row_for_each_peer_says_what_was_missed() {
        let peer = |name: &str, value: f64| Peer::new(name, Samples(vec![value]));
        let figure = Figure {
            name: "source".to_owned(),
            unit: Unit::PerSecond,
            ours: Samples(vec![1_200_000.0, 1_000_000.0, 900_000.0]),
            peers: vec![
                peer("defaults", 200_000.0),
                peer("tuned", 250_000.0),
                Peer { is_target: false, ..peer("other", 500_000.0) },
            ],
            targets: vec![Target::AtLeast(300_000.0), Target::TimesMore(5.0)],
        };
        let table = table(&[figure]);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| source | 1,000,000 /s (900,000–1,200,000) | defaults: 200,000 /s (once) | 5.0× | ≥ 300,000 /s; ≥ 5× | met |",
                "|  |  | tuned: 250,000 /s (once) | 4.0× | ≥ 5× | **missed** |",
                "|  |  | other: 500,000 /s (once) | 2.0× |  |  |",
            ]
        );
    }
}
