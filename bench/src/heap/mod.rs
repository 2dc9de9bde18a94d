//! Memory as programs use it: ours and its peers behind one trait, and the patterns that are measured.

#![allow(unsafe_code)]

mod pattern;
mod peer;
mod trace;

pub use pattern::{Batch, lifo};
pub use peer::{LinkedList, Mimalloc, Ours, Rlsf, Snmalloc, System, Talc};
pub use trace::Trace;

use core::alloc::Layout;

/// What serves blocks. Each implementation is behind calls that are not inlined, as an allocator's are.
pub trait Memory {
    /// A block for `layout`, whose size is above zero. Null if there is none.
    fn take(&mut self, layout: Layout) -> *mut u8;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from `take` of this value for `layout`, and is live.
    unsafe fn give(&mut self, block: *mut u8, layout: Layout);
}
