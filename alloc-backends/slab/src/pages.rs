//! The pages of a heap: which one serves a class, and where it goes when it is full or empty.

#![allow(unsafe_code)]

use core::{ptr, ptr::NonNull};

use archipelago_kernel::{
    host::RawAlloc,
    memory::{AllocCause, RawDomain},
};

use crate::{
    arena::Arena,
    heap::SlabHeap,
    page::{ALONE, Page, Role},
    table::no_page,
};

impl<const PAGE: usize, const KEEP: usize, const CLASSES: usize> SlabHeap<PAGE, KEEP, CLASSES> {
    #[cold]
    #[inline(never)]
    pub(crate) fn allocate_slowly<R: RawAlloc>(
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
    pub(crate) unsafe fn look_at<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>, page: *mut Page) {
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
        let shortest = Self::shortest_arena(class);
        let (mut may_give_back, mut bytes) = (true, self.next_arena(class));
        loop {
            // Each time: it goes back with the last arena.
            self.table.begin(raw)?;
            if let Some(arena) = self.open_arena(shortest) {
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
                Err(AllocCause::Exhausted) if bytes > shortest => bytes = shortest,
                Err(cause) => {
                    if self.arenas.is_null() {
                        // SAFETY: without an arena no class has a page or a block.
                        unsafe { self.table.end(raw) };
                    }
                    return Err(cause);
                }
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
            self.reserve.count(PAGE);
            while let Some(surplus) = self.reserve.surplus() {
                self.release(raw, surplus);
            }
        }
    }

    /// Returns whatever holds no live block: the pages that classes keep, and the arenas that were kept.
    pub(crate) fn give_back<R: RawAlloc>(&mut self, raw: RawDomain<'_, R>) {
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
        while let Some(arena) = self.reserve.take(0) {
            // SAFETY: [H1]; no page of it is in use.
            unsafe { self.release(raw, arena) };
        }
        if self.arenas.is_null() {
            // SAFETY: without an arena no class has a page or a block.
            unsafe { self.table.end(raw) };
        }
    }
}
