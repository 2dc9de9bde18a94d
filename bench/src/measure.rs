//! Alternation, samples, medians.
//!
//! A machine that others use is slow for a while and then fast again. So ours and the peer's are measured in
//! short turns, one after the other, many times, and the median of each is taken: a turn that was interrupted
//! is an outlier on either side.

use core::time::Duration;
use std::time::Instant;

use crate::{Trouble, process};

/// How much time a figure may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// The whole scoreboard in a few minutes.
    Quick,
    /// For the record.
    Full,
}

impl Effort {
    /// Alternations of a figure whose turn is a few milliseconds.
    fn short_turns(self) -> usize {
        match self {
            Effort::Quick => 41,
            Effort::Full => 301,
        }
    }

    /// Alternations of a figure whose turn is a good part of a second.
    pub fn long_turns(self) -> usize {
        match self {
            Effort::Quick => 5,
            Effort::Full => 15,
        }
    }

    /// How long two threads contend in one turn.
    pub fn window(self) -> Duration {
        match self {
            Effort::Quick => Duration::from_millis(200),
            Effort::Full => Duration::from_millis(500),
        }
    }
}

/// What was measured, one value for each alternation, in the figure's unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Ours.
    pub ours: Vec<f64>,
    /// The peer's; empty where it is cited, or where there is none.
    pub peer: Vec<f64>,
}

/// A turn of an operation that takes nanoseconds.
const TURN: Duration = Duration::from_millis(2);

/// The median; the mean of the two in the middle where there are two. `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn time(rounds: u64, run: &mut dyn FnMut(u64) -> Result<(), Trouble>) -> Result<Duration, Trouble> {
    let start = Instant::now();
    run(rounds)?;
    Ok(start.elapsed())
}

/// So many rounds fill a turn.
fn calibrate(run: &mut dyn FnMut(u64) -> Result<(), Trouble>) -> Result<u64, Trouble> {
    // The first round may be like no other: an allocator makes its arenas then.
    run(1)?;
    let mut rounds = 1;
    // A turn that was interrupted looks long enough: the shorter of two tells.
    while time(rounds, run)?.min(time(rounds, run)?) < TURN {
        rounds *= 2;
    }
    Ok(rounds)
}

fn nanoseconds(rounds: u64, run: &mut dyn FnMut(u64) -> Result<(), Trouble>) -> Result<f64, Trouble> {
    Ok(time(rounds, run)?.as_secs_f64() * 1e9 / rounds as f64)
}

/// Nanoseconds of one round of ours, on one processor. `run` is given how many rounds to make.
///
/// # Errors
/// What a round answers.
pub fn rounds(effort: Effort, mut ours: impl FnMut(u64) -> Result<(), Trouble>) -> Result<Samples, Trouble> {
    let _here = process::pin();
    let count = calibrate(&mut ours)?;
    let mut samples = Samples::default();
    for _ in 0..effort.short_turns() {
        samples.ours.push(nanoseconds(count, &mut ours)?);
    }
    Ok(samples)
}

/// Nanoseconds of one round of ours and of the peer's, in alternation on one processor.
///
/// # Errors
/// What a round answers.
pub fn rounds_against(
    effort: Effort,
    mut ours: impl FnMut(u64) -> Result<(), Trouble>,
    mut peer: impl FnMut(u64) -> Result<(), Trouble>,
) -> Result<Samples, Trouble> {
    let _here = process::pin();
    let counts = (calibrate(&mut ours)?, calibrate(&mut peer)?);
    let mut samples = Samples::default();
    for _ in 0..effort.short_turns() {
        samples.ours.push(nanoseconds(counts.0, &mut ours)?);
        samples.peer.push(nanoseconds(counts.1, &mut peer)?);
    }
    Ok(samples)
}

/// What long turns of ours answer.
///
/// # Errors
/// What a turn answers.
pub fn turns(effort: Effort, mut ours: impl FnMut() -> Result<f64, Trouble>) -> Result<Samples, Trouble> {
    let mut samples = Samples::default();
    for _ in 0..effort.long_turns() {
        samples.ours.push(ours()?);
    }
    Ok(samples)
}

/// What long turns of ours and of the peer's answer, in alternation.
///
/// # Errors
/// What a turn answers.
pub fn turns_against(
    effort: Effort,
    mut ours: impl FnMut() -> Result<f64, Trouble>,
    mut peer: impl FnMut() -> Result<f64, Trouble>,
) -> Result<Samples, Trouble> {
    let mut samples = Samples::default();
    for _ in 0..effort.long_turns() {
        samples.ours.push(ours()?);
        samples.peer.push(peer()?);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 100.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn a_turn_makes_the_rounds_it_was_given() {
        let mut made = Vec::new();
        let samples = rounds(Effort::Quick, |count| {
            made.push(count);
            std::thread::sleep(Duration::from_micros(100) * u32::try_from(count)?);
            Ok(())
        });
        assert_eq!(samples.map(|samples| samples.ours.len()).ok(), Some(41));
        assert!(made.iter().rev().take(41).all(|count| count == made.last().unwrap_or(&0)));
    }
}
