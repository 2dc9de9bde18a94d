//! The setting `gil`.

use crate::error::ConfigError;

/// Which GIL protects an interpreter (SPEC G1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GilChoice {
    /// No choice was made: shared.
    Default,
    /// Main's GIL.
    Shared,
    /// A GIL of its own.
    Own,
}

impl GilChoice {
    /// Every choice, in the order of the numbers.
    pub const ALL: [GilChoice; 3] = [GilChoice::Default, GilChoice::Shared, GilChoice::Own];

    /// The choice that a C program's `gil` field means; CPython's numbers.
    pub const fn from_number(number: i64) -> Result<Self, ConfigError> {
        match number {
            0 => Ok(GilChoice::Default),
            1 => Ok(GilChoice::Shared),
            2 => Ok(GilChoice::Own),
            _ => Err(ConfigError::UnknownGil),
        }
    }

    /// The number of this choice in C.
    pub const fn number(self) -> i64 {
        match self {
            GilChoice::Default => 0,
            GilChoice::Shared => 1,
            GilChoice::Own => 2,
        }
    }

    /// The choice with this name.
    pub fn from_name(name: &str) -> Result<Self, ConfigError> {
        match name {
            "default" => Ok(GilChoice::Default),
            "shared" => Ok(GilChoice::Shared),
            "own" => Ok(GilChoice::Own),
            _ => Err(ConfigError::BadGilName),
        }
    }

    /// The name of this choice.
    pub const fn name(self) -> &'static str {
        match self {
            GilChoice::Default => "default",
            GilChoice::Shared => "shared",
            GilChoice::Own => "own",
        }
    }
}
