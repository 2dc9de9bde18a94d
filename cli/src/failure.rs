//! What went wrong in one interpreter: what, and what to do. Where is said by whoever reports it.

use std::{io, path::Path};

use archipelago::kernel::{
    error::{ConfigError, CreateError, GuestError, Interrupt},
    guest::{Fault, Step},
    memory::{AllocCause, AllocError, Ledger},
};
use archipelago_guest_wasm::{Ending, LimitHit, SpawnError, StartError, Trap};

use crate::{args::Options, status::Status};

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it counts as.
    pub status: Status,
    /// What happened, and what to do.
    pub text: String,
}

impl Failure {
    /// A failure that counts as `status`.
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Failure { status, text: text.into() }
    }

    /// The same, with the end of its output lost.
    pub fn with_lost_output(mut self, bytes: usize) -> Self {
        if bytes > 0 {
            self.text.push_str(&format!("; the last {bytes} bytes of its output were not written"));
        }
        self
    }

    /// The interpreter could not be created. `least`: what one takes before its program, if that can be found out.
    pub fn create(error: CreateError, options: &Options, least: impl FnOnce() -> Option<usize>) -> Self {
        match (error, options.memory_limit) {
            (CreateError::Config(ConfigError::LimitBelowFootprint), Some(limit)) => Failure::new(
                Status::MemoryLimit,
                match least() {
                    Some(least) => format!(
                        "the limit of {limit} bytes is less than the {least} bytes an interpreter takes before its \
                         program: give --memory-limit at least {least}"
                    ),
                    None => format!(
                        "the limit of {limit} bytes is less than an interpreter takes before its program: raise \
                         --memory-limit"
                    ),
                },
            ),
            _ => Failure::new(Status::Start, error.to_string()),
        }
    }

    /// A directory for the programs could not be opened.
    pub fn directory(path: &Path, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => "check the path, or create it",
            io::ErrorKind::NotADirectory => "name a directory",
            io::ErrorKind::PermissionDenied => "check its permissions",
            _ => "name another one",
        };
        Failure::new(Status::Start, format!("--dir {} cannot be opened: {error}: {advice}", path.display()))
    }

    /// The program could not be put into its interpreter.
    pub fn spawn(error: &SpawnError, options: &Options, peak: usize) -> Self {
        match error {
            SpawnError::Start(StartError::LimitExceeded(LimitHit { asked, .. }))
            | SpawnError::Limit(AllocError { requested: asked, .. }) => {
                Failure::memory(&format!("its memory of {asked} bytes cannot be had"), options, peak)
            }
            SpawnError::Start(StartError::OutOfSystemMemory) => {
                Failure::machine("its memories and tables cannot be had")
            }
            SpawnError::Start(StartError::Trapped(trap)) => Failure::trap(trap),
            SpawnError::Start(StartError::Directory { path, error }) => Failure::directory(path, error),
            SpawnError::Start(StartError::Engine(what)) => Failure::new(Status::NotAProgram, what.clone()),
            SpawnError::Guest(GuestError::Alloc(AllocError {
                requested,
                cause: AllocCause::HardLimit,
                ..
            })) => Failure::memory(&format!("{requested} bytes were refused"), options, peak),
            SpawnError::Guest(GuestError::Interrupt(interrupt)) => {
                Failure::interrupt(*interrupt, options, None)
            }
            _ => Failure::new(Status::Start, error.to_string()),
        }
    }

    /// Memory was refused, and the program failed for it, or may have.
    pub fn memory(what: &str, options: &Options, peak: usize) -> Self {
        let limit = match options.memory_limit {
            Some(limit) => format!("limit {limit} bytes, peak {peak} bytes: raise --memory-limit"),
            None => format!("no limit was set, peak {peak} bytes: free memory on this machine"),
        };
        Failure::new(Status::MemoryLimit, format!("{what}; {limit}"))
    }

    /// The machine has no memory left, whatever the limit is.
    fn machine(what: &str) -> Self {
        Failure::new(Status::MemoryLimit, format!("{what}: free memory on this machine"))
    }

    fn trap(trap: &Trap) -> Self {
        let (status, advice) = match trap {
            Trap::StackOverflow => (Status::StackOverflow, "look for recursion without an end"),
            Trap::Host(_) => (Status::Trap, "compile it for wasm32-wasip1"),
            _ => (Status::Trap, "repair the program"),
        };
        Failure::new(status, format!("{trap}: {advice}"))
    }

    /// The interpreter was told to stop. `signal`: the command was.
    fn interrupt(interrupt: Interrupt, options: &Options, signal: Option<Status>) -> Self {
        match interrupt {
            Interrupt::Deadline => {
                let timeout = options.timeout.unwrap_or_default();
                Failure::new(Status::TimeOut, format!("it did not end within {timeout:?}: raise --timeout"))
            }
            Interrupt::OutOfFuel => {
                let fuel = options.fuel.unwrap_or_default();
                Failure::new(Status::Fuel, format!("it used up its {fuel} units of fuel: raise --fuel"))
            }
            Interrupt::Requested => Failure::signal(signal.unwrap_or(Status::Interrupted)),
            _ => Failure::new(Status::Internal, interrupt.to_string()),
        }
    }

    /// The command was told to stop.
    pub fn signal(status: Status) -> Self {
        Failure::new(status, "it was stopped before its end")
    }

    /// Output was lost.
    pub fn output(error: &io::Error) -> Self {
        Failure::unwritten("its output", error)
    }

    /// A file of the command's own cannot be written.
    pub fn file(path: &Path, what: &str, error: &io::Error) -> Self {
        let Failure { status, text } = Failure::unwritten(what, error);
        Failure::new(status, format!("{}: {}: {text}", path.display(), status.word()))
    }

    fn unwritten(what: &str, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::BrokenPipe => "nobody reads it any more",
            io::ErrorKind::StorageFull => "free some space",
            io::ErrorKind::PermissionDenied => "check its permissions",
            _ => "check where it leads",
        };
        Failure::new(Status::Output, format!("{what} cannot be written: {error}: {advice}"))
    }

    /// An interpreter did not give everything back.
    pub fn unclean(ledger: &Ledger) -> Self {
        Failure::new(
            Status::Internal,
            format!(
                "{} objects and {} bytes were not given back, {} destructors did not finish: please report this bug",
                ledger.objects,
                ledger.leaked.bytes(),
                ledger.destructors_skipped
            ),
        )
    }
}

