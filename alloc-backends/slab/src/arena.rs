//! An arena: pages in one block of the raw domain, its header behind that of the first page.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use crate::page::{Page, Role, header_address};

/// Invariant [H1]: an arena that a list leads to lies in a block that was taken from the raw domain with
/// [`layout`](Arena::layout) and not given back; so do its pages.
#[repr(C, align(16))]
pub(crate) struct Arena {
    /// All arenas of the heap.
    pub(crate) prev: *mut Arena,
    pub(crate) next: *mut Arena,
    /// Those with pages to take, or those that are empty.
    pub(crate) prev_open: *mut Arena,
    pub(crate) next_open: *mut Arena,
    pub(crate) base: NonNull<u8>,
    pub(crate) bytes: usize,
    /// Idle pages that were used before.
    idle: *mut Page,
    /// Pages there are, were ever taken, and are taken now.
    pub(crate) pages: u32,
    pub(crate) begun: u32,
    pub(crate) used: u32,
}

impl Arena {
    /// Makes a block of the raw domain an arena of pages of `page` bytes.
    ///
    /// # Safety
    /// `base` is a block of the caller's, aligned to `page`, of `bytes` bytes: several pages, or part of one that has
    /// room for both headers.
    pub(crate) unsafe fn begin(base: NonNull<u8>, bytes: usize, page: usize) -> *mut Arena {
        // SAFETY: the block has room for the headers of a page and of the arena, which are aligned alike.
        unsafe {
            let first = base.as_ptr().with_addr(header_address(page, base.addr().get())).cast::<Page>();
            let arena = first.add(1).cast::<Arena>();
            arena.write(Arena {
                prev: ptr::null_mut(),
                next: ptr::null_mut(),
                prev_open: ptr::null_mut(),
                next_open: ptr::null_mut(),
                base,
                bytes,
                idle: ptr::null_mut(),
                pages: (bytes / page).max(1) as u32,
                begun: 0,
                used: 0,
            });
            arena
        }
    }

    /// The layout of an arena of `bytes` bytes.
    pub(crate) fn layout(bytes: usize, page: usize) -> Option<Layout> {
        Layout::from_size_align(bytes, page).ok()
    }

    /// Whether there is a page to take.
    pub(crate) fn is_open(&self) -> bool {
        self.used < self.pages
    }

    /// The header of page `n`.
    ///
    /// # Safety
    /// `n` is below `pages`; `arena` is an arena of pages of `page` bytes.
    pub(crate) unsafe fn page(arena: *mut Arena, n: u32, page: usize) -> *mut Page {
        // SAFETY: the page lies in the arena's block.
        unsafe {
            let start = (*arena).base.as_ptr().add(n as usize * page);
            start.with_addr(header_address(page, start.addr())).cast()
        }
    }

    /// Takes a page out.
    ///
    /// # Safety
    /// [H1], and [`is_open`](Self::is_open).
    pub(crate) unsafe fn take(arena: *mut Arena, page: usize) -> *mut Page {
        // SAFETY: [H1]; an open arena has an idle page or one that was never taken.
        unsafe {
            (*arena).used += 1;
            let idle = (*arena).idle;
            if !idle.is_null() {
                (*arena).idle = (*idle).next;
                return idle;
            }
            let n = (*arena).begun;
            (*arena).begun += 1;
            let taken = Self::page(arena, n, page);
            let end = (*arena).base.addr().get() + (*arena).bytes.min((n as usize + 1) * page);
            taken.write(Page { arena, end: (end - taken.addr()) as u32, role: Role::Idle, ..Page::none() });
            taken
        }
    }

    /// Puts a page back.
    ///
    /// # Safety
    /// [H1]; `page` was taken from `arena`, and no block of it is live.
    pub(crate) unsafe fn put(arena: *mut Arena, page: *mut Page) {
        // SAFETY: [H1].
        unsafe {
            (*page).role = Role::Idle;
            (*page).next = (*arena).idle;
            (*arena).idle = page;
            (*arena).used -= 1;
        }
    }
}
