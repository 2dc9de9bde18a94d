//! The command line.

use core::{fmt::Display, time::Duration};
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use archipelago::GilChoice;
use lexopt::{Arg, Parser, ValueExt};

use crate::value::{self, Wrong};

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Run programs.
    Run(Box<Options>),
}

/// What `run` was told.
#[derive(Debug)]
pub struct Options {
    /// The files, in the order they were named.
    pub programs: Vec<PathBuf>,
    /// What every program is given after its name.
    pub arguments: Vec<String>,
    /// Own or shared.
    pub gil: GilChoice,
    /// Bytes for one interpreter.
    pub memory_limit: Option<usize>,
    /// Time for one interpreter.
    pub timeout: Option<Duration>,
    /// Units of work for one interpreter.
    pub fuel: Option<u64>,
    /// How long a GIL is kept from a waiter.
    pub switch_interval: Option<Duration>,
    /// Interpreters of each program.
    pub repeat: usize,
    /// Interpreters at a time.
    pub jobs: Option<usize>,
    /// Directories: the host's path and the program's name for it.
    pub directories: Vec<(PathBuf, String)>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Print statistics.
    pub stats: bool,
    /// The file for memory by call site and interpreter.
    pub heap_trace: Option<PathBuf>,
    /// The file for what threads did about GILs.
    pub trace: Option<PathBuf>,
    /// The file for a picture of it.
    pub timeline: Option<PathBuf>,
}

/// Reads the command line, beginning with the name of the command.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = Parser::from_iter(arguments);
    match next(&mut parser)? {
        None => Err("nothing to do: say 'archipelago run PROGRAM...'".into()),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help),
        Some(Arg::Short('V') | Arg::Long("version")) => Ok(Command::Version),
        Some(Arg::Value(word)) if word == "run" => run(&mut parser),
        Some(Arg::Value(word)) if word == "help" => Ok(Command::Help),
        Some(Arg::Value(word)) => {
            Err(format!("there is no command {}; say 'archipelago run'", quoted(&word)))
        }
        Some(option) => Err(unknown(&option)),
    }
}

