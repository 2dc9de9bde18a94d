//! `Quarantine`: freed blocks wait before they are used again, so that a late use does not hit a new owner.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr::NonNull};

use archipelago_kernel::{
    host::HeapState,
    memory::{AllocCause, Asker},
};

use crate::{
    Below, Hook,
    graves::{Grave, Graves, give_back, insist},
};

/// Keeps up to `KEEP` bytes of freed blocks; when memory is short, none.
///
/// Each block has a header in front, which a late write to the block itself does not reach.
pub struct Quarantining<const KEEP: usize> {
    graves: Graves,
}

// SAFETY: [W2] what the list leads to belongs to this value.
unsafe impl<const KEEP: usize> Send for Quarantining<KEEP> {}

impl<const KEEP: usize> Quarantining<KEEP> {
    /// Nothing waits.
    pub const fn new() -> Self {
        Quarantining { graves: Graves::new() }
    }

    /// Bytes that wait, headers included.
    pub fn bytes(&self) -> usize {
        self.graves.bytes()
    }

    /// Blocks that wait.
    pub fn blocks(&self) -> usize {
        self.graves.count()
    }
}

impl<const KEEP: usize> Default for Quarantining<KEEP> {
    fn default() -> Self {
        Self::new()
    }
}

/// The layout of the whole block, and where the caller's part lies in it.
fn plan(layout: Layout) -> Result<(Layout, usize), AllocCause> {
    Layout::new::<Grave>().extend(layout).map_err(|_| AllocCause::TooLarge)
}

// SAFETY: a block is the part behind the header of one from below; it goes back when it left the list of graves.
unsafe impl<const KEEP: usize> Hook for Quarantining<KEEP> {
    fn allocate(
        &mut self,
        below: &mut impl Below,
        layout: Layout,
        asker: Option<Asker>,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        let (whole, offset) = plan(layout)?;
        let block = insist(below, whole, asker, |below| {
            let any = self.graves.count() > 0;
            // SAFETY: every call gets this one.
            unsafe { self.trim(below) };
            any
        })?;
        // SAFETY: the block is fresh, and larger than the header.
        let start = unsafe { block.add(offset) };
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    fn vouches_for(
        &mut self,
        below: impl FnOnce(usize, Layout, Asker) -> bool,
        address: usize,
        layout: Layout,
        asker: Asker,
    ) -> bool {
        plan(layout).is_ok_and(|(whole, offset)| below(address.wrapping_sub(offset), whole, asker))
    }

    unsafe fn deallocate(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        layout: Layout,
        asker: Option<Asker>,
    ) {
        let Ok((whole, offset)) = plan(layout) else { return };
        // SAFETY: the header lies in front of the block, which is used no more (contract).
        unsafe {
            let grave = block.sub(offset).cast::<Grave>();
            grave.write(Grave::new(whole, asker));
            self.graves.push(grave);
            while let Some(oldest) = self.graves.beyond(KEEP) {
                give_back(below, oldest, oldest.cast());
            }
        }
    }

    unsafe fn resize(
        &mut self,
        below: &mut impl Below,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        let ((from, offset), (to, _)) = (plan(old)?, plan(new)?);
        // SAFETY: passed on; one alignment, so one offset.
        unsafe { below.resize(block.sub(offset), from, to) }
    }

    unsafe fn trim(&mut self, below: &mut impl Below) {
        while let Some(grave) = self.graves.pop() {
            // SAFETY: [W2].
            unsafe { give_back(below, grave, grave.cast()) };
        }
    }

    unsafe fn sweep(&mut self) {
        self.graves = Graves::new();
    }

    fn inspect(&self, below: HeapState) -> HeapState {
        match below {
            HeapState::Sound { blocks } => {
                HeapState::Sound { blocks: blocks.saturating_sub(self.graves.count()) }
            }
            other => other,
        }
    }
}
