//! A raw domain that is chosen at run time: functions and a context (`PyMem_SetAllocator` of the raw domain).

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use archipelago_kernel::{
    Host, Runtime,
    host::{Exhausted, RawAlloc, RawLock},
    runtime::RuntimePhase,
};

use crate::sealed::Sealed;

/// Why an allocator was not exchanged. The one before stands.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetError {
    /// The runtime is initialized.
    Initialized,
    /// It served already: what it gave out must come back to it.
    InUse,
}

impl core::fmt::Display for SetError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            SetError::Initialized => "allocator: the runtime is initialized: set it before",
            SetError::InUse => {
                "allocator: it has served already, and its blocks must come back to it: set it earlier"
            }
        })
    }
}

impl core::error::Error for SetError {}

/// Whether allocators may be set still: only before the runtime is initialized.
pub(crate) fn check_phase<H: Host>(runtime: &Runtime<H>) -> Result<(), SetError> {
    match runtime.phase() {
        RuntimePhase::Uninitialized => Ok(()),
        _ => Err(SetError::Initialized),
    }
}

type Served = Result<NonNull<[u8]>, Exhausted>;

/// The functions of a raw domain, and what they get first (`PyMemAllocatorEx`).
#[derive(Debug, Clone, Copy)]
pub struct RawTable {
    /// Handed to each function.
    pub context: *const (),
    /// As [`RawAlloc::allocate`].
    pub allocate: unsafe fn(*const (), Layout) -> Served,
    /// As [`RawAlloc::deallocate`].
    pub deallocate: unsafe fn(*const (), NonNull<u8>, Layout),
    /// As [`RawAlloc::resize`].
    pub resize: unsafe fn(*const (), NonNull<u8>, Layout, Layout) -> Result<(), Exhausted>,
}

// SAFETY: whoever uses a table promises that it works from any thread (contract of `DynamicRaw::set`).
unsafe impl Send for RawTable {}
// SAFETY: as above.
unsafe impl Sync for RawTable {}

impl RawTable {
    /// The table of a raw domain.
    pub const fn of<R: RawAlloc>(raw: &'static R) -> Self {
        RawTable {
            context: ptr::from_ref(raw).cast(),
            // SAFETY: the context is the `&'static R` above; the rest is passed on.
            allocate: |raw, layout| unsafe { &*raw.cast::<R>() }.allocate(layout),
            // SAFETY: as above.
            deallocate: |raw, block, layout| unsafe { (*raw.cast::<R>()).deallocate(block, layout) },
            // SAFETY: as above.
            resize: |raw, block, old, new| unsafe { (*raw.cast::<R>()).resize(block, old, new) },
        }
    }
}

/// A raw domain that can be exchanged until it serves.
pub struct DynamicRaw<L> {
    table: Sealed<L, RawTable>,
}

impl<L: RawLock> DynamicRaw<L> {
    /// Serves from `raw`, unless something else is set.
    pub const fn new<R: RawAlloc>(lock: L, raw: &'static R) -> Self {
        DynamicRaw { table: Sealed::new(lock, RawTable::of(raw)) }
    }

    /// The present table (`PyMem_GetAllocator`).
    pub fn get(&self) -> RawTable {
        self.table.get()
    }

    /// Serves from `table` (`PyMem_SetAllocator`), which may call the one before.
    ///
    /// # Errors
    /// `Initialized` and `InUse`: refused.
    ///
    /// # Safety
    /// With this context the functions keep the contract of [`RawAlloc`], from now on and for ever.
    pub unsafe fn set<H: Host<Raw = Self>>(runtime: &Runtime<H>, table: RawTable) -> Result<(), SetError> {
        check_phase(runtime)?;
        match runtime.raw().backend().table.exchange(|_| table) {
            true => Ok(()),
            false => Err(SetError::InUse),
        }
    }
}

// SAFETY: one table serves all blocks, for it is sealed before the first; its functions keep the contract.
unsafe impl<L: RawLock> RawAlloc for DynamicRaw<L> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        let table = self.table.seal();
        // SAFETY: the context belongs to the functions.
        unsafe { (table.allocate)(table.context, layout) }
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let table = self.table.seal();
        // SAFETY: passed on.
        unsafe { (table.deallocate)(table.context, block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        let table = self.table.seal();
        // SAFETY: passed on.
        unsafe { (table.resize)(table.context, block, old, new) }
    }
}
