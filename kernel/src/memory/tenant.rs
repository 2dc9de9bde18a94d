//! The blocks that an interpreter has in a heap that is not its own, linked so that its end finds them.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::{memory::Domain, sync::Cell};

struct Link {
    prev: Cell<*mut Link>,
    next: Cell<*mut Link>,
    /// The layout of the whole block, in as little room as it needs: every block has one of these.
    size: usize,
    align_log: u8,
    domain: Domain,
}

impl Link {
    fn whole(&self) -> Layout {
        // SAFETY: [M2] taken apart in `admit`.
        unsafe { Layout::from_size_align_unchecked(self.size, 1 << self.align_log) }
    }
}

/// Invariant [M2]: the list holds exactly the live blocks that went through `admit` and not yet through
/// `dismiss`; it is touched under the GIL of its interpreter only.
pub(crate) struct Tenant {
    first: Cell<*mut Link>,
}

impl Tenant {
    pub(crate) fn new() -> Self {
        Tenant { first: Cell::new(ptr::null_mut()) }
    }

    /// Where the caller's part lies in a block of this alignment.
    pub(crate) fn offset(align: usize) -> usize {
        size_of::<Link>().next_multiple_of(align)
    }

    /// The layout to ask the heap for, and where the caller's block lies in it.
    pub(crate) fn extend(layout: Layout) -> Option<(Layout, usize)> {
        Layout::new::<Link>().extend(layout).ok()
    }

    /// Links a block of the heap and answers the caller's part.
    ///
    /// # Safety
    /// `block` was allocated for `whole`, which is `extend(layout).0`, and `offset` is `extend(layout).1`.
    pub(crate) unsafe fn admit(
        &self,
        block: NonNull<u8>,
        whole: Layout,
        offset: usize,
        domain: Domain,
    ) -> NonNull<u8> {
        let next = self.first.get();
        let link = block.cast::<Link>();
        // SAFETY: the block is fresh, aligned for and at least as large as a Link; [M2] for the neighbour.
        unsafe {
            link.write(Link {
                prev: Cell::new(ptr::null_mut()),
                next: Cell::new(next),
                size: whole.size(),
                align_log: whole.align().trailing_zeros() as u8,
                domain,
            });
            if let Some(next) = next.as_ref() {
                next.prev.set(link.as_ptr());
            }
            self.first.set(link.as_ptr());
            block.add(offset)
        }
    }

    /// Takes a block out and answers the heap's block.
    ///
    /// # Safety
    /// `block` came from `admit` with the same `offset`.
    pub(crate) unsafe fn dismiss(&self, block: NonNull<u8>, offset: usize) -> NonNull<u8> {
        // SAFETY: [M2] the block and its neighbours are live.
        unsafe {
            let whole = block.sub(offset);
            let link = whole.cast::<Link>().as_ref();
            match link.prev.get().as_ref() {
                Some(prev) => prev.next.set(link.next.get()),
                None => self.first.set(link.next.get()),
            }
            if let Some(next) = link.next.get().as_ref() {
                next.prev.set(link.prev.get());
            }
            whole
        }
    }

    /// The heap's block around the caller's, and its layout.
    ///
    /// # Safety
    /// As for [`dismiss`](Self::dismiss).
    pub(crate) unsafe fn whole(&self, block: NonNull<u8>, offset: usize) -> (NonNull<u8>, Layout) {
        // SAFETY: [M2] the block is live.
        unsafe {
            let link = block.sub(offset).cast::<Link>();
            (link.cast(), link.as_ref().whole())
        }
    }

    /// Notes that a block of the heap has another size now.
    ///
    /// # Safety
    /// `whole` came from [`whole`](Self::whole), and has the size of `layout`.
    pub(crate) unsafe fn resized(&self, whole: NonNull<u8>, layout: Layout) {
        // SAFETY: [M2] the block is live, and is touched under the GIL only.
        unsafe { (*whole.cast::<Link>().as_ptr()).size = layout.size() }
    }

    /// Takes any block out: the heap's block, its layout and its domain.
    pub(crate) fn evict(&self) -> Option<(NonNull<u8>, Layout, Domain)> {
        let link = NonNull::new(self.first.get())?;
        // SAFETY: [M2] the link is live.
        let (next, whole, domain) =
            unsafe { (link.as_ref().next.get(), link.as_ref().whole(), link.as_ref().domain) };
        self.first.set(next);
        // SAFETY: [M2] so is its neighbour.
        if let Some(next) = unsafe { next.as_ref() } {
            next.prev.set(ptr::null_mut());
        }
        Some((link.cast(), whole, domain))
    }
}
