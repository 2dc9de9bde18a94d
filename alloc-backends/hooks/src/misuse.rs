//! What a debug wrapper found: a value, and a line of text for those who ask.

use core::fmt;

use archipelago_kernel::memory::{Asker, Domain};

use crate::Site;

/// What is wrong.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MisuseKind {
    /// Something wrote behind the block, so many bytes behind its end.
    Overflow {
        /// From the end of the block to the first byte that changed.
        bytes: usize,
    },
    /// Something wrote in front of the block, so many bytes before its start.
    Underflow {
        /// From the first byte that changed, seen from the block, to its start.
        bytes: usize,
    },
    /// The block was given back before.
    DoubleFree,
    /// Something wrote into the block after it was given back.
    UseAfterFree {
        /// The first byte that changed.
        offset: usize,
    },
    /// It is no block, but lies in one.
    InsideBlock,
    /// It is no block of this heap, or one that went back long ago.
    ForeignBlock,
    /// It comes back with another size or alignment.
    WrongLayout {
        /// The size it comes back with.
        size: usize,
        /// The alignment it comes back with.
        align: usize,
    },
    /// It comes back to another domain.
    WrongDomain {
        /// The domain it comes back to.
        domain: Domain,
    },
    /// It comes back from another interpreter.
    WrongInterpreter {
        /// The number of that interpreter.
        number: u64,
    },
    /// The thread does not hold the interpreter's GIL.
    NotAttached,
    /// What lies below answered a block that overlaps this one.
    Overlap,
}

/// A misuse of memory, with what is known of the block.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misuse {
    /// What is wrong.
    pub kind: MisuseKind,
    /// The address that was named or written to: of the block, where there is one.
    pub address: usize,
    /// The size of the block.
    pub size: usize,
    /// Its number: how many blocks were taken from this heap before. `None` where no block is known.
    pub serial: Option<u64>,
    /// The domain and the interpreter it was taken for.
    pub owner: Option<Asker>,
    /// Where it was taken.
    pub allocated: Site,
    /// Where it was given back, if it was.
    pub freed: Option<Site>,
    /// Where it was found.
    pub found: Site,
}

impl Misuse {
    /// Nothing is known of what lies at `address`.
    pub(crate) fn of_no_block(address: usize, found: Site) -> Self {
        Misuse {
            kind: MisuseKind::ForeignBlock,
            address,
            size: 0,
            serial: None,
            owner: None,
            allocated: Site::UNKNOWN,
            freed: None,
            found,
        }
    }
}

impl fmt::Display for MisuseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MisuseKind::Overflow { bytes } => write!(f, "overflow: written {bytes} bytes behind the end of"),
            MisuseKind::Underflow { bytes } => {
                write!(f, "underflow: written {bytes} bytes before the start of")
            }
            MisuseKind::DoubleFree => f.write_str("double free of"),
            MisuseKind::UseAfterFree { offset } => {
                write!(f, "use after free: written at byte {offset} of")
            }
            MisuseKind::InsideBlock => f.write_str("free of an address inside"),
            MisuseKind::ForeignBlock => f.write_str("free of a foreign block"),
            MisuseKind::WrongLayout { size, align } => {
                write!(f, "free as {size} bytes aligned to {align} of")
            }
            MisuseKind::WrongDomain { domain } => write!(f, "free through the {} domain of", name(*domain)),
            MisuseKind::WrongInterpreter { number } => write!(f, "free by interpreter {number} of"),
            MisuseKind::NotAttached => f.write_str("use without the interpreter's GIL of"),
            MisuseKind::Overlap => f.write_str("a new block overlaps"),
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory misuse: {} {:#x}", self.kind, self.address)?;
        if let Some(serial) = self.serial {
            write!(f, ": {} bytes, serial {serial}", self.size)?;
        }
        if let Some(owner) = self.owner {
            write!(f, ", {} domain, interpreter {}", name(owner.domain), owner.interpreter.number())?;
        }
        if self.serial.is_some() {
            write!(f, ", allocated at {}", self.allocated)?;
        }
        if let Some(freed) = self.freed {
            write!(f, ", freed at {freed}")?;
        }
        write!(f, ", found at {}", self.found)
    }
}

pub(crate) const fn name(domain: Domain) -> &'static str {
    match domain {
        Domain::Raw => "raw",
        Domain::Mem => "mem",
        Domain::Object => "object",
    }
}
