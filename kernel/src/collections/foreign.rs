//! Collections of others in an interpreter's heap (SPEC M10): hashbrown's and whatever else takes an `Allocator` of
//! `allocator-api2`.
//!
//! Such a collection grows and drops through an allocator that it holds, without a token. So the allocator looks for itself,
//! \[K4\]: it gives memory where this thread is attached to its interpreter at that moment, and refuses elsewhere; what comes
//! back elsewhere is owed until the next safepoint, like an object.

#![allow(unsafe_code)]

use core::{alloc::Layout, marker::PhantomData, ptr, ptr::NonNull};

use allocator_api2::alloc;

use crate::{
    collections::Box,
    host::Host,
    interpreter::InterpreterSlot,
    memory::{AllocError, Domain, RawDomain},
    object::{Kind, ObjectHeader, Tailed},
    runtime::Runtime,
    thread::{Attached, Brand, session::Session, slot::ThreadSlot},
};

/// A collection whose memory, as itself, lies in the heap of interpreter `'i`.
///
/// It is reached through the token only, and dropping it defers: inside a detach it neither grows nor drops. A collection
/// that cannot be refused memory (`insert` of hashbrown) ends the program where it is: use what may fail (`try_reserve`).
pub struct InHeap<'i, C>(Box<'i, C>);

impl<'i, C: Send + 'i> InHeap<'i, C> {
    /// Puts what `make` makes into the heap; the allocator is for this interpreter.
    ///
    /// # Errors
    /// The collection comes back with the reason.
    pub fn new<H: Host>(
        cx: &Attached<'i, H>,
        make: impl FnOnce(HeapHandle<'i, H>) -> C,
    ) -> Result<Self, (C, AllocError)> {
        let handle = HeapHandle { slot: NonNull::from(cx.slot()), brand: PhantomData };
        Box::new(cx, make(handle)).map(InHeap)
    }

    /// The collection.
    pub fn get<'a, H: Host>(&'a self, cx: &'a Attached<'i, H>) -> &'a C {
        self.0.get(cx)
    }

    /// The collection, to be changed.
    pub fn get_mut<'a, H: Host>(&'a mut self, cx: &'a mut Attached<'i, H>) -> &'a mut C {
        self.0.get_mut(cx)
    }

    /// Drops it and frees its memory, now.
    pub fn release<H: Host>(self, cx: &mut Attached<'i, H>) {
        self.0.release(cx);
    }
}

/// The allocator of one interpreter's mem domain, for the collections of others.
///
/// It works where this thread is attached to the interpreter, and refuses elsewhere.
pub struct HeapHandle<'i, H: Host> {
    /// Compared only.
    slot: NonNull<InterpreterSlot<H>>,
    brand: Brand<'i>,
}

impl<H: Host> Clone for HeapHandle<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Host> Copy for HeapHandle<'_, H> {}

// SAFETY: [K4] each use asks this thread's slot; the handle itself is a name.
unsafe impl<H: Host> Send for HeapHandle<'_, H> {}
// SAFETY: as above.
unsafe impl<H: Host> Sync for HeapHandle<'_, H> {}

/// Alignments up to this have a kind of block.
const LARGEST: u32 = 12;
const SMALLEST: u32 = 4;

/// A block by its alignment, header first: what stands before the caller's part is as long as the kind's layout.
const KINDS: &[Kind; (LARGEST - SMALLEST + 1) as usize] = &[
    kind::<16>(),
    kind::<32>(),
    kind::<64>(),
    kind::<128>(),
    kind::<256>(),
    kind::<512>(),
    kind::<1024>(),
    kind::<2048>(),
    kind::<4096>(),
];

const fn kind<const ALIGN: usize>() -> Kind {
    unsafe fn nothing(_: *mut ObjectHeader) {}
    let size = size_of::<Tailed>().next_multiple_of(ALIGN);
    // SAFETY: the alignments above are powers of two, and the size is a multiple.
    let layout = unsafe { Layout::from_size_align_unchecked(size, ALIGN) };
    Kind { layout, ..Kind::tailed::<Tailed>(Domain::Mem, false, nothing) }
}

fn kind_of(layout: Layout) -> Option<&'static Kind> {
    KINDS.get(layout.align().trailing_zeros().saturating_sub(SMALLEST) as usize)
}

/// An interpreter that this thread is attached to. What the heap calls of the host's (a trace's book, say) finds the token
/// taken meanwhile, also inside a `call_out`: a token of its own would be a second way into the heap.
struct Here<'a, H: Host> {
    raw: RawDomain<'a, H::Raw>,
    slot: &'a InterpreterSlot<H>,
    thread: &'a ThreadSlot,
    session: &'a Session,
    /// Whether the token is lent, outside.
    lent: bool,
}

