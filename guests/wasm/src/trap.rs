//! Why a program was stopped.

use core::fmt;
use wasmi::{Error, TrapCode, errors::ErrorKind};

/// Why a program was stopped before its end. Its interpreter is unharmed; the program cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trap {
    /// The program executed `unreachable`, which is how compilers end a panic or an abort.
    Unreachable,
    /// A load, a store or a bulk operation left the linear memory.
    MemoryOutOfBounds,
    /// A table was read or written outside its bounds.
    TableOutOfBounds,
    /// An indirect call met an empty table slot.
    IndirectCallToNull,
    /// An integer was divided by zero.
    IntegerDivisionByZero,
    /// An integer operation has no result in its type.
    IntegerOverflow,
    /// A float that is no number, or is too large, was converted to an integer.
    BadConversionToInteger,
    /// Calls nested too deep, or their frames grew too large.
    StackOverflow,
    /// An indirect call met a function of another type.
    BadSignature,
    /// A memory or a table was refused growth in a way the program cannot see.
    GrowthLimited,
    /// The host has no memory left for what the program asked.
    OutOfSystemMemory,
    /// A function of the host failed; the text says how.
    Host(String),
}

impl Trap {
    /// A name that does not change between versions, for scripts and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::MemoryOutOfBounds => "memory-out-of-bounds",
            Self::TableOutOfBounds => "table-out-of-bounds",
            Self::IndirectCallToNull => "indirect-call-to-null",
            Self::IntegerDivisionByZero => "integer-division-by-zero",
            Self::IntegerOverflow => "integer-overflow",
            Self::BadConversionToInteger => "bad-conversion-to-integer",
            Self::StackOverflow => "stack-overflow",
            Self::BadSignature => "bad-signature",
            Self::GrowthLimited => "growth-limited",
            Self::OutOfSystemMemory => "out-of-system-memory",
            Self::Host(_) => "host",
        }
    }

    /// Reads an error of wasmi that is no exit and no request.
    pub(crate) fn from_error(error: &Error) -> Self {
        match (error.as_trap_code(), error.kind()) {
            (Some(code), _) => Self::from_code(code),
            (None, ErrorKind::Message(text)) => Self::Host(text.to_string()),
            (None, kind) => Self::Host(kind.to_string()),
        }
    }

    fn from_code(code: TrapCode) -> Self {
        match code {
            TrapCode::UnreachableCodeReached => Self::Unreachable,
            TrapCode::MemoryOutOfBounds => Self::MemoryOutOfBounds,
            TrapCode::TableOutOfBounds => Self::TableOutOfBounds,
            TrapCode::IndirectCallToNull => Self::IndirectCallToNull,
            TrapCode::IntegerDivisionByZero => Self::IntegerDivisionByZero,
            TrapCode::IntegerOverflow => Self::IntegerOverflow,
            TrapCode::BadConversionToInteger => Self::BadConversionToInteger,
            TrapCode::StackOverflow => Self::StackOverflow,
            TrapCode::BadSignature => Self::BadSignature,
            TrapCode::GrowthOperationLimited => Self::GrowthLimited,
            TrapCode::OutOfSystemMemory => Self::OutOfSystemMemory,
            TrapCode::OutOfFuel => Self::Host("the engine ran out of fuel where it cannot be resumed".into()),
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Unreachable => {
                "the program reached code that it declared unreachable (a panic or an abort)"
            }
            Self::MemoryOutOfBounds => "the program accessed memory outside its linear memory",
            Self::TableOutOfBounds => "the program accessed a table outside its bounds",
            Self::IndirectCallToNull => "the program called through an empty table slot",
            Self::IntegerDivisionByZero => "the program divided an integer by zero",
            Self::IntegerOverflow => "an integer operation of the program overflowed",
            Self::BadConversionToInteger => "the program converted a float that fits no integer",
            Self::StackOverflow => "the program's calls nested too deep",
            Self::BadSignature => "the program called a function through a table with the wrong type",
            Self::GrowthLimited => "the program was refused memory or table growth",
            Self::OutOfSystemMemory => "the host has no memory left for the program",
            Self::Host(text) => return write!(f, "a host function failed: {text}"),
        };
        f.write_str(text)
    }
}

impl core::error::Error for Trap {}
