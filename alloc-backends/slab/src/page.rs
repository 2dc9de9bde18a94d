//! A page: blocks of one class, and the list of those that are free.
//!
//! ```text
//! base (aligned to PAGE)   header                       first                      fresh            end
//! | unused, by colour      | Page (and Arena, if first) | blocks that were used    | never used     |
//! ```
//!
//! Headers of neighbouring pages lie at different offsets ("colours"): at the same offset of every page they would all
//! fall into the same few lines of a cache.

#![allow(unsafe_code)]

use core::ptr;

use crate::{arena::Arena, class::block_size};

/// A free block. Invariant [H2]: a page's list holds exactly its blocks that are neither live nor fresh.
pub(crate) struct Block {
    pub(crate) next: *mut Block,
}

/// So many frees a current page is left alone for.
pub(crate) const ALONE: u32 = u32::MAX;

/// What a page is to its heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// In its arena, without a class.
    Idle,
    /// The one its class takes from. `until` is [`ALONE`] less the frees since then: this page does not go back, and
    /// what is taken from it is not counted.
    Current,
    /// In its class's list, behind the current one, with blocks to take. `until` is the live blocks.
    Listed,
    /// Every block is live; in no list. `until` is 1.
    Full,
}

#[repr(C, align(16))]
pub(crate) struct Page {
    pub(crate) free: *mut Block,
    /// How many blocks may be freed before the heap has to look at the page.
    pub(crate) until: u32,
    pub(crate) class: u8,
    pub(crate) role: Role,
    pub(crate) capacity: u16,
    /// Offsets from the header: of the first block that was never used, and of the end.
    pub(crate) fresh: u32,
    pub(crate) end: u32,
    pub(crate) arena: *mut Arena,
    /// Neighbours in the class's list; `next` also in the arena's list of idle pages.
    pub(crate) prev: *mut Page,
    pub(crate) next: *mut Page,
}

/// The bytes that are linked at a time when a page's fresh part is taken into use.
const CARVE: usize = 4096;

/// Bytes between the headers of pages of different colours: a line of a cache.
const LINE: usize = 64;

/// How many colours pages of this size have.
const fn colours(page: usize) -> usize {
    if page >= 8192 { 8 } else { 1 }
}

/// The most bytes of a page that serve no block: its colour and its header.
pub(crate) const fn page_overhead(page: usize) -> usize {
    (colours(page) - 1) * LINE + size_of::<Page>()
}

/// Where the header of the page around `address` lies.
#[inline]
pub(crate) const fn header_address(page: usize, address: usize) -> usize {
    let base = address & !(page - 1);
    base + ((base / page) & (colours(page) - 1)) * LINE
}

impl Page {
    /// For a class that has no page yet: it has no block either.
    pub(crate) const fn none() -> Self {
        Page {
            free: ptr::null_mut(),
            until: 0,
            class: 0,
            role: Role::Current,
            capacity: 0,
            fresh: 0,
            end: 0,
            arena: ptr::null_mut(),
            prev: ptr::null_mut(),
            next: ptr::null_mut(),
        }
    }

    /// The offset of the first block: behind the header, and the arena's where the page is its first.
    ///
    /// # Safety
    /// `page` is the header of a page.
    pub(crate) unsafe fn first(page: *mut Page) -> usize {
        // SAFETY: the header is the page's; nothing is read behind it.
        unsafe {
            let leads = (*page).arena == page.wrapping_add(1).cast();
            size_of::<Page>() + if leads { size_of::<Arena>() } else { 0 }
        }
    }

    /// Makes the page one of `class`, with nothing used yet.
    ///
    /// # Safety
    /// `page` is the header of a page that is taken out of its arena; its `arena` and `end` stand.
    pub(crate) unsafe fn begin(page: *mut Page, class: usize) {
        // SAFETY: the header is the caller's.
        unsafe {
            let first = Self::first(page) as u32;
            let capacity = ((*page).end - first) / block_size(class) as u32;
            (*page).free = ptr::null_mut();
            (*page).until = 0;
            (*page).class = class as u8;
            (*page).capacity = capacity as u16;
            (*page).fresh = first;
        }
    }

    /// Links some of the fresh blocks. Answers false if none is left.
    ///
    /// # Safety
    /// `page` is a page in use, its list is empty.
    pub(crate) unsafe fn carve(page: *mut Page) -> bool {
        // SAFETY: the fresh blocks lie inside the page, behind the used ones, and belong to nobody.
        unsafe {
            let size = block_size((*page).class.into());
            let left = ((*page).end - (*page).fresh) as usize / size;
            let count = left.min((CARVE / size).max(1));
            let mut block = page.byte_add((*page).fresh as usize).cast::<Block>();
            (*page).free = if count > 0 { block } else { ptr::null_mut() };
            for n in 1..=count {
                let next = if n < count { block.byte_add(size) } else { ptr::null_mut() };
                block.write(Block { next });
                block = next;
            }
            (*page).fresh += (count * size) as u32;
            count > 0
        }
    }

    /// Blocks that were used: those that are live, and those in the free list.
    ///
    /// # Safety
    /// `page` is a page in use.
    pub(crate) unsafe fn used(page: *mut Page) -> usize {
        // SAFETY: the header is the page's.
        unsafe { ((*page).fresh as usize - Self::first(page)) / block_size((*page).class.into()) }
    }

    /// Live blocks. On a current page they are not counted, but found.
    ///
    /// # Safety
    /// `page` is a page in use, and its free list is whole ([H2]).
    pub(crate) unsafe fn live(page: *mut Page) -> usize {
        // SAFETY: passed on.
        unsafe {
            match (*page).role {
                Role::Idle => 0,
                Role::Current => {
                    let (mut at, mut free) = ((*page).free, 0);
                    while let Some(block) = at.as_ref() {
                        (at, free) = (block.next, free + 1);
                    }
                    Self::used(page) - free
                }
                Role::Listed => (*page).until as usize,
                Role::Full => (*page).capacity.into(),
            }
        }
    }
}
