//! The heap: which page serves, and what happens where none does.

#![allow(unsafe_code)]

use core::{alloc::Layout, ptr, ptr::NonNull};

use archipelago_kernel::{
    host::{Heap, HeapState, RawAlloc},
    memory::{AllocCause, RawDomain},
};

use crate::{
    arena::Arena,
    class::{MOST_CLASSES, block_size, class_of, even_class, has_class, served},
    inspect,
    large::LargeBlocks,
    page::{ALONE, Block, Page, Role, header_address, page_overhead},
    reserve::Reserve,
    table::{Table, no_page},
};

/// The largest arena.
const LARGEST_ARENA: usize = 1 << 20;

/// The first arena: less than a page, where pages are large.
const fn shortest_arena(page: usize) -> usize {
    if page < 4096 { page } else { 4096 }
}

/// A heap of size classes: see the crate's documentation.
///
pub struct SlabHeap<const PAGE: usize, const KEEP: usize, const CLASSES: usize = 41> {
    pub(crate) table: Table<CLASSES>,
    /// All arenas, and those with a page to take.
    pub(crate) arenas: *mut Arena,
    pub(crate) open: *mut Arena,
    /// Bytes of all arenas.
    pub(crate) bytes: usize,
    reserve: Reserve<KEEP>,
    pub(crate) large: LargeBlocks,
}

// SAFETY: what the pointers lead to belongs to this value alone, and no thread is named in it.
unsafe impl<const PAGE: usize, const KEEP: usize, const CLASSES: usize> Send
    for SlabHeap<PAGE, KEEP, CLASSES>
{
}

impl<const PAGE: usize, const KEEP: usize, const CLASSES: usize> SlabHeap<PAGE, KEEP, CLASSES> {
    /// The shortest page has room for the headers and a block of every class.
    const PARAMETERS_ARE_POSSIBLE: () = assert!(
        PAGE.is_power_of_two()
            && PAGE <= 65536
            && CLASSES <= MOST_CLASSES
            && page_overhead(PAGE) + size_of::<Arena>() + block_size(CLASSES - 1) <= shortest_arena(PAGE)
    );

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
    unsafe fn pop(page: *mut Page, block: *mut Block) -> NonNull<u8> {
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
    fn allocate_slowly<R: RawAlloc>(
        &mut self,
        raw: RawDomain<'_, R>,
        class: usize,
    ) -> Result<NonNull<u8>, AllocCause> {
        loop {
            let page = self.table.page(class);
            // SAFETY: [H3]; `NO_PAGE` has no list, and nothing to carve: its capacity is zero.
            unsafe {
                if page != no_page() && (!(*page).free.is_null() || Page::carve(page)) {
                    return Ok(Self::pop(page, (*page).free));
                }
                if page != no_page() {
                    (*page).role = Role::Full;
                    (*page).until = 1;
                    self.next_becomes_current(page, class);
                } else {
                    let fresh = self.take_page(raw, class)?;
                    self.make_current(fresh, class);
                }
            }
        }
    }

    /// The page behind `page`, which leaves the list, serves from now on.
    ///
    /// # Safety
    /// [H3]; `page` is the current one of `class`.
    unsafe fn next_becomes_current(&mut self, page: *mut Page, class: usize) {
        // SAFETY: [H3].
        unsafe {
            let next = (*page).next;
            (*page).next = ptr::null_mut();
            if next.is_null() {
                self.table.set_page(class, no_page());
            } else {
                (*next).prev = ptr::null_mut();
                (*next).role = Role::Current;
                (*next).until = ALONE;
                self.table.set_page(class, next);
            }
        }
    }

    /// Makes a page the one that its class takes from.
    ///
    /// # Safety
    /// `page` has begun and is in no list; the class has no page.
    unsafe fn make_current(&mut self, page: *mut Page, class: usize) {
        debug_assert_eq!(self.table.page(class), no_page());
        // SAFETY: passed on; the table is there, for it is begun before a page is taken.
        unsafe {
            (*page).prev = ptr::null_mut();
            (*page).next = ptr::null_mut();
            (*page).role = Role::Current;
            (*page).until = ALONE;
            self.table.set_page(class, page);
        }
    }

    /// The frees that `page` was to be left alone for are used up.
    unsafe fn look_at<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>, page: *mut Page) {
        // SAFETY: the page is in use; [H3].
        unsafe {
            let class = usize::from((*page).class);
            match (*page).role {
                Role::Full => {
                    (*page).until = u32::from((*page).capacity) - 1;
                    let current = self.table.page(class);
                    if (*page).until == 0 {
                        self.put_page(raw, page);
                    } else if current == no_page() {
                        self.make_current(page, class);
                    } else {
                        (*page).role = Role::Listed;
                        (*page).prev = current;
                        (*page).next = (*current).next;
                        if let Some(next) = (*page).next.as_mut() {
                            next.prev = page;
                        }
                        (*current).next = page;
                    }
                }
                Role::Listed => {
                    (*(*page).prev).next = (*page).next;
                    if let Some(next) = (*page).next.as_mut() {
                        next.prev = (*page).prev;
                    }
                    self.put_page(raw, page);
                }
                Role::Current => (*page).until = ALONE,
                // No block of it is live that could be freed.
                Role::Idle => {}
            }
        }
    }

