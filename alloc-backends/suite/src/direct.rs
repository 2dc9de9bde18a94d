//! The simplest heap: every block from the raw domain.
#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc},
    memory::{AllocCause, RawDomain},
};

/// A heap that keeps nothing: whichever request to the raw domain a test makes fail, one of the interpreter's fails.
#[derive(Default)]
pub struct DirectHeap {
    live: Vec<(NonNull<u8>, Layout)>,
}

// SAFETY: the blocks belong to this value alone.
unsafe impl Send for DirectHeap {}

impl DirectHeap {
    fn place(&self, block: NonNull<u8>, layout: Layout) -> usize {
        let place =
            self.live.iter().rposition(|(start, _)| *start == block).expect("a live block of this heap");
        assert_eq!(self.live[place].1, layout, "a block goes back with its layout");
        place
    }
}

// SAFETY: blocks are the raw domain's, one by one. Dropping returns nothing.
unsafe impl<R: RawAlloc> Heap<R> for DirectHeap {
    fn new() -> Self {
        Self::default()
    }

    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        let block = raw.take(layout)?;
        self.live.push((block, layout));
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout) {
        self.live.swap_remove(self.place(block, layout));
        // SAFETY: it was live, and came for this layout.
        unsafe { raw.deallocate(block, layout) }
    }

    unsafe fn resize(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        let place = self.place(block, old);
        // SAFETY: passed on.
        unsafe { raw.resize(block, old, new)? };
        self.live[place].1 = new;
        Ok(())
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>) {
        for (block, layout) in self.live.drain(..) {
            // SAFETY: it was live, and came for this layout.
            unsafe { raw.deallocate(block, layout) };
        }
    }

    fn inspect(&self) -> HeapState {
        HeapState::Sound { blocks: self.live.len() }
    }
}
