//! The arenas of a heap: where its pages come from, and when they go back.

#![allow(unsafe_code)]

use core::ptr;

use archipelago_kernel::{
    host::RawAlloc,
    memory::{AllocCause, RawDomain},
};

use crate::{arena::Arena, heap::SlabHeap};

/// The largest arena: many of the largest pages.
const LARGEST_ARENA: usize = 1 << 20;

impl<const PAGE: usize, const KEEP: usize, const CLASSES: usize> SlabHeap<PAGE, KEEP, CLASSES> {
    /// The bytes of the next arena, which is to serve this class: an eighth of what there is. Short ones beyond the first
    /// would save address space only: their alignment leaves gaps, whose ends the raw domain touches.
    pub(crate) fn next_arena(&self, class: usize) -> usize {
        match self.bytes {
            0 => Self::shortest_arena(class),
            bytes => (bytes / 8 / PAGE * PAGE).clamp(PAGE, LARGEST_ARENA),
        }
    }

    /// An arena of so many bytes at least with a page to take: one that is in use, or one that was kept.
    pub(crate) fn open_arena(&mut self, least: usize) -> Option<*mut Arena> {
        let mut arena = self.open;
        // SAFETY: [H1].
        while let Some(header) = unsafe { arena.as_ref() } {
            if header.bytes >= least {
                return Some(arena);
            }
            arena = header.next_open;
        }
        let kept = self.reserve.take(least)?;
        // SAFETY: [H1]; what was kept is in no list.
        unsafe { self.reopen(kept) };
        Some(kept)
    }

    /// Takes an arena from the raw domain.
    pub(crate) fn add_arena<R: RawAlloc>(
        &mut self,
        raw: RawDomain<'_, R>,
        bytes: usize,
    ) -> Result<(), AllocCause> {
        let base = raw.take(Arena::layout(bytes, PAGE).ok_or(AllocCause::TooLarge)?)?;
        // SAFETY: the block is fresh, with room for the headers; [H1] for the neighbour.
        unsafe {
            let arena = Arena::begin(base, bytes, PAGE);
            (*arena).next = self.arenas;
            if let Some(next) = self.arenas.as_mut() {
                next.prev = arena;
            }
            self.arenas = arena;
            self.bytes += bytes;
            self.reopen(arena);
        }
        Ok(())
    }

    /// Lists an arena that has a page to take.
    ///
    /// # Safety
    /// [H1]; it is not listed.
    pub(crate) unsafe fn reopen(&mut self, arena: *mut Arena) {
        // SAFETY: [H1].
        unsafe {
            (*arena).prev_open = ptr::null_mut();
            (*arena).next_open = self.open;
            if let Some(next) = self.open.as_mut() {
                next.prev_open = arena;
            }
            self.open = arena;
        }
    }

    /// Takes an arena out of the list of those that have a page to take.
    ///
    /// # Safety
    /// [H1]; it is listed.
    pub(crate) unsafe fn close(&mut self, arena: *mut Arena) {
        // SAFETY: [H1].
        unsafe {
            match (*arena).prev_open.as_mut() {
                Some(prev) => prev.next_open = (*arena).next_open,
                None => self.open = (*arena).next_open,
            }
            if let Some(next) = (*arena).next_open.as_mut() {
                next.prev_open = (*arena).prev_open;
            }
        }
    }

    /// Returns an arena to the raw domain.
    ///
    /// # Safety
    /// [H1]; no page of it is in use, and it is in no list but that of all.
    pub(crate) unsafe fn release<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>, arena: *mut Arena) {
        // SAFETY: [H1]; the neighbours live.
        unsafe {
            match (*arena).prev.as_mut() {
                Some(prev) => prev.next = (*arena).next,
                None => self.arenas = (*arena).next,
            }
            if let Some(next) = (*arena).next.as_mut() {
                next.prev = (*arena).prev;
            }
            self.bytes -= (*arena).bytes;
            Self::return_block(raw, arena);
        }
    }

    /// # Safety
    /// [H1]; nothing leads to the arena any more.
    pub(crate) unsafe fn return_block<R: RawAlloc>(raw: RawDomain<'_, R>, arena: *mut Arena) {
        // SAFETY: [H1]: taken with this layout.
        unsafe {
            let (base, bytes) = ((*arena).base, (*arena).bytes);
            if let Some(layout) = Arena::layout(bytes, PAGE) {
                raw.deallocate(base, layout);
            }
        }
    }
}
