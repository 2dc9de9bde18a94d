//! Empty arenas that are kept, because they were needed lately.

#![allow(unsafe_code)]

use core::ptr;

use crate::arena::Arena;

/// Arenas without a page in use, linked by `next_open`; at most `KEEP` bytes.
pub(crate) struct Reserve<const KEEP: usize> {
    first: *mut Arena,
    bytes: usize,
    /// The fewest bytes there were in this window: nobody needed these.
    least: usize,
    /// Bytes of pages that became empty in it.
    emptied: usize,
}

impl<const KEEP: usize> Reserve<KEEP> {
    /// So many bytes of pages become empty before it is looked which of the arenas were needed meanwhile.
    const WINDOW: usize = KEEP.saturating_mul(2);

    pub(crate) const fn new() -> Self {
        Reserve { first: ptr::null_mut(), bytes: 0, least: 0, emptied: 0 }
    }

    /// Takes one out that has so many bytes at least.
    pub(crate) fn take(&mut self, least: usize) -> Option<*mut Arena> {
        let mut link = &raw mut self.first;
        // SAFETY: [H1].
        let arena = unsafe {
            while (*link).as_ref()?.bytes < least {
                link = &raw mut (**link).next_open;
            }
            let arena = *link;
            *link = (*arena).next_open;
            (*arena).next_open = ptr::null_mut();
            self.bytes -= (*arena).bytes;
            arena
        };
        self.least = self.least.min(self.bytes);
        Some(arena)
    }

    /// Keeps an empty arena, if there is room.
    ///
    /// # Safety
    /// [H1]; no page of it is in use, and it is in no list but that of all.
    #[must_use]
    pub(crate) unsafe fn keep(&mut self, arena: *mut Arena) -> bool {
        // SAFETY: passed on.
        unsafe {
            if (*arena).bytes > KEEP.saturating_sub(self.bytes) {
                return false;
            }
            (*arena).next_open = self.first;
            self.bytes += (*arena).bytes;
        }
        self.first = arena;
        true
    }

    /// A page of so many bytes became empty.
    pub(crate) fn count(&mut self, page: usize) {
        self.emptied = self.emptied.saturating_add(page);
    }

    /// At the end of a window: the next of those that nobody needed in it.
    pub(crate) fn surplus(&mut self) -> Option<*mut Arena> {
        if self.emptied < Self::WINDOW {
            return None;
        }
        // SAFETY: [H1].
        let next =
            unsafe { self.first.as_ref() }.map(|arena| arena.bytes).filter(|bytes| *bytes <= self.least);
        let Some(bytes) = next else {
            (self.emptied, self.least) = (0, self.bytes);
            return None;
        };
        self.least -= bytes;
        let least = self.least;
        let surplus = self.take(0);
        self.least = least;
        surplus
    }
}
