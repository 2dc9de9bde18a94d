//! The system's allocator as it is.
#![allow(unsafe_code)]

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::NonNull,
};
use std::alloc::System;

use archipelago_kernel::host::{Exhausted, RawAlloc};

/// The system's allocator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRaw;

// SAFETY: `System` is a `GlobalAlloc`: its blocks are live until deallocated, do not overlap, and do not
// depend on a value; it may be called from any thread.
unsafe impl RawAlloc for SystemRaw {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Exhausted> {
        if layout.size() == 0 {
            // The kernel does not ask for it, and `System` must not be.
            return Err(Exhausted);
        }
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { System.alloc(layout) }).ok_or(Exhausted)?;
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: `block` was returned by `System` for `layout` and is live.
        unsafe { System.dealloc(block.as_ptr(), layout) }
    }
}
