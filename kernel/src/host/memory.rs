//! Memory: the raw domain and the heap of one interpreter.
#![allow(unsafe_code)]

use core::{alloc::Layout, ops::Range, ptr::NonNull};

/// A backend has no block of the asked size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// The raw domain: thread-safe memory, usable with nothing attached (SPEC M1, `PyMem_RawMalloc`).
///
/// Shaped like the coming `Allocator` trait. The kernel asks for sizes above zero only, and re-checks size,
/// alignment, null and region of every answer.
///
/// # Safety
/// * A block that was returned stays valid, at its place, and overlaps no other live block until it is
///   deallocated, also when the allocator value moves.
/// * All methods may be called from any thread at any time.
pub unsafe trait RawAlloc: Send + Sync + 'static {
    /// A block for `layout`, whose size is above zero.
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted>;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` was returned by this allocator for `layout` and is live.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout);

    /// Makes a block larger or smaller in place, or answers `Err` and leaves it as it is.
    ///
    /// # Safety
    /// `block` was returned by this allocator for `old` and is live; `new` has the same alignment.
    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), Exhausted> {
        let _ = (block, old, new);
        Err(Exhausted)
    }

    /// The addresses all blocks lie in, where the backend knows them: answers outside are refused.
    fn region(&self) -> Option<Range<usize>> {
        None
    }
}

/// What a heap still held when it was swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Blocks that were live.
    pub blocks: usize,
    /// Requested bytes of those blocks.
    pub bytes: usize,
}

/// The heap of one interpreter: its mem and object domains (SPEC M1, M3).
///
/// The kernel calls it only while the GIL of its owner is held, so it needs no atomics. It takes what it
/// needs from the raw domain, which is handed in at every call.
///
/// # Safety
/// * A block that was returned stays valid, at its place, and overlaps no other live block until it is
///   deallocated or the heap is swept, also when the heap value moves.
/// * `Drop` of a heap that was not swept may leak but must not free blocks that are live.
pub unsafe trait Heap<R: RawAlloc>: Send + 'static {
    /// A heap that owns nothing yet.
    fn new() -> Self;

    /// A block for `layout`, whose size is above zero.
    fn allocate(&mut self, raw: &R, layout: Layout) -> Result<NonNull<[u8]>, Exhausted>;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` was returned by this heap for `layout` and is live; `raw` is the raw domain that every other
    /// call got.
    unsafe fn deallocate(&mut self, raw: &R, block: NonNull<u8>, layout: Layout);

    /// Makes a block larger or smaller in place, or answers `Err` and leaves it as it is.
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate); `new` has the same alignment as `old`.
    unsafe fn resize(
        &mut self,
        raw: &R,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), Exhausted> {
        let _ = (raw, block, old, new);
        Err(Exhausted)
    }

    /// Returns everything to the raw domain, whatever is still live, and says what that was. The heap is
    /// afterwards as new.
    ///
    /// # Safety
    /// No block of this heap is used any more; `raw` is the raw domain that every other call got.
    unsafe fn sweep(&mut self, raw: &R) -> Swept;
}
