//! Settings by name (SPEC C5): for the command line, for guests and for C.

use core::time::Duration;

use super::{GilChoice, InterpreterConfig};
use crate::error::ConfigError;

/// A value for a setting that is known by its name only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigValue<'a> {
    /// For a flag.
    Bool(bool),
    /// For a limit or a duration.
    Int(u64),
    /// For `gil`.
    Text(&'a str),
}

/// Which values a setting takes.
#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Number,
    Gil,
}

fn kind(name: &str) -> Result<Kind, ConfigError> {
    match name {
        "use_main_obmalloc"
        | "allow_fork"
        | "allow_exec"
        | "allow_threads"
        | "allow_daemon_threads"
        | "check_multi_interp_extensions"
        | "always_new_thread"
        | "bound_to_thread" => Ok(Kind::Flag),
        "memory_limit" | "memory_soft_limit" | "memory_reserve" | "switch_interval_us" | "deadline_us"
        | "fuel" | "pending_calls" => Ok(Kind::Number),
        "gil" => Ok(Kind::Gil),
        _ => Err(ConfigError::UnknownField),
    }
}

impl<'a> ConfigValue<'a> {
    /// Reads the value that the setting `name` takes: `true`, `false`, `1` or `0` for a flag, a decimal
    /// number for a limit, one of its names for `gil`.
    pub fn from_text(name: &str, text: &'a str) -> Result<Self, ConfigError> {
        match kind(name)? {
            Kind::Flag => match text {
                "true" | "1" => Ok(ConfigValue::Bool(true)),
                "false" | "0" => Ok(ConfigValue::Bool(false)),
                _ => Err(ConfigError::WrongType),
            },
            Kind::Number => text.parse().map(ConfigValue::Int).map_err(|_| ConfigError::WrongType),
            Kind::Gil => GilChoice::from_name(text).map(|_| ConfigValue::Text(text)),
        }
    }
}

/// A limit above the address space is never reached, like the largest one.
fn saturated(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl InterpreterConfig {
    /// The names that [`set`](Self::set) knows. A duration is given in microseconds, and its name says so.
    pub const NAMES: &'static [&'static str] = &[
        "use_main_obmalloc",
        "allow_fork",
        "allow_exec",
        "allow_threads",
        "allow_daemon_threads",
        "check_multi_interp_extensions",
        "gil",
        "memory_limit",
        "memory_soft_limit",
        "memory_reserve",
        "switch_interval_us",
        "deadline_us",
        "fuel",
        "always_new_thread",
        "bound_to_thread",
        "pending_calls",
    ];

    /// Changes the setting `name`. After an error the config is as it was.
    pub fn set(&mut self, name: &str, value: ConfigValue<'_>) -> Result<(), ConfigError> {
        use ConfigValue::{Bool, Int, Text};
        match (name, value) {
            ("use_main_obmalloc", Bool(on)) => self.use_main_obmalloc = on,
            ("allow_fork", Bool(on)) => self.allow_fork = on,
            ("allow_exec", Bool(on)) => self.allow_exec = on,
            ("allow_threads", Bool(on)) => self.allow_threads = on,
            ("allow_daemon_threads", Bool(on)) => self.allow_daemon_threads = on,
            ("check_multi_interp_extensions", Bool(on)) => self.check_multi_interp_extensions = on,
            ("always_new_thread", Bool(on)) => self.always_new_thread = on,
            ("bound_to_thread", Bool(on)) => self.bound_to_thread = on,
            ("gil", Text(text)) => self.gil = GilChoice::from_name(text)?,
            ("memory_limit", Int(bytes)) => self.memory_limit = Some(saturated(bytes)),
            ("memory_soft_limit", Int(bytes)) => self.memory_soft_limit = Some(saturated(bytes)),
            ("memory_reserve", Int(bytes)) => self.memory_reserve = saturated(bytes),
            ("switch_interval_us", Int(us)) => self.switch_interval = Some(Duration::from_micros(us)),
            ("deadline_us", Int(us)) => self.deadline = Some(Duration::from_micros(us)),
            ("fuel", Int(units)) => self.fuel = Some(units),
            ("pending_calls", Int(count)) => self.pending_calls = u32::try_from(count).unwrap_or(u32::MAX),
            _ => return kind(name).and(Err(ConfigError::WrongType)),
        }
        Ok(())
    }
}
