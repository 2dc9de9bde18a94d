//! The figures. A new one is a file here with a table `FIGURES`, listed below.

use std::{
    env,
    process::{Command, Stdio},
};

use crate::{Trouble, figure::Figure};

mod attach;
mod blocked;
mod busy;
mod create;
mod daemons;
mod enter;
mod fairness;
mod guards;
mod handover;
mod heap;
mod idle;
mod latency;
mod many;
mod object;
mod pending;
mod scaling;
mod shared_gil;
mod start;
mod strategies;
pub mod swap;
mod teardown;
mod thread_state;

/// All figures, in the order of the scoreboard.
pub fn all() -> impl Iterator<Item = &'static Figure> {
    const TABLES: &[&[Figure]] = &[
        create::FIGURES,
        attach::FIGURES,
        enter::FIGURES,
        swap::FIGURES,
        thread_state::FIGURES,
        guards::FIGURES,
        pending::FIGURES,
        object::FIGURES,
        heap::FIGURES,
        strategies::FIGURES,
        teardown::FIGURES,
        daemons::FIGURES,
        idle::FIGURES,
        handover::FIGURES,
        fairness::FIGURES,
        latency::FIGURES,
        scaling::FIGURES,
        shared_gil::FIGURES,
        many::FIGURES,
        blocked::FIGURES,
        busy::FIGURES,
        start::FIGURES,
    ];
    TABLES.iter().copied().flatten()
}

/// The first argument of a process that the scoreboard starts for a figure that needs a fresh one.
pub const WORKER: &str = "worker";

/// What such a process does; it answers in words on its standard output.
///
/// # Errors
/// What went wrong.
pub fn work(arguments: &[String]) -> Result<(), Trouble> {
    match arguments {
        [name, count] if name == many::NAME => many::work(count.parse()?),
        [name, count] if name == idle::NAME => idle::work(count.parse()?),
        [name, allocator] if name == heap::NAME => heap::work(allocator),
        _ => Err("no such worker".into()),
    }
}

/// Starts such a process and answers its words.
fn worker(arguments: &[&str]) -> Result<Vec<f64>, Trouble> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.arg(WORKER).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the worker ended with {}", output.status).into());
    }
    let words = String::from_utf8(output.stdout)?;
    words.split_whitespace().map(|word| word.parse().map_err(Into::into)).collect()
}

/// One of these words.
fn worker_word(arguments: &[&str], word: usize) -> Result<f64, Trouble> {
    Ok(*worker(arguments)?.get(word).ok_or("the worker said too little")?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = super::all().map(|figure| figure.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
