//! What a figure is.

use core::fmt;

use crate::{
    Trouble,
    measure::{Effort, Samples},
};

/// One line of the scoreboard.
pub struct Figure {
    /// Short, unique, and stable: filters and later comparisons go by it.
    pub name: &'static str,
    /// What is measured, in a sentence.
    pub what: &'static str,
    /// The unit of both medians.
    pub unit: &'static str,
    /// What the project promises.
    pub goal: Goal,
    /// What it is compared with.
    pub peer: Peer,
    /// Measures it.
    pub measure: fn(Effort) -> Result<Samples, Trouble>,
}

/// What the project promises for a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Our median is at most this.
    AtMost(f64),
    /// Our median is at least this.
    AtLeast(f64),
    /// Our median is at most so many times the peer's.
    RatioAtMost(f64),
    /// Our median is at least so many times the peer's.
    RatioAtLeast(f64),
    /// Nothing is promised; the figure explains another one.
    Information,
}

/// What a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Peer {
    /// Measured in alternation with ours, in the same run.
    Measured(&'static str),
    /// Measured elsewhere: on another machine, once.
    Cited {
        /// What was measured.
        name: &'static str,
        /// Its median, in the figure's unit.
        median: f64,
    },
    /// There is none.
    None,
}

/// Where the cited figures come from.
pub const CITED: &str = "CPython 3.15.2, Debian build, 2 vCPU AMD EPYC (Zen 4 class) under KVM, machine busy";

/// Whether a goal is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is, or by no more than five percent not.
    Met,
    /// It is not.
    Missed,
    /// There is no goal.
    Information,
    /// The figure could not be measured.
    Failed,
}

/// How far from its goal a figure may be and still counts as there: what a shared machine cannot tell apart.
const NEAR: f64 = 0.05;

impl Goal {
    /// Judges our median against the goal.
    pub fn judge(self, ours: f64, peer: Option<f64>) -> Verdict {
        let ratio = peer.map(|peer| ours / peer);
        let met = match (self, ratio) {
            (Goal::Information, _) => return Verdict::Information,
            (Goal::AtMost(most), _) => ours <= most * (1.0 + NEAR),
            (Goal::AtLeast(least), _) => ours >= least * (1.0 - NEAR),
            (Goal::RatioAtMost(most), Some(ratio)) => ratio <= most * (1.0 + NEAR),
            (Goal::RatioAtLeast(least), Some(ratio)) => ratio >= least * (1.0 - NEAR),
            (Goal::RatioAtMost(_) | Goal::RatioAtLeast(_), None) => return Verdict::Failed,
        };
        if met { Verdict::Met } else { Verdict::Missed }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtMost(most) => write!(f, "<= {most}"),
            Goal::AtLeast(least) => write!(f, ">= {least}"),
            Goal::RatioAtMost(most) => write!(f, "<= {most} x peer"),
            Goal::RatioAtLeast(least) => write!(f, ">= {least} x peer"),
            Goal::Information => f.write_str("-"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Met => "met",
            Verdict::Missed => "missed",
            Verdict::Information => "information",
            Verdict::Failed => "failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_count_as_there() {
        assert_eq!(Goal::AtMost(100.0).judge(105.0, None), Verdict::Met);
        assert_eq!(Goal::AtMost(100.0).judge(105.1, None), Verdict::Missed);
        assert_eq!(Goal::AtLeast(100.0).judge(95.0, None), Verdict::Met);
        assert_eq!(Goal::AtLeast(100.0).judge(94.9, None), Verdict::Missed);
        assert_eq!(Goal::RatioAtMost(1.0).judge(104.0, Some(100.0)), Verdict::Met);
        assert_eq!(Goal::RatioAtLeast(1.0).judge(94.0, Some(100.0)), Verdict::Missed);
        assert_eq!(Goal::Information.judge(1.0, None), Verdict::Information);
    }

    #[test]
    fn a_ratio_without_a_peer_is_a_failure() {
        assert_eq!(Goal::RatioAtMost(1.0).judge(1.0, None), Verdict::Failed);
    }
}
