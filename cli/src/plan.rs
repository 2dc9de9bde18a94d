//! Which interpreters are run, in which order, and how they are made.

use std::thread;

use archipelago::{GilChoice, InterpreterConfig};
use archipelago_guest_wasm::{Input, Output, WasiSetup};

use crate::{args::Options, source::Source};

/// At most so many interpreters run at a time unless `--jobs` says otherwise: far more than processors, because
/// programs that wait take none, and few enough for their threads and memories to be had.
pub const MOST_JOBS: usize = 64;

/// The interpreters of one command, numbered from 1.
pub struct Plan {
    sources: Vec<Source>,
    options: Options,
    count: usize,
}

impl Plan {
    /// What `options` ask for; `None` if there are more interpreters than numbers.
    pub fn new(mut options: Options) -> Option<Self> {
        let sources: Vec<_> = options
            .programs
            .drain(..)
            .enumerate()
            .map(|(place, path)| Source::new(path, place > 0))
            .collect();
        let count = sources.len().checked_mul(options.repeat)?;
        Some(Plan { sources, options, count })
    }

    /// How many interpreters there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many run at a time.
    pub fn jobs(&self) -> usize {
        let bound = || thread::available_parallelism().map_or(1, Into::into).max(MOST_JOBS);
        self.options.jobs.unwrap_or_else(bound).min(self.count)
    }

    /// What `run` was told.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The programs, in the order they were named.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The program of interpreter `number`. Interpreters are numbered in rounds.
    pub fn source(&self, number: usize) -> &Source {
        &self.sources[(number - 1) % self.sources.len()]
    }

    /// How interpreters are made.
    pub fn config(&self) -> InterpreterConfig {
        let preset = match self.options.gil {
            GilChoice::Own => InterpreterConfig::isolated(),
            GilChoice::Shared | GilChoice::Default => InterpreterConfig::legacy(),
        };
        preset
            .with_memory_limit(self.options.memory_limit)
            .with_deadline(self.options.timeout)
            .with_fuel(self.options.fuel)
            // A shared GIL has main's.
            .with_switch_interval(self.options.switch_interval.filter(|_| self.options.gil == GilChoice::Own))
    }

    /// What the program of interpreter `number` is given.
    pub fn setup(&self, number: usize, stdout: Output, stderr: Output) -> WasiSetup {
        let mut setup = WasiSetup::new().arg(self.source(number).path().display().to_string());
        for argument in &self.options.arguments {
            setup = setup.arg(argument);
        }
        for (name, value) in &self.options.environment {
            setup = setup.env(name, value);
        }
        for (host, guest) in &self.options.directories {
            setup = setup.directory(host, guest);
        }
        let stdin = if number == 1 { Input::Inherit } else { Input::Empty };
        setup.stdin(stdin).stdout(stdout).stderr(stderr)
    }
}
