//! How the seam reaches a heap: alone, or beside others where the heap's type can be shared.

#![allow(unsafe_code)]

use core::{alloc::Layout, cell::UnsafeCell, marker::PhantomData, ptr::NonNull};

use crate::{
    host::{Heap, HeapState, RawAlloc, Sharing},
    memory::{AllocCause, Asker, RawDomain},
};

/// A heap, whose raw domain is `R`. Which of the two ways is taken is known when the program is compiled.
///
/// Invariant [M4]: whoever holds one may use the heap, for
/// * the heap is the interpreter's own or main's, and this thread holds the GIL of that interpreter: uses under one GIL
///   come one after the other, and so does `share`, which runs under main's;
/// * or it is main's, its type is a [`SharedHeap`](crate::host::SharedHeap), and this thread holds the GIL of an
///   interpreter that uses it under a GIL of its own. `share` ran before that interpreter could be reached, and main
///   ends after it.
pub(super) struct Reach<'a, T, R> {
    heap: &'a UnsafeCell<T>,
    of: PhantomData<RawDomain<'a, R>>,
}

impl<'a, R: RawAlloc, T: Heap<R>> Reach<'a, T, R> {
    const SHARING: Option<Sharing<T, R>> = T::SHARING;

    /// # Safety
    /// [M4] holds until the answer is dropped, and every call gets the runtime's raw domain.
    #[inline(always)]
    pub(super) unsafe fn new(heap: &'a UnsafeCell<T>) -> Self {
        Reach { heap, of: PhantomData }
    }

    /// # Safety
    /// The type's heaps are used alone, and the answer is dropped before anything else asks.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    unsafe fn alone(&self) -> &mut T {
        // SAFETY: [M4], and this is the only use: what the heap calls finds the token taken, so it gets none to come back by.
        unsafe { &mut *self.heap.get() }
    }

    /// Beside others, which refer to it in this way too.
    #[inline(always)]
    fn beside(&self) -> &T {
        // SAFETY: [M4]: it is there; where the type can be shared, only `sweep` uses one alone.
        unsafe { &*self.heap.get() }
    }

    #[inline(always)]
    pub(super) fn allocate_at_hand(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: [M4], which is the order that a shared heap asks for.
        unsafe {
            match Self::SHARING {
                None => self.alone().allocate_at_hand(layout),
                Some(sharing) => (sharing.take_at_hand)(self.beside(), layout),
            }
        }
    }

    pub(super) fn allocate(
        &self,
        raw: RawDomain<'_, R>,
        layout: Layout,
        asker: Asker,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        // SAFETY: as above.
        unsafe {
            match Self::SHARING {
                None => self.alone().allocate_for(raw, layout, asker),
                Some(sharing) => (sharing.take)(self.beside(), raw, layout, asker),
            }
        }
    }

    /// # Safety
    /// As for [`Heap::deallocate_at_hand`].
    #[inline(always)]
    pub(super) unsafe fn deallocate_at_hand(&self, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: as above; the rest is passed on.
        unsafe {
            match Self::SHARING {
                None => self.alone().deallocate_at_hand(block, layout),
                Some(sharing) => (sharing.give_at_hand)(self.beside(), block, layout),
            }
        }
    }

    pub(super) fn vouches_for(&self, address: usize, layout: Layout, asker: Asker) -> bool {
        // SAFETY: as above.
        unsafe {
            match Self::SHARING {
                None => self.alone().vouches_for(address, layout, asker),
                Some(sharing) => (sharing.vouch)(self.beside(), address, layout, asker),
            }
        }
    }

    /// # Safety
    /// As for [`Heap::deallocate_for`].
    pub(super) unsafe fn deallocate(
        &self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        layout: Layout,
        asker: Asker,
    ) {
        // SAFETY: as above; the rest is passed on.
        unsafe {
            match Self::SHARING {
                None => self.alone().deallocate_for(raw, block, layout, asker),
                Some(sharing) => (sharing.give)(self.beside(), raw, block, layout, asker),
            }
        }
    }

    /// # Safety
    /// As for [`Heap::resize`].
    pub(super) unsafe fn resize(
        &self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        // SAFETY: as above; the rest is passed on.
        unsafe {
            match Self::SHARING {
                None => self.alone().resize(raw, block, old, new),
                Some(sharing) => (sharing.fit)(self.beside(), raw, block, old, new),
            }
        }
    }

    pub(super) fn trim(&self, raw: RawDomain<'_, R>) {
        // SAFETY: as above.
        unsafe {
            match Self::SHARING {
                None => self.alone().trim(raw),
                Some(sharing) => (sharing.shed)(self.beside(), raw),
            }
        }
    }

    pub(super) fn inspect(&self) -> HeapState {
        // SAFETY: as above.
        unsafe {
            match Self::SHARING {
                None => self.alone().inspect(),
                Some(sharing) => (sharing.look)(self.beside()),
            }
        }
    }

    /// # Safety
    /// As for [`Heap::sweep`], and no other interpreter uses the heap.
    pub(super) unsafe fn sweep(&self, raw: RawDomain<'_, R>) {
        // SAFETY: [M4]; every interpreter that used it ended before, so this is the only use.
        unsafe { self.alone().sweep(raw) }
    }
}
