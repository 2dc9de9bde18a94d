//! The list of live blocks.
#![allow(unsafe_code)]

use core::alloc::Layout;

use crate::block::{Block, Header};

/// Every live block of a heap, newest first. The newest has no `prev`: nothing points to this value.
pub(crate) struct Live {
    newest: Option<Block>,
}

impl Live {
    pub(crate) const fn new() -> Self {
        Live { newest: None }
    }

    /// Writes the header of `block` and puts it first.
    ///
    /// # Safety
    /// `block` is valid for writes of a header, is in no list, and stays valid until it is taken out.
    pub(crate) unsafe fn put(&mut self, block: Block, layout: Layout) {
        // SAFETY: valid for writes (contract of `put`).
        unsafe { block.write(Header { prev: None, next: self.newest, layout }) };
        if let Some(older) = self.newest {
            // SAFETY: blocks in the list are valid.
            unsafe { (*older.as_ptr()).prev = Some(block) };
        }
        self.newest = Some(block);
    }

    /// Takes `block` out of the list.
    ///
    /// # Safety
    /// `block` is in this list.
    pub(crate) unsafe fn remove(&mut self, block: Block) {
        // SAFETY: blocks in the list are valid and so are their neighbours, which are in it too.
        unsafe {
            let (prev, next) = ((*block.as_ptr()).prev, (*block.as_ptr()).next);
            match prev {
                Some(newer) => (*newer.as_ptr()).next = next,
                None => self.newest = next,
            }
            if let Some(older) = next {
                (*older.as_ptr()).prev = prev;
            }
        }
    }

    /// Takes the newest block out of the list: the block and its layout.
    pub(crate) fn pop(&mut self) -> Option<(Block, Layout)> {
        let block = self.newest?;
        // SAFETY: blocks in the list are valid.
        let layout = unsafe { (*block.as_ptr()).layout };
        // SAFETY: it is in this list.
        unsafe { self.remove(block) };
        Some((block, layout))
    }
}
