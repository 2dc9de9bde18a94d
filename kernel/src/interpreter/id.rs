//! Names of interpreters and where they come from.

/// The name of one interpreter: its number and the cycle of the runtime it was made in (SPEC R3).
///
/// Numbers only grow within a cycle and are never reused; a name of an earlier cycle, or of another runtime,
/// is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterpreterId {
    pub(crate) cycle: u64,
    pub(crate) number: u64,
}

impl InterpreterId {
    /// The number: 0 for main (`PyInterpreterState_GetID`).
    pub const fn number(self) -> u64 {
        self.number
    }

    /// The cycle of the runtime, unique in the program.
    pub const fn cycle(self) -> u64 {
        self.cycle
    }

    /// Whether this names the main interpreter of its cycle (SPEC R7).
    pub const fn is_main(self) -> bool {
        self.number == 0
    }
}

/// Who made an interpreter (SPEC L5).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whence {
    /// Not known.
    Unknown,
    /// The runtime, during initialization: main.
    Runtime,
    /// The legacy C function (`Py_NewInterpreter`).
    LegacyCApi,
    /// The C function with a config (`Py_NewInterpreterFromConfig`), or the raw layer.
    CApi,
    /// The cross-interpreter C interface.
    CrossInterpreter,
    /// The safe layer and the adapters on it.
    Stdlib,
}

impl Whence {
    /// The text CPython uses.
    pub const fn text(self) -> &'static str {
        match self {
            Whence::Unknown => "unknown",
            Whence::Runtime => "runtime init",
            Whence::LegacyCApi => "legacy C-API",
            Whence::CApi => "C-API",
            Whence::CrossInterpreter => "cross-interpreter C-API",
            Whence::Stdlib => "_interpreters module",
        }
    }
}
