//! Memory as programs use it: ours and its peers behind one trait, and the patterns that are measured.

#![allow(unsafe_code)]

mod pattern;
mod peer;
mod trace;

pub use pattern::{Batch, lifo};
pub use peer::{Bare, Inlined, LinkedList, Mimalloc, Ours, Rlsf, Snmalloc, System, Talc, Uncounted};
pub use trace::Trace;

use core::alloc::Layout;

use crate::Trouble;

/// The alignment of every block: a word's. The callers of `malloc` and of CPython's allocator do not give one either.
const WORD: usize = 8;

/// Bytes of a block: above zero, and fewer than any allocator's most.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(u32);

impl Bytes {
    const MOST: u32 = 1 << 20;

    /// So many bytes.
    ///
    /// # Errors
    /// If there are none, or too many.
    pub fn new(bytes: u32) -> Result<Self, Trouble> {
        if (1..=Self::MOST).contains(&bytes) { Ok(Bytes(bytes)) } else { Err("no such block".into()) }
    }

    #[inline(always)]
    fn get(self) -> usize {
        self.0 as usize
    }

    #[inline(always)]
    fn layout(self) -> Layout {
        // SAFETY: a power of two, and few bytes ([`new`](Self::new) is the only constructor).
        unsafe { Layout::from_size_align_unchecked(self.get(), WORD) }
    }
}

/// What serves blocks. Each request is one call that is not inlined, as an allocator's are: of a library, or of the
/// implementation. [`Inlined`] alone has none.
pub trait Memory {
    /// A block of so many bytes. Null if there is none.
    fn take(&mut self, bytes: Bytes) -> *mut u8;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from `take` of this value for as many bytes, and is live.
    unsafe fn give(&mut self, block: *mut u8, bytes: Bytes);
}
