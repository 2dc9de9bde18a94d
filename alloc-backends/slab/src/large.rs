//! Requests that no class serves: blocks of the raw domain, linked.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use archipelago_kernel::{
    host::RawAlloc,
    memory::{AllocCause, RawDomain},
};

/// In front of every large block.
struct Header {
    prev: *mut Header,
    next: *mut Header,
    /// The whole block, this header included.
    whole: Layout,
}

/// Invariant [H4]: the list holds exactly the large blocks that are live, each with the layout it was taken with.
pub(crate) struct LargeBlocks {
    first: *mut Header,
}

/// The layout of the whole block, and where the caller's part lies in it.
fn plan(layout: Layout) -> Result<(Layout, usize), AllocCause> {
    Layout::new::<Header>().extend(layout).map_err(|_| AllocCause::TooLarge)
}

impl LargeBlocks {
    pub(crate) const fn new() -> Self {
        LargeBlocks { first: ptr::null_mut() }
    }

    pub(crate) fn allocate<R: RawAlloc>(
        &mut self,
        raw: RawDomain<'_, R>,
        layout: Layout,
    ) -> Result<NonNull<u8>, AllocCause> {
        let (whole, offset) = plan(layout)?;
        let block = raw.take(whole)?;
        let header = block.cast::<Header>().as_ptr();
        // SAFETY: the block is fresh, and larger than a header and aligned for one; [H4] for the neighbour.
        unsafe {
            header.write(Header { prev: ptr::null_mut(), next: self.first, whole });
            if let Some(next) = self.first.as_mut() {
                next.prev = header;
            }
            self.first = header;
            Ok(block.add(offset))
        }
    }

    /// # Safety
    /// `block` came from `allocate` for `layout` and is live; `raw` is the domain of that call.
    pub(crate) unsafe fn deallocate<R: RawAlloc>(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        layout: Layout,
    ) {
        let Ok((whole, offset)) = plan(layout) else { return };
        // SAFETY: [H4] the header lies in front of the block, and its neighbours are live.
        unsafe {
            let start = block.sub(offset);
            let header = start.cast::<Header>().as_ptr();
            match (*header).prev.as_mut() {
                Some(prev) => prev.next = (*header).next,
                None => self.first = (*header).next,
            }
            if let Some(next) = (*header).next.as_mut() {
                next.prev = (*header).prev;
            }
            raw.deallocate(start, whole);
        }
    }

    /// In place, where the raw domain can.
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate); `new` has the alignment of `old`.
    pub(crate) unsafe fn resize<R: RawAlloc>(
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        let ((from, offset), (to, _)) = (plan(old)?, plan(new)?);
        // SAFETY: [H4]; one alignment, so one offset.
        unsafe {
            let start = block.sub(offset);
            raw.resize(start, from, to)?;
            (*start.cast::<Header>().as_ptr()).whole = to;
        }
        Ok(())
    }

    /// Gives every block back.
    ///
    /// # Safety
    /// No large block is used any more; `raw` is the domain they came from.
    pub(crate) unsafe fn sweep<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>) {
        // SAFETY: [H4].
        unsafe {
            while let Some(start) = NonNull::new(self.first) {
                let Header { next, whole, .. } = start.read();
                self.first = next;
                raw.deallocate(start.cast(), whole);
            }
        }
    }

    /// How many there are; `None` if the links do not fit together.
    pub(crate) fn count(&self) -> Option<usize> {
        let (mut at, mut before, mut count) = (self.first, ptr::null_mut(), 0);
        // SAFETY: [H4].
        while let Some(header) = unsafe { at.as_ref() } {
            if header.prev != before {
                return None;
            }
            (before, at, count) = (at, header.next, count + 1);
        }
        Some(count)
    }
}
