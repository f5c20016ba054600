//! A figure: what was measured, of whom, and whether that is what was promised.

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    /// Seconds of processor time.
    CpuSeconds,
    /// Millions of bytes.
    Megabytes,
    /// Records, rows, … per second.
    PerSecond,
}

/// A promise about a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Ours is at most the peer's divided by this.
    TimesLess(f64),
    /// Ours is at least the peer's multiplied by this.
    TimesMore(f64),
}

/// One measured number of one program, once for each round.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Samples(pub(crate) Vec<f64>);

/// Somebody else's number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) samples: Samples,
    /// Whether the comparing targets hold against it; if not, it is there to be looked at.
    pub(crate) is_target: bool,
}

impl Peer {
    pub(crate) fn new(name: &str, samples: Samples) -> Self {
        Self { name: name.to_owned(), samples, is_target: true }
    }
}

/// One measured thing: ours, and theirs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Samples,
    pub(crate) peers: Vec<Peer>,
    /// The comparing ones hold against each of the peers that is one.
    pub(crate) targets: Vec<Target>,
}

impl Samples {
    /// The middle one; of an even number, the mean of the two in the middle. 0 of none.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => sorted[odd / 2],
            even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        }
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.iter().copied().min_by(f64::total_cmp).unwrap_or_default()
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.iter().copied().max_by(f64::total_cmp).unwrap_or_default()
    }
}

impl Target {
    /// Whether it compares with a peer.
    pub(crate) fn is_relative(self) -> bool {
        matches!(self, Self::TimesLess(_) | Self::TimesMore(_))
    }

    /// Whether medians keep it. A comparison without a peer's number is not kept.
    pub(crate) fn is_met(self, ours: f64, theirs: Option<f64>) -> bool {
        match (self, theirs) {
            (Self::AtMost(limit), _) => ours <= limit,
            (Self::AtLeast(limit), _) => ours >= limit,
            (Self::TimesLess(factor), Some(theirs)) => ours * factor <= theirs,
            (Self::TimesMore(factor), Some(theirs)) => ours >= factor * theirs,
            (Self::TimesLess(_) | Self::TimesMore(_), None) => false,
        }
    }
}

impl Figure {
    /// Whether a promise is broken.
    pub(crate) fn is_missed(&self) -> bool {
        let ours = self.ours.median();
        let held_against: Vec<&Peer> = self.peers.iter().filter(|peer| peer.is_target).collect();
        self.targets.iter().any(|target| match (target.is_relative(), held_against.as_slice()) {
            (true, peers @ [_, ..]) => {
                peers.iter().any(|peer| !target.is_met(ours, Some(peer.samples.median())))
            }
            _ => !target.is_met(ours, None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: &[f64], theirs: &[f64], targets: &[Target]) -> Figure {
        Figure {
            name: "start".to_owned(),
            unit: Unit::Seconds,
            ours: Samples(ours.to_vec()),
            peers: theirs.iter().map(|value| Peer::new("peer", Samples(vec![*value]))).collect(),
            targets: targets.to_vec(),
        }
    }

    #[test]
    fn the_median_is_the_middle_one() {
        for (samples, expected) in
            [(vec![], 0.0), (vec![4.0], 4.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 3.0, 2.0], 2.5)]
        {
            assert_eq!(Samples(samples.clone()).median(), expected, "{samples:?}");
        }
    }

    #[test]
    fn a_target_holds_for_the_median_and_against_every_peer() {
        use Target::{AtLeast, AtMost, TimesLess, TimesMore};
        for (ours, theirs, target, is_missed) in [
            (vec![0.2, 0.3, 9.0], vec![], AtMost(0.3), false),
            (vec![0.4], vec![], AtMost(0.3), true),
            (vec![7.0], vec![], AtLeast(7.0), false),
            (vec![1.0], vec![40.0, 41.0], TimesLess(40.0), false),
            (vec![1.0], vec![40.0, 39.0], TimesLess(40.0), true),
            (vec![5.0], vec![1.0], TimesMore(5.0), false),
            (vec![5.0], vec![1.0, 1.1], TimesMore(5.0), true),
            (vec![5.0], vec![], TimesMore(5.0), true),
        ] {
            let figure = figure(&ours, &theirs, &[target]);
            assert_eq!(figure.is_missed(), is_missed, "{figure:?}");
        }
    }
}
