//! The three domains, who asks for memory, and why an allocation failed.

use core::alloc::Layout;

use crate::{interpreter::InterpreterId, memory::Tenant};

/// Which memory a block comes from (SPEC M1; CPython's `PyMemAllocatorDomain`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Thread-safe, usable with nothing attached.
    Raw,
    /// The interpreter's heap, for buffers and tables.
    Mem,
    /// The interpreter's heap, for objects.
    Object,
}

impl Domain {
    /// Every domain, in the order of the accounts.
    pub const ALL: [Domain; 3] = [Domain::Raw, Domain::Mem, Domain::Object];
}

/// Who asks a heap for a block or gives one back. Heaps serve without it; wrappers record and compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asker {
    /// The domain the block is charged to.
    pub domain: Domain,
    /// The interpreter it is charged to. The heap may be main's.
    pub interpreter: InterpreterId,
    /// The heap is another interpreter's, so the kernel keeps a link in front of the block.
    linked: bool,
}

impl Asker {
    /// An interpreter that asks its own heap.
    pub const fn new(domain: Domain, interpreter: InterpreterId) -> Self {
        Asker { domain, interpreter, linked: false }
    }

    pub(crate) const fn linked(self, linked: bool) -> Self {
        Asker { linked, ..self }
    }

    /// How far into a block of the heap the interpreter's part begins. It goes to the end.
    pub fn offset(self, block: Layout) -> usize {
        if self.linked { Tenant::offset(block.align()) } else { 0 }
    }
}

errors! {
    /// Why memory was refused (SPEC M5).
    pub enum AllocCause {
        /// The backend has no such block.
        Exhausted = 0x0e01 => "the backend is exhausted: free something, or give it a larger region",
        /// The interpreter's limit would be passed.
        HardLimit = 0x0e02 => "the interpreter's memory limit would be passed: free something, or raise the limit",
        /// The interpreter's soft limit would be passed.
        SoftLimit = 0x0e08 => "the interpreter's soft memory limit would be passed: free something, or handle it within the reserve",
        /// The interpreter is finalizing.
        Finalizing = 0x0e03 => "the interpreter is finalizing: return from the thread",
        /// The size does not fit the address space.
        TooLarge = 0x0e04 => "the size does not fit the address space: ask for less",
        /// The charge that is to change was never made.
        NotCharged = 0x0e09 => "no such charge was made: recharge and discharge what charge was answered for",
        /// The backend returned a block that is shorter than asked.
        BackendShort = 0x0e05 => "the backend returned a block shorter than asked: repair the backend",
        /// The backend returned a misaligned block.
        BackendMisaligned = 0x0e06 => "the backend returned a misaligned block: repair the backend",
        /// The backend returned a block outside its own region.
        BackendOutside = 0x0e07 => "the backend returned a block outside its region: repair the backend",
    }
}

/// Memory was refused: which domain, how much, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AllocError {
    /// The domain that was asked.
    pub domain: Domain,
    /// The bytes that were asked for.
    pub requested: usize,
    /// The reason.
    pub cause: AllocCause,
}

impl AllocError {
    /// The stable code of the cause.
    pub const fn code(self) -> u16 {
        self.cause.code()
    }

    /// The name of the cause.
    pub const fn name(self) -> &'static str {
        self.cause.name()
    }

    /// The text of the cause.
    pub const fn text(self) -> &'static str {
        self.cause.text()
    }
}