    /// A page that has begun.
    fn take_page<R: RawAlloc>(
        &mut self,
        raw: RawDomain<'_, R>,
        class: usize,
    ) -> Result<*mut Page, AllocCause> {
        let (mut may_give_back, mut bytes) = (true, self.next_arena());
        loop {
            // Each time: it goes back with the last arena.
            self.table.begin(raw)?;
            if let Some(arena) = self.open_arena() {
                // SAFETY: [H1]; the arena is open.
                unsafe {
                    let page = Arena::take(arena, PAGE);
                    if !(*arena).is_open() {
                        self.close(arena);
                    }
                    Page::begin(page, class);
                    return Ok(page);
                }
            }
            match self.add_arena(raw, bytes) {
                Ok(()) => {}
                Err(AllocCause::Exhausted) if may_give_back => {
                    may_give_back = false;
                    self.give_back(raw);
                }
                Err(AllocCause::Exhausted) if bytes > PAGE => bytes = (bytes / 2).next_multiple_of(PAGE),
                Err(AllocCause::Exhausted) if bytes > shortest_arena(PAGE) => bytes = shortest_arena(PAGE),
                Err(cause) => return Err(cause),
            }
        }
    }

    /// The bytes of the next arena: an eighth of what there is.
    fn next_arena(&self) -> usize {
        match self.bytes {
            0 => shortest_arena(PAGE),
            bytes => (bytes / 8 / PAGE * PAGE).clamp(PAGE, LARGEST_ARENA.max(PAGE)),
        }
    }

    /// An arena with a page to take: one that is in use, or one that was kept.
    fn open_arena(&mut self) -> Option<*mut Arena> {
        if self.open.is_null() {
            let kept = self.reserve.take()?;
            // SAFETY: [H1]; what was kept is in no list.
            unsafe { self.reopen(kept) };
        }
        Some(self.open)
    }

    /// Takes an arena from the raw domain.
    fn add_arena<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>, bytes: usize) -> Result<(), AllocCause> {
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
    unsafe fn reopen(&mut self, arena: *mut Arena) {
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
    unsafe fn close(&mut self, arena: *mut Arena) {
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

    /// Puts a page without a live block back into its arena, and that away if it is empty now.
    ///
    /// # Safety
    /// The page is in use, and in no list.
    unsafe fn put_page<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>, page: *mut Page) {
        // SAFETY: [H1].
        unsafe {
            let arena = (*page).arena;
            let was_open = (*arena).is_open();
            Arena::put(arena, page);
            if (*arena).used == 0 {
                if was_open {
                    self.close(arena);
                }
                if !self.reserve.keep(arena) {
                    self.release(raw, arena);
                }
            } else if !was_open {
                self.reopen(arena);
            }
            self.reserve.count();
            while let Some(surplus) = self.reserve.surplus() {
                self.release(raw, surplus);
            }
        }
    }

    /// Returns an arena to the raw domain.
    ///
    /// # Safety
    /// [H1]; no page of it is in use, and it is in no list but that of all.
    unsafe fn release<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>, arena: *mut Arena) {
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
    unsafe fn return_block<R: RawAlloc>(raw: RawDomain<'_, R>, arena: *mut Arena) {
        // SAFETY: [H1]: taken with this layout.
        unsafe {
            let (base, bytes) = ((*arena).base, (*arena).bytes);
            if let Some(layout) = Arena::layout(bytes, PAGE) {
                raw.deallocate(base, layout);
            }
        }
    }

    /// Returns whatever holds no live block: the pages that classes keep, and the arenas that were kept.
    fn give_back<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>) {
        for class in 0..CLASSES {
            let page = self.table.page(class);
            // SAFETY: [H3]; [H1] for what was kept.
            unsafe {
                if page != no_page() && Page::live(page) == 0 {
                    self.next_becomes_current(page, class);
                    self.put_page(raw, page);
                }
            }
        }
        while let Some(arena) = self.reserve.take() {
            // SAFETY: [H1]; no page of it is in use.
            unsafe { self.release(raw, arena) };
        }
        if self.arenas.is_null() {
            // SAFETY: without an arena no class has a page or a block.
            unsafe { self.table.end(raw) };
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
        let page = self.table.page(even_class(layout, CLASSES)?);
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