fn run(parser: &mut Parser) -> Result<Command, String> {
    let mut options = Options {
        programs: Vec::new(),
        arguments: Vec::new(),
        gil: GilChoice::Own,
        memory_limit: None,
        timeout: None,
        fuel: None,
        switch_interval: None,
        repeat: 1,
        jobs: None,
        directories: Vec::new(),
        environment: Vec::new(),
        stats: false,
        heap_trace: None,
        trace: None,
        timeline: None,
    };
    loop {
        if let Some(arguments) = rest(parser) {
            for argument in arguments {
                options.arguments.push(utf8("the argument", argument)?);
            }
        }
        let Some(argument) = next(parser)? else { break };
        match argument {
            Arg::Value(path) if path.is_empty() => {
                return Err("a program has an empty name: name a .wasm or .wat file".into());
            }
            Arg::Value(path) => options.programs.push(path.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("stats") => options.stats = true,
            Arg::Long(name) => {
                let name = name.to_owned();
                set(&mut options, &name, parser)?;
            }
            option => return Err(unknown(&option)),
        }
    }
    if options.programs.is_empty() {
        return Err("no program to run: name a .wasm or .wat file".into());
    }
    Ok(Command::Run(Box::new(options)))
}

/// Reads the value of an option that has one.
fn set(options: &mut Options, name: &str, parser: &mut Parser) -> Result<(), String> {
    const SIZE: &str = "a size above zero: bytes, or a number with KiB, MiB or GiB, such as 64MiB";
    const COUNT: &str = "a number above zero";
    let most = usize::MAX;
    match name {
        "gil" => {
            let own_or_shared =
                |text: &str| GilChoice::from_name(text).ok().filter(|gil| *gil != GilChoice::Default);
            options.gil = valued(parser, name, "'own' or 'shared'", own_or_shared)?;
        }
        "memory-limit" => {
            let size = format_args!("{most} bytes");
            options.memory_limit = Some(bounded(parser, name, SIZE, size, value::size)?);
        }
        "timeout" => options.timeout = Some(time(parser, name)?),
        "fuel" => options.fuel = Some(bounded(parser, name, COUNT, u64::MAX, value::count)?),
        "switch-interval" => options.switch_interval = Some(time(parser, name)?),
        "repeat" => options.repeat = bounded(parser, name, COUNT, most, value::natural)?,
        "jobs" => options.jobs = Some(bounded(parser, name, COUNT, most, value::natural)?),
        "heap-trace" => options.heap_trace = Some(written(parser, name)?),
        "trace" => options.trace = Some(written(parser, name)?),
        "timeline" => options.timeline = Some(written(parser, name)?),
        "dir" => {
            let directory = |text: &str| {
                let (host, guest) = text.split_once("::").unwrap_or((text, text));
                (!host.is_empty() && !guest.is_empty()).then(|| (host.into(), guest.to_owned()))
            };
            let wanted = "HOST or HOST::GUEST, none of them empty";
            options.directories.push(valued(parser, name, wanted, directory)?);
        }
        "env" => {
            let variable = |text: &str| {
                let (name, value) = text.split_once('=')?;
                (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
            };
            options.environment.push(valued(parser, name, "NAME=VALUE", variable)?);
        }
        _ => return Err(unknown(&Arg::Long(name))),
    }
    Ok(())
}

/// The value of an option that is a file to be written.
fn written(parser: &mut Parser, name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(parser.value().map_err(|_| format!("--{name} wants a value"))?);
    // A forgotten file name makes the next word one, and what it names would be gone.
    if path.as_os_str().is_empty() || path.extension().is_some_and(|end| end == "wasm" || end == "wat") {
        return Err(format!("--{name} wants a file to be written, not {}", quoted(path.as_os_str())));
    }
    Ok(path)
}

fn time(parser: &mut Parser, name: &str) -> Result<Duration, String> {
    let text = value_of(parser, name)?;
    value::duration(&text).map_err(|wrong| match wrong {
        Wrong::Form => {
            format!("--{name} wants a time above zero with its unit (us, ms, s, m, h), such as 500ms, not '{text}'")
        }
        Wrong::TooLarge => {
            let years = value::LONGEST.as_secs() / (365 * 24 * 60 * 60);
            format!("--{name} is longer than {years} years, and the clock tells no more: shorten '{text}'")
        }
    })
}

/// The value of an option that is a number.
fn bounded<T>(
    parser: &mut Parser,
    name: &str,
    wanted: impl Display,
    most: impl Display,
    read: impl FnOnce(&str) -> Result<T, Wrong>,
) -> Result<T, String> {
    let text = value_of(parser, name)?;
    read(&text).map_err(|wrong| match wrong {
        Wrong::Form => format!("--{name} wants {wanted}, not '{text}'"),
        Wrong::TooLarge => format!("--{name}: '{text}' is too large (at most {most})"),
    })
}

fn valued<T>(
    parser: &mut Parser,
    name: &str,
    wanted: impl Display,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let text = value_of(parser, name)?;
    read(&text).ok_or_else(|| format!("--{name} wants {wanted}, not '{text}'"))
}

fn value_of(parser: &mut Parser, name: &str) -> Result<String, String> {
    let value = parser.value().map_err(|_| format!("--{name} wants a value"))?;
    utf8(&format!("the value of --{name}"), value)
}

fn utf8(what: &str, text: OsString) -> Result<String, String> {
    text.string().map_err(|error| format!("{what} is not text: {error}"))
}

fn next(parser: &mut Parser) -> Result<Option<Arg<'_>>, String> {
    parser.next().map_err(|error| error.to_string())
}

/// What stands behind `--`, once that is reached.
fn rest(parser: &mut Parser) -> Option<Vec<OsString>> {
    let mut raw = parser.try_raw_args()?;
    (raw.peek()? == "--").then(|| raw.by_ref().skip(1).collect())
}

fn unknown(option: &Arg<'_>) -> String {
    match option {
        Arg::Short(letter) => format!("unknown option '-{letter}'"),
        Arg::Long(name) => format!("unknown option '--{name}'"),
        Arg::Value(text) => format!("unexpected {}", quoted(text)),
    }
}

fn quoted(text: &OsStr) -> String {
    format!("'{}'", text.display())
}
