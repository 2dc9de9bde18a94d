//! What a wrapper is: a hook, and what lies below it.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc},
    memory::{AllocCause, Asker, RawDomain},
};

/// What lies below a hook: a heap with its raw domain, or a raw domain. Answers are checked already.
///
/// # Safety
/// As for [`Heap`]: blocks are valid, apart from each other, as large and as aligned as asked.
pub unsafe trait Below {
    /// A block for `layout`.
    ///
    /// # Errors
    /// Why there is none.
    fn allocate(&mut self, layout: Layout, asker: Option<Asker>) -> Result<NonNull<u8>, AllocCause>;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from here for `layout` and is live.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout, asker: Option<Asker>);

    /// Makes a block larger or smaller in place.
    ///
    /// # Errors
    /// Why not; the block is as it was.
    ///
    /// # Safety
    /// `block` came from here for `old` and is live; `new` has the same alignment.
    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause>;
}

/// What a wrapper does with each request. Written once, it wraps heaps ([`Hooked`](crate::Hooked)) and raw domains
/// ([`HookedRaw`](crate::HookedRaw)).
///
/// # Safety
/// * What `allocate` answers are blocks as a [`Heap`] answers them, taken from `below`.
/// * Everything that was taken from `below` stays there until it is given back or `swept` is called.
pub unsafe trait Hook: Send + 'static {
    /// A block for `layout`.
    ///
    /// # Errors
    /// Why there is none.
    fn allocate(
        &mut self,
        below: &mut impl Below,
        layout: Layout,
        asker: Option<Asker>,
    ) -> Result<NonNull<[u8]>, AllocCause>;

    /// Whether `asker` may give back the block at `address`, which may be anything: as [`Heap::vouches_for`], which is
    /// `below`. A hook that answers parts of blocks asks there for the whole ones.
    #[inline]
    fn vouches_for(
        &mut self,
        below: impl FnOnce(usize, Layout, Asker) -> bool,
        address: usize,
        layout: Layout,
        asker: Asker,
    ) -> bool {
        below(address, layout, asker)
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from this hook for `layout` and is live; `below` is the one of every other call.
    unsafe fn deallocate(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        layout: Layout,
        asker: Option<Asker>,
    );

    /// Makes a block larger or smaller in place.
    ///
    /// # Errors
    /// Why not; the block is as it was.
    ///
    /// # Safety
    /// As for `deallocate`; `new` has the alignment of `old`.
    unsafe fn resize(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause>;

    /// Gives back what it keeps for later.
    ///
    /// # Safety
    /// `below` is the one of every other call.
    unsafe fn trim(&mut self, below: &mut impl Below) {
        let _ = below;
    }

    /// All that lies below is about to be swept: forgets it. Afterwards the hook is as new.
    ///
    /// # Safety
    /// No block is used any more.
    unsafe fn sweep(&mut self) {}

    /// What the user of the wrapper should see, where this is what lies below.
    fn inspect(&self, below: HeapState) -> HeapState {
        below
    }
}

/// A heap and its raw domain.
pub(crate) struct OnHeap<'a, 'r, T, R>(pub(crate) &'a mut T, pub(crate) RawDomain<'r, R>);

// SAFETY: the blocks are the heap's, whose answers are checked.
unsafe impl<R: RawAlloc, T: Heap<R>> Below for OnHeap<'_, '_, T, R> {
    #[inline]
    fn allocate(&mut self, layout: Layout, asker: Option<Asker>) -> Result<NonNull<u8>, AllocCause> {
        let answer = match asker {
            Some(asker) => self.0.allocate_for(self.1, layout, asker)?,
            None => self.0.allocate(self.1, layout)?,
        };
        // The kernel checks the outermost wrapper only, and hooks write into what they get.
        let cause = if answer.len() < layout.size() {
            AllocCause::BackendShort
        } else if !answer.cast::<u8>().addr().get().is_multiple_of(layout.align()) {
            AllocCause::BackendMisaligned
        } else {
            return Ok(answer.cast());
        };
        // SAFETY: it was returned for this layout just now, and nobody uses it.
        unsafe { self.deallocate(answer.cast(), layout, asker) };
        Err(cause)
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout, asker: Option<Asker>) {
        // SAFETY: passed on.
        unsafe {
            match asker {
                Some(asker) => self.0.deallocate_for(self.1, block, layout, asker),
                None => self.0.deallocate(self.1, block, layout),
            }
        }
    }

    #[inline]
    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause> {
        // SAFETY: passed on.
        unsafe { self.0.resize(self.1, block, old, new) }
    }
}

// SAFETY: the blocks are the backend's, whose answers the domain checks.
unsafe impl<R: RawAlloc> Below for RawDomain<'_, R> {
    fn allocate(&mut self, layout: Layout, _: Option<Asker>) -> Result<NonNull<u8>, AllocCause> {
        self.take(layout)
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout, _: Option<Asker>) {
        // SAFETY: passed on.
        unsafe { RawDomain::deallocate(*self, block, layout) }
    }

    unsafe fn resize(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<(), AllocCause> {
        // SAFETY: passed on.
        unsafe { RawDomain::resize(*self, block, old, new) }
    }
}
