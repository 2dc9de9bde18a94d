//! The heap: which page serves, and what happens where none does.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc},
    memory::{AllocCause, RawDomain},
};

use crate::{
    arena::Arena,
    class::{MOST_CLASSES, block_size, class_of, has_class, served},
    inspect,
    large::LargeBlocks,
    page::{Block, Page, header_address, page_overhead},
    reserve::Reserve,
    table::Table,
};

/// The first arena: less than a page, where pages are large.
const FIRST_ARENA: usize = 4096;

/// A heap of size classes: see the crate's documentation.
pub struct SlabHeap<const PAGE: usize, const KEEP: usize, const CLASSES: usize = 41> {
    pub(crate) table: Table<CLASSES>,
    /// All arenas, and those with a page to take.
    pub(crate) arenas: *mut Arena,
    pub(crate) open: *mut Arena,
    /// Bytes of all arenas.
    pub(crate) bytes: usize,
    pub(crate) reserve: Reserve<KEEP>,
    pub(crate) large: LargeBlocks,
}

// SAFETY: what the pointers lead to belongs to this value alone, and no thread is named in it.
unsafe impl<const PAGE: usize, const KEEP: usize, const CLASSES: usize> Send
    for SlabHeap<PAGE, KEEP, CLASSES>
{
}

impl<const PAGE: usize, const KEEP: usize, const CLASSES: usize> SlabHeap<PAGE, KEEP, CLASSES> {
    /// A page has room for the headers and a block of every class.
    const PARAMETERS_ARE_POSSIBLE: () = assert!(
        PAGE.is_power_of_two()
            && PAGE <= 65536
            && CLASSES <= MOST_CLASSES
            && Self::shortest_arena(CLASSES - 1) <= PAGE,
        "SlabHeap: PAGE is a power of two up to 65536, and has room for its headers and a block of each of CLASSES, 49 at most"
    );

    /// Bytes of the shortest arena that serves a class.
    pub(crate) const fn shortest_arena(class: usize) -> usize {
        let first = if PAGE < FIRST_ARENA { PAGE } else { FIRST_ARENA };
        let needed = page_overhead(PAGE) + size_of::<Arena>() + block_size(class);
        if needed > first { needed } else { first }
    }

    /// A heap that owns nothing yet.
    pub fn new() -> Self {
        const { Self::PARAMETERS_ARE_POSSIBLE };
        SlabHeap {
            table: Table::new(),
            arenas: ptr::null_mut(),
            open: ptr::null_mut(),
            bytes: 0,
            reserve: Reserve::new(),
            large: LargeBlocks::new(),
        }
    }

    /// Bytes of the raw domain that serve small requests, in use or kept.
    pub fn arena_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a block out of a page that has one.
    ///
    /// # Safety
    /// `page` is a page in use, `block` the first of its list.
    #[inline]
    pub(crate) unsafe fn pop(page: *mut Page, block: *mut Block) -> NonNull<u8> {
        // SAFETY: [H2] the block is free, so its link is written.
        unsafe {
            (*page).free = (*block).next;
            NonNull::new_unchecked(block.cast())
        }
    }

    /// The page that a block of a class lies in.
    #[inline]
    fn page_of(block: *mut Block) -> *mut Page {
        block.map_addr(|address| header_address(PAGE, address)).cast()
    }

    /// Puts a block back into its page.
    ///
    /// # Safety
    /// `page` is the block's, and nobody uses the block.
    #[inline]
    unsafe fn push(page: *mut Page, block: *mut Block) {
        // SAFETY: [H2] the block is this list's from here on.
        unsafe {
            (*block).next = (*page).free;
            (*page).free = block;
        }
    }

    #[cold]
    #[inline(never)]
    fn allocate_large<R: RawAlloc>(
        &mut self,
        raw: RawDomain<'_, R>,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocCause> {
        let block = match self.large.allocate(raw, layout) {
            Err(AllocCause::Exhausted) => {
                self.give_back(raw);
                self.large.allocate(raw, layout)?
            }
            answer => answer?,
        };
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }
}

impl<const PAGE: usize, const KEEP: usize, const CLASSES: usize> Default for SlabHeap<PAGE, KEEP, CLASSES> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a block lies in a page of its class or in a block of the raw domain of its own, and is in no list while it is
// live ([H2], [H4]), so blocks do not overlap; none lies in this value, so they stay when it moves. Dropping returns
// nothing.
unsafe impl<R: RawAlloc, const PAGE: usize, const KEEP: usize, const CLASSES: usize> Heap<R>
    for SlabHeap<PAGE, KEEP, CLASSES>
{
    fn new() -> Self {
        Self::new()
    }

    #[inline]
    fn allocate_at_hand(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let page = self.table.page(class_of(layout, CLASSES)?);
        // SAFETY: [H3]; `NO_PAGE` has no block.
        unsafe {
            let block = (*page).free;
            (!block.is_null()).then(|| Self::pop(page, block))
        }
    }

    fn allocate(&mut self, raw: RawDomain<'_, R>, layout: Layout) -> Result<NonNull<[u8]>, AllocCause> {
        let Some(class) = class_of(layout, CLASSES) else { return self.allocate_large(raw, layout) };
        Ok(NonNull::slice_from_raw_parts(self.allocate_slowly(raw, class)?, served(class)))
    }

    #[inline]
    unsafe fn deallocate_at_hand(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        if !has_class(layout, CLASSES) {
            return false;
        }
        // SAFETY: the block is live (contract), so its page is in use, and its header lies where its address says.
        unsafe {
            let block = block.as_ptr().cast::<Block>();
            let page = Self::page_of(block);
            let until = (*page).until - 1;
            if until == 0 {
                return false;
            }
            (*page).until = until;
            Self::push(page, block);
        }
        true
    }

    unsafe fn deallocate(&mut self, raw: RawDomain<'_, R>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on; a block of a class that is not at hand is the last that its page was left alone for.
        unsafe {
            if <Self as Heap<R>>::deallocate_at_hand(self, block, layout) {
                return;
            }
            if !has_class(layout, CLASSES) {
                return self.large.deallocate(raw, block, layout);
            }
            let block = block.as_ptr().cast::<Block>();
            let page = Self::page_of(block);
            Self::push(page, block);
            self.look_at(raw, page);
        }
    }

    unsafe fn resize(
        &mut self,
        raw: RawDomain<'_, R>,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<(), AllocCause> {
        match (class_of(old, CLASSES), class_of(new, CLASSES)) {
            (None, None) => {
                // SAFETY: passed on: no class served it, so it is a large block.
                unsafe { LargeBlocks::resize(raw, block, old, new) }
            }
            (from, to) if from == to => Ok(()),
            _ => Err(AllocCause::Exhausted),
        }
    }

    unsafe fn trim(&mut self, raw: RawDomain<'_, R>) {
        self.give_back(raw);
    }

    unsafe fn sweep(&mut self, raw: RawDomain<'_, R>) {
        let mut arena = self.arenas;
        // SAFETY: [H1]; nobody uses a block any more (contract), and the lists are forgotten below.
        unsafe {
            while let Some(header) = arena.as_ref() {
                let next = header.next;
                Self::return_block(raw, arena);
                arena = next;
            }
            self.large.sweep(raw);
            self.table.end(raw);
        }
        *self = Self::new();
    }

    fn inspect(&self) -> HeapState {
        match inspect::blocks(self) {
            Ok(blocks) => HeapState::Sound { blocks },
            Err(broken) => HeapState::Broken(broken),
        }
    }
}
