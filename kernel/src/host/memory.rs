//! Memory: the raw domain and the heap of one interpreter.
#![allow(unsafe_code)]

use core::{alloc::Layout, ops::Range, ptr::NonNull};

use crate::{
    host::Sharing,
    memory::{AllocCause, Asker, RawDomain},
};

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

/// What a heap finds when it looks at itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeapState {
    /// It cannot tell.
    Unknown,
    /// Everything is as it must be, and so many blocks are live.
    Sound {
        /// Live blocks.
        blocks: usize,
    },
    /// Something wrote where it must not; this is broken.
    Broken(&'static str),
}

/// The heap of one interpreter: its mem and object domains (SPEC M1, M3).
///
/// The kernel calls it only while the GIL of its owner is held, so it needs no atomics; a
/// [`SharedHeap`](crate::host::SharedHeap) is the exception. It takes what it needs from the raw domain, which is handed
/// in at every call, and whose answers are checked already.
///
/// # Safety
/// * A block that was returned stays valid, at its place, and overlaps no other live block until it is
///   deallocated or the heap is swept, also when the heap value moves.
/// * `Drop` of a heap that was not swept may leak but must not free blocks that are live.
/// * A call of the heap does not use the heap's own interpreter, through a token or through what keeps its memory there. What
///   safe code of a host that it calls could try finds the token taken.
pub unsafe trait Heap<R: RawAlloc>: Sized + Send + 'static {
    /// How several threads use one heap of this type at the same time: [`Sharing::of`] where it is a
    /// [`SharedHeap`](crate::host::SharedHeap). Where it is `None`, nothing of the difference is left in the kernel.
    const SHARING: Option<Sharing<Self, R>> = None;

    /// A heap that owns nothing yet.
    fn new() -> Self;

    /// A block for `layout`, if one is at hand: without a call, and without a look at the raw domain. It is asked first,
    /// inlined where blocks are wanted.
    #[inline]
    fn allocate_at_hand(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let _ = layout;
        None
    }

    /// A block for `layout`, or why there is none. A request of no bytes gets a block of its own too.
    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause>;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` was returned by [`allocate`](Self::allocate) of this heap for `layout` and is live; `raw` is the
    /// raw domain that every other call got.
    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout);

    /// Gives a block back, if that takes no look at the raw domain; answers whether it did. It is asked first, inlined
    /// where blocks are given back. Where it answers false nothing has changed, and
    /// [`deallocate_for`](Self::deallocate_for) gets the block.
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate).
    #[inline]
    unsafe fn deallocate_at_hand(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        let _ = (block, layout);
        false
    }

    /// As [`allocate`](Self::allocate), and tells who asks. The kernel calls this one; a heap that wants to know
    /// overrides it and [`deallocate_for`](Self::deallocate_for), for the others it costs nothing.
    #[inline]
    fn allocate_for(
        &mut self,
        raw: RawDomain<'_, R>,
        layout: Layout,
        asker: Asker,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        let _ = asker;
        self.allocate(raw, layout)
    }

    /// Whether `asker`, which is an interpreter and a domain, may give back, or resize, the block that begins at `address`
    /// and has this layout. A wrapper that knows its blocks reports what is wrong and answers false: then the block is left
    /// as it is, and so is the account. It is asked before anything is read near the address.
    #[inline]
    fn vouches_for(&mut self, address: usize, layout: Layout, asker: Asker) -> bool {
        let _ = (address, layout, asker);
        true
    }

    /// As [`deallocate`](Self::deallocate), and tells who gives it back.
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate), but `block` was returned by [`allocate_for`](Self::allocate_for)
    /// for the same asker.
    #[inline]
    unsafe fn deallocate_for(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        layout: Layout,
        asker: Asker,
    ) {
        let _ = asker;
        // SAFETY: passed on.
        unsafe { self.deallocate(raw, block, layout) }
    }

    /// Makes a block larger or smaller in place, or answers why not and leaves it as it is.
    ///
    /// # Safety
    /// `block` was returned by this heap for `old` and is live; `raw` is the raw domain that every other call got;
    /// `new` has the same alignment as `old`.
    unsafe fn resize(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        let _ = (raw, block, old, new);
        Err(AllocCause::Exhausted)
    }

    /// Returns to the raw domain what the heap keeps for later requests.
    ///
    /// # Safety
    /// `raw` is the raw domain that every other call got.
    unsafe fn trim(&mut self, raw: RawDomain<'_, R>) {
        let _ = raw;
    }

    /// Returns everything to the raw domain, whatever is still live. The heap is afterwards as new.
    ///
    /// # Safety
    /// No block of this heap is used any more; `raw` is the raw domain that every other call got.
    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>);

    /// Looks at itself: for tests, and for debug builds before a sweep. It may take long.
    fn inspect(&self) -> HeapState {
        HeapState::Unknown
    }
}
