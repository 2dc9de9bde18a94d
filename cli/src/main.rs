//! The `archipelago` command: runs WebAssembly programs, each in an interpreter of its own.
//!
//! The command only asks: limits, deadlines, fuel and interrupts act through the kernel.
//!
//! | file | what it holds |
//! |---|---|
//! | `args`, `value` | the command line |
//! | `help`, `status` | what `--help` prints; the exit statuses |
//! | `names` | what the command calls the interpreters |
//! | `plan`, `source` | which interpreters are run, and their programs |
//! | `run`, `job` | the threads that run them; one interpreter from its creation to its end |
//! | `stream`, `lines` | output in whole lines, never blocking where it cannot be ended |
//! | `gil_trace` | who waited for a GIL and who held one: the files |
//! | `heap_trace`, `sites` | memory by call site and interpreter: the file, and where memory is taken |
//! | `signals` | Ctrl-C |
//! | `failure`, `report`, `stats` | what went wrong, and what is said about it |

mod args;
mod failure;
mod gil_trace;
mod heap_trace;
mod help;
mod job;
mod lines;
mod names;
mod plan;
mod report;
mod run;
mod signals;
mod sites;
mod source;
mod stats;
mod status;
mod stream;
mod value;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use args::Command;
use status::Status;

fn main() -> ExitCode {
    let status = match args::parse(std::env::args_os()) {
        Ok(Command::Help) => print(&help::text()),
        Ok(Command::Version) => print(&help::version()),
        Ok(Command::Run(options)) => run::run(*options),
        Err(problem) => complain(Status::Usage, &format!("{problem}; see 'archipelago --help'")),
    };
    ExitCode::from(status.code())
}

fn print(text: &str) -> Status {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Status::Success,
        Err(error) => complain(Status::Output, &format!("standard output cannot be written: {error}")),
    }
}

/// Says what kept the command from beginning.
fn complain(status: Status, text: &str) -> Status {
    // Where standard error cannot be written either, the status is all there is.
    let _unsaid = writeln!(io::stderr(), "archipelago: {text}");
    status
}
