//! Why something could not be loaded or started.

use crate::{budget::LimitHit, trap::Trap};
use core::fmt;
use std::{io, path::PathBuf};

/// Why bytes are no program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// Neither a WebAssembly module nor its text form.
    NotWasm,
    /// A component (the format of WASI preview 2), which the engine does not run.
    Component,
    /// The module ends in the middle.
    Truncated {
        /// Where, in bytes from its start.
        offset: usize,
    },
    /// The module is malformed, or uses what the engine does not have.
    Invalid {
        /// What is wrong.
        what: String,
        /// Where, in bytes from its start, when that is known.
        offset: Option<usize>,
    },
    /// The text form does not parse; the message has line and column.
    BadText {
        /// What is wrong, with the line.
        what: String,
    },
    /// The module imports what nobody provides.
    UnknownImport {
        /// The module it imports from.
        module: String,
        /// The name it asks for.
        name: String,
    },
    /// The module imports a function of WASI as something else than it is.
    BadImport {
        /// The name it asks for.
        name: String,
        /// What it expects.
        expected: String,
        /// What there is.
        found: String,
    },
    /// The module has no function to begin with.
    NoStart {
        /// The export that was looked for.
        entry: String,
    },
    /// The function to begin with takes arguments.
    StartTakesArguments {
        /// The export.
        entry: String,
        /// How many it takes.
        count: usize,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWasm => f.write_str(
                "this is neither a WebAssembly module (it does not begin with \"\\0asm\") nor its text form; \
                 compile the program for wasm32-wasip1",
            ),
            Self::Component => f.write_str(
                "this is a WebAssembly component (WASI preview 2); compile the program for wasm32-wasip1 instead",
            ),
            Self::Truncated { offset } => write!(
                f,
                "the module ends in the middle, at byte {offset}; it was not written or copied completely"
            ),
            Self::Invalid { what, offset: Some(offset) } => write!(f, "invalid module at byte {offset}: {what}"),
            Self::Invalid { what, offset: None } => write!(f, "invalid module: {what}"),
            Self::BadText { what } => write!(f, "the text form does not parse: {what}"),
            Self::UnknownImport { module, name } => write!(
                f,
                "the module imports {module:?} {name:?}, which nobody provides; \
                 programs may import the functions of \"wasi_snapshot_preview1\""
            ),
            Self::BadImport { name, expected, found } => write!(
                f,
                "the module imports \"wasi_snapshot_preview1\" {name:?} as {expected}, but it is {found}; \
                 compile it against WASI preview 1"
            ),
            Self::NoStart { entry } => write!(
                f,
                "the module exports no function {entry:?} to begin with; compile it as a command, or name its entry"
            ),
            Self::StartTakesArguments { entry, count } => write!(
                f,
                "the function {entry:?} takes {count} arguments, but a program begins without any; name another entry"
            ),
        }
    }
}

impl core::error::Error for LoadError {}

/// Why a program could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// Its memories and tables do not fit the budget.
    LimitExceeded(LimitHit),
    /// The machine has no room for its memories and tables.
    OutOfSystemMemory,
    /// It was stopped while its memories and tables were filled.
    Trapped(Trap),
    /// An argument contains a zero byte or is too long.
    BadArgument(String),
    /// An environment variable contains a zero byte or is too long.
    BadVariable(String),
    /// A directory cannot be opened.
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A standard stream cannot be set up.
    Stream(io::Error),
    /// The engine refused the module.
    Engine(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LimitExceeded(LimitHit { asked, available }) => write!(
                f,
                "the program's memories and tables need {asked} bytes more, {available} are available; \
                 raise its limit"
            ),
            Self::OutOfSystemMemory => f.write_str(
                "the machine has no room for the program's memories and tables; free memory on it",
            ),
            Self::Trapped(trap) => write!(f, "the program was stopped at its start: {trap}"),
            Self::BadArgument(argument) => {
                write!(f, "the argument {argument:?} has a zero byte or is too long")
            }
            Self::BadVariable(name) => {
                write!(f, "the environment variable {name:?} has a zero byte or is too long")
            }
            Self::Directory { path, error } => {
                write!(f, "the directory {} cannot be opened for the program: {error}", path.display())
            }
            Self::Stream(error) => write!(f, "a standard stream cannot be set up: {error}"),
            Self::Engine(what) => write!(f, "the engine refused the module: {what}"),
        }
    }
}

impl core::error::Error for StartError {}

/// An answer was given to an instance that did not ask, or asked something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBlocked;

impl fmt::Display for NotBlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the instance is not blocked on a request of this kind; answer the request it returned last",
        )
    }
}

impl core::error::Error for NotBlocked {}