impl<H: Host> Drop for Here<'_, H> {
    fn drop(&mut self) {
        self.session.lent.set(self.lent);
    }
}

impl<H: Host> HeapHandle<'_, H> {
    /// Where this thread is attached to the interpreter at this moment.
    fn here(&self) -> Option<Here<'_, H>> {
        let session = Session::attached::<H>()?;
        if !ptr::eq(session.interpreter.get(), self.slot.as_ptr().cast()) {
            return None;
        }
        // SAFETY: [K4], [S1] the frame is open, is of the interpreter of this handle and so of `H`, and borrows its runtime;
        // the references do not outlive the call of the allocator.
        unsafe {
            let rt = &*session.runtime.get().cast::<Runtime<H>>();
            let slot = InterpreterSlot::of(session.interpreter.get());
            let lent = session.lent.replace(false);
            Some(Here { raw: rt.raw(), slot, thread: &*session.thread.get(), session, lent })
        }
    }

    /// A block with a header.
    fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        let kind = kind_of(layout)?;
        let whole = kind.with_tail(layout.size())?;
        let here = self.here()?;
        // SAFETY: [K4] this thread holds the GIL; the block is fresh and of the kind.
        unsafe {
            let block = here.slot.allocate(here.raw, here.thread, kind.domain, whole).ok()?;
            let header = ObjectHeader::install(&here.slot.head, kind, block);
            (&raw mut (*header.cast::<Tailed>().as_ptr()).size).write(whole.size());
            Some(block.add(kind.layout.size()))
        }
    }

    /// Gives a block another size.
    ///
    /// # Safety
    /// `block` came from this allocator for `old` and is live.
    unsafe fn refit(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        let (kind, other) = (kind_of(old)?, kind_of(new)?);
        let (from, to) = (kind.with_tail(old.size())?, other.with_tail(new.size())?);
        let here = self.here()?;
        // SAFETY: passed on; [K4]; the header lies in front of the caller's part, one alignment has one kind, and nobody
        // else refers to the header: with one reference the block is not owed.
        unsafe {
            if old.size() == 0 || from.align() != to.align() {
                let fresh = self.take(new)?;
                ptr::copy_nonoverlapping(block.as_ptr(), fresh.as_ptr(), old.size().min(new.size()));
                self.give(block, old);
                return Some(fresh);
            }
            let start = block.sub(kind.layout.size());
            let start = here.slot.reallocate(here.raw, here.thread, kind.domain, start, from, to).ok()?;
            (&raw mut (*start.cast::<Tailed>().as_ptr()).size).write(to.size());
            Some(start.add(kind.layout.size()))
        }
    }

    /// Takes a block back: now where this thread is attached, and else at the next safepoint.
    ///
    /// # Safety
    /// `block` came from this allocator for `layout`, is live, and is not used afterwards.
    unsafe fn give(&self, block: NonNull<u8>, layout: Layout) {
        let Some((kind, whole)) = kind_of(layout).and_then(|k| Some((k, k.with_tail(layout.size())?))) else {
            return;
        };
        if layout.size() == 0 {
            return;
        }
        // SAFETY: passed on; the header lies in front of the caller's part. Here the thread holds the GIL; elsewhere the
        // one reference is given up.
        unsafe {
            let start = block.sub(kind.layout.size());
            match self.here() {
                Some(here) => here.slot.deallocate(here.raw, kind.domain, start, whole),
                None => ObjectHeader::release(start.cast().as_ptr()),
            }
        }
    }
}

fn answer(block: Option<NonNull<u8>>, layout: Layout) -> Result<NonNull<[u8]>, alloc::AllocError> {
    let block = block.ok_or(alloc::AllocError)?;
    Ok(NonNull::slice_from_raw_parts(block, layout.size()))
}

fn nowhere(layout: Layout) -> Result<NonNull<[u8]>, alloc::AllocError> {
    answer(NonNull::new(ptr::without_provenance_mut(layout.align())), layout)
}

// SAFETY: [K4] blocks stay where they are until they are given back or the interpreter ends, which is after the last handle:
// the brand keeps handles in frames and in values of the interpreter. Any copy of a handle is as good as another.
unsafe impl<H: Host> alloc::Allocator for HeapHandle<'_, H> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, alloc::AllocError> {
        if layout.size() == 0 { nowhere(layout) } else { answer(self.take(layout), layout) }
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on.
        unsafe { self.give(block, layout) }
    }

    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, alloc::AllocError> {
        if new.size() == 0 {
            return nowhere(new);
        }
        // SAFETY: passed on.
        answer(unsafe { self.refit(block, old, new) }, new)
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, alloc::AllocError> {
        // SAFETY: passed on.
        unsafe {
            if new.size() == 0 {
                self.give(block, old);
                return nowhere(new);
            }
            answer(self.refit(block, old, new), new)
        }
    }
}