/// All that is known about the end of a run.
#[derive(Debug)]
pub struct Run {
    /// The kernel's answer.
    pub step: Step,
    /// The guest's.
    pub ending: Option<Ending>,
    /// The last growth that was refused.
    pub limit_hit: Option<LimitHit>,
    /// The last write that failed.
    pub output_error: Option<io::Error>,
    /// The most bytes it held.
    pub peak: usize,
}

impl Run {
    /// Whether it was stopped from outside, so that nothing of it may wait any more.
    pub fn was_stopped(&self) -> bool {
        matches!(self.step, Step::Failed(Fault::Interrupted(_)))
    }

    /// What is wrong with it. Where several things are, the cause comes before its effect: a program that is refused
    /// memory or output usually ends itself, with a trap or an exit code.
    pub fn failure(&self, options: &Options, signal: Option<Status>) -> Option<Failure> {
        let own = match (&self.ending, self.step) {
            (_, Step::Failed(Fault::Interrupted(interrupt))) => {
                return Some(Failure::interrupt(interrupt, options, signal));
            }
            (_, Step::Failed(Fault::NoMemory(AllocError { requested, cause, .. })))
                if cause != AllocCause::Finalizing =>
            {
                return Some(Failure::memory(&format!("{requested} bytes were refused"), options, self.peak));
            }
            (Some(Ending::Exited(0)), _) => None,
            (Some(Ending::Exited(code)), _) => Some(Failure::new(
                Status::Exit,
                format!("it ended with exit code {code}: see its own output"),
            )),
            (Some(Ending::Trapped(trap)), _) => Some(Failure::trap(trap)),
            (None, step) => Some(Failure::new(Status::Internal, format!("it ended with {step:?}"))),
        };
        if let Some(error) = &self.output_error {
            return Some(Failure::output(error));
        }
        match (own, &self.ending, self.limit_hit) {
            (Some(own), _, Some(LimitHit { asked, .. })) => {
                let what = format!("{asked} bytes more were refused, and then: {}", own.text);
                Some(Failure::memory(&what, options, self.peak))
            }
            (Some(_), Some(Ending::Trapped(trap @ Trap::OutOfSystemMemory)), None) => {
                Some(Failure::machine(&trap.to_string()))
            }
            (Some(own), Some(Ending::Trapped(Trap::GrowthLimited)), None) => {
                Some(Failure::memory(&own.text, options, self.peak))
            }
            (own, ..) => own,
        }
    }
}
